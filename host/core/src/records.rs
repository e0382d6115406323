//! Records: what an agent has learned, in namespaces, found again by meaning.
//!
//! The shape is that of the memory records of Amazon Bedrock AgentCore: namespace, text, and a recall with a score.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::metadata::{Metadata, check_metadata};
use crate::sessions::check_session_id;
use crate::{CallCtx, Capability, CapabilityName, Error, Result, Timestamp, Write};

/// Longest namespace in bytes.
pub const NAMESPACE_MAX_BYTES: usize = 512;
/// Longest text of a record and longest query in bytes.
pub const TEXT_MAX_BYTES: usize = 16 << 10;
/// Most records on a page.
pub const PAGE_MAX_RECORDS: u32 = 1_000;
/// Most bytes of texts and metadata on a page; a page holds at least one record.
pub const PAGE_MAX_BYTES: usize = 4 << 20;
/// Most hits of a recall.
pub const RECALL_MAX_HITS: u32 = 100;
/// Most records or events that a recall compares: those written last.
pub const RECALL_MAX_COMPARED: u32 = 20_000;
/// Among how many at least a recall finds those that were written last.
pub const RECALL_MAX_SEEN: u32 = 200_000;

/// Something known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Where it belongs.
    pub namespace: String,
    /// Its id, unique in the namespace.
    pub id: String,
    /// What is known.
    pub text: String,
    /// In the order of the names.
    pub metadata: Metadata,
    /// Changes with every put of the record and only grows.
    pub version: u64,
    /// When it was first written since it was last absent.
    pub created_at: Timestamp,
    /// When the text was written.
    pub updated_at: Timestamp,
}

/// One page of a listing, by namespace and id in ascending order of their bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// A record that answers a query.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// The record.
    pub record: Record,
    /// Cosine of query and text: over 0, at most 1. Comparable within one answer only.
    pub score: f32,
}

/// A change to records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordWrite {
    /// Stores a record, whatever stood there.
    Put {
        /// Where.
        namespace: String,
        /// Under which id; none for one that is made from the write's id.
        id: Option<String>,
        /// What.
        text: String,
        /// In the order of the names.
        metadata: Metadata,
    },
    /// Removes a record; that there is none is no error.
    Delete {
        /// Where.
        namespace: String,
        /// Which.
        id: String,
    },
}

impl Write for RecordWrite {
    type Ack = RecordAck;
    const CAPABILITY: CapabilityName = CapabilityName::Records;

    /// The namespace: what is written in it keeps its order.
    fn key(&self) -> &str {
        match self {
            Self::Put { namespace, .. } | Self::Delete { namespace, .. } => namespace,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Put { .. } => "records.put",
            Self::Delete { .. } => "records.delete",
        }
    }

    fn version(ack: &RecordAck) -> u64 {
        ack.version
    }
}

/// What a change to records answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecordAck {
    /// The record's id.
    pub id: String,
    /// Its version after a put; after a delete the version of what was deleted, 0 when there was nothing.
    pub version: u64,
    /// Whether a record stood there before.
    pub existed: bool,
}

/// Reads of records. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else and sees only what belongs
/// to `ctx.tenant` and `ctx.agent`. `under` reaches the namespace of that name and all below it: those that begin with it
/// and `/`; an empty one reaches all.
#[async_trait]
pub trait Records: Capability<Write = RecordWrite> {
    /// The record, or none when it is absent.
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>>;

    /// Records that `under` reaches, after `cursor`, at most `limit` (1 to [`PAGE_MAX_RECORDS`]) and [`PAGE_MAX_BYTES`] of
    /// texts and metadata. A page can be shorter than `limit` and still have a cursor. A record that is written during a
    /// listing appears in it or not, none appears twice. A cursor that is malformed or belongs to another `under` is
    /// `Invalid`.
    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page>;

    /// The at most `k` (1 to [`RECALL_MAX_HITS`]) records that `under` reaches and that are nearest to `query`, by falling
    /// score, of equal ones the first in the order of a listing. Scores of 0 and below are left out. A record is found
    /// from the moment on at which its put was acknowledged. At most the [`RECALL_MAX_COMPARED`] records written last are
    /// compared; to find those, a backend looks at no less than [`RECALL_MAX_SEEN`], the first in the order of a listing.
    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>>;
}

/// Whether `under` reaches `namespace`.
pub fn reaches(under: &str, namespace: &str) -> bool {
    match namespace.strip_prefix(under) {
        Some(below) => below.is_empty() || below.starts_with('/'),
        None => false,
    }
}

/// Checks a namespace: 1 to [`NAMESPACE_MAX_BYTES`], each part `/` and 1 or more of `A-Z a-z 0-9 - _`.
pub fn check_namespace(operation: &'static str, namespace: &str) -> Result<()> {
    let is_part = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let parts = namespace.strip_prefix('/').map(|rest| rest.split('/'));
    if namespace.len() <= NAMESPACE_MAX_BYTES && parts.is_some_and(|mut parts| parts.all(is_part)) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the namespace is not 1 to 512 bytes of parts such as /users/astrid/facts, each `/` and then A-Z a-z 0-9 - _",
    )
    .with_context("limit", NAMESPACE_MAX_BYTES))
}

/// Checks what a listing or a recall is to reach: a namespace, or nothing for all.
pub fn check_under(operation: &'static str, under: &str) -> Result<()> {
    if under.is_empty() {
        return Ok(());
    }
    check_namespace(operation, under)
}

/// Checks a record's id: as that of a session.
pub fn check_id(operation: &'static str, id: &str) -> Result<()> {
    check_session_id(operation, id).map_err(|_| {
        Error::invalid(
            operation,
            "the record id is not 1 to 100 characters of A-Z a-z 0-9 - _ that begin with a letter or digit",
        )
    })
}

/// Checks how many records a page may hold.
pub fn check_limit(operation: &'static str, limit: u32) -> Result<()> {
    check_count(operation, "limit", limit, PAGE_MAX_RECORDS)
}

/// Checks query and number of hits of a recall.
pub fn check_recall(operation: &'static str, query: &str, k: u32) -> Result<()> {
    check_text(operation, "query", query)?;
    check_count(operation, "k", k, RECALL_MAX_HITS)
}

fn check_count(operation: &'static str, what: &str, count: u32, max: u32) -> Result<()> {
    if (1..=max).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("{what} {count} is not between 1 and {max}"),
    )
    .with_context("limit", max))
}

fn check_text(operation: &'static str, what: &str, text: &str) -> Result<()> {
    if (1..=TEXT_MAX_BYTES).contains(&text.len()) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!(
            "the {what} has {} bytes; 1 to {TEXT_MAX_BYTES} are taken",
            text.len()
        ),
    )
    .with_context("limit", TEXT_MAX_BYTES))
}

impl RecordWrite {
    /// Checks namespace, id, text and metadata.
    pub fn check(&self) -> Result<()> {
        let operation = self.operation();
        check_namespace(operation, self.key())?;
        match self {
            Self::Put {
                id, text, metadata, ..
            } => {
                id.iter().try_for_each(|id| check_id(operation, id))?;
                check_text(operation, "text", text)?;
                check_metadata(operation, metadata)
            }
            Self::Delete { id, .. } => check_id(operation, id),
        }
    }
}
