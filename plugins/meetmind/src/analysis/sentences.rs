//! Where sentences begin and end in a turn.

use unicode_segmentation::UnicodeSegmentation;

/// Speech without full stops is cut after this many words, at a comma when one is near.
const SENTENCE_MAX_WORDS: usize = 60;
/// From this word on a comma is a good place to cut.
const CUT_AT_COMMA_FROM_WORD: usize = 30;

/// Words whose period does not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr.", "mrs.", "ms.", "dr.", "prof.", "hon.", "st.", "no.", "vs.", "e.g.", "i.e.", "etc.",
    "approx.", "s.", "o.", "t.ex.", "bl.a.", "dvs.", "d.v.s.", "s.k.", "kap.", "nr.", "ca.",
    "m.m.", "f.d.", "prop.", "tel.", "forts.", "ang.", "resp.", "ev.", "kungl.",
];

/// Byte ranges of the sentences of `text`, in order, none empty.
pub(crate) fn split(text: &str) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut open: Option<usize> = None;
    for (start, piece) in text.split_sentence_bound_indices() {
        let from = open.take().unwrap_or(start);
        let end = start + piece.len();
        if ends_in_abbreviation(piece) && end < text.len() {
            open = Some(from);
        } else {
            cut_at_tokens(text, from, end, &mut ranges);
        }
    }
    if let Some(from) = open {
        cut_at_tokens(text, from, text.len(), &mut ranges);
    }
    ranges
}

fn ends_in_abbreviation(piece: &str) -> bool {
    let last = piece
        .trim_end()
        .rsplit(char::is_whitespace)
        .next()
        .unwrap_or_default();
    if !last.ends_with('.') || last.len() > 8 {
        return false;
    }
    let initial = last.chars().count() == 2 && last.starts_with(char::is_uppercase);
    initial || ABBREVIATIONS.contains(&last.to_lowercase().as_str())
}

/// A full stop between blanks ends a sentence whatever letter comes next: so corpora of speech write it.
fn cut_at_tokens(text: &str, from: usize, to: usize, ranges: &mut Vec<(usize, usize)>) {
    let bytes = text.as_bytes();
    let is_space = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_whitespace);
    let mut start = from;
    for at in from..to {
        let ends = matches!(bytes.get(at), Some(b'.' | b'?' | b'!'));
        if ends && at > start && is_space(at - 1) && is_space(at + 1) {
            cut_long(text, start, at + 1, ranges);
            start = at + 1;
        }
    }
    cut_long(text, start, to, ranges);
}

fn cut_long(text: &str, from: usize, to: usize, ranges: &mut Vec<(usize, usize)>) {
    let Some(sentence) = text.get(from..to) else {
        return;
    };
    let (mut start, mut words, mut in_word) = (0, 0, false);
    for (at, byte) in sentence.bytes().enumerate() {
        let is_space = byte.is_ascii_whitespace();
        if in_word && is_space {
            words += 1;
            let after_comma = sentence.as_bytes().get(at.wrapping_sub(1)) == Some(&b',');
            if words >= SENTENCE_MAX_WORDS
                || after_comma && words >= CUT_AT_COMMA_FROM_WORD && sentence.len() - at > 200
            {
                push_trimmed(text, from + start, from + at, ranges);
                start = at;
                words = 0;
            }
        }
        in_word = !is_space;
    }
    push_trimmed(text, from + start, to, ranges);
}

fn push_trimmed(text: &str, from: usize, to: usize, ranges: &mut Vec<(usize, usize)>) {
    let Some(piece) = text.get(from..to) else {
        return;
    };
    let trimmed = piece.trim_start();
    let start = from + (piece.len() - trimmed.len());
    let end = start + trimmed.trim_end().len();
    if end > start {
        ranges.push((start, end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<&str> {
        split(text)
            .into_iter()
            .map(|(from, to)| &text[from..to])
            .collect()
    }

    #[test]
    fn abbreviations_and_initials_do_not_end_a_sentence() {
        assert_eq!(
            sentences("Thank you, Mr. Chair. I yield to J. Smith. Vi ses kl. 10, t.ex. Här."),
            [
                "Thank you, Mr. Chair.",
                "I yield to J. Smith.",
                "Vi ses kl. 10, t.ex. Här."
            ]
        );
    }

    #[test]
    fn speech_without_full_stops_is_cut() {
        let text = "word ".repeat(150);
        let parts = sentences(&text);
        assert_eq!(parts.len(), 3);
        assert!(
            parts
                .iter()
                .all(|part| part.split(' ').count() <= SENTENCE_MAX_WORDS)
        );
    }

    #[test]
    fn a_full_stop_between_blanks_ends_a_sentence() {
        assert_eq!(
            sentences("make it smaller . so I 'm here . yes"),
            ["make it smaller .", "so I 'm here .", "yes"]
        );
    }

    #[test]
    fn ranges_lie_in_order_on_character_boundaries() {
        assert_eq!(sentences("Å! Ä? Ö…  "), ["Å!", "Ä?", "Ö…"]);
        assert!(sentences("   ").is_empty());
    }
}
