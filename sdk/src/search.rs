//! Documents with declared fields, found by words, by nearness of vectors, or by both.
//!
//! An index belongs to the agent. What a call writes is durable when it returns, and the next query finds it.
//! Wants [`Capability::Search`](crate::Capability::Search).
//!
//! ```
//! use stuga_sdk::search::{self, Analyzer, Field, Fields, Filter, Query};
//!
//! # stuga_sdk::mock::Host::new().run(|| -> stuga_sdk::Result<()> {
//! search::create_index("minutes", &[
//!     Field::text("text", Analyzer::Sv),
//!     Field::keyword("team"),
//!     Field::vector_made_from("meaning", "text"),
//! ])?;
//! let fields = Fields::new().text("text", "Mötet om stugan vid sjön").keyword("team", "north");
//! search::put("minutes", "2026-11-23", fields)?;
//!
//! let query = Query::new()
//!     .words("möten om stugor")
//!     .near_words("meaning", "möten om stugor")
//!     .filter(Filter::keyword("team", "north"))
//!     .highlight("text");
//! let answer = search::query("minutes", &query)?;
//! assert_eq!(answer.hits[0].document.id, "2026-11-23");
//! # Ok(())
//! # }).unwrap();
//! ```

mod ask;

use std::ops::Range;

use crate::backend::search as backend;
use crate::{Pages, Result};

pub use ask::{Filter, Freshness, Near, Operator, Query, Sort, TextPart, VectorPart};

/// How words are taken from a text: runs of letters and digits in lower case. `Sv` and `En` leave out the most frequent
/// words of the language and reduce the others to their stem, so that `möten` finds `mötet`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Analyzer {
    /// Words as they are.
    Simple,
    /// Swedish.
    Sv,
    /// English.
    En,
}

/// What makes vectors. Only vectors of one model are compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Embedding {
    /// The model's name: 1 to 100 visible ASCII characters.
    pub model: String,
    /// Numbers in a vector: 1 to 4,096.
    pub dimension: u32,
}

/// Where the vectors of a field come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VectorSource {
    /// The documents bring them, made by this model.
    Given(Embedding),
    /// The host makes them from the text field of this name, with its own model.
    MadeFrom(String),
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// Words to be found.
    Text(Analyzer),
    /// Up to 64 exact values of 1 to 256 bytes, to filter by and to count.
    Keyword,
    /// A finite number.
    Number,
    /// Milliseconds since 1970-01-01 UTC.
    Date,
    /// Found by nearness (cosine).
    Vector(VectorSource),
}

/// A declared field. Its name is 1 to 64 characters of `A-Z a-z 0-9 _`, the first a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name, unique in the index.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
}

impl Field {
    /// A field of that name and kind.
    pub fn new(name: &str, kind: FieldKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
        }
    }

    /// Words to be found.
    pub fn text(name: &str, analyzer: Analyzer) -> Self {
        Self::new(name, FieldKind::Text(analyzer))
    }

    /// Exact values.
    pub fn keyword(name: &str) -> Self {
        Self::new(name, FieldKind::Keyword)
    }

    /// A number.
    pub fn number(name: &str) -> Self {
        Self::new(name, FieldKind::Number)
    }

    /// A date.
    pub fn date(name: &str) -> Self {
        Self::new(name, FieldKind::Date)
    }

    /// A vector that documents bring.
    pub fn vector(name: &str, model: &str, dimension: u32) -> Self {
        let embedding = Embedding {
            model: model.to_owned(),
            dimension,
        };
        Self::new(name, FieldKind::Vector(VectorSource::Given(embedding)))
    }

    /// A vector that the host makes from the text field `text`.
    pub fn vector_made_from(name: &str, text: &str) -> Self {
        let source = VectorSource::MadeFrom(text.to_owned());
        Self::new(name, FieldKind::Vector(source))
    }
}

/// What is known of an index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// In the order of the names.
    pub fields: Vec<Field>,
    /// For each vector field what its vectors are made by, as recorded when the index was created.
    pub embeddings: Vec<(String, Embedding)>,
    /// How many documents there are.
    pub documents: u64,
    /// Their bytes as the tenant's quota counts them.
    pub bytes: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub created_at: u64,
}

/// What a field of a document holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Of a text field.
    Text(String),
    /// Of a keyword field.
    Keywords(Vec<String>),
    /// Of a number field; finite.
    Number(f64),
    /// Of a date field.
    Date(i64),
    /// Of a vector field that documents bring: finite numbers, not all 0.
    Vector(Vec<f32>),
}

/// Fields with their values. One that is given twice is `Invalid`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.with(name, Value::Text(text.into()))
    }

    /// Adds one keyword.
    #[must_use]
    pub fn keyword(self, name: &str, keyword: &str) -> Self {
        self.keywords(name, &[keyword])
    }

    /// Adds several keywords of one field.
    #[must_use]
    pub fn keywords(self, name: &str, keywords: &[&str]) -> Self {
        let keywords = keywords.iter().map(|word| (*word).to_owned()).collect();
        self.with(name, Value::Keywords(keywords))
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, name: &str, number: f64) -> Self {
        self.with(name, Value::Number(number))
    }

    /// Adds a date in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn date(self, name: &str, millis: i64) -> Self {
        self.with(name, Value::Date(millis))
    }

    /// Adds a vector.
    #[must_use]
    pub fn vector(self, name: &str, numbers: Vec<f32>) -> Self {
        self.with(name, Value::Vector(numbers))
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .find_map(|(other, value)| (other == name).then_some(value))
    }

    /// The text of that name.
    pub fn get_text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Names and values in their order.
    pub fn into_vec(self) -> Vec<(String, Value)> {
        self.0
    }
}

impl From<Vec<(String, Value)>> for Fields {
    fn from(fields: Vec<(String, Value)>) -> Self {
        Self(fields)
    }
}

/// A document as it is stored. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, PartialEq, Debug)]
pub struct Document {
    /// Its id, unique in the index: 1 to 256 bytes without control characters.
    pub id: String,
    /// In the order of the names, without what the host made.
    pub fields: Fields,
    /// Changes with every write of the document and only grows.
    pub version: u64,
    /// When it was first written since it was last absent.
    pub created_at: u64,
    /// When it was written.
    pub updated_at: u64,
}

/// A change for [`bulk`].
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// As [`put`].
    Put {
        /// Under which id.
        id: String,
        /// What.
        fields: Fields,
    },
    /// As [`update`].
    Update {
        /// Which document.
        id: String,
        /// Values to replace or to add.
        set: Fields,
        /// Names to take away.
        remove: Vec<String>,
    },
    /// As [`delete`].
    Delete {
        /// Which document.
        id: String,
    },
}

/// What the change of a document did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The document's version afterwards; after a delete that of what was deleted, 0 for nothing.
    pub version: u64,
    /// Whether a document stood there before.
    pub existed: bool,
}

/// A piece of a text field around words that matched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Highlight {
    /// The field.
    pub field: String,
    /// At most 240 bytes of the text.
    pub fragment: String,
    /// The bytes of the matches in the fragment.
    pub marks: Vec<Range<usize>>,
}

/// A document that was found.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// Without its vectors.
    pub document: Document,
    /// Greater is better; 0 when the answer is sorted or not ranked.
    pub score: f32,
    /// Fields without a match are left out.
    pub highlights: Vec<Highlight>,
}

/// How often the values of a keyword field occur.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facet {
    /// The field.
    pub field: String,
    /// The at most 100 most frequent values with their number of documents.
    pub values: Vec<(String, u64)>,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Answer {
    /// The best first; of equal ones in the order of the ids.
    pub hits: Vec<Hit>,
    /// How many documents match; with a vector part how many were found near or by words.
    pub total: u64,
    /// Counted over all that `total` counts.
    pub facets: Vec<Facet>,
    /// Give this to [`Query::after`] to read on; none at the end.
    pub next_cursor: Option<String>,
    /// Why the query was not answered as it was asked; none when it was.
    pub degraded: Option<String>,
}

/// Makes an index and says whether it is new. One with the same fields stays as it is; one with others is a `Conflict`.
pub fn create_index(name: &str, fields: &[Field]) -> Result<bool> {
    backend::create_index(name, fields)
}

/// Removes an index with all its documents and says whether there was one.
pub fn drop_index(name: &str) -> Result<bool> {
    backend::drop_index(name)
}

/// What is known of an index; none when it is absent.
pub fn describe_index(name: &str) -> Result<Option<IndexInfo>> {
    backend::describe_index(name)
}

/// All indices of the agent, in the order of the names.
pub fn list_indices() -> Result<Vec<IndexInfo>> {
    backend::list_indices()
}

/// Stores a document (at most 256 KiB), whatever stood under its id. `NotFound` when there is no such index.
pub fn put(index: &str, id: &str, fields: Fields) -> Result<Outcome> {
    backend::put(index, id, fields)
}

/// Changes some fields of a document, the others stay. `NotFound` when the document is absent.
pub fn update(index: &str, id: &str, set: Fields, remove: &[&str]) -> Result<Outcome> {
    let remove = remove.iter().map(|name| (*name).to_owned()).collect();
    backend::update(index, id, set, remove)
}

/// Removes a document and says whether there was one.
pub fn delete(index: &str, id: &str) -> Result<bool> {
    backend::delete(index, id)
}

/// Makes 1 to 256 changes of at most 4 MiB together, in their order: all of them, or none when one is refused.
pub fn bulk(index: &str, changes: Vec<Change>) -> Result<Vec<Outcome>> {
    backend::bulk(index, changes)
}

/// The document with the vectors that it was given, or none when it is absent.
pub fn get(index: &str, id: &str) -> Result<Option<Document>> {
    backend::get(index, id)
}

/// Documents by words, by nearness or by both.
pub fn query(index: &str, query: &Query) -> Result<Answer> {
    backend::query(index, query)
}

/// The hits of a query, page after page; at most 1,000.
pub fn query_all(index: &str, query: Query) -> Pages<Hit> {
    let index = index.to_owned();
    Pages::of(move |cursor, limit| {
        let query = Query {
            cursor: cursor.map(str::to_owned),
            limit: limit.min(100),
            ..query.clone()
        };
        self::query(&index, &query).map(|answer| (answer.hits, answer.next_cursor))
    })
}
