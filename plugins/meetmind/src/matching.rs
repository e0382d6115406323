//! How well stored meetings fit a query: BM25 over stems, in the language of each meeting.

use std::collections::{HashMap, HashSet};

use crate::analysis::document::words;
use crate::analysis::vocabulary::{Term, Vocabulary};
use crate::language::Language;
use crate::store::IndexItem;

/// The usual constants: how fast repetition saturates, and how much length counts.
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// A word in the title counts as said this many times more.
const TITLE_WEIGHT: f64 = 3.0;

/// A score for each item, 0 where nothing fits; none when the query has no word that could be looked for.
pub(crate) fn scores(query: &str, items: &[IndexItem]) -> Option<Vec<f64>> {
    let mut english = Vocabulary::new(Language::En);
    let mut swedish = Vocabulary::new(Language::Sv);
    let documents: Vec<(Language, HashMap<Term, f64>)> = items
        .iter()
        .map(|item| {
            let vocabulary = match item.language {
                Language::En => &mut english,
                Language::Sv => &mut swedish,
            };
            (item.language, frequencies(item, vocabulary))
        })
        .collect();
    let in_english = terms(query, &mut english);
    let in_swedish = terms(query, &mut swedish);
    if in_english.is_empty() && in_swedish.is_empty() {
        return None;
    }
    let wanted = |language| match language {
        Language::En => &in_english,
        Language::Sv => &in_swedish,
    };
    let lengths: Vec<f64> = documents
        .iter()
        .map(|(_, terms)| terms.values().sum())
        .collect();
    let mean = (lengths.iter().sum::<f64>() / documents.len().max(1) as f64).max(1.0);
    let mut holding: HashMap<(Language, Term), f64> = HashMap::new();
    for (language, terms) in &documents {
        for term in wanted(*language)
            .iter()
            .filter(|term| terms.contains_key(term))
        {
            *holding.entry((*language, *term)).or_default() += 1.0;
        }
    }
    let total = documents.len() as f64;
    let score = |((language, terms), length): (&(Language, HashMap<Term, f64>), &f64)| {
        let fits = wanted(*language)
            .iter()
            .filter_map(|term| Some((term, terms.get(term)?)));
        fits.map(|(term, count)| {
            let with = holding.get(&(*language, *term)).copied().unwrap_or(1.0);
            let rarity = (1.0 + (total - with + 0.5) / (with + 0.5)).ln();
            rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / mean))
        })
        .sum()
    };
    Some(documents.iter().zip(&lengths).map(score).collect())
}

fn terms(text: &str, vocabulary: &mut Vocabulary) -> HashSet<Term> {
    let lower = text.to_lowercase();
    let words = words(&lower);
    words
        .iter()
        .flat_map(|word| word.split(['-', '/']))
        .filter_map(|word| vocabulary.term(word))
        .collect()
}

fn frequencies(item: &IndexItem, vocabulary: &mut Vocabulary) -> HashMap<Term, f64> {
    let mut counts = HashMap::new();
    for (text, weight) in [(&item.title, TITLE_WEIGHT), (&item.search_text, 1.0)] {
        let lower = text.to_lowercase();
        for word in words(&lower).iter().flat_map(|word| word.split(['-', '/'])) {
            if let Some(term) = vocabulary.term(word) {
                *counts.entry(term).or_default() += weight;
            }
        }
    }
    counts
}
