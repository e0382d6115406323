//! Which sentences stand for the meeting: central ones in a graph of similar sentences, chosen without repeating each other.
//!
//! Sentences that share rare words are linked; a random walk over the links (LexRank) says how central each one is.
//! The graph is built over the most promising sentences only, so that the cost stays linear in the text.

use std::collections::HashMap;

use super::cues::Cue;
use super::document::{Document, Sentence};
use super::vocabulary::Term;
use crate::transcript::TurnKind;

/// Sentences in the graph; pairs grow with its square.
const GRAPH_MAX_SENTENCES: usize = 320;
/// What is shorter says too little, what is longer is no sentence.
const SENTENCE_MIN_WORDS: usize = 6;
const SENTENCE_MIN_TERMS: usize = 3;
const SENTENCE_MAX_BYTES: usize = 900;
/// A sentence of this many words is worth most to a reader.
const IDEAL_WORDS: f64 = 24.0;
/// From this share of words with a topic on, a sentence counts in full.
const FULL_CONTENT_SHARE: f64 = 0.4;
const DAMPING: f64 = 0.85;
const ITERATIONS: usize = 30;
/// How much a sentence loses for being like one already chosen.
const REDUNDANCY_WEIGHT: f64 = 0.6;
/// How much each further sentence from one part of the meeting loses, so that every part is heard.
const CROWDING_WEIGHT: f64 = 0.15;
/// The meeting is divided into this many parts for that.
const PARTS: usize = 10;

/// A sentence's terms as a vector of length 1, in ascending order of terms.
type Vector = Vec<(Term, f64)>;

struct Candidate {
    index: usize,
    vector: Vector,
    score: f64,
    part: usize,
}

/// The indices of the `count` sentences that say most, in meeting order.
pub(crate) fn choose(document: &Document<'_>, count: usize) -> Vec<usize> {
    let mut candidates = candidates(document);
    if candidates.is_empty() {
        return fallback(document, count);
    }
    let centrality = centrality(&candidates);
    let top = centrality.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (candidate, central) in candidates.iter_mut().zip(centrality) {
        let Some(sentence) = document.sentences.get(candidate.index) else {
            continue;
        };
        candidate.score = central / top * weight(sentence);
    }
    let mut chosen = diverse(candidates, count);
    chosen.sort_unstable();
    chosen
}

/// When nothing looks like a sentence: whatever was said, from the start.
fn fallback(document: &Document<'_>, count: usize) -> Vec<usize> {
    let said = document.sentences.iter().enumerate();
    let speech = said.filter(|(_, sentence)| {
        document.kind(sentence) == TurnKind::Speech
            && sentence.end - sentence.start <= SENTENCE_MAX_BYTES
    });
    speech.map(|(index, _)| index).take(count).collect()
}

/// The most promising sentences by the weight of their words, as vectors.
fn candidates(document: &Document<'_>) -> Vec<Candidate> {
    let usable: Vec<(usize, &Sentence)> = document
        .sentences
        .iter()
        .enumerate()
        .filter(|(_, sentence)| {
            document.kind(sentence) == TurnKind::Speech
                && sentence.words >= SENTENCE_MIN_WORDS
                && document.terms(sentence).len() >= SENTENCE_MIN_TERMS
                && sentence.end - sentence.start <= SENTENCE_MAX_BYTES
        })
        .collect();
    let idf = idf(document, &usable);
    let mut promising: Vec<(f64, usize, Vector)> = usable
        .iter()
        .map(|(index, sentence)| {
            let vector = vector(document.terms(sentence), &idf);
            let mass: f64 = vector.iter().map(|(_, weight)| weight * weight).sum();
            (mass.sqrt() * length_weight(sentence.words), *index, vector)
        })
        .collect();
    if promising.len() > GRAPH_MAX_SENTENCES {
        promising.select_nth_unstable_by(GRAPH_MAX_SENTENCES, |a, b| {
            b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
        });
        promising.truncate(GRAPH_MAX_SENTENCES);
    }
    promising.sort_unstable_by_key(|(_, index, _)| *index);
    let total = document.sentences.len().max(1);
    promising
        .into_iter()
        .map(|(_, index, vector)| Candidate {
            index,
            vector: normalised(vector),
            score: 0.0,
            part: index * PARTS / total,
        })
        .collect()
}

/// How telling each term is: said often in the meeting, but not in every sentence. A word said once tells least.
fn idf(document: &Document<'_>, usable: &[(usize, &Sentence)]) -> Vec<f64> {
    let mut sentences_with = vec![0_u32; document.vocabulary.len()];
    for (_, sentence) in usable {
        let mut terms = document.terms(sentence).to_vec();
        terms.sort_unstable();
        terms.dedup();
        for term in terms {
            if let Some(count) = sentences_with.get_mut(term as usize) {
                *count += 1;
            }
        }
    }
    let total = usable.len() as f64;
    sentences_with
        .into_iter()
        .map(|count| {
            let count = f64::from(count);
            let repeated = if count <= 1.0 { 0.5 } else { 1.0 };
            repeated * (1.0 + total / (1.0 + count)).ln()
        })
        .collect()
}

fn vector(terms: &[Term], idf: &[f64]) -> Vector {
    let mut sorted = terms.to_vec();
    sorted.sort_unstable();
    let mut vector: Vector = Vec::with_capacity(sorted.len());
    for term in sorted {
        let weight = idf.get(term as usize).copied().unwrap_or(0.0);
        match vector.last_mut() {
            // A word said twice in a sentence counts a little more, not twice.
            Some((last, sum)) if *last == term => *sum += weight * 0.3,
            _ => vector.push((term, weight)),
        }
    }
    vector
}

fn normalised(mut vector: Vector) -> Vector {
    let length = vector
        .iter()
        .map(|(_, weight)| weight * weight)
        .sum::<f64>()
        .sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|(_, weight)| *weight /= length);
    }
    vector
}

fn similarity(a: &Vector, b: &Vector) -> f64 {
    let (mut a, mut b) = (a.as_slice(), b.as_slice());
    let mut sum = 0.0;
    while let (Some(((a_term, a_weight), a_rest)), Some(((b_term, b_weight), b_rest))) =
        (a.split_first(), b.split_first())
    {
        match a_term.cmp(b_term) {
            std::cmp::Ordering::Less => a = a_rest,
            std::cmp::Ordering::Greater => b = b_rest,
            std::cmp::Ordering::Equal => {
                sum += a_weight * b_weight;
                (a, b) = (a_rest, b_rest);
            }
        }
    }
    sum
}

/// The stationary distribution of a walk that follows links in proportion to similarity.
fn centrality(candidates: &[Candidate]) -> Vec<f64> {
    let count = candidates.len();
    let mut links: Vec<Vec<(usize, f64)>> = vec![Vec::new(); count];
    for (a, first) in candidates.iter().enumerate() {
        for (b, second) in candidates.iter().enumerate().skip(a + 1) {
            let similar = similarity(&first.vector, &second.vector);
            if similar > 0.0 {
                if let Some(list) = links.get_mut(a) {
                    list.push((b, similar));
                }
                if let Some(list) = links.get_mut(b) {
                    list.push((a, similar));
                }
            }
        }
    }
    let sums: Vec<f64> = links
        .iter()
        .map(|list| list.iter().map(|(_, similar)| similar).sum())
        .collect();
    let base = (1.0 - DAMPING) / count as f64;
    let mut scores = vec![1.0 / count as f64; count];
    for _ in 0..ITERATIONS {
        let mut next = vec![base; count];
        for ((list, sum), score) in links.iter().zip(&sums).zip(&scores) {
            for (to, similar) in list {
                if let Some(value) = next.get_mut(*to) {
                    *value += DAMPING * score * similar / sum;
                }
            }
        }
        scores = next;
    }
    scores
}

/// What a sentence is worth apart from its place in the graph.
fn weight(sentence: &Sentence) -> f64 {
    let question = if sentence.is_question { 0.5 } else { 1.0 };
    let decision = if sentence.marks.has(Cue::Decision) {
        1.3
    } else {
        1.0
    };
    let unknown = if sentence.marks.has(Cue::Unknown) {
        0.8
    } else {
        1.0
    };
    let whole = if sentence.is_whole { 1.0 } else { 0.8 };
    // People who look for words say many that carry nothing.
    let density = (sentence.content_share() / FULL_CONTENT_SHARE).min(1.0);
    density * whole * question * decision * unknown * length_weight(sentence.words)
}

/// Full at the ideal length, less for fragments and for sentences that ramble.
fn length_weight(words: usize) -> f64 {
    let ratio = words as f64 / IDEAL_WORDS;
    if ratio < 1.0 {
        ratio.sqrt()
    } else {
        1.0 / ratio.sqrt()
    }
}

/// Picks the best again and again, each time against what is already chosen (maximal marginal relevance).
fn diverse(mut candidates: Vec<Candidate>, count: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut crowd: HashMap<usize, f64> = HashMap::new();
    let mut likeness = vec![0.0_f64; candidates.len()];
    while chosen.len() < count {
        let value = |candidate: &Candidate, like: f64| {
            let crowding = crowd.get(&candidate.part).copied().unwrap_or(0.0) * CROWDING_WEIGHT;
            candidate.score * (1.0 - REDUNDANCY_WEIGHT * like) - crowding
        };
        let best = candidates
            .iter()
            .zip(&likeness)
            .enumerate()
            .max_by(|(_, (a, a_like)), (_, (b, b_like))| {
                value(a, **a_like)
                    .total_cmp(&value(b, **b_like))
                    .then(b.index.cmp(&a.index))
            })
            .map(|(at, _)| at);
        let Some(best) = best else { break };
        let taken = candidates.swap_remove(best);
        likeness.swap_remove(best);
        for (candidate, like) in candidates.iter().zip(likeness.iter_mut()) {
            *like = like.max(similarity(&candidate.vector, &taken.vector));
        }
        *crowd.entry(taken.part).or_default() += 1.0;
        chosen.push(taken.index);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::transcript::{Format, parse};

    #[test]
    fn the_sentences_about_the_theme_are_chosen_in_meeting_order_without_repeats() {
        let transcript = parse(
            "A: The remote control needs a rubber case for customers.\nB: My cat slept on the sofa all day yesterday afternoon.\nA: A rubber case makes the remote control feel warm in the hand.\nB: The remote control needs a rubber case for customers.\nA: The price of the remote control with its rubber case is twelve Euro.\n",
            Format::Text,
        )
        .unwrap();
        let document = Document::read(&transcript, Language::En);
        let chosen = choose(&document, 2);
        assert_eq!(chosen.len(), 2);
        assert!(chosen.is_sorted());
        assert!(!chosen.contains(&1), "{chosen:?}");
        assert!(chosen != [0, 3], "the same sentence twice");
    }

    #[test]
    fn a_meeting_of_fragments_still_has_a_summary() {
        let transcript = parse("A: Yes.\nB: No.\n", Format::Text).unwrap();
        let document = Document::read(&transcript, Language::En);
        assert_eq!(choose(&document, 5), [0, 1]);
    }
}
