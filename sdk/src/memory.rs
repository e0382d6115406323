//! Key-value memory that outlives an invocation, private to one agent of one tenant.
//!
//! A key is 1 to 512 bytes of UTF-8 without control characters, a value at most 1 MiB. A write that returned is durable.
//! Wants [`Capability::Memory`](crate::Capability::Memory).

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::memory as backend;
use crate::{Error, ErrorKind, Pages, Result};

/// How often [`update_json`] tries again when somebody else wrote in between.
const UPDATE_ATTEMPTS: u32 = 16;

/// The version of an item: changes with every write of its key and only grows. Compare it for equality.
pub type Version = u64;

/// A stored value and what is known of it. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Vec<u8>,
    /// Its version.
    pub version: Version,
    /// When the key was first written since it was last absent.
    pub created_at: u64,
    /// When the value was written.
    pub updated_at: u64,
    /// From when on it is absent; none when it stays until it is deleted.
    pub expires_at: Option<u64>,
}

impl Item {
    /// The value, read as JSON.
    ///
    /// # Errors
    /// `Internal` when it does not fit `T`, naming the key.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.value).map_err(|e| {
            let key = &self.key;
            Error::internal(format!(
                "what is stored at `{key}` is not the JSON expected: {e}"
            ))
            .with_context("key", key)
        })
    }
}

/// One page of a listing, in ascending order of the key's bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Give this to [`list`] to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// The item at `key`, or none when it is absent or expired.
pub fn get(key: &str) -> Result<Option<Item>> {
    backend::get(key)
}

/// The value at `key` read as JSON, or none when it is absent. See [`Item::json`] for a value that does not fit.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>> {
    get(key)?.map(|item| item.json()).transpose()
}

/// Stores `value` at `key`, whatever stood there, until it is deleted.
pub fn put(key: &str, value: &[u8]) -> Result<Version> {
    backend::put(key, value, None)
}

/// Stores `value` at `key`, whatever stood there, for the time `ttl` (at least 1 ms).
pub fn put_with_ttl(key: &str, value: &[u8], ttl: Duration) -> Result<Version> {
    backend::put(key, value, Some(millis(ttl)))
}

/// Stores `value` as JSON at `key`, whatever stood there, until it is deleted.
pub fn put_json<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Version> {
    put(key, &to_json(key, value)?)
}

/// Stores `value` as JSON at `key`, whatever stood there, for the time `ttl` (at least 1 ms).
pub fn put_json_with_ttl<T: Serialize + ?Sized>(
    key: &str,
    value: &T,
    ttl: Duration,
) -> Result<Version> {
    put_with_ttl(key, &to_json(key, value)?, ttl)
}

/// Stores `value` only when the item's version is `expected`; none expects that the key is absent.
///
/// # Errors
/// `Conflict` otherwise, with the actual version (or `absent`) in its context as `version`.
pub fn compare_and_set(
    key: &str,
    expected: Option<Version>,
    value: &[u8],
    ttl: Option<Duration>,
) -> Result<Version> {
    backend::compare_and_set(key, expected, value, ttl.map(millis))
}

/// Replaces the JSON value at `key` by what `change` makes of it, without losing what others write meanwhile.
///
/// `change` gets none when the key is absent. It runs again when somebody else wrote in between, so it should do
/// nothing but compute. Returns what was stored.
///
/// # Errors
/// `Conflict` when others were faster 16 times in a row.
pub fn update_json<T: Serialize + DeserializeOwned>(
    key: &str,
    mut change: impl FnMut(Option<T>) -> Result<T>,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        let before = get(key)?;
        let version = before.as_ref().map(|item| item.version);
        let value = change(before.map(|item| item.json()).transpose()?)?;
        match compare_and_set(key, version, &to_json(key, &value)?, None) {
            Ok(_) => return Ok(value),
            Err(e) if e.kind() == ErrorKind::Conflict && attempt < UPDATE_ATTEMPTS => attempt += 1,
            Err(e) => return Err(e),
        }
    }
}

/// Removes the item and says whether there was one. Deleting what is absent succeeds.
pub fn delete(key: &str) -> Result<bool> {
    backend::delete(key)
}

/// Items whose key begins with `prefix` (all for ""), at most `limit` (1 to 1,000) and 4 MiB of values a page.
///
/// A page can be shorter than `limit` and still have a cursor. A cursor belongs to the prefix it came from.
pub fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    backend::list(prefix, cursor, limit)
}

/// All items whose key begins with `prefix`, in ascending order of the key's bytes, page after page.
pub fn list_all(prefix: &str) -> Pages<Item> {
    Pages::new(prefix, |prefix, cursor, limit| {
        list(prefix, cursor, limit).map(|page| (page.items, page.next_cursor))
    })
}

fn to_json<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| {
        Error::internal(format!(
            "the value for `{key}` cannot be written as JSON: {e}"
        ))
        .with_context("key", key)
    })
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
