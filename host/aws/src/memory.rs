//! Memory on AgentCore, with Redis between the hosts.
//!
//! | operation | AgentCore | what the caller gets |
//! |---|---|---|
//! | get | nothing while Redis or this process has the value; `GetEvent` else; `ListEvents` when the card is lost | every acknowledged write, of any host; without Redis the same, from AgentCore |
//! | list | as get for each item; when the index is lost `ListSessions` and `ListEvents` of all keys | every acknowledged write; right after Redis was lost what AgentCore lists |
//! | put, delete | `CreateEvent`; `ListEvents` when the card is lost | durable when acknowledged |
//! | compare-and-set | `ListEvents`, `CreateEvent` | the condition is checked against AgentCore, under the lease |
//! | adopt | as put, or nothing when a later write stands | the later write by version, of whatever side |

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stuga_core::cursor::{self, Listing};
use stuga_core::memory::{
    Expected, Item, KEY_MAX_BYTES, Memory, MemoryAck, MemoryWrite, PAGE_MAX_BYTES, Page, check_key,
    check_limit, check_prefix,
};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::{CallCtx, Capability, CapabilityName, Result, Timestamp, Write, WriteId};

use crate::adopted::stamp_of;
use crate::agentcore::adopt::{Adopting, Thing};
use crate::agentcore::digest::Digest;
use crate::agentcore::draft::{Draft, Seen, Writing};
use crate::agentcore::entry::{Entry, Kind};
use crate::agentcore::ledger::Store;
use crate::agentcore::shelf::{Reached, Shelf};
use crate::agentcore::stream::Content;

/// Under which name an agent's items lie.
const NAME: &str = CapabilityName::Memory.as_str();

/// Items on AgentCore.
pub struct AgentCoreMemory {
    store: Arc<Store>,
}

impl AgentCoreMemory {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Capability for AgentCoreMemory {
    type Write = MemoryWrite;

    /// AgentCore: `CreateEvent`; before it `ListEvents` when something is expected or the key's card is lost.
    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        write.check()?;
        let operation = write.operation();
        ctx.check_deadline(operation)?;
        let ledger = self.store.ledger(ctx, operation).await?;
        let shelf = Shelf::of(ctx, &ledger.memory, NAME);
        let stream = shelf.stream(write.key());
        let digest = digest(ctx, write);
        let strict =
            matches!(write, MemoryWrite::Put { expected, .. } if *expected != Expected::Any);
        let writing = Writing {
            stream: &stream,
            id,
            digest: &digest,
            strict,
            adopts: None,
        };
        let decide = |head: Option<&Entry>| self.draft(operation, write, head);
        let entry = ledger
            .write(&writing, &shelf, &decide, &|_, _| Vec::new())
            .await?;
        Ok(MemoryAck {
            version: entry.shown,
            existed: entry.existed,
        })
    }
}

#[async_trait]
impl Replica<MemoryWrite> for AgentCoreMemory {
    /// AgentCore: `CreateEvent`, unless a later write stands; before it `ListEvents` when the key's card is lost.
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &MemoryWrite,
        made: &Made<MemoryAck>,
    ) -> Result<Adopted> {
        write.check()?;
        let operation = write.operation();
        ctx.check_deadline(operation)?;
        let stamp = stamp_of::<MemoryWrite>(operation, made)?;
        let ledger = self.store.ledger(ctx, operation).await?;
        let shelf = Shelf::of(ctx, &ledger.memory, NAME);
        let stream = shelf.stream(write.key());
        let digest = digest(ctx, write);
        let writing = Writing {
            stream: &stream,
            id,
            digest: &digest,
            strict: false,
            adopts: Some(Adopting { stamp, since: None }),
        };
        let thing = Thing {
            write: &id.to_name(),
            stamp,
            version: made.ack.version,
            is_removed: matches!(write, MemoryWrite::Delete { .. }),
            existed: made.ack.existed,
            at: made.at,
        };
        let judge = |seen: &Seen<'_>| Ok(thing.judge(seen, draft(write, made.at)));
        ledger
            .adopt(&writing, &shelf, &judge, &|_, _| Vec::new())
            .await
    }
}

#[async_trait]
impl Memory for AgentCoreMemory {
    /// AgentCore: nothing, `GetEvent`, or `ListEvents` and `GetEvent`; see the table above.
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        const OPERATION: &str = "memory.get";
        check_key(OPERATION, key)?;
        ctx.check_deadline(OPERATION)?;
        let now = self.store.now();
        let found = self.store.find(ctx, OPERATION, NAME, key, now).await?;
        Ok(found.map(item))
    }

    /// AgentCore: for each item as in `get`; `ListSessions` and `ListEvents` of all keys when the index is lost.
    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        const OPERATION: &str = "memory.list";
        check_prefix(OPERATION, prefix)?;
        check_limit(OPERATION, limit)?;
        let after = cursor
            .map(|cursor| cursor::decode(OPERATION, Listing::Memory, prefix, cursor, KEY_MAX_BYTES))
            .transpose()?;
        ctx.check_deadline(OPERATION)?;
        let now = self.store.now();
        let ledger = self.store.ledger(ctx, OPERATION).await?;
        let shelf = Shelf::of(ctx, &ledger.memory, NAME);
        let reached = Reached {
            prefixes: &[prefix.to_owned()],
            after,
            limit: limit as usize,
            max_bytes: PAGE_MAX_BYTES,
        };
        let page = shelf.page(&ledger, reached, now).await?;
        let items = shelf.contents(&ledger, page.entries, now).await?;
        Ok(Page {
            items: items.into_iter().map(item).collect(),
            next_cursor: page
                .next
                .map(|last| cursor::encode(Listing::Memory, prefix, &last)),
        })
    }
}

impl AgentCoreMemory {
    /// What a write makes of what stands at its key.
    fn draft(
        &self,
        operation: &'static str,
        write: &MemoryWrite,
        head: Option<&Entry>,
    ) -> Result<Draft> {
        let now = self.store.now();
        let live = head.filter(|head| head.is_live(now));
        if let MemoryWrite::Put { expected, .. } = write {
            expected.check(operation, "item", live.map(|live| live.shown))?;
        }
        Ok(draft(write, now).at_key(live))
    }
}

/// What a write at that moment makes of a key where nothing stands.
fn draft(write: &MemoryWrite, at: Timestamp) -> Draft {
    let (kind, expires_at, data) = match write {
        MemoryWrite::Put { value, ttl, .. } => (
            Kind::Put,
            ttl.map(|ttl| at.saturating_add(ttl)),
            Bytes::copy_from_slice(value),
        ),
        MemoryWrite::Delete { .. } => (Kind::Delete, None, Bytes::new()),
    };
    Draft {
        expires_at,
        incarnation: Some(0),
        content: Content { said: None, data },
        ..Draft::alone(kind, write.key(), at)
    }
}

fn item((entry, content): (Entry, Content)) -> Item {
    Item {
        key: entry.key,
        value: content.data.into(),
        version: entry.shown,
        created_at: entry.created_at,
        updated_at: entry.at,
        expires_at: entry.expires_at,
    }
}

fn digest(ctx: &CallCtx, write: &MemoryWrite) -> String {
    let digest = Digest::new(ctx, CapabilityName::Memory, write.operation()).part(write.key());
    match write {
        MemoryWrite::Put {
            value,
            ttl,
            expected,
            ..
        } => {
            let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            let digest = digest.part(value).number(ttl);
            match expected {
                Expected::Any => digest,
                Expected::Absent => digest.part("absent"),
                Expected::Version(version) => digest.part("version").number(Some(*version)),
            }
        }
        MemoryWrite::Delete { .. } => digest,
    }
    .finish()
}
