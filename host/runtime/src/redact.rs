//! What a call has revealed, and how that is kept out of the host's own records.
//!
//! Exact occurrences only: a value that the agent encodes, cuts or spreads out is not found. That guards against the
//! accident of logging a token, not against an agent that means to give it away.

use std::collections::BTreeSet;

use stuga_core::secrets::{SecretValue, VALUE_MAX_BYTES, placeholder};
use stuga_core::{Error, Result};
use zeroize::{Zeroize, Zeroizing};

/// Most versions of secrets that one call reveals.
const REVEALED_MAX: usize = 64;
/// Shortest value that is looked for: what is shorter stands in texts by chance.
const VALUE_MIN_BYTES: usize = 8;

/// The versions of secrets that a call has revealed.
#[derive(Default)]
pub(crate) struct Revealed {
    versions: BTreeSet<(String, u64)>,
    /// Those that can stand in a text.
    texts: Vec<Text>,
}

struct Text {
    value: Zeroizing<String>,
    /// What is written in its place.
    label: String,
}

impl Revealed {
    /// Refuses a version that is one too many.
    pub(crate) fn check_room(
        &self,
        operation: &'static str,
        name: &str,
        version: u64,
    ) -> Result<()> {
        let is_known = || self.versions.contains(&(name.to_owned(), version));
        if self.versions.len() < REVEALED_MAX || is_known() {
            return Ok(());
        }
        Err(Error::quota_exceeded(
            operation,
            "the invocation has revealed too many secrets; keep what it needs in a variable",
        )
        .with_context("limit", REVEALED_MAX))
    }

    /// Takes down a version that is being revealed.
    pub(crate) fn note(&mut self, name: &str, version: u64, value: &SecretValue) {
        if !self.versions.insert((name.to_owned(), version)) {
            return;
        }
        let text = std::str::from_utf8(value.reveal()).ok();
        if let Some(text) = text.filter(|text| text.len() >= VALUE_MIN_BYTES) {
            self.texts.push(Text {
                value: Zeroizing::new(text.to_owned()),
                label: placeholder(name),
            });
        }
    }

    /// Writes the labels in the place of revealed values and shortens the text to at most `max` bytes.
    ///
    /// A value that begins within the first `max` bytes is replaced as a whole, so that the cut leaves no part of one.
    pub(crate) fn clean(&self, text: &mut String, max: usize) {
        if let Some(cleaned) = self.replaced(text, max) {
            text.zeroize();
            *text = cleaned;
        }
        if text.len() > max {
            text.truncate(text.floor_char_boundary(max));
        }
    }

    /// The first `max` bytes with labels; none when nothing is to be replaced.
    fn replaced(&self, text: &str, max: usize) -> Option<String> {
        let reach = text.floor_char_boundary(max.saturating_add(VALUE_MAX_BYTES));
        let seen = text.get(..reach)?;
        let mut found: Vec<(usize, usize, &str)> = Vec::new();
        for Text { value, label } in &self.texts {
            let places = seen.match_indices(value.as_str());
            let places = places.take_while(|(begin, _)| *begin < max);
            found.extend(places.map(|(begin, _)| (begin, begin + value.len(), label.as_str())));
        }
        if found.is_empty() {
            return None;
        }
        found.sort_unstable();
        let mut cleaned = String::with_capacity(max.min(seen.len()));
        let mut copied = 0;
        for (begin, end, label) in found {
            // Values that overlap go together, under the label of the first.
            if begin >= copied {
                cleaned.push_str(seen.get(copied..begin)?);
                cleaned.push_str(label);
            }
            copied = copied.max(end);
        }
        let rest = seen.floor_char_boundary(max);
        cleaned.push_str(seen.get(copied..rest).unwrap_or_default());
        Some(cleaned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 8 << 10;

    fn revealed(values: &[(&str, &str)]) -> Revealed {
        let mut revealed = Revealed::default();
        for (name, value) in values {
            let value = SecretValue::new((*value).into()).unwrap();
            revealed.note(name, 1, &value);
        }
        revealed
    }

    fn cleaned(revealed: &Revealed, text: &str, max: usize) -> String {
        let mut text = text.to_owned();
        revealed.clean(&mut text, max);
        text
    }

    #[test]
    fn a_revealed_value_is_replaced_wherever_it_stands() {
        let known = revealed(&[("token", "abcdefgh"), ("åland", "hemligt lösenord")]);
        let text = "abcdefgh: hemligt lösenord, abcdefghabcdefgh, abcdefg";
        assert_eq!(
            cleaned(&known, text, LONG),
            "[secret token]: [secret åland], [secret token][secret token], abcdefg"
        );
        assert_eq!(cleaned(&revealed(&[]), text, LONG), text);
    }

    #[test]
    fn of_values_that_hold_each_other_nothing_is_left() {
        let known = revealed(&[("short", "abcdefgh"), ("long", "xxabcdefghyy")]);
        assert_eq!(cleaned(&known, "<xxabcdefghyy>", LONG), "<[secret long]>");
        let known = revealed(&[("one", "abcdefgh"), ("two", "efghijkl")]);
        assert_eq!(cleaned(&known, "<abcdefghijkl>", LONG), "<[secret one]>");
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_value() {
        let known = revealed(&[("token", "abcdefgh")]);
        for max in 0..20 {
            let text = cleaned(&known, "0123456789abcdefgh", max);
            assert!(text.len() <= max && !text.contains('a'), "{max}: {text}");
        }
        // What is replaced makes a text shorter; nothing behind the cut moves up.
        let long = "l".repeat(VALUE_MAX_BYTES);
        let known = revealed(&[("token", "abcdefgh"), ("long", &long)]);
        let text = cleaned(&known, &format!("{long}{long}abcdefgh"), 10);
        assert!(!text.contains("abc") && !text.contains("ll"), "{text}");
    }

    #[test]
    fn bytes_and_short_values_are_no_text_to_look_for() {
        let mut known = revealed(&[("pin", "1234567")]);
        let bytes = SecretValue::new(vec![0xff; 16]).unwrap();
        known.note("bytes", 1, &bytes);
        assert_eq!(cleaned(&known, "1234567", LONG), "1234567");
    }

    #[test]
    fn a_call_reveals_so_many_versions_and_each_as_often_as_it_likes() {
        let mut known = Revealed::default();
        let value = SecretValue::new(b"abcdefgh".to_vec()).unwrap();
        for version in 0..REVEALED_MAX as u64 {
            known.check_room("secrets.reveal", "k", version).unwrap();
            known.note("k", version, &value);
        }
        assert!(known.check_room("secrets.reveal", "k", 0).is_ok());
        let refused = known.check_room("secrets.reveal", "k", 64).unwrap_err();
        assert_eq!(refused.context_value("limit"), Some("64"));
    }
}
