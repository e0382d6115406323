//! What was talked about, part by part: the meeting is cut where its vocabulary changes (TextTiling), and each part is named by the
//! words that set it apart from the others.

use std::collections::HashMap;

use super::document::{Document, Sentence};
use super::vocabulary::Term;
use crate::transcript::TurnKind;

/// Terms in one unit of comparison; longer meetings have larger units, so that their number stays bounded.
const UNIT_MIN_TERMS: usize = 20;
const UNITS_MAX: usize = 400;
/// Units on each side of a gap that are compared.
const BLOCK_UNITS: usize = 5;
/// A part is at least this many units long.
const PART_MIN_UNITS: usize = 4;
const PARTS_MAX: usize = 8;
/// Terms of a part that its phrases are counted in.
const PHRASE_SAMPLE_TERMS: usize = 20_000;
const PAIR_MIN_COUNT: usize = 3;
const PHRASES_PER_PART: usize = 5;

/// A part of the meeting with what sets it apart.
#[derive(Debug)]
pub(crate) struct Part {
    /// Index of its first and last sentence.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Best first.
    pub(crate) phrases: Vec<String>,
}

/// The parts in meeting order; none when nothing with a topic was said.
pub(crate) fn parts(document: &Document<'_>) -> Vec<Part> {
    let units = units(document);
    let cuts = cuts(&units);
    let mut bounds = vec![0];
    bounds.extend(
        cuts.iter()
            .filter_map(|cut| units.get(*cut))
            .map(|unit| unit.first),
    );
    bounds.push(document.sentences.len());
    let ranges: Vec<(usize, usize)> = bounds
        .windows(2)
        .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
        .filter(|(from, to)| to > from)
        .collect();
    let counts: Vec<Counts> = ranges
        .iter()
        .map(|(from, to)| Counts::of(document, *from, *to))
        .collect();
    let mut parts_with: HashMap<Term, usize> = HashMap::new();
    for term in counts.iter().flat_map(|counts| counts.terms.keys()) {
        *parts_with.entry(*term).or_default() += 1;
    }
    ranges
        .iter()
        .zip(&counts)
        .map(|((from, to), counts)| Part {
            first: *from,
            last: to - 1,
            phrases: counts.phrases(document, &parts_with, ranges.len()),
        })
        .filter(|part| !part.phrases.is_empty())
        .collect()
}

/// A stretch of sentences with enough terms to compare.
struct Unit {
    first: usize,
    terms: HashMap<Term, f64>,
}

fn units(document: &Document<'_>) -> Vec<Unit> {
    let total: usize = document
        .sentences
        .iter()
        .map(|sentence| document.terms(sentence).len())
        .sum();
    let size = UNIT_MIN_TERMS.max(total / UNITS_MAX);
    let mut units: Vec<Unit> = Vec::new();
    let mut filled = size;
    for (index, sentence) in document.sentences.iter().enumerate() {
        if filled >= size {
            units.push(Unit {
                first: index,
                terms: HashMap::new(),
            });
            filled = 0;
        }
        if let Some(unit) = units.last_mut() {
            for term in document.terms(sentence) {
                *unit.terms.entry(*term).or_default() += 1.0;
                filled += 1;
            }
        }
    }
    units
}

/// Indices of the units that begin a new part.
fn cuts(units: &[Unit]) -> Vec<usize> {
    let gaps: Vec<f64> = (1..units.len()).map(|gap| cohesion(units, gap)).collect();
    let depths: Vec<f64> = (0..gaps.len()).map(|at| depth(&gaps, at)).collect();
    if depths.is_empty() {
        return Vec::new();
    }
    let mean = depths.iter().sum::<f64>() / depths.len() as f64;
    let variance = depths
        .iter()
        .map(|depth| (depth - mean).powi(2))
        .sum::<f64>()
        / depths.len() as f64;
    let threshold = mean + variance.sqrt() / 2.0;
    let mut deepest: Vec<(f64, usize)> = depths
        .iter()
        .enumerate()
        .filter(|(_, depth)| **depth > threshold)
        .map(|(at, depth)| (*depth, at + 1))
        .collect();
    deepest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut cuts: Vec<usize> = Vec::new();
    for (_, cut) in deepest {
        let far = |other: usize| other.abs_diff(cut) >= PART_MIN_UNITS;
        let inside = far(0) && far(units.len());
        if cuts.len() + 1 < PARTS_MAX && inside && cuts.iter().all(|other| far(*other)) {
            cuts.push(cut);
        }
    }
    cuts.sort_unstable();
    cuts
}

/// How alike the words before and after the gap are, from 0 to 1.
fn cohesion(units: &[Unit], gap: usize) -> f64 {
    let left = block(
        units
            .get(gap.saturating_sub(BLOCK_UNITS)..gap)
            .unwrap_or_default(),
    );
    let right = block(
        units
            .get(gap..(gap + BLOCK_UNITS).min(units.len()))
            .unwrap_or_default(),
    );
    let dot: f64 = left
        .iter()
        .filter_map(|(term, weight)| Some(weight * right.get(term)?))
        .sum();
    let length = |block: &HashMap<Term, f64>| {
        block
            .values()
            .map(|weight| weight * weight)
            .sum::<f64>()
            .sqrt()
    };
    let lengths = length(&left) * length(&right);
    if lengths > 0.0 { dot / lengths } else { 0.0 }
}

fn block(units: &[Unit]) -> HashMap<Term, f64> {
    let mut sum = HashMap::new();
    for (term, count) in units.iter().flat_map(|unit| &unit.terms) {
        *sum.entry(*term).or_default() += count;
    }
    sum
}

/// How far cohesion falls at a gap, from the nearest peak on each side.
fn depth(gaps: &[f64], at: usize) -> f64 {
    let here = gaps.get(at).copied().unwrap_or(0.0);
    let climb = |values: &mut dyn Iterator<Item = f64>| {
        let mut peak = here;
        for value in values {
            if value < peak {
                break;
            }
            peak = value;
        }
        peak - here
    };
    let left = climb(&mut gaps.get(..at).unwrap_or_default().iter().rev().copied());
    let right = climb(&mut gaps.get(at + 1..).unwrap_or_default().iter().copied());
    left + right
}

/// How often terms, and pairs of neighbours, were said in a part.
struct Counts {
    terms: HashMap<Term, usize>,
    pairs: HashMap<(Term, Term), usize>,
}

impl Counts {
    fn of(document: &Document<'_>, from: usize, to: usize) -> Self {
        let mut counts = Self {
            terms: HashMap::new(),
            pairs: HashMap::new(),
        };
        let sentences = document.sentences.get(from..to).unwrap_or_default();
        let mut sampled = 0;
        for sentence in sentences {
            if sampled >= PHRASE_SAMPLE_TERMS {
                break;
            }
            counts.add(document, sentence);
            sampled += document.terms(sentence).len();
        }
        counts
    }

    fn add(&mut self, document: &Document<'_>, sentence: &Sentence) {
        if document.kind(sentence) != TurnKind::Speech {
            return;
        }
        let terms = document.terms(sentence);
        for term in terms {
            *self.terms.entry(*term).or_default() += 1;
        }
        for pair in terms.windows(2) {
            if let [a, b] = pair
                && a != b
            {
                *self.pairs.entry((*a, *b)).or_default() += 1;
            }
        }
    }

    /// Single terms, and pairs said at least three times that are not just one frequent term beside others.
    fn phrases(
        &self,
        document: &Document<'_>,
        parts_with: &HashMap<Term, usize>,
        parts: usize,
    ) -> Vec<String> {
        let rarity = |term: &Term| {
            let with = parts_with.get(term).copied().unwrap_or(1).max(1);
            1.0 + (parts as f64 / with as f64).ln()
        };
        let mut scored: Vec<(f64, Vec<Term>)> = Vec::new();
        for (term, count) in &self.terms {
            scored.push((*count as f64 * rarity(term), vec![*term]));
        }
        for ((a, b), count) in &self.pairs {
            let rarer = self
                .terms
                .get(a)
                .min(self.terms.get(b))
                .copied()
                .unwrap_or(0);
            if *count >= PAIR_MIN_COUNT && count * 3 >= rarer {
                scored.push((*count as f64 * (rarity(a) + rarity(b)), vec![*a, *b]));
            }
        }
        // Equal scores in the order of the terms, which is that of the meeting: the same input gives the same output.
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let mut used: Vec<Term> = Vec::new();
        let mut phrases = Vec::new();
        for (_, terms) in scored {
            if phrases.len() == PHRASES_PER_PART {
                break;
            }
            if terms.iter().any(|term| used.contains(term)) {
                continue;
            }
            let words: Vec<&str> = terms
                .iter()
                .map(|term| document.vocabulary.form(*term))
                .collect();
            phrases.push(words.join(" "));
            used.extend(terms);
        }
        phrases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::transcript::{Format, parse};

    #[test]
    fn a_meeting_is_cut_where_its_vocabulary_changes() {
        let first = "A: The battery powers the remote control through rubber buttons and chips.\n"
            .repeat(20);
        let second = "B: Universities in Wales borrow money against pension deficits and bonds.\n"
            .repeat(20);
        let transcript = parse(&(first + &second), Format::Text).unwrap();
        let document = Document::read(&transcript, Language::En);
        let parts = parts(&document);
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert!(parts[0].last.abs_diff(19) <= 3, "{parts:?}");
        assert!(parts[0].phrases.concat().contains("battery"));
        assert!(parts[1].phrases.concat().contains("pension"));
    }

    #[test]
    fn a_short_meeting_is_one_part() {
        let transcript = parse("A: The budget grew by four percent.\n", Format::Text).unwrap();
        assert_eq!(parts(&Document::read(&transcript, Language::En)).len(), 1);
    }
}
