//! Phrases to look for, written as people write them: `we have|had? decided .. on`.
//!
//! Words are separated by blanks; `a|b` is either, a trailing `?` makes a word optional, `..` skips up to three words.
//! Phrases are found through their first word, so that the cost of a sentence does not grow with the list.

use std::collections::HashMap;

/// How many words `..` may stand for.
const GAP_MAX_WORDS: usize = 3;

/// A phrase that was found: which one, and its words as a range of indices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Match<T> {
    pub(crate) tag: T,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) struct Phrases<T> {
    by_first_word: HashMap<&'static str, Vec<(T, Vec<Part>)>>,
}

enum Part {
    Words {
        any_of: Vec<&'static str>,
        optional: bool,
    },
    Gap,
}

impl<T: Copy> Phrases<T> {
    /// Takes lists of phrases, each with what they mean.
    pub(crate) fn new(lists: &[(T, &'static [&'static str])]) -> Self {
        let mut by_first_word: HashMap<_, Vec<_>> = HashMap::new();
        for (tag, phrases) in lists {
            for phrase in *phrases {
                let mut words = phrase.split(' ');
                let first_words = words.next().unwrap_or_default();
                for first in first_words.split('|') {
                    let parts = words.clone().map(part).collect();
                    by_first_word.entry(first).or_default().push((*tag, parts));
                }
            }
        }
        Self { by_first_word }
    }

    /// The phrases found in lowercase words without punctuation, in order of where they start.
    pub(crate) fn find<'a>(&'a self, words: &'a [&'a str]) -> impl Iterator<Item = Match<T>> + 'a {
        words.iter().enumerate().flat_map(move |(start, word)| {
            let phrases = self.by_first_word.get(word).map_or(&[][..], Vec::as_slice);
            phrases.iter().filter_map(move |(tag, parts)| {
                let end = matched(parts, words, start + 1)?;
                Some(Match {
                    tag: *tag,
                    start,
                    end,
                })
            })
        })
    }
}

fn part(text: &'static str) -> Part {
    if text == ".." {
        return Part::Gap;
    }
    let (words, optional) = match text.strip_suffix('?') {
        Some(words) => (words, true),
        None => (text, false),
    };
    Part::Words {
        any_of: words.split('|').collect(),
        optional,
    }
}

/// Where the match ends. Its depth is the length of the phrase, which is ours, not the speaker's.
fn matched(parts: &[Part], words: &[&str], at: usize) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else {
        return Some(at);
    };
    match part {
        Part::Gap => (0..=GAP_MAX_WORDS).find_map(|skip| matched(rest, words, at + skip)),
        Part::Words { any_of, optional } => {
            let fits = words.get(at).is_some_and(|word| any_of.contains(word));
            let taken = fits.then(|| matched(rest, words, at + 1)).flatten();
            taken.or_else(|| optional.then(|| matched(rest, words, at)).flatten())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(phrase: &'static [&'static str], text: &str) -> Option<(usize, usize)> {
        let words: Vec<&str> = text.split(' ').collect();
        let phrases = Phrases::new(&[((), phrase)]);
        phrases
            .find(&words)
            .next()
            .map(|found| (found.start, found.end))
    }

    #[test]
    fn alternatives_options_and_gaps_match() {
        let phrase: &[&str] = &["we|they have|had? decided .. on"];
        assert_eq!(find(phrase, "so we decided on it"), Some((1, 4)));
        assert_eq!(
            find(phrase, "they had decided more or less on it"),
            Some((0, 7))
        );
        assert_eq!(find(phrase, "they had decided a b c d on it"), None);
        assert_eq!(find(phrase, "i decided on it"), None);
    }

    #[test]
    fn a_phrase_at_the_very_end_matches() {
        assert_eq!(find(&["we agreed"], "and we agreed"), Some((1, 3)));
        assert_eq!(find(&["we agreed to"], "and we agreed"), None);
    }
}
