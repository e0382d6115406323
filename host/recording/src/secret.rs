//! The secrets that an invocation has seen, and the certainty that none stands in its recording.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use stuga_core::secrets::{SecretValue, placeholder};
use zeroize::Zeroizing;

use crate::mask::Masks;
use crate::{Recording, TapedCall};

/// Shortest value that can be looked for: what is shorter stands in texts by chance.
const VALUE_MIN_BYTES: usize = 8;

/// Names and values of secrets.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(String, Zeroizing<Vec<u8>>)>);

impl Secrets {
    /// Takes a value down, and the texts in it when it is JSON.
    pub(crate) fn add(&mut self, name: &str, value: &SecretValue) {
        self.push(name, value.reveal());
        if let Ok(document @ (Value::Object(_) | Value::Array(_))) =
            serde_json::from_slice(value.reveal())
        {
            self.add_texts(name, &document);
        }
    }

    fn add_texts(&mut self, name: &str, document: &Value) {
        match document {
            Value::String(text) if text.len() >= VALUE_MIN_BYTES => {
                self.push(name, text.as_bytes());
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_texts(name, item)),
            Value::Object(fields) => fields.values().for_each(|item| self.add_texts(name, item)),
            _ => {}
        }
    }

    fn push(&mut self, name: &str, value: &[u8]) {
        let known = |(_, known): &(String, Zeroizing<Vec<u8>>)| known.as_slice() == value;
        if !self.0.iter().any(known) {
            self.0
                .push((name.to_owned(), Zeroizing::new(value.to_vec())));
        }
    }

    /// Writes placeholders in the place of the values.
    ///
    /// # Errors
    /// Why one of them may still be in it: then there must be no recording.
    pub(crate) fn remove(&self, recording: &mut Recording) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let short = self.0.iter().find(|(_, v)| v.len() < VALUE_MIN_BYTES);
        if let Some((name, _)) = short {
            return Err(format!(
                "the secret `{name}` has fewer than {VALUE_MIN_BYTES} bytes, which cannot be told from other text"
            ));
        }
        let mut masks = Masks::default();
        for (name, value) in &self.0 {
            masks.hide(value, &placeholder(name));
        }
        masks.apply(recording);
        self.prove(recording)
    }

    fn prove(&self, recording: &Recording) -> Result<(), String> {
        let text = Zeroizing::new(recording.write());
        let pieces = pieces(&recording.calls);
        for (name, value) in &self.0 {
            let forms = forms(value);
            if forms.iter().any(|form| text.contains(form.as_str())) {
                return Err(format!(
                    "the value of the secret `{name}` stands in it in an encoded form, such as Base64"
                ));
            }
            let plain = std::str::from_utf8(value).unwrap_or("\u{0}");
            if pieces.iter().any(|pieces| pieces.contains(plain)) {
                return Err(format!(
                    "the value of the secret `{name}` stands in it in pieces, one after the other"
                ));
            }
        }
        Ok(())
    }
}

/// How a value can stand in the text of a recording.
fn forms(value: &[u8]) -> Vec<Zeroizing<String>> {
    let mut forms = vec![hex::encode(value), hex::encode_upper(value)];
    for before in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; before]);
        bytes.extend_from_slice(value);
        // What stands before and after the value has a share in the first and the last digits.
        let first = [0, 2, 3].get(before).copied().unwrap_or_default();
        let shared = usize::from(bytes.len() % 3 != 0);
        for encoded in [
            STANDARD_NO_PAD.encode(bytes.as_slice()),
            URL_SAFE_NO_PAD.encode(bytes.as_slice()),
        ] {
            let last = encoded.len().saturating_sub(shared);
            forms.extend(encoded.get(first..last).map(str::to_owned));
        }
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let json = Value::from(text).to_string();
        forms.extend(json.get(1..json.len().saturating_sub(1)).map(str::to_owned));
        let percent = |b: u8| match b {
            b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        };
        forms.push(value.iter().map(|b| percent(*b)).collect());
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

/// What came in pieces, put together: the answers of each operation, and the parts of uploads.
fn pieces(calls: &[TapedCall]) -> Vec<Zeroizing<String>> {
    let mut joined: Vec<(&str, Zeroizing<String>)> = Vec::new();
    for call in calls {
        let piece = match call.operation.as_str() {
            "model.completion.next" | "files.read-range" => call.answer.as_ref(),
            "files.upload.append" => Some(&call.asked),
            _ => None,
        };
        let Some(piece) = piece else { continue };
        let mut text = String::new();
        texts(&piece.value(), &mut text);
        let operation = call.operation.as_str();
        match joined.iter_mut().find(|(known, _)| *known == operation) {
            Some((_, joined)) => joined.push_str(&text),
            None => joined.push((operation, Zeroizing::new(text))),
        }
    }
    joined.into_iter().map(|(_, text)| text).collect()
}

/// The texts that carry contents.
fn texts(value: &Value, text: &mut String) {
    for name in ["text", "content", crate::pack::TEXT] {
        match value.get(name) {
            Some(Value::String(piece)) => text.push_str(piece),
            Some(inner) => texts(inner, text),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alignment_of_base64_is_known() {
        let value = b"correct horse battery";
        for before in 0..4 {
            for after in 0..4 {
                let mut bytes = vec![b'<'; before];
                bytes.extend_from_slice(value);
                bytes.extend(std::iter::repeat_n(b'>', after));
                let encoded = STANDARD_NO_PAD.encode(&bytes);
                let found = forms(value)
                    .iter()
                    .any(|form| encoded.contains(form.as_str()));
                assert!(found, "{before} {after} {encoded}");
            }
        }
        let other = STANDARD_NO_PAD.encode(b"correct horse bakery");
        assert!(
            !forms(value)
                .iter()
                .any(|form| other.contains(form.as_str()))
        );
    }
}
