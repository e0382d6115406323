//! What is asked of search, and what is found.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Document, Filter};

/// Whether one of the words is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// One is enough.
    Any,
    /// Each of them is in one of the fields, but for those that the analyzer of a chosen field leaves out.
    All,
}

/// Words to look for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TextPart {
    /// The words, as the reader wrote them.
    pub words: String,
    /// Text fields to look into; all of them when empty.
    pub fields: Vec<String>,
    /// How many of them.
    pub operator: Operator,
}

/// What to be near to.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Near {
    /// A vector of the field's dimension.
    Vector(Vec<f32>),
    /// Words that the host makes a vector of.
    Words(String),
}

/// Nearness to look for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct VectorPart {
    /// A vector field.
    pub field: String,
    /// What to be near to.
    pub near: Near,
}

/// An order other than the rank.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Sort {
    /// A keyword, number or date field. Documents without a value come last; of several keywords the first counts.
    pub field: String,
    /// The greatest first.
    pub descending: bool,
}

/// Whether a query sees what was just written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// It finds everything that was acknowledged before.
    Fresh,
    /// It does not wait: the writes of the last moments may be missing.
    Fast,
}

/// What to look for.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Query {
    /// By words.
    pub text: Option<TextPart>,
    /// By nearness.
    pub vector: Option<VectorPart>,
    /// What must hold for every hit.
    pub filter: Option<Filter>,
    /// Instead of the rank; not together with `vector`.
    pub sort: Option<Sort>,
    /// Text fields of which to show a part.
    pub highlight: Vec<String>,
    /// Keyword fields of which to count the values.
    pub facets: Vec<String>,
    /// Whether to wait for the latest writes.
    pub freshness: Freshness,
    /// Where to read on, as an answer to the same query said.
    pub cursor: Option<String>,
    /// Most hits of the answer: 1 to [`super::PAGE_MAX_HITS`].
    pub limit: u32,
}

impl Default for Query {
    /// The first 10 documents, fresh.
    fn default() -> Self {
        Self {
            text: None,
            vector: None,
            filter: None,
            sort: None,
            highlight: Vec::new(),
            facets: Vec::new(),
            freshness: Freshness::Fresh,
            cursor: None,
            limit: 10,
        }
    }
}

/// A piece of a text field around words that matched.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Highlight {
    /// The field.
    pub field: String,
    /// As it stands in the text.
    pub fragment: String,
    /// The bytes of the matches in the fragment.
    pub marks: Vec<Range<usize>>,
}

/// A document that was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// Without its vectors.
    pub document: Document,
    /// Greater is better; 0 when the answer is sorted or not ranked.
    pub score: f32,
    /// In the order in which they were asked for; fields without a match are left out.
    pub highlights: Vec<Highlight>,
}

/// How often the values of a keyword field occur.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Facet {
    /// The field.
    pub field: String,
    /// At most [`super::FACET_VALUES_MAX`] values with their number of documents, the most frequent first, of equal ones in the
    /// order of their bytes.
    pub values: Vec<(String, u64)>,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The best first.
    pub hits: Vec<Hit>,
    /// How many documents match.
    pub total: u64,
    /// In the order in which they were asked for, counted over all that `total` counts.
    pub facets: Vec<Facet>,
    /// Where to read on; none at the end.
    pub next_cursor: Option<String>,
    /// Why the query was not answered as it was asked; on one line.
    pub degraded: Option<String>,
}
