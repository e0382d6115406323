//! Indices of search: laid down, and looked at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// An index with its documents.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateIndex {
    /// Its name.
    pub(crate) index: String,
    /// Its fields, by name.
    pub(crate) fields: BTreeMap<String, StateField>,
    /// Its documents.
    #[serde(default)]
    pub(crate) documents: Vec<StateDocument>,
}

/// A field of an index.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateField {
    /// What it holds.
    pub(crate) kind: FieldWord,
    /// Of a text: how words are taken from it; without it, runs of letters and digits.
    pub(crate) analyzer: Option<AnalyzerWord>,
    /// Of a vector: the text field that the host makes it from.
    pub(crate) from: Option<String>,
    /// Of a vector that documents bring: the name of its model.
    pub(crate) model: Option<String>,
    /// Of a vector that documents bring: how many numbers it has.
    pub(crate) dimension: Option<u32>,
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FieldWord {
    Text,
    Keyword,
    Number,
    Date,
    Vector,
}

/// How words are taken from a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AnalyzerWord {
    Simple,
    Sv,
    En,
}

/// A document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateDocument {
    /// Its id.
    pub(crate) id: String,
    /// Its values by field: a text, a keyword or a list of them, a number, a date such as 2026-03-18T09:00:00Z or
    /// milliseconds, a list of numbers for a vector.
    pub(crate) fields: BTreeMap<String, Value>,
}

/// A document, or with `count` how many an index has; without an id the index itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectDocument {
    /// The index.
    pub(crate) index: String,
    /// The document's id.
    pub(crate) id: Option<String>,
    /// Whether there is none.
    #[serde(default)]
    pub(crate) absent: bool,
    /// How many documents the index has.
    pub(crate) count: Option<u64>,
    /// Values that it has, as `state` writes them; others may be there.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Value>,
}
