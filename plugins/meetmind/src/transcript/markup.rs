//! The text of a WebVTT or SRT cue: voice tags become speakers, other tags go, entities are decoded.

/// Longest tag that is taken for one; a lone `<` in speech stays.
const TAG_MAX_BYTES: usize = 300;

/// What one voice says in a cue.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Voice {
    pub(super) speaker: Option<String>,
    pub(super) text: String,
}

/// Splits a cue's payload by its voice tags, in order. A tag that never closes is dropped with what it cuts off.
pub(super) fn voices(payload: &str) -> Vec<Voice> {
    let mut voices = vec![Voice::default()];
    let mut rest = payload;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, special) = rest.split_at(at);
        push(&mut voices, before);
        rest = if special.starts_with('<') {
            tag(special, &mut voices)
        } else {
            entity(special, &mut voices)
        };
    }
    push(&mut voices, rest);
    voices.retain(|voice| !voice.text.trim().is_empty());
    voices
}

/// Whether the payload ends inside a tag, as when a file was cut.
pub(super) fn is_cut(payload: &str) -> bool {
    payload.rfind('<').is_some_and(|open| {
        payload
            .get(open..)
            .is_some_and(|tail| !tail.contains('>') && opens_tag(tail))
    })
}

fn opens_tag(text: &str) -> bool {
    text.strip_prefix('<').is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
    })
}

fn tag<'a>(text: &'a str, voices: &mut Vec<Voice>) -> &'a str {
    let end = text
        .bytes()
        .take(TAG_MAX_BYTES)
        .position(|byte| byte == b'>');
    let inside = end.and_then(|end| Some((text.get(1..end)?, text.get(end + 1..)?)));
    match inside {
        Some((inside, rest)) if opens_tag(text) => {
            if let Some(name) = voice_name(inside) {
                voices.push(Voice {
                    speaker: (!name.is_empty()).then(|| decode_entities(name)),
                    text: String::new(),
                });
            }
            rest
        }
        None if is_cut(text) => "",
        _ => {
            push(voices, "<");
            text.get(1..).unwrap_or_default()
        }
    }
}

/// The name in `v Anna` or `v.loud Anna`.
fn voice_name(inside: &str) -> Option<&str> {
    let rest = inside.strip_prefix('v')?;
    let (classes, name) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    (classes.is_empty() || classes.starts_with('.')).then(|| name.trim())
}

fn entity<'a>(text: &'a str, voices: &mut [Voice]) -> &'a str {
    let (decoded, rest) = decode_entity(text);
    if let Some(last) = voices.last_mut() {
        last.text.push(decoded);
    }
    rest
}

fn decode_entities(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, special) = rest.split_at(at);
        decoded.push_str(before);
        let (character, after) = decode_entity(special);
        decoded.push(character);
        rest = after;
    }
    decoded.push_str(rest);
    decoded
}

/// The character that an entity at the start of `text` stands for, or the `&` itself.
fn decode_entity(text: &str) -> (char, &str) {
    let after_ampersand = text.strip_prefix('&').unwrap_or_default();
    let known = [
        ("amp;", '&'),
        ("lt;", '<'),
        ("gt;", '>'),
        ("nbsp;", ' '),
        ("quot;", '"'),
        ("apos;", '\''),
        ("lrm;", '\u{200e}'),
        ("rlm;", '\u{200f}'),
    ];
    for (name, character) in known {
        if let Some(rest) = after_ampersand.strip_prefix(name) {
            return (character, rest);
        }
    }
    numeric_entity(after_ampersand).unwrap_or(('&', after_ampersand))
}

fn numeric_entity(text: &str) -> Option<(char, &str)> {
    let rest = text.strip_prefix('#')?;
    let end = rest.bytes().take(8).position(|byte| byte == b';')?;
    let (number, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    let character = char::from_u32(code).filter(|c| !c.is_control())?;
    Some((character, rest))
}

fn push(voices: &mut [Voice], text: &str) {
    if let Some(last) = voices.last_mut() {
        last.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(payload: &str) -> (Option<String>, String) {
        let mut voices = voices(payload);
        assert_eq!(voices.len(), 1, "{payload}");
        let voice = voices.remove(0);
        (voice.speaker, voice.text)
    }

    #[test]
    fn voice_tags_with_classes_name_the_speaker() {
        let (speaker, text) = one("<v.loud.first Åsa &amp; Bo>Hej <i>alla</i></v>");
        assert_eq!(speaker.as_deref(), Some("Åsa & Bo"));
        assert_eq!(text, "Hej alla");
    }

    #[test]
    fn two_voices_in_a_cue_are_two_speakers() {
        let voices = voices("<v A>Yes.</v> <v B>No.</v>");
        let names: Vec<_> = voices.iter().map(|v| v.speaker.as_deref()).collect();
        assert_eq!(names, [Some("A"), Some("B")]);
    }

    #[test]
    fn a_lone_angle_bracket_and_ampersand_stay() {
        assert_eq!(one("if a < b & c").1, "if a < b & c");
        assert_eq!(one("R&#38;D &#xE5; &#0; &bogus;").1, "R&D å &#0; &bogus;");
    }

    #[test]
    fn a_tag_that_is_cut_off_goes() {
        assert!(is_cut("Hello <v Bj"));
        assert_eq!(one("Hello <v Bj").1, "Hello ");
    }
}
