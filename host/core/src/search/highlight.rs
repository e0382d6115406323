//! Which piece of a text to show for a query: the one with most of its words.

use std::collections::HashSet;
use std::ops::Range;

use super::analysis::{Word, words};
use super::{Analyzer, Highlight};

/// Longest piece in bytes.
pub const FRAGMENT_MAX_BYTES: usize = 240;
/// How much of the text to show before the first match, in bytes.
const LEAD_BYTES: usize = 60;

/// The piece of `text` that holds most of the different `terms`, of equal ones the first; none when it holds none.
pub fn highlight(
    field: &str,
    analyzer: Analyzer,
    text: &str,
    terms: &HashSet<String>,
) -> Option<Highlight> {
    let matches: Vec<Word> = words(analyzer, text)
        .into_iter()
        .filter(|word| terms.contains(&word.term))
        .collect();
    let mut best: (usize, &[Word]) = (0, &[]);
    let (mut end, mut rest) = (0, matches.as_slice());
    while let Some(first) = rest.first() {
        let limit = first.at.start + FRAGMENT_MAX_BYTES - LEAD_BYTES;
        // Matches are in order, so the end of the window only moves on.
        end = end.max(matches.len() - rest.len());
        while matches.get(end).is_some_and(|word| word.at.end <= limit) {
            end += 1;
        }
        let window = matches.get(matches.len() - rest.len()..end).unwrap_or(&[]);
        let different: HashSet<&str> = window.iter().map(|word| word.term.as_str()).collect();
        if different.len() > best.0 {
            best = (different.len(), window);
        }
        if best.0 >= terms.len() {
            break;
        }
        rest = rest.get(1..).unwrap_or(&[]);
    }
    let first = best.1.first()?;
    let piece = around(text, first.at.start);
    let inside = |word: &Word| word.at.start >= piece.start && word.at.end <= piece.end;
    let marks = matches.iter().filter(|word| inside(word));
    Some(Highlight {
        field: field.to_owned(),
        fragment: text.get(piece.clone())?.to_owned(),
        marks: marks
            .map(|word| word.at.start - piece.start..word.at.end - piece.start)
            .collect(),
    })
}

/// The bytes to show for a match at `at`: from the beginning of a word on, to the end of one.
fn around(text: &str, at: usize) -> Range<usize> {
    let earliest = text.ceil_char_boundary(at.saturating_sub(LEAD_BYTES));
    let start = match text.get(earliest..at) {
        Some(lead) if earliest > 0 => lead
            .find(char::is_whitespace)
            .map_or(at, |space| earliest + space + 1),
        _ => earliest,
    };
    let start = text.ceil_char_boundary(start);
    let latest = text.floor_char_boundary(start + FRAGMENT_MAX_BYTES);
    let end = match text.get(at..latest) {
        Some(tail) if latest < text.len() => tail
            .rfind(char::is_whitespace)
            .map_or(latest, |space| at + space),
        _ => latest,
    };
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::analysis::terms;

    fn shown(text: &str, query: &str) -> Option<Highlight> {
        let terms = terms(Analyzer::Sv, query).into_iter().collect();
        highlight("text", Analyzer::Sv, text, &terms)
    }

    #[test]
    fn forms_of_the_words_are_marked_where_they_stand() {
        let found = shown("Protokoll från möten om stugan.", "möte stuga").unwrap();
        let marked: Vec<&str> = found
            .marks
            .iter()
            .map(|at| &found.fragment[at.clone()])
            .collect();
        assert_eq!(marked, ["möten", "stugan"]);
        assert_eq!(shown("Något annat.", "möte"), None);
    }

    #[test]
    fn the_piece_with_most_of_the_words_is_shown_and_cut_between_words() {
        let filler = "blåbär och lingon ".repeat(40);
        let text = format!("{filler}mötet {filler}mötet om stugan {filler}");
        let found = shown(&text, "stuga möte").unwrap();
        assert!(found.fragment.contains("mötet om stugan"), "{found:?}");
        assert!(found.fragment.len() <= FRAGMENT_MAX_BYTES);
        assert!(found.fragment.starts_with(|c: char| c.is_alphabetic()));
        assert_eq!(found.marks.len(), 2);
    }

    #[test]
    fn a_text_without_spaces_is_cut_between_letters() {
        let text = format!("{}!möte!{}", "å".repeat(500), "ö!".repeat(500));
        let found = shown(&text, "möte").unwrap();
        assert!(found.fragment.contains("möte") && found.fragment.len() <= FRAGMENT_MAX_BYTES);
    }
}
