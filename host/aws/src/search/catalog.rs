//! The tenant's catalog: an entry for each index with its declaration, its counts and the write that was decided last, and an
//! entry for each write that was applied.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use stuga_core::search::{Embedding, Field, IndexInfo, SearchAck, SearchWrite};
use stuga_core::{Error, Result, Timestamp};

use super::many::Place;
use super::wire::read;

/// Most indices of a tenant that are counted: what one search answers.
const TENANT_INDICES_MAX: usize = 10_000;

/// An index as it stands in the catalog.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// Chooses what holds the documents.
    pub(super) generation: u64,
    pub(super) fields: Vec<Field>,
    pub(super) embeddings: Vec<(String, Embedding)>,
    pub(super) created_at: Timestamp,
    pub(super) documents: u64,
    pub(super) bytes: u64,
    /// The latest version that was given away, here or by another side that was heard of.
    pub(super) last: u64,
    /// Where its making stands among all writes.
    #[serde(default)]
    pub(super) made: u64,
}

impl Head {
    /// What its agent may know of it.
    pub(super) fn info(self, name: &str) -> IndexInfo {
        IndexInfo {
            name: name.to_owned(),
            fields: self.fields,
            embeddings: self.embeddings,
            documents: self.documents,
            bytes: self.bytes,
            created_at: self.created_at,
        }
    }
}

/// A write that was decided: it will stand, whoever completes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Its entry in the catalog.
    pub(super) mark: String,
    pub(super) digest: String,
    pub(super) at: Timestamp,
    /// The version before its first change.
    pub(super) base: u64,
    pub(super) ack: SearchAck,
    /// What is to be known of it besides when another side has acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) taken: Option<TakenOver>,
}

/// A write that another side has acknowledged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct TakenOver {
    /// Where it stands among all writes.
    pub(super) stamp: u64,
    /// What was answered here when it landed before and nobody heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) landed: Option<SearchAck>,
}

impl Pending {
    /// Tells it from every other write that was decided: what has landed and is taken over is decided twice.
    pub(super) fn tag(&self) -> String {
        match self.taken {
            None => self.mark.clone(),
            Some(_) => format!("{} taken", self.mark),
        }
    }
}

/// The entry of an index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct IndexEntry {
    kind: Kind,
    agent: String,
    pub(super) name: String,
    pub(super) head: Head,
    pub(super) pending: Pending,
    /// The write that is pending; left out when the entry is read to see how the index stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) work: Option<SearchWrite>,
}

/// What an entry is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// An index.
    Index,
    /// An index that is being removed.
    Dropped,
    /// A write that was applied.
    Write,
}

impl IndexEntry {
    pub(super) fn new(
        agent: &str,
        name: &str,
        head: Head,
        pending: Pending,
        work: &SearchWrite,
    ) -> Self {
        let kind = match work {
            SearchWrite::DropIndex { .. } => Kind::Dropped,
            _ => Kind::Index,
        };
        Self {
            kind,
            agent: agent.to_owned(),
            name: name.to_owned(),
            head,
            pending,
            work: Some(work.clone()),
        }
    }

    /// Whether the index is there.
    pub(super) fn is_live(&self) -> bool {
        self.kind == Kind::Index
    }

    /// Whether nothing was written to it since it was made.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.pending.ack, SearchAck::Created(_)) && self.head.documents == 0
    }
}

/// The entry of a write.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    kind: Kind,
    at: Timestamp,
    pub(super) digest: String,
    pub(super) ack: SearchAck,
}

impl Mark {
    pub(super) fn new(at: Timestamp, digest: String, ack: SearchAck) -> Self {
        Self {
            kind: Kind::Write,
            at,
            digest,
            ack,
        }
    }

    /// What the write answered.
    ///
    /// # Errors
    /// `Conflict` when it was another write.
    pub(super) fn answer(self, operation: &'static str, digest: &str) -> Result<SearchAck> {
        if self.digest == digest {
            return Ok(self.ack);
        }
        Err(used(operation))
    }
}

/// Another write came under this id before.
pub(super) fn used(operation: &'static str) -> Error {
    Error::conflict(
        operation,
        "another write was made under this id; the invocation did something else than when it ran before",
    )
}

/// An index and where its entry stands.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) entry: IndexEntry,
}

/// An entry that was read.
pub(super) fn entry(operation: &'static str, place: Place, source: &str) -> Result<Found> {
    Ok(Found {
        place,
        entry: read(operation, source.as_bytes())?,
    })
}

/// The request that makes a catalog.
pub(super) fn create(alias: &str, replicas: u8) -> Json {
    let kept = json!({"type": "object", "enabled": false});
    let word = json!({"type": "keyword"});
    json!({
        "aliases": {alias: {}},
        "settings": {"index": {"number_of_shards": 1, "number_of_replicas": replicas}},
        "mappings": {
            "dynamic": "strict",
            "properties": {
                "kind": word, "agent": word, "name": word,
                "at": {"type": "long"},
                "digest": {"type": "keyword", "index": false, "doc_values": false},
                "head": kept, "pending": kept, "work": kept, "ack": kept,
            },
        },
    })
}

/// The query for the indices of an agent.
pub(super) fn indices_of(agent: &str, max: usize) -> Json {
    json!({
        "size": max,
        "_source": {"excludes": ["work"]},
        "query": {"bool": {"filter": [{"term": {"kind": "index"}}, {"term": {"agent": agent}}]}},
        "sort": [{"name": "asc"}],
    })
}

/// The query for the counts of all indices of a tenant.
pub(super) fn counts() -> Json {
    json!({
        "size": TENANT_INDICES_MAX,
        "_source": ["head.documents", "head.bytes"],
        "query": {"bool": {"filter": [{"term": {"kind": "index"}}]}},
    })
}

/// The query for the writes that may be forgotten.
pub(super) fn writes_before(time: Timestamp) -> Json {
    json!({"query": {"bool": {"filter": [
        {"term": {"kind": "write"}},
        {"range": {"at": {"lt": time.as_millis()}}},
    ]}}})
}
