//! Words to terms: one number for all forms of a word, and the form in which people said it most.

use std::collections::{HashMap, HashSet};

use rust_stemmers::Stemmer;

use crate::language::Language;

/// Distinct words that are told apart; beyond it new words count as noise, which bounds memory on hostile input.
const WORDS_MAX: usize = 100_000;
/// Longer than any word; what is longer is a key, a URL or garbage.
const WORD_MAX_BYTES: usize = 48;

/// A stem, as a number that counts up from 0.
pub(crate) type Term = u32;

pub(crate) struct Vocabulary {
    stemmer: Stemmer,
    stop_words: HashSet<&'static str>,
    words: HashMap<String, Option<Term>>,
    stems: HashMap<String, Term>,
    forms: Vec<Form>,
}

/// The most frequent way to write a term so far, by a majority vote that needs no table of all forms.
#[derive(Default)]
struct Form {
    word: String,
    votes: u32,
}

impl Vocabulary {
    pub(crate) fn new(language: Language) -> Self {
        Self {
            stemmer: language.stemmer(),
            stop_words: language.stop_words(),
            words: HashMap::new(),
            stems: HashMap::new(),
            forms: Vec::new(),
        }
    }

    /// How many terms there are.
    pub(crate) fn len(&self) -> usize {
        self.forms.len()
    }

    /// How people said it, in lowercase.
    pub(crate) fn form(&self, term: Term) -> &str {
        self.forms
            .get(term as usize)
            .map_or("", |form| form.word.as_str())
    }

    /// The term of a lowercase word without punctuation; none for words that carry no topic.
    pub(crate) fn term(&mut self, word: &str) -> Option<Term> {
        let word = word.strip_suffix("'s").unwrap_or(word);
        let known = match self.words.get(word) {
            Some(known) => *known,
            None => self.learn(word),
        };
        if let Some(form) = known.and_then(|term| self.forms.get_mut(term as usize)) {
            if form.word == word {
                form.votes += 1;
            } else if form.votes == 0 {
                form.word = word.to_owned();
                form.votes = 1;
            } else {
                form.votes -= 1;
            }
        }
        known
    }

    fn learn(&mut self, word: &str) -> Option<Term> {
        if self.words.len() >= WORDS_MAX || word.len() > WORD_MAX_BYTES {
            return None;
        }
        let has_topic = word.chars().nth(1).is_some()
            && word.contains(char::is_alphabetic)
            && !self.stop_words.contains(word);
        let term = has_topic.then(|| {
            let stem = self.stemmer.stem(word).into_owned();
            let next = self.forms.len() as Term;
            let term = *self.stems.entry(stem).or_insert(next);
            if term == next {
                self.forms.push(Form::default());
            }
            term
        });
        self.words.insert(word.to_owned(), term);
        term
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one_term_in_both_languages() {
        let mut english = Vocabulary::new(Language::En);
        assert_eq!(english.term("batteries"), english.term("battery"));
        let mut swedish = Vocabulary::new(Language::Sv);
        assert_eq!(swedish.term("hästarna"), swedish.term("hästar"));
    }

    #[test]
    fn words_without_a_topic_are_no_terms() {
        let mut vocabulary = Vocabulary::new(Language::En);
        for word in ["the", "okay", "x", "42", ""] {
            assert_eq!(vocabulary.term(word), None, "{word}");
        }
    }

    #[test]
    fn a_term_is_shown_as_it_was_said_most() {
        let mut vocabulary = Vocabulary::new(Language::En);
        let term = vocabulary.term("battery").unwrap();
        for _ in 0..3 {
            vocabulary.term("batteries");
        }
        assert_eq!(vocabulary.form(term), "batteries");
    }
}
