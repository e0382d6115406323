//! Memory: versioned key-value items of one agent of one tenant.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{CallCtx, Capability, CapabilityName, Error, Result, Timestamp, Write};

/// Longest key in bytes.
pub const KEY_MAX_BYTES: usize = 512;
/// Largest value in bytes.
pub const VALUE_MAX_BYTES: usize = 1 << 20;
/// Most items on a page.
pub const PAGE_MAX_ITEMS: u32 = 1_000;
/// Most bytes of values on a page; a page holds at least one item.
pub const PAGE_MAX_BYTES: usize = 4 << 20;
/// Longest time to live: a hundred years, so that no expiry overflows.
pub const TTL_MAX: Duration = Duration::from_secs(100 * 366 * 24 * 3_600);

/// The version of an item: changes with every write of its key and only grows.
pub type Version = u64;

/// A stored value and what is known of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub value: Vec<u8>,
    /// Its version.
    pub version: Version,
    /// When the key was first written since it was last absent.
    pub created_at: Timestamp,
    /// When the value was written.
    pub updated_at: Timestamp,
    /// From when on it is absent; none when it stays.
    pub expires_at: Option<Timestamp>,
}

/// One page of a listing, in ascending order of the key's bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Where to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// What a put expects of the key before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// Whatever stands there.
    Any,
    /// Nothing stands there.
    Absent,
    /// An item of this version stands there.
    Version(Version),
}

impl Expected {
    /// Compares it with the version that stands there, if anything does.
    ///
    /// # Errors
    /// `Conflict` when it does not hold, which names the `thing` and has what stands there in its context as `version`.
    pub fn check(
        self,
        operation: &'static str,
        thing: &str,
        actual: Option<Version>,
    ) -> Result<()> {
        let holds = match self {
            Self::Any => true,
            Self::Absent => actual.is_none(),
            Self::Version(version) => actual == Some(version),
        };
        if holds {
            return Ok(());
        }
        let actual = actual.map_or_else(|| "absent".to_owned(), |version| version.to_string());
        let message = format!("the {thing} is not at the expected version; read it again");
        Err(Error::conflict(operation, message).with_context("version", actual))
    }
}

/// A change to memory. `Absent` and `Version` expectations that do not hold are a `Conflict` with the actual version
/// (or `absent`) in the error's context as `version`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryWrite {
    /// Stores a value.
    Put {
        /// Where.
        key: String,
        /// What.
        #[serde(with = "crate::bytes")]
        value: Vec<u8>,
        /// When it goes by itself, counted from when the write is applied first; none to stay.
        ttl: Option<Duration>,
        /// On what condition.
        expected: Expected,
    },
    /// Removes an item; that there is none is no error.
    Delete {
        /// Where.
        key: String,
    },
}

impl Write for MemoryWrite {
    type Ack = MemoryAck;
    const CAPABILITY: CapabilityName = CapabilityName::Memory;

    fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Put {
                expected: Expected::Any,
                ..
            } => "memory.put",
            Self::Put { .. } => "memory.compare-and-set",
            Self::Delete { .. } => "memory.delete",
        }
    }

    fn version(ack: &MemoryAck) -> u64 {
        ack.version
    }
}

/// What a change to memory answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemoryAck {
    /// The key's version after a put; after a delete the version of what was deleted, 0 when there was nothing.
    pub version: Version,
    /// Whether an item stood there before.
    pub existed: bool,
}

/// Reads of memory. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else, sees only the items of
/// `ctx.tenant` and `ctx.agent`, and treats an expired item as absent from its moment of expiry on.
#[async_trait]
pub trait Memory: Capability<Write = MemoryWrite> {
    /// The item at `key`, or none when it is absent.
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>>;

    /// Items whose key begins with `prefix`, in ascending order of the key's bytes, after `cursor`.
    ///
    /// A page holds at most `limit` items (1 to [`PAGE_MAX_ITEMS`]) and [`PAGE_MAX_BYTES`] of values; a page can be
    /// shorter than `limit` and still have a cursor. An item that is written during a listing appears in it or not,
    /// none appears twice. A cursor that is malformed or belongs to another prefix is `Invalid`.
    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page>;
}

/// Checks a key: 1 to [`KEY_MAX_BYTES`] bytes without control characters.
pub fn check_key(operation: &'static str, key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid(operation, "the key is empty"));
    }
    check_prefix(operation, key)
}

/// Checks a prefix: as a key, but may be empty.
pub fn check_prefix(operation: &'static str, prefix: &str) -> Result<()> {
    if prefix.len() > KEY_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!(
                "the key has {} bytes; the limit is {KEY_MAX_BYTES}",
                prefix.len()
            ),
        )
        .with_context("limit", KEY_MAX_BYTES));
    }
    match prefix.char_indices().find(|(_, c)| c.is_control()) {
        None => Ok(()),
        Some((at, c)) => Err(Error::invalid(
            operation,
            format!(
                "the key has the control character U+{:04X} at byte {at}",
                c as u32
            ),
        )),
    }
}

/// Checks how many items a page may hold.
pub fn check_limit(operation: &'static str, limit: u32) -> Result<()> {
    if (1..=PAGE_MAX_ITEMS).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("limit {limit} is not between 1 and {PAGE_MAX_ITEMS}"),
    )
    .with_context("limit", PAGE_MAX_ITEMS))
}

/// Checks a time to live: none, or 1 ms to [`TTL_MAX`].
pub fn check_ttl(operation: &'static str, ttl: Option<Duration>) -> Result<()> {
    match ttl {
        Some(ttl) if ttl.as_millis() == 0 => Err(Error::invalid(
            operation,
            "the time to live is zero; give at least 1 ms, or none to stay",
        )),
        Some(ttl) if ttl > TTL_MAX => Err(Error::invalid(
            operation,
            "the time to live is over 100 years; give none to stay",
        )),
        _ => Ok(()),
    }
}

impl MemoryWrite {
    /// Checks key, value size and time to live.
    pub fn check(&self) -> Result<()> {
        let operation = self.operation();
        check_key(operation, self.key())?;
        let Self::Put { value, ttl, .. } = self else {
            return Ok(());
        };
        if value.len() > VALUE_MAX_BYTES {
            return Err(Error::invalid(operation, format!("the value has {} bytes; the limit is {VALUE_MAX_BYTES}, larger content belongs into files", value.len()))
                .with_context("limit", VALUE_MAX_BYTES));
        }
        check_ttl(operation, *ttl)
    }
}
