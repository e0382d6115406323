//! How a mock host answers a query: every document is looked at, ranked by BM25 and cosine as they are written in books.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use stuga_core::embed::{self, dot};
use stuga_core::search::analysis::{look_for, words};
use stuga_core::search::check::{check_dimension, find};
use stuga_core::search::highlight::highlight;
use stuga_core::search::rank::{Window, fuse};
use stuga_core::search::{
    Analyzer, Answer, CANDIDATES, Document, FACET_VALUES_MAX, Facet, FieldKind, Hit, Near,
    Operator, PAGE_MAX_BYTES, Query, TextPart, Value, VectorSource, value,
};

use super::{Index, built_in};
use crate::{Error, Result};

/// Saturation of a word's frequency in BM25.
const K1: f32 = 1.2;
/// Weight of a text's length in BM25.
const B: f32 = 0.75;

const OPERATION: &str = "search.query";

/// A query on its way.
pub(super) struct Finding<'q> {
    index: &'q Index,
    query: &'q Query,
    text: Option<TextPart>,
    /// The words of the query, each with the terms that stand for it by place among `fields`.
    groups: Vec<Vec<(usize, String)>>,
    fields: Vec<(&'q str, Analyzer)>,
    /// A field and a vector of length 1, or of none when it says nothing.
    vector: Option<(&'q str, Vec<f32>)>,
    degraded: Option<String>,
}

impl<'q> Finding<'q> {
    pub(super) fn new(index: &'q Index, query: &'q Query) -> Result<Self> {
        let mut finding = Self {
            index,
            query,
            text: query.text.clone(),
            groups: Vec::new(),
            fields: Vec::new(),
            vector: None,
            degraded: None,
        };
        finding.look_near()?;
        if let Some(text) = &finding.text {
            let fields = index.fields.iter().filter_map(|field| match field.kind {
                FieldKind::Text(analyzer) => Some((field.name.as_str(), analyzer)),
                _ => None,
            });
            let is_chosen = |(name, _): &(&str, Analyzer)| {
                text.fields.is_empty() || text.fields.iter().any(|chosen| chosen == name)
            };
            finding.fields = fields.filter(is_chosen).collect();
            let analyzers: Vec<Analyzer> = finding.fields.iter().map(|(_, a)| *a).collect();
            finding.groups = look_for(OPERATION, &text.words, &analyzers)?;
        }
        Ok(finding)
    }

    /// Readies the vector part, or makes words of it when another model made the field's vectors.
    fn look_near(&mut self) -> Result<()> {
        let Some(part) = &self.query.vector else {
            return Ok(());
        };
        let embeddings = self.index.embeddings();
        let recorded = embeddings.into_iter().find(|(name, _)| *name == part.field);
        let Some((_, recorded)) = recorded else {
            return Err(Error::internal("a vector field has no model"));
        };
        match &part.near {
            Near::Vector(numbers) => {
                check_dimension(OPERATION, &part.field, numbers, &recorded)?;
                self.vector = Some((&part.field, of_length_1(numbers)));
            }
            Near::Words(near) if recorded == built_in() => {
                self.vector = Some((&part.field, embed::embed(near)));
            }
            Near::Words(near) => {
                self.degraded = Some(format!(
                    "found by words alone: the vectors of {:?} are of {}, the host embeds with {}",
                    part.field,
                    recorded.model,
                    built_in().model
                ));
                let source =
                    find(&self.index.fields, &part.field).and_then(|field| match &field.kind {
                        FieldKind::Vector(VectorSource::MadeFrom(text)) => Some(text.clone()),
                        _ => None,
                    });
                self.text.get_or_insert_with(|| TextPart {
                    words: near.clone(),
                    fields: source.into_iter().collect(),
                    operator: Operator::Any,
                });
            }
        }
        Ok(())
    }

    pub(super) fn answer(&self, window: &Window) -> Answer {
        let all = self.index.documents.values();
        let passing: Vec<&Document> = all
            .filter(|document| {
                let filter = self.query.filter.as_ref();
                filter.is_none_or(|filter| filter.holds(&document.fields))
            })
            .collect();
        let by_words = self.by_words(&passing);
        let mut ranked: Vec<(&str, f32)> = match &self.vector {
            Some((field, vector)) => {
                let near = nearest(&passing, field, vector);
                match &self.text {
                    None => near,
                    Some(_) => {
                        let ids = |ranked: &[(&'q str, f32)]| -> Vec<&'q str> {
                            ranked.iter().take(CANDIDATES).map(|(id, _)| *id).collect()
                        };
                        fuse(&[&ids(&by_words), &ids(&near)])
                    }
                }
            }
            None if self.text.is_some() => by_words,
            None => passing
                .iter()
                .map(|document| (document.id.as_str(), 0.0))
                .collect(),
        };
        self.sort(&mut ranked);
        let mut answer = Answer {
            total: ranked.len() as u64,
            facets: self.facets(&ranked),
            degraded: self.degraded.clone(),
            ..Answer::default()
        };
        self.page(&ranked, window, &mut answer);
        answer
    }

    fn document(&self, id: &str) -> Option<&'q Document> {
        self.index.documents.get(id)
    }

    /// What matches the words, the best first.
    fn by_words(&self, passing: &[&'q Document]) -> Vec<(&'q str, f32)> {
        let Some(text) = &self.text else {
            return Vec::new();
        };
        let statistics: Vec<Statistics> = self
            .fields
            .iter()
            .map(|(name, analyzer)| Statistics::of(self.index, name, *analyzer))
            .collect();
        let mut found = Vec::new();
        for document in passing {
            let score = |group: &Vec<(usize, String)>| -> f32 {
                let terms = group.iter().filter_map(|(place, term)| {
                    Some(statistics.get(*place)?.score(&document.id, term))
                });
                terms.sum()
            };
            let scores: Vec<f32> = self.groups.iter().map(score).collect();
            let is_needed = |group: &Vec<(usize, String)>| {
                text.operator == Operator::All && group.len() >= self.fields.len()
            };
            let lacks = self.groups.iter().zip(&scores);
            let lacks_any = lacks
                .into_iter()
                .any(|(group, score)| is_needed(group) && *score <= 0.0);
            let sum: f32 = scores.iter().sum();
            if sum > 0.0 && !lacks_any {
                found.push((document.id.as_str(), sum));
            }
        }
        by_score(&mut found);
        found
    }

    /// Puts what was ranked in the order that was asked for. It comes in the order of the rank or of the ids.
    fn sort(&self, ranked: &mut [(&str, f32)]) {
        let Some(sort) = &self.query.sort else {
            return;
        };
        let key = |id: &str| value(&self.document(id)?.fields, &sort.field);
        ranked.sort_by(|(a, _), (b, _)| {
            let by_value = match (key(a), key(b)) {
                (Some(x), Some(y)) if sort.descending => compare(y, x),
                (Some(x), Some(y)) => compare(x, y),
                (x, y) => y.is_some().cmp(&x.is_some()),
            };
            by_value.then_with(|| a.cmp(b))
        });
        ranked.iter_mut().for_each(|(_, score)| *score = 0.0);
    }

    fn facets(&self, ranked: &[(&str, f32)]) -> Vec<Facet> {
        let asked = self.query.facets.iter();
        asked
            .map(|field| {
                let mut counts: HashMap<&String, u64> = HashMap::new();
                let documents = ranked.iter().filter_map(|(id, _)| self.document(id));
                for document in documents {
                    if let Some(Value::Keywords(words)) = value(&document.fields, field) {
                        let different: HashSet<&String> = words.iter().collect();
                        different
                            .into_iter()
                            .for_each(|word| *counts.entry(word).or_default() += 1);
                    }
                }
                let counts = counts
                    .into_iter()
                    .map(|(word, count)| (word.clone(), count));
                let mut values: Vec<(String, u64)> = counts.collect();
                values.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
                values.truncate(FACET_VALUES_MAX);
                Facet {
                    field: field.clone(),
                    values,
                }
            })
            .collect()
    }

    fn page(&self, ranked: &[(&str, f32)], window: &Window, answer: &mut Answer) {
        let terms: HashSet<String> = self
            .groups
            .iter()
            .flatten()
            .map(|(_, t)| t.clone())
            .collect();
        let mut bytes = 0;
        let shown = ranked.iter().skip(window.offset).take(window.limit);
        for (id, score) in shown {
            let Some(document) = self.document(id) else {
                continue;
            };
            let document = self.index.shown(document, false);
            bytes += stuga_core::search::check::document_bytes(id, &document.fields);
            if bytes > PAGE_MAX_BYTES && !answer.hits.is_empty() {
                break;
            }
            let shown = self.query.highlight.iter().filter_map(|name| {
                let declared = find(&self.index.fields, name)?;
                match (&declared.kind, value(&document.fields, name)?) {
                    (FieldKind::Text(analyzer), Value::Text(text)) => {
                        highlight(name, *analyzer, text, &terms)
                    }
                    _ => None,
                }
            });
            answer.hits.push(Hit {
                highlights: shown.collect(),
                score: *score,
                document,
            });
        }
        answer.next_cursor = window.next_cursor(answer.hits.len(), ranked.len());
    }
}

/// How often words stand in a field.
struct Statistics<'q> {
    /// By document: how often each term stands in it, and how many words it has.
    texts: HashMap<&'q str, (HashMap<String, f32>, f32)>,
    /// In how many documents each term stands.
    holders: HashMap<String, f32>,
    documents: f32,
    mean_length: f32,
}

impl<'q> Statistics<'q> {
    #[expect(clippy::cast_precision_loss, reason = "counts of a test's documents")]
    fn of(index: &'q Index, field: &str, analyzer: Analyzer) -> Self {
        let mut texts = HashMap::new();
        let mut holders: HashMap<String, f32> = HashMap::new();
        for document in index.documents.values() {
            let Some(Value::Text(text)) = value(&document.fields, field) else {
                continue;
            };
            let words = words(analyzer, text);
            let length = words.len() as f32;
            let mut terms: HashMap<String, f32> = HashMap::new();
            for word in words {
                *terms.entry(word.term).or_default() += 1.0;
            }
            for term in terms.keys() {
                *holders.entry(term.clone()).or_default() += 1.0;
            }
            texts.insert(document.id.as_str(), (terms, length));
        }
        let documents = index.documents.len() as f32;
        let lengths: f32 = texts.values().map(|(_, length)| length).sum();
        Self {
            mean_length: lengths / documents.max(1.0),
            texts,
            holders,
            documents,
        }
    }

    /// BM25 of one term in one document.
    fn score(&self, id: &str, term: &str) -> f32 {
        let Some((terms, length)) = self.texts.get(id) else {
            return 0.0;
        };
        let Some(count) = terms.get(term) else {
            return 0.0;
        };
        let holders = self.holders.get(term).copied().unwrap_or_default();
        let rarity = (1.0 + (self.documents - holders + 0.5) / (holders + 0.5)).ln();
        let norm = K1 * (1.0 - B + B * length / self.mean_length.max(f32::MIN_POSITIVE));
        rarity * count * (K1 + 1.0) / (count + norm)
    }
}

fn nearest<'q>(passing: &[&'q Document], field: &str, vector: &[f32]) -> Vec<(&'q str, f32)> {
    if vector.iter().all(|number| *number == 0.0) {
        return Vec::new();
    }
    let near = passing
        .iter()
        .filter_map(|document| match value(&document.fields, field)? {
            Value::Vector(numbers) => {
                Some((document.id.as_str(), dot(&of_length_1(numbers), vector)))
            }
            _ => None,
        });
    let mut near: Vec<(&str, f32)> = near.collect();
    by_score(&mut near);
    near.truncate(CANDIDATES);
    near
}

fn of_length_1(numbers: &[f32]) -> Vec<f32> {
    let mut vector = numbers.to_vec();
    // Checked to be finite and not all 0.
    let _ = embed::normalise(OPERATION, &mut vector);
    vector
}

/// The greatest first, of equal ones in the order of the ids.
fn by_score(ranked: &mut [(&str, f32)]) {
    ranked.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.total_cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        // Of several keywords the first counts.
        (Value::Keywords(a), Value::Keywords(b)) => a.first().cmp(&b.first()),
        _ => Ordering::Equal,
    }
}
