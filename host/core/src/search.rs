//! Search: documents with declared fields, found by words (BM25), by nearness of vectors, or by both.
//!
//! What every backend must answer alike stands here and below: bounds ([`check`]), filters ([`filter`]), which vectors the
//! host makes ([`made`]), what a query comes down to ([`plan`]), how two rankings become one and where a page begins
//! ([`rank`]), and, behind feature `analysis`, how a text becomes words ([`analysis`]) and which part of it is shown
//! ([`highlight`]).

pub mod check;
pub mod filter;
pub mod made;
pub mod plan;
pub mod rank;

#[cfg(feature = "analysis")]
pub mod analysis;
#[cfg(feature = "analysis")]
pub mod highlight;

use std::ops::Range;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{CallCtx, Capability, CapabilityName, Result, Timestamp, Write};

pub use filter::Filter;

/// Most indices of an agent.
pub const INDICES_MAX: usize = 64;
/// Most fields of an index.
pub const FIELDS_MAX: usize = 32;
/// Most vector fields of an index.
pub const VECTOR_FIELDS_MAX: usize = 4;
/// Longest name of a field in bytes.
pub const FIELD_NAME_MAX_BYTES: usize = 64;
/// Longest name of a model in bytes.
pub const MODEL_NAME_MAX_BYTES: usize = 100;
/// Most numbers of a vector.
pub const DIMENSION_MAX: u32 = 4_096;
/// Longest id of a document in bytes.
pub const ID_MAX_BYTES: usize = 256;
/// Most bytes of a document's id, names and values.
pub const DOCUMENT_MAX_BYTES: usize = 256 << 10;
/// Most values of a keyword field.
pub const KEYWORDS_MAX: usize = 64;
/// Longest keyword in bytes.
pub const KEYWORD_MAX_BYTES: usize = 256;
/// Most changes in one write.
pub const BULK_MAX_CHANGES: usize = 256;
/// Most bytes of the documents in one write.
pub const BULK_MAX_BYTES: usize = 4 << 20;
/// Longest words of a query in bytes.
pub const WORDS_MAX_BYTES: usize = 4 << 10;
/// Most words of a query that are looked for.
pub const TERMS_MAX: usize = 64;
/// Longest text of a query that is made a vector, in bytes.
pub const NEAR_MAX_BYTES: usize = 16 << 10;
/// Most facets of a query.
pub const FACETS_MAX: usize = 8;
/// Most values of a facet that are handed out.
pub const FACET_VALUES_MAX: usize = 100;
/// Most hits on a page.
pub const PAGE_MAX_HITS: u32 = 100;
/// Most bytes of documents on a page; a page holds at least one hit.
pub const PAGE_MAX_BYTES: usize = 4 << 20;
/// Most hits that paging reaches.
pub const WINDOW_MAX_HITS: usize = 1_000;
/// How many documents a vector part contributes, and a text part beside one.
pub const CANDIDATES: usize = 100;

/// How words are taken from a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Analyzer {
    /// Runs of letters and digits, in lower case.
    Simple,
    /// Swedish: without its most frequent words, the others by their stem.
    Sv,
    /// English, likewise.
    En,
}

/// What makes vectors. Only vectors of one model are compared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Embedding {
    /// The model's name.
    pub model: String,
    /// Numbers in a vector.
    pub dimension: u32,
}

/// Where the vectors of a field come from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorSource {
    /// The documents bring them.
    Given(Embedding),
    /// The host makes them from the text field of this name.
    MadeFrom(String),
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    /// Words to be found.
    Text(Analyzer),
    /// Exact values, to filter by and to count.
    Keyword,
    /// A finite number.
    Number,
    /// Milliseconds since 1970-01-01 UTC.
    Date,
    /// A vector to be found by nearness.
    Vector(VectorSource),
}

impl FieldKind {
    /// The kind as it stands in errors.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Keyword => "keyword",
            Self::Number => "number",
            Self::Date => "date",
            Self::Vector(_) => "vector",
        }
    }
}

/// A declared field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Its name, unique in the index.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
}

/// What is known of an index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// In the order of the names.
    pub fields: Vec<Field>,
    /// By name of each vector field: what makes its vectors, as recorded when the index was created.
    pub embeddings: Vec<(String, Embedding)>,
    /// How many documents there are.
    pub documents: u64,
    /// Their bytes as the quota counts them.
    pub bytes: u64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What a field of a document holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Of a text field.
    Text(String),
    /// Of a keyword field.
    Keywords(Vec<String>),
    /// Of a number field.
    Number(#[serde(with = "exact")] f64),
    /// Of a date field.
    Date(i64),
    /// Of a vector field.
    Vector(Vec<f32>),
}

impl Value {
    /// Whether a field of `kind` holds such values.
    pub const fn is_of(&self, kind: &FieldKind) -> bool {
        matches!(
            (self, kind),
            (Self::Text(_), FieldKind::Text(_))
                | (Self::Keywords(_), FieldKind::Keyword)
                | (Self::Number(_), FieldKind::Number)
                | (Self::Date(_), FieldKind::Date)
                | (Self::Vector(_), FieldKind::Vector(_))
        )
    }

    /// Its size as the bounds and quotas count it.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Keywords(words) => words.iter().map(String::len).sum(),
            Self::Number(_) | Self::Date(_) => 8,
            Self::Vector(numbers) => numbers.len().saturating_mul(4),
        }
    }
}

/// Names with their values, in the order of the names.
pub type Fields = Vec<(String, Value)>;

/// The value of that name.
pub fn value<'a>(fields: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    let at = fields
        .binary_search_by(|(other, _)| other.as_str().cmp(name))
        .ok()?;
    fields.get(at).map(|(_, value)| value)
}

/// A document as it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Its id, unique in the index.
    pub id: String,
    /// What it holds, without what the host made.
    pub fields: Fields,
    /// Changes with every write of the document and only grows.
    pub version: u64,
    /// When it was first written since it was last absent.
    pub created_at: Timestamp,
    /// When it was written.
    pub updated_at: Timestamp,
}

/// A change of one document.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Stores a document, whatever stood there.
    Put {
        /// Under which id.
        id: String,
        /// What, in the order of the names.
        fields: Fields,
    },
    /// Changes some fields; `NotFound` when the document is absent.
    Update {
        /// Which document.
        id: String,
        /// Values to replace or to add, in the order of the names.
        set: Fields,
        /// Names to take away, in order.
        remove: Vec<String>,
    },
    /// Removes a document; that there is none is no error.
    Delete {
        /// Which document.
        id: String,
    },
}

impl Change {
    /// Which document is changed.
    pub fn id(&self) -> &str {
        match self {
            Self::Put { id, .. } | Self::Update { id, .. } | Self::Delete { id } => id,
        }
    }

    /// The values that it brings.
    pub fn values(&self) -> &[(String, Value)] {
        match self {
            Self::Put { fields, .. } => fields,
            Self::Update { set, .. } => set,
            Self::Delete { .. } => &[],
        }
    }
}

/// A change to search.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchWrite {
    /// Makes an index. One with equal fields stays as it is; one with others is a `Conflict`.
    CreateIndex {
        /// Its name.
        index: String,
        /// In the order of the names.
        fields: Vec<Field>,
    },
    /// Removes an index with its documents; that there is none is no error.
    DropIndex {
        /// Its name.
        index: String,
    },
    /// Changes documents, all or none. `NotFound` when there is no such index.
    Change {
        /// The index.
        index: String,
        /// In the order in which they are made.
        changes: Vec<Change>,
    },
}

impl Write for SearchWrite {
    type Ack = SearchAck;
    const CAPABILITY: CapabilityName = CapabilityName::Search;

    /// The index: what is written to it keeps its order.
    fn key(&self) -> &str {
        match self {
            Self::CreateIndex { index, .. }
            | Self::DropIndex { index }
            | Self::Change { index, .. } => index,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::CreateIndex { .. } => "search.create-index",
            Self::DropIndex { .. } => "search.drop-index",
            Self::Change { changes, .. } => match changes.as_slice() {
                [Change::Put { .. }] => "search.put",
                [Change::Update { .. }] => "search.update",
                [Change::Delete { .. }] => "search.delete",
                _ => "search.bulk",
            },
        }
    }

    fn version(ack: &SearchAck) -> u64 {
        match ack {
            SearchAck::Changed(outcomes) => {
                let versions = outcomes.iter().map(|outcome| outcome.version);
                versions.max().unwrap_or(0)
            }
            SearchAck::Created(_) | SearchAck::Dropped(_) => 0,
        }
    }
}

/// What a change to search answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchAck {
    /// Whether the index is new.
    Created(bool),
    /// Whether there was such an index.
    Dropped(bool),
    /// One for each change.
    Changed(Vec<Outcome>),
}

/// What the change of one document did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The document's version afterwards; after a delete that of what was deleted, 0 when there was nothing.
    pub version: u64,
    /// Whether a document stood there before.
    pub existed: bool,
}

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
    /// Most hits of the answer: 1 to [`PAGE_MAX_HITS`].
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
    /// At most [`FACET_VALUES_MAX`] values with their number of documents, the most frequent first, of equal ones in the
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

/// Reads of search. Object safe.
///
/// Every backend checks its arguments with the functions of [`check`] before anything else and sees only the indices of
/// `ctx.tenant` and `ctx.agent`. `get` and `query` are `NotFound` when there is no such index.
///
/// **Vectors.** For each vector field the model and dimension are recorded when the index is created: as declared, or those
/// of the host for one that is made from a text. A document whose text has no words gets no vector. While the host embeds
/// with another model than the one recorded, documents get no made vector, and what asks for nearness to words is answered
/// by the words alone, looked for with [`Operator::Any`] in the text fields (for a made vector: in the one it is made from),
/// with the reason in [`Answer::degraded`].
///
/// **Rank.** Text by BM25 over the chosen fields, added up; vectors by cosine; both together by reciprocal rank fusion
/// ([`rank::fuse`]) of the [`CANDIDATES`] best of each. Equal ranks come in the order of the ids' bytes. A text of which
/// the analyzer leaves no word matches nothing. Without text, vector and sort everything that passes the filter comes in
/// the order of the ids.
///
/// **Pages.** At most `limit` hits and [`PAGE_MAX_BYTES`] of documents; a page can be shorter and still have a cursor.
/// Paging reaches [`WINDOW_MAX_HITS`] hits. A cursor belongs to its query (page size and freshness may change); another is
/// `Invalid`. Documents written while somebody pages may shift what follows.
#[async_trait]
pub trait Search: Capability<Write = SearchWrite> {
    /// What is known of an index, or none when it is absent.
    async fn describe(&self, ctx: &CallCtx, index: &str) -> Result<Option<IndexInfo>>;

    /// All indices of the agent, in the order of the names.
    async fn indices(&self, ctx: &CallCtx) -> Result<Vec<IndexInfo>>;

    /// A document with the vectors that it was given, or none when it is absent.
    async fn get(&self, ctx: &CallCtx, index: &str, id: &str) -> Result<Option<Document>>;

    /// Documents by words, by nearness or by both.
    async fn query(&self, ctx: &CallCtx, index: &str, query: &Query) -> Result<Answer>;
}

/// Numbers as text: what is read is bit for bit what was written, which JSON numbers do not promise.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:e}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}
