//! What an index is: its fields, what they hold, where their vectors come from.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

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
