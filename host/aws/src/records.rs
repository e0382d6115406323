//! Records on AgentCore, with Redis between the hosts.
//!
//! | operation | AgentCore | what the caller gets |
//! |---|---|---|
//! | get, list | as those of memory | as those of memory |
//! | put, delete | `CreateEvent`; `ListEvents` when the card is lost | durable when acknowledged |
//! | adopt | as put, or nothing when a later write stands | the later write by version, of whatever side |
//! | recall | `GetEvent` for hits and vectors that neither this process nor Redis has | every acknowledged record, from its acknowledgement on |
//!
//! A record is an event of its own stream and not one of AgentCore's memory records: those are listed and retrieved some time
//! after they are written, minutes at worst, and deleted ones are found for as long (ADR 0031).

mod recall;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stuga_core::cursor::{self, Listing};
use stuga_core::embed::Embedder;
use stuga_core::metadata::Metadata;
use stuga_core::records::{
    Hit, NAMESPACE_MAX_BYTES, PAGE_MAX_BYTES, Page, Record, RecordAck, RecordWrite, Records,
    check_id, check_limit, check_namespace, check_recall, check_under,
};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::{CallCtx, Capability, CapabilityName, Error, Result, Timestamp, Write, WriteId};

use crate::adopted::stamp_of;
use crate::agentcore::adopt::{Adopting, Thing};
use crate::agentcore::card::{Change, What};
use crate::agentcore::digest::Digest;
use crate::agentcore::draft::{Draft, Fresh, Seen, Writing};
use crate::agentcore::entry::{Entry, Kind};
use crate::agentcore::ledger::{Rules, Store};
use crate::agentcore::shelf::{Reached, Shelf};
use crate::agentcore::stream::{Content, Stream, damaged};
use crate::agentcore::vector::{self, Kept};

/// Under which name an agent's records lie.
const NAME: &str = CapabilityName::Records.as_str();
/// Stands there in cursors, as every backend makes them.
const IN_CURSORS: char = ' ';
/// Stands between namespace and id: below every character of either, so that records are in the order of both.
const BETWEEN: char = '\u{1}';
/// Longest key: namespace, what stands between, id.
const KEY_MAX_BYTES: usize = NAMESPACE_MAX_BYTES + 1 + stuga_core::sessions::SESSION_ID_MAX_BYTES;

/// Records on AgentCore.
pub struct AgentCoreRecords {
    store: Arc<Store>,
    embedder: Arc<dyn Embedder>,
}

impl AgentCoreRecords {
    pub(crate) fn new(store: Arc<Store>, embedder: Arc<dyn Embedder>) -> Self {
        Self { store, embedder }
    }
}

/// What an event holds of a record.
#[derive(Serialize, Deserialize)]
struct Data {
    text: String,
    metadata: Metadata,
    #[serde(flatten)]
    vector: Kept,
}

/// The records of an agent: a shelf, and what their texts are near to.
struct Shelves(Shelf);

impl Rules for Shelves {
    fn changes(&self, stream: &Stream, head: &Entry) -> Vec<Change> {
        let mut changes = self.0.changes(stream, head);
        changes.push(Change {
            index: recall::VECTORS.to_owned(),
            what: What::Forget(head.key.clone().into_bytes()),
        });
        changes
    }
}

#[async_trait]
impl Capability for AgentCoreRecords {
    type Write = RecordWrite;

    /// AgentCore: `CreateEvent`; before it `ListEvents` when the record's card is lost.
    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &RecordWrite) -> Result<RecordAck> {
        write.check()?;
        let operation = write.operation();
        ctx.check_deadline(operation)?;
        let name = record_of(write, id);
        let vector = self.vector(write).await?;
        let ledger = self.store.ledger(ctx, operation).await?;
        let shelves = Shelves(Shelf::of(ctx, &ledger.memory, NAME));
        let key = key(write.key(), &name);
        let stream = shelves.0.stream(&key);
        let digest = digest(ctx, write);
        let writing = Writing {
            stream: &stream,
            id,
            digest: &digest,
            strict: false,
            adopts: None,
        };
        let data = data(operation, write, &vector)?;
        let now = self.store.now();
        let decide = |head: Option<&Entry>| {
            let live = head.filter(|head| head.is_live(now));
            Ok(draft(write, &key, now, &data).at_key(live))
        };
        let follow = |entry: &Entry, fresh| follow(entry, fresh, &vector);
        let entry = ledger.write(&writing, &shelves, &decide, &follow).await?;
        Ok(RecordAck {
            id: name,
            version: entry.shown,
            existed: entry.existed,
        })
    }
}

#[async_trait]
impl Replica<RecordWrite> for AgentCoreRecords {
    /// AgentCore: `CreateEvent`, unless a later write stands; before it `ListEvents` when the record's card is lost.
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &RecordWrite,
        made: &Made<RecordAck>,
    ) -> Result<Adopted> {
        write.check()?;
        let operation = write.operation();
        ctx.check_deadline(operation)?;
        let stamp = stamp_of::<RecordWrite>(operation, made)?;
        let vector = self.vector(write).await?;
        let ledger = self.store.ledger(ctx, operation).await?;
        let shelves = Shelves(Shelf::of(ctx, &ledger.memory, NAME));
        let key = key(write.key(), &record_of(write, id));
        let stream = shelves.0.stream(&key);
        let digest = digest(ctx, write);
        let writing = Writing {
            stream: &stream,
            id,
            digest: &digest,
            strict: false,
            adopts: Some(Adopting { stamp, since: None }),
        };
        let data = data(operation, write, &vector)?;
        let thing = Thing {
            write: &id.to_name(),
            stamp,
            version: made.ack.version,
            is_removed: matches!(write, RecordWrite::Delete { .. }),
            existed: made.ack.existed,
            at: made.at,
        };
        let judge = |seen: &Seen<'_>| Ok(thing.judge(seen, draft(write, &key, made.at, &data)));
        let follow = |entry: &Entry, fresh| follow(entry, fresh, &vector);
        ledger.adopt(&writing, &shelves, &judge, &follow).await
    }
}

impl AgentCoreRecords {
    /// What the text of a write is near to.
    async fn vector(&self, write: &RecordWrite) -> Result<Kept> {
        match write {
            RecordWrite::Put { text, .. } => vector::of(&*self.embedder, text).await,
            RecordWrite::Delete { .. } => Ok(Kept::default()),
        }
    }
}

#[async_trait]
impl Records for AgentCoreRecords {
    /// AgentCore: nothing, `GetEvent`, or `ListEvents` and `GetEvent`; see the table above.
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>> {
        const OPERATION: &str = "records.get";
        check_namespace(OPERATION, namespace)?;
        check_id(OPERATION, id)?;
        ctx.check_deadline(OPERATION)?;
        let now = self.store.now();
        let key = key(namespace, id);
        let found = self.store.find(ctx, OPERATION, NAME, &key, now).await?;
        found.map(|found| record(OPERATION, found)).transpose()
    }

    /// AgentCore: for each record as in `get`; `ListSessions` and `ListEvents` of all when the index is lost.
    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        const OPERATION: &str = "records.list";
        check_under(OPERATION, under)?;
        check_limit(OPERATION, limit)?;
        let after = cursor
            .map(|cursor| after(OPERATION, under, cursor))
            .transpose()?;
        ctx.check_deadline(OPERATION)?;
        let now = self.store.now();
        let ledger = self.store.ledger(ctx, OPERATION).await?;
        let shelf = Shelf::of(ctx, &ledger.memory, NAME);
        let reached = Reached {
            prefixes: &prefixes(under),
            after,
            limit: limit as usize,
            max_bytes: PAGE_MAX_BYTES,
        };
        let page = shelf.page(&ledger, reached, now).await?;
        let found = shelf.contents(&ledger, page.entries, now).await?;
        let records = found.into_iter().map(|found| record(OPERATION, found));
        Ok(Page {
            records: records.collect::<Result<_>>()?,
            next_cursor: page.next.map(|last| {
                let last = last.replace(BETWEEN, &IN_CURSORS.to_string());
                cursor::encode(Listing::Records, under, &last)
            }),
        })
    }

    /// AgentCore: `GetEvent` for what is not near; the index as in `list`.
    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        const OPERATION: &str = "records.recall";
        check_under(OPERATION, under)?;
        check_recall(OPERATION, query, k)?;
        ctx.check_deadline(OPERATION)?;
        let query = vector::of_query(&*self.embedder, query).await?;
        let ledger = self.store.ledger(ctx, OPERATION).await?;
        let shelf = Shelf::of(ctx, &ledger.memory, NAME);
        let query = recall::Query {
            embedder: &*self.embedder,
            vector: &query,
            k,
        };
        recall::recall(&ledger, &shelf, &prefixes(under), &query, self.store.now()).await
    }
}

fn key(namespace: &str, id: &str) -> String {
    format!("{namespace}{BETWEEN}{id}")
}

/// Which record a write is of.
fn record_of(write: &RecordWrite, id: WriteId) -> String {
    match write {
        RecordWrite::Put { id: name, .. } => name.clone().unwrap_or_else(|| id.to_name()),
        RecordWrite::Delete { id: name, .. } => name.clone(),
    }
}

/// What a write at that moment makes of a record that is absent.
fn draft(write: &RecordWrite, key: &str, at: Timestamp, data: &Bytes) -> Draft {
    let kind = match write {
        RecordWrite::Put { .. } => Kind::Put,
        RecordWrite::Delete { .. } => Kind::Delete,
    };
    let content = Content {
        said: None,
        data: data.clone(),
    };
    Draft {
        incarnation: Some(0),
        content,
        ..Draft::alone(kind, key, at)
    }
}

/// What a write means for the hash of vectors.
fn follow(entry: &Entry, fresh: Fresh, vector: &Kept) -> Vec<Change> {
    match fresh {
        Fresh::Yes | Fresh::Anew => recall::known(entry, vector).into_iter().collect(),
        // What stands there may be another one.
        Fresh::No => Vec::new(),
    }
}

/// The key after which a listing reads on.
fn after(operation: &'static str, under: &str, cursor: &str) -> Result<String> {
    let last = cursor::decode(operation, Listing::Records, under, cursor, KEY_MAX_BYTES)?;
    let (namespace, id) = last
        .split_once(IN_CURSORS)
        .ok_or_else(|| cursor::malformed(operation))?;
    Ok(key(namespace, id))
}

/// What the keys begin with that `under` reaches, in order.
fn prefixes(under: &str) -> Vec<String> {
    match under {
        "" => vec![String::new()],
        under => vec![format!("{under}{BETWEEN}"), format!("{under}/")],
    }
}

fn data(operation: &'static str, write: &RecordWrite, vector: &Kept) -> Result<Bytes> {
    let RecordWrite::Put { text, metadata, .. } = write else {
        return Ok(Bytes::new());
    };
    let data = Data {
        text: text.clone(),
        metadata: metadata.clone(),
        vector: vector.clone(),
    };
    serde_json::to_vec(&data)
        .map(Bytes::from)
        .map_err(|e| Error::internal(operation, "a record cannot be kept").with_source(e))
}

fn unpack(operation: &'static str, content: &Content) -> Result<Data> {
    serde_json::from_slice(&content.data).map_err(|e| damaged(operation).with_source(e))
}

fn record(operation: &'static str, (entry, content): (Entry, Content)) -> Result<Record> {
    let (namespace, id) = entry
        .key
        .split_once(BETWEEN)
        .ok_or_else(|| damaged(operation))?;
    let data = unpack(operation, &content)?;
    Ok(Record {
        namespace: namespace.to_owned(),
        id: id.to_owned(),
        text: data.text,
        metadata: data.metadata,
        version: entry.shown,
        created_at: entry.created_at,
        updated_at: entry.at,
    })
}

fn digest(ctx: &CallCtx, write: &RecordWrite) -> String {
    let digest = Digest::new(ctx, CapabilityName::Records, write.operation()).part(write.key());
    match write {
        RecordWrite::Put {
            id, text, metadata, ..
        } => digest
            // An id is never empty, so none differs from all of them.
            .part(id.as_deref().unwrap_or_default())
            .part(text)
            .metadata(metadata),
        RecordWrite::Delete { id, .. } => digest.part(id),
    }
    .finish()
}
