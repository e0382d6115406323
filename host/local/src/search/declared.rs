//! Indices as they are declared: rows of table `search_index`.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stuga_core::search::{Analyzer, Embedding, Field, FieldKind, IndexInfo, VectorSource};
use stuga_core::{Error, Result, Timestamp};

use crate::error;
use crate::scope::Scope;

/// An index and how far its documents have come.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) embeddings: Vec<(String, Embedding)>,
    pub(crate) created_at: Timestamp,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) last_seq: u64,
    pub(crate) gone_floor: u64,
}

/// What is read of an index.
pub(crate) const COLUMNS: &str =
    "id, name, fields, embeddings, created_at, documents, bytes, last_seq, gone_floor";

impl Declared {
    /// The index in [`COLUMNS`] of a row.
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            fields: json(row, 2)?,
            embeddings: json(row, 3)?,
            created_at: Timestamp::from_millis(row.get(4)?),
            documents: row.get(5)?,
            bytes: row.get(6)?,
            last_seq: row.get(7)?,
            gone_floor: row.get(8)?,
        })
    }

    /// What its agent may know of it.
    pub(crate) fn info(self) -> IndexInfo {
        IndexInfo {
            name: self.name,
            fields: self.fields,
            embeddings: self.embeddings,
            documents: self.documents,
            bytes: self.bytes,
            created_at: self.created_at,
        }
    }

    /// Its text fields with their analyzers, in the order of the names.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, Analyzer)> {
        self.fields.iter().filter_map(|field| match field.kind {
            FieldKind::Text(analyzer) => Some((field.name.as_str(), analyzer)),
            _ => None,
        })
    }

    /// Its vector fields that the host makes, each with the text field that it is made from.
    pub(crate) fn made(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().filter_map(|field| match &field.kind {
            FieldKind::Vector(VectorSource::MadeFrom(text)) => {
                Some((field.name.as_str(), text.as_str()))
            }
            _ => None,
        })
    }
}

/// The agent's index of that name.
pub(crate) fn find(
    conn: &Connection,
    scope: &Scope,
    name: &str,
) -> rusqlite::Result<Option<Declared>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM search_index WHERE agent = ?1 AND name = ?2"
    ))?
    .query_row((scope.rows(), name), Declared::of)
    .optional()
}

/// The agent's index of that name, which must be there.
pub(crate) fn must_find(
    operation: &'static str,
    conn: &Connection,
    scope: &Scope,
    name: &str,
) -> Result<Declared> {
    find(conn, scope, name)
        .map_err(|e| error::sqlite(operation, e))?
        .ok_or_else(|| missing(operation, name))
}

/// All indices of the agent, in the order of the names.
pub(crate) fn all(conn: &Connection, scope: &Scope) -> rusqlite::Result<Vec<Declared>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM search_index WHERE agent = ?1 AND name IS NOT NULL ORDER BY name"
    ))?
    .query_map([scope.rows()], Declared::of)?
    .collect()
}

/// The error of an index that is not there.
pub(crate) fn missing(operation: &'static str, name: &str) -> Error {
    Error::not_found(
        operation,
        format!("there is no index {name:?}; create it first"),
    )
    .with_context("index", name)
}

/// JSON for a column.
pub(crate) fn to_json<T: Serialize>(operation: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::internal(operation, "a document cannot be kept").with_source(e))
}

/// JSON in a column.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}
