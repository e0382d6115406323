//! Walking over JSON text without losing a byte of it: every text in it can be seen and replaced, the rest stays as it is.

/// A text in JSON.
pub(crate) struct Token<'t> {
    /// With its quotes, as it stands there.
    pub(crate) raw: &'t str,
    /// Whether it names a field.
    pub(crate) is_key: bool,
}

impl Token<'_> {
    /// What it says.
    pub(crate) fn decoded(&self) -> String {
        serde_json::from_str(self.raw).unwrap_or_default()
    }

    /// Another text, written in the manner of this one: with or without characters beyond ASCII.
    pub(crate) fn encoded(&self, text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        let escapes = self.raw.is_ascii() && self.raw.contains("\\u");
        if !escapes || quoted.is_ascii() {
            return quoted;
        }
        let mut ascii = String::with_capacity(quoted.len());
        for c in quoted.chars() {
            if c.is_ascii() {
                ascii.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
        ascii
    }
}

/// Copies JSON, with what `replace` makes of its texts; none of it when it leaves them all. `json` must be JSON.
pub(crate) fn replace_texts(
    json: &str,
    mut replace: impl FnMut(&Token<'_>) -> Option<String>,
) -> Option<String> {
    let mut copy: Option<String> = None;
    let (mut copied, mut from) = (0, 0);
    while let Some(begin) = json.get(from..).and_then(|rest| rest.find('"')) {
        let begin = from + begin;
        let end = end_of_text(json, begin);
        let raw = json.get(begin..end).unwrap_or_default();
        let rest = json.get(end..).unwrap_or_default();
        let is_key = rest.trim_ascii_start().starts_with(':');
        if let Some(new) = replace(&Token { raw, is_key }) {
            let copy = copy.get_or_insert_with(|| String::with_capacity(json.len()));
            copy.push_str(json.get(copied..begin).unwrap_or_default());
            copy.push_str(&new);
            copied = end;
        }
        from = end;
    }
    if let Some(copy) = &mut copy {
        copy.push_str(json.get(copied..).unwrap_or_default());
    }
    copy
}

/// Where the text ends that begins with the quote at `begin`.
fn end_of_text(json: &str, begin: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(begin + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_replaced_changes() {
        let json = "{ \"a\\\"\" : [ \"x\", 1.0,\n\"\\u00e5 x\" ] }";
        let mut seen = Vec::new();
        let new = replace_texts(json, |token| {
            seen.push((token.decoded(), token.is_key));
            let text = token.decoded();
            (!token.is_key && text.contains('x')).then(|| token.encoded(&text.replace('x', "y")))
        });
        assert_eq!(
            seen,
            [
                ("a\"".to_owned(), true),
                ("x".to_owned(), false),
                ("å x".to_owned(), false)
            ]
        );
        assert_eq!(
            new.unwrap(),
            "{ \"a\\\"\" : [ \"y\", 1.0,\n\"\\u00e5 y\" ] }"
        );
        assert_eq!(replace_texts(json, |_| None), None);
    }
}
