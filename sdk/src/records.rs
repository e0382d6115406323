//! What one agent of one tenant has learned, found again by meaning, across sessions.
//!
//! A namespace is a path such as `/users/astrid/facts`: parts of `/` and `A-Z a-z 0-9 - _`, 1 to 512 bytes. A user's context
//! across sessions is a namespace of that user, by convention `/users/{actor}/...`.
//! Wants [`Capability::Records`](crate::Capability::Records).
//!
//! ```
//! use stuga_sdk::{mock, records};
//!
//! # mock::Host::new().run(|| -> stuga_sdk::Result<()> {
//! records::put("/users/astrid/facts", Some("colour"), "Her favourite colour is blue.")?;
//! records::put("/users/astrid/facts", Some("home"), "She lives by the lake.")?;
//! let hits = records::recall("/users/astrid", "which colour does she like", 1)?;
//! assert_eq!(hits[0].record.id, "colour");
//! # Ok(())
//! # }).unwrap();
//! ```

use crate::backend::records as backend;
use crate::{Pages, Result};

/// Something known. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Where it belongs.
    pub namespace: String,
    /// Its id, unique in the namespace.
    pub id: String,
    /// What is known.
    pub text: String,
    /// In the order of the names.
    pub metadata: Vec<(String, String)>,
    /// Changes with every put of the record and only grows.
    pub version: u64,
    /// When it was first written since it was last absent.
    pub created_at: u64,
    /// When the text was written.
    pub updated_at: u64,
}

/// What [`put`] stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The record's id.
    pub id: String,
    /// Its version.
    pub version: u64,
}

/// One page of a listing, by namespace and id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Give this to [`list`] to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// A record that answers a query.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// The record.
    pub record: Record,
    /// How near it is: over 0, at most 1. Comparable within one answer only.
    pub score: f32,
}

/// Stores `text` (1 byte to 16 KiB) under `id`, whatever stood there, or under an id that the host makes.
pub fn put(namespace: &str, id: Option<&str>, text: &str) -> Result<Stored> {
    put_with(namespace, id, text, &[])
}

/// As [`put`], with metadata: at most 32 names of 1 to 64 bytes, values of at most 1,024. A name given twice is `Invalid`.
pub fn put_with(
    namespace: &str,
    id: Option<&str>,
    text: &str,
    metadata: &[(String, String)],
) -> Result<Stored> {
    backend::put(namespace, id, text, metadata)
}

/// The record, or none when it is absent.
pub fn get(namespace: &str, id: &str) -> Result<Option<Record>> {
    backend::get(namespace, id)
}

/// Removes the record and says whether there was one. Deleting what is absent succeeds.
pub fn delete(namespace: &str, id: &str) -> Result<bool> {
    backend::delete(namespace, id)
}

/// Records of the namespace `under` and of all below it (all for ""), at most `limit` (1 to 1,000) and 4 MiB a page.
pub fn list(under: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    backend::list(under, cursor, limit)
}

/// All records of the namespace `under` and of all below it, page after page.
pub fn list_all(under: &str) -> Pages<Record> {
    Pages::new(under, |under, cursor, limit| {
        list(under, cursor, limit).map(|page| (page.records, page.next_cursor))
    })
}

/// The at most `k` (1 to 100) records of `under` and of all below it that are nearest to `query`, the nearest first.
pub fn recall(under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
    backend::recall(under, query, k)
}
