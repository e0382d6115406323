//! Search: documents with declared fields, found by words (BM25), by nearness of vectors, or by both.
//!
//! What every backend must answer alike stands here and below: bounds ([`check`]), filters ([`filter`]), which vectors the
//! host makes ([`made`]), what a query comes down to ([`plan`]), how two rankings become one and where a page begins
//! ([`rank`]), and, behind feature `analysis`, how a text becomes words ([`analysis`]) and which part of it is shown
//! ([`highlight`]).

pub mod check;
mod document;
pub mod filter;
mod index;
pub mod made;
pub mod plan;
mod query;
pub mod rank;
mod write;

#[cfg(feature = "analysis")]
pub mod analysis;
#[cfg(feature = "analysis")]
pub mod highlight;

use async_trait::async_trait;

use crate::{CallCtx, Capability, Result};

pub use document::{Document, Fields, Value, value};
pub use filter::Filter;
pub use index::{Analyzer, Embedding, Field, FieldKind, IndexInfo, VectorSource};
pub use query::{
    Answer, Facet, Freshness, Highlight, Hit, Near, Operator, Query, Sort, TextPart, VectorPart,
};
pub use write::{Change, Outcome, SearchAck, SearchWrite};

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
