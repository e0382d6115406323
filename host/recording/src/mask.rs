//! Placeholders in the place of values, wherever they stand: in texts, in JSON, in JSON within texts, in bytes.
//!
//! The same value gets the same placeholder everywhere, so that a guest which hands it on does so when it is played, too.
//! Everything else keeps its bytes. A digest of bytes that changed is replaced by that of what they became: who knows
//! roughly what stood there could try it out otherwise.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use stuga_core::a2a::Incoming;
use zeroize::Zeroizing;

use crate::pack::{self, BASE64, TEXT};
use crate::scan::replace_texts;
use crate::{Fault, Json, Recording, TapedCall};

/// How deep JSON in texts in JSON is looked into.
const NESTED_MAX: usize = 4;
/// A chosen value shorter than this, in characters, is replaced only where it stands as a word of its own.
const WORD_BELOW_CHARS: usize = 4;

/// Values and what is written in their place.
#[derive(Default)]
pub(crate) struct Masks {
    needles: Vec<Needle>,
    /// Digests of bytes that were changed, and of what they became.
    digests: RefCell<Vec<(String, String)>>,
}

struct Needle {
    value: Zeroizing<Vec<u8>>,
    placeholder: String,
    /// Whether it is replaced in names of fields as well.
    in_keys: bool,
    /// Whether only as a word of its own.
    is_word: bool,
}

impl Masks {
    /// A value that must stand nowhere.
    pub(crate) fn hide(&mut self, value: &[u8], placeholder: &str) {
        self.add(value, placeholder, true, false);
    }

    /// A value that was chosen to be left out. Names of fields stay, so that what is left is still the same document.
    pub(crate) fn replace(&mut self, value: &str, placeholder: &str) {
        let is_word = value.chars().count() < WORD_BELOW_CHARS;
        self.add(value.as_bytes(), placeholder, false, is_word);
    }

    fn add(&mut self, value: &[u8], placeholder: &str, in_keys: bool, is_word: bool) {
        if !value.is_empty() {
            self.needles.push(Needle {
                value: Zeroizing::new(value.to_vec()),
                placeholder: placeholder.to_owned(),
                in_keys,
                is_word,
            });
        }
    }

    /// Applies them to all of a recording.
    pub(crate) fn apply(&self, recording: &mut Recording) {
        if self.needles.is_empty() {
            return;
        }
        let uploads = uploaded(&recording.calls);
        self.once(recording);
        let mut digests = self.digests.take();
        digests.extend(uploads.into_iter().zip(uploaded(&recording.calls)));
        digests.retain(|(before, after)| before != after);
        if !digests.is_empty() {
            let mut changed = Self::default();
            for (before, after) in &digests {
                changed.add(before.as_bytes(), after, false, false);
            }
            changed.once(recording);
        }
    }

    fn once(&self, recording: &mut Recording) {
        self.json(&mut recording.input);
        recording.config.values_mut().for_each(|v| self.json(v));
        if let Some(session) = &mut recording.session {
            self.text(session);
        }
        if let Some(Incoming { sender, id, .. }) = &mut recording.message {
            self.text(sender);
            self.text(id);
        }
        for call in &mut recording.calls {
            self.json(&mut call.asked);
            if let Some(answer) = &mut call.answer {
                self.json(answer);
            }
            if let Some(Fault {
                message, context, ..
            }) = &mut call.error
            {
                self.text(message);
                self.facts(context);
            }
        }
        recording.parts.iter_mut().for_each(|part| self.json(part));
        for line in &mut recording.logs {
            self.text(&mut line.message);
            self.text(&mut line.fields);
        }
        if let Some(output) = &mut recording.output {
            self.json(output);
        }
        if let Some(failure) = &mut recording.failure {
            self.text(&mut failure.message);
            self.facts(&mut failure.context);
        }
    }

    fn facts(&self, facts: &mut [(String, String)]) {
        for (name, value) in facts {
            self.text(name);
            self.text(value);
        }
    }

    fn json(&self, json: &mut Json) {
        if let Some(masked) = self.in_json(json.get(), 0) {
            *json = Json::new(masked);
        }
    }

    fn text(&self, text: &mut String) {
        if let Some(masked) = self.in_text(text, false, 0) {
            *text = masked;
        }
    }

    fn in_json(&self, json: &str, nested: usize) -> Option<String> {
        let mut key = None;
        replace_texts(json, |token| {
            let text = token.decoded();
            if token.is_key {
                let masked = self.in_text(&text, true, NESTED_MAX);
                key = Some(text);
                return masked.map(|masked| token.encoded(&masked));
            }
            let key = key.take();
            if key.as_deref() == Some(BASE64) {
                let before = STANDARD.decode(&text).ok()?;
                let after = self.in_bytes(&before)?;
                self.note(&before, &after);
                return Some(token.encoded(&STANDARD.encode(after)));
            }
            let masked = self.in_text(&text, false, nested)?;
            if key.as_deref() == Some(TEXT) {
                self.note(text.as_bytes(), masked.as_bytes());
            }
            Some(token.encoded(&masked))
        })
    }

    fn note(&self, before: &[u8], after: &[u8]) {
        let mut digests = self.digests.borrow_mut();
        digests.push((digest(before), digest(after)));
    }

    fn in_text(&self, text: &str, is_key: bool, nested: usize) -> Option<String> {
        let plain = self.in_plain(text, is_key);
        let now = plain.as_deref().unwrap_or(text);
        if nested < NESTED_MAX && is_document(now) {
            return self.in_json(now, nested + 1).or(plain);
        }
        plain
    }

    fn in_plain(&self, text: &str, is_key: bool) -> Option<String> {
        let masked = self.found(text.as_bytes(), Some(text), is_key)?;
        // Needles that are text begin and end between characters; others are not looked for here.
        String::from_utf8(masked).ok()
    }

    fn in_bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.found(bytes, None, false)
    }

    fn found(&self, bytes: &[u8], text: Option<&str>, is_key: bool) -> Option<Vec<u8>> {
        let mut found: Vec<(usize, std::cmp::Reverse<usize>, &str)> = Vec::new();
        for needle in self.needles.iter().filter(|n| n.in_keys || !is_key) {
            let len = needle.value.len();
            let mut add = |at: usize| {
                if !needle.is_word || is_word(bytes, at, len) {
                    found.push((at, std::cmp::Reverse(at + len), &needle.placeholder));
                }
            };
            match (text, std::str::from_utf8(&needle.value)) {
                (Some(text), Ok(value)) => {
                    text.match_indices(value).for_each(|(at, _)| add(at));
                }
                (Some(_), Err(_)) => {}
                (None, _) if len > bytes.len() => {}
                (None, _) => {
                    let windows = bytes.windows(len).enumerate();
                    let hits = windows.filter(|(_, window)| *window == needle.value.as_slice());
                    hits.for_each(|(at, _)| add(at));
                }
            }
        }
        if found.is_empty() {
            return None;
        }
        found.sort_unstable();
        let mut masked = Vec::with_capacity(bytes.len());
        let mut copied = 0;
        for (begin, std::cmp::Reverse(end), placeholder) in found {
            // Values that overlap go together, under the placeholder of the first.
            if begin >= copied {
                masked.extend_from_slice(bytes.get(copied..begin).unwrap_or_default());
                masked.extend_from_slice(placeholder.as_bytes());
            }
            copied = copied.max(end);
        }
        masked.extend_from_slice(bytes.get(copied..).unwrap_or_default());
        Some(masked)
    }
}

/// Whether neither a letter nor a digit stands beside what is at `at`. Bytes beyond ASCII count as letters.
fn is_word(bytes: &[u8], at: usize, len: usize) -> bool {
    let joins = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || !b.is_ascii())
    };
    !joins(at.checked_sub(1)) && !joins(at.checked_add(len))
}

/// Whether a text is JSON with texts in it.
fn is_document(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '[', '"'])
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The digests of what was uploaded part by part, one upload after the other.
fn uploaded(calls: &[TapedCall]) -> Vec<String> {
    let mut digests = Vec::new();
    let mut content = Sha256::new();
    for call in calls {
        match call.operation.as_str() {
            "files.begin-upload" => content = Sha256::new(),
            "files.upload.append" => {
                content.update(pack::bytes_of(&call.asked.value()).unwrap_or_default());
            }
            "files.upload.finish" => digests.push(hex::encode(content.clone().finalize())),
            _ => {}
        }
    }
    digests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(masks: &Masks, json: &str) -> String {
        let mut json = Json::new(json.to_owned());
        masks.json(&mut json);
        json.get().to_owned()
    }

    #[test]
    fn a_value_is_found_in_texts_in_json_within_texts_and_in_bytes() {
        let mut masks = Masks::default();
        masks.hide("hemligt \"lösen\"".as_bytes(), "[secret a]");
        masks.hide(&[0xff, 0xfe, 0xfd], "[secret b]");
        let inner = serde_json::json!({ "k": "x hemligt \"lösen\" y" }).to_string();
        let outer = serde_json::json!([inner, { "hemligt \"lösen\"": 1.0 }]).to_string();
        assert_eq!(
            masked(&masks, &outer),
            r#"["{\"k\":\"x [secret a] y\"}",{"[secret a]":1.0}]"#
        );
        let escaped = r#"{ "a" : "hemligt \"l\u00f6sen\" \u00e5" }"#;
        assert_eq!(masked(&masks, escaped), r#"{ "a" : "[secret a] \u00e5" }"#);
        let bytes = format!(
            r#"{{"{BASE64}":"{}"}}"#,
            STANDARD.encode([1, 0xff, 0xfe, 0xfd])
        );
        assert_eq!(
            masked(&masks, &bytes),
            format!(r#"{{"{BASE64}":"{}"}}"#, STANDARD.encode(b"\x01[secret b]"))
        );
    }

    #[test]
    fn a_chosen_value_leaves_names_of_fields_and_other_words_alone() {
        let mut masks = Masks::default();
        masks.replace("Bo", "[redacted 1]");
        masks.replace("title", "[redacted 2]");
        assert_eq!(
            masked(&masks, r#"{"title":"title","Bo":"Bo, Bosse, åBo, (Bo)"}"#),
            r#"{"title":"[redacted 2]","Bo":"[redacted 1], Bosse, åBo, ([redacted 1])"}"#
        );
    }

    #[test]
    fn of_values_that_overlap_nothing_is_left() {
        let mut masks = Masks::default();
        masks.hide(b"abcdefgh", "[a]");
        masks.hide(b"xxabcdefghyy", "[b]");
        masks.hide(b"efghijkl", "[c]");
        assert_eq!(
            masked(&masks, r#"["<xxabcdefghyy>","<abcdefghijkl>"]"#),
            r#"["<[b]>","<[a]>"]"#
        );
    }
}
