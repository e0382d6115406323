//! How a text becomes the words that are looked for. The index, the query, the highlights and the mock host all use this
//! one, so that they agree on every text.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use frostem::{Algorithm, Stemmer};

use super::{Analyzer, TERMS_MAX};
use crate::{Error, Result};

/// What an index keeps beside its words; another analysis needs another name, so that indices are built again.
pub const ANALYSIS: &str = "words-1";
/// Longest word in bytes that is indexed; what is longer is no word of a language.
pub const WORD_MAX_BYTES: usize = 64;

/// A word of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// In lower case and, for a language, reduced to its stem.
    pub term: String,
    /// The bytes of the text that it stands in.
    pub at: Range<usize>,
    /// Which word of the text it is, those that are left out counted as well.
    pub position: usize,
}

/// The words of a text in their order.
pub fn words(analyzer: Analyzer, text: &str) -> Vec<Word> {
    let language = Language::of(analyzer);
    let mut words = Vec::new();
    for (position, (raw, at)) in runs(text).enumerate() {
        if raw.len() <= WORD_MAX_BYTES && !language.is_some_and(|l| l.stop_words.contains(&*raw)) {
            let term = match language {
                Some(language) => language.stem(raw),
                None => raw,
            };
            words.push(Word { term, at, position });
        }
    }
    words
}

/// The different words of a query in the order in which they come first.
pub fn terms(analyzer: Analyzer, text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let words = words(analyzer, text).into_iter().map(|word| word.term);
    words.filter(|term| seen.insert(term.clone())).collect()
}

/// Longest word that keeps a final `an`: `plan`, `gatan`.
const KEPT_AN_CHARS: usize = 5;

/// What a query looks for: for each of its words the terms that stand for it, by place of the field among `fields`. A word
/// that the analyzers of all fields leave out is not looked for; one that some leave out has fewer terms than there are
/// fields, and is not needed where all words are: it is frequent in one of the languages.
///
/// # Errors
/// `Invalid` for more than [`TERMS_MAX`] different words.
pub fn look_for(
    operation: &'static str,
    text: &str,
    fields: &[Analyzer],
) -> Result<Vec<Vec<(usize, String)>>> {
    let mut by_position: BTreeMap<usize, Vec<(usize, String)>> = BTreeMap::new();
    for (field, analyzer) in fields.iter().enumerate() {
        for word in words(*analyzer, text) {
            let terms = by_position.entry(word.position).or_default();
            terms.push((field, word.term));
        }
    }
    let mut seen = HashSet::new();
    let all = by_position.into_values();
    let different: Vec<_> = all.filter(|terms| seen.insert(terms.clone())).collect();
    if different.len() > TERMS_MAX {
        return Err(Error::invalid(
            operation,
            format!(
                "the query has {} different words; the limit is {TERMS_MAX}",
                different.len()
            ),
        )
        .with_context("limit", TERMS_MAX));
    }
    Ok(different)
}

struct Language {
    stemmer: Stemmer,
    /// Whether a final `an` is taken away as well: Snowball leaves the definite form of nouns in `a` as it is, so `stugan`
    /// would not find `stuga`.
    takes_an: bool,
    stop_words: HashSet<&'static str>,
}

impl Language {
    fn of(analyzer: Analyzer) -> Option<&'static Self> {
        static SV: LazyLock<Language> =
            LazyLock::new(|| Language::new(Algorithm::Swedish, "sv", true));
        static EN: LazyLock<Language> =
            LazyLock::new(|| Language::new(Algorithm::English, "en", false));
        match analyzer {
            Analyzer::Simple => None,
            Analyzer::Sv => Some(&SV),
            Analyzer::En => Some(&EN),
        }
    }

    fn new(algorithm: Algorithm, code: &str, takes_an: bool) -> Self {
        let stop_words = stop_words::lookup(code).unwrap_or_default();
        Self {
            stemmer: Stemmer::new(algorithm),
            takes_an,
            stop_words: stop_words.iter().copied().collect(),
        }
    }

    fn stem(&self, word: String) -> String {
        let mut stem = match self.stemmer.stem(&word) {
            // Owned already; the stemmer changed nothing.
            Cow::Borrowed(stem) if stem.len() == word.len() => word,
            stem => stem.into_owned(),
        };
        let is_long = || stem.chars().nth(KEPT_AN_CHARS).is_some();
        if self.takes_an && stem.ends_with("an") && is_long() {
            stem.truncate(stem.len() - "an".len());
        }
        stem
    }
}

/// Runs of letters and digits in lower case, with the bytes that they stand in.
///
/// A mark that follows its letter (as file systems and some keyboards write `a` + ring) makes one letter with it where
/// Swedish and its neighbours have one; other marks are left out.
fn runs(text: &str) -> impl Iterator<Item = (String, Range<usize>)> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.by_ref().find(|(_, c)| c.is_alphanumeric())?;
        let mut word: String = first.to_lowercase().collect();
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = chars.next_if(|(_, c)| c.is_alphanumeric() || is_mark(*c)) {
            end = at + c.len_utf8();
            if is_mark(c) {
                if let Some(letter) = word.chars().next_back().and_then(|l| compose(l, c)) {
                    word.pop();
                    word.push(letter);
                }
            } else {
                word.extend(c.to_lowercase());
            }
        }
        Some((word, start..end))
    })
}

fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn compose(letter: char, mark: char) -> Option<char> {
    Some(match (letter, mark) {
        ('a', '\u{30a}') => 'å',
        ('a', '\u{308}') => 'ä',
        ('o', '\u{308}') => 'ö',
        ('u', '\u{308}') => 'ü',
        ('e', '\u{301}') => 'é',
        ('a', '\u{300}') => 'à',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms_of(analyzer: Analyzer, text: &str) -> Vec<String> {
        terms(analyzer, text)
    }

    #[test]
    fn forms_of_a_word_have_one_stem() {
        let sv = |text| terms_of(Analyzer::Sv, text);
        assert_eq!(sv("mötet"), sv("möten"));
        assert_eq!(sv("Flickorna"), sv("flicka"));
        for form in ["stuga", "stugor", "stugorna", "stugans"] {
            assert_eq!(sv("stugan"), sv(form), "{form}");
        }
        assert_ne!(sv("plan"), sv("pl"));
        let en = |text| terms_of(Analyzer::En, text);
        assert_eq!(en("meetings"), en("Meeting"));
        assert_ne!(
            terms_of(Analyzer::Simple, "meetings"),
            terms_of(Analyzer::Simple, "meeting")
        );
    }

    #[test]
    fn swedish_letters_are_letters_of_their_own() {
        for analyzer in [Analyzer::Simple, Analyzer::Sv] {
            assert_ne!(terms_of(analyzer, "hår"), terms_of(analyzer, "har"));
            assert_ne!(terms_of(analyzer, "öl"), terms_of(analyzer, "ol"));
            assert_eq!(terms_of(analyzer, "ÅÄÖ"), terms_of(analyzer, "åäö"));
            assert_eq!(
                terms_of(analyzer, "va\u{30a}r bra\u{308}da"),
                terms_of(analyzer, "vår bräda")
            );
        }
    }

    #[test]
    fn frequent_words_are_left_out_and_keep_their_place() {
        let words = words(Analyzer::Sv, "Stugan och sjön");
        let found: Vec<(&str, usize)> = words
            .iter()
            .map(|w| (w.term.as_str(), w.position))
            .collect();
        assert_eq!(found, [("stug", 0), ("sjön", 2)]);
        assert!(terms_of(Analyzer::En, "to be or not to be").is_empty());
        assert_eq!(terms_of(Analyzer::Simple, "och the"), ["och", "the"]);
    }

    #[test]
    fn a_word_knows_its_bytes() {
        let text = "Vad är BRÅDSKANDE?";
        let words = words(Analyzer::Simple, text);
        let pieces: Vec<&str> = words.iter().map(|word| &text[word.at.clone()]).collect();
        assert_eq!(pieces, ["Vad", "är", "BRÅDSKANDE"]);
    }

    #[test]
    fn what_is_longer_than_a_word_is_left_out() {
        let long = "a".repeat(WORD_MAX_BYTES + 1);
        assert_eq!(
            terms_of(Analyzer::Simple, &format!("x {long} y x")),
            ["x", "y"]
        );
    }

    #[test]
    fn a_query_looks_for_each_word_once_in_the_terms_of_each_field() {
        let fields = [Analyzer::Simple, Analyzer::Sv];
        let found = look_for("search.query", "och stugan STUGAN sjön", &fields).unwrap();
        let term = |field, term: &str| (field, term.to_owned());
        assert_eq!(
            found,
            [
                vec![term(0, "och")],
                vec![term(0, "stugan"), term(1, "stug")],
                vec![term(0, "sjön"), term(1, "sjön")],
            ]
        );
        let many: String = (0..=TERMS_MAX).map(|n| format!("w{n} ")).collect();
        assert!(look_for("search.query", &many, &fields).is_err());
    }
}
