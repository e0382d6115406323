//! Memory over the SDK's functions.

use async_trait::async_trait;
use stuga_core::memory::{Expected, Item, Memory, MemoryAck, MemoryWrite, Page};
use stuga_core::{CallCtx, Capability, Result, Timestamp, Write, WriteId};
use stuga_sdk::memory as sdk;

use super::Mock;

/// Memory of the mock hosts.
pub(crate) struct MemoryOf(pub(crate) Mock);

#[async_trait]
impl Capability for MemoryOf {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        self.0.once(ctx, id, write, || {
            self.0.run(ctx, write.operation(), || apply(write))
        })
    }
}

fn apply(write: &MemoryWrite) -> stuga_sdk::Result<MemoryAck> {
    match write {
        MemoryWrite::Put {
            key,
            value,
            ttl,
            expected,
        } => {
            let before = sdk::get(key).ok().flatten();
            let version = match (expected, ttl) {
                (Expected::Any, None) => sdk::put(key, value),
                (Expected::Any, Some(ttl)) => sdk::put_with_ttl(key, value, *ttl),
                (Expected::Absent, ttl) => sdk::compare_and_set(key, None, value, *ttl),
                (Expected::Version(v), ttl) => sdk::compare_and_set(key, Some(*v), value, *ttl),
            }?;
            let existed = before.is_some();
            Ok(MemoryAck { version, existed })
        }
        MemoryWrite::Delete { key } => {
            let before = sdk::get(key).ok().flatten();
            let existed = sdk::delete(key)?;
            let version = before.map_or(0, |item| item.version);
            Ok(MemoryAck { version, existed })
        }
    }
}

#[async_trait]
impl Memory for MemoryOf {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        let found = self.0.run(ctx, "memory.get", || sdk::get(key))?;
        Ok(found.map(item))
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let page = self
            .0
            .run(ctx, "memory.list", || sdk::list(prefix, cursor, limit))?;
        Ok(Page {
            items: page.items.into_iter().map(item).collect(),
            next_cursor: page.next_cursor,
        })
    }
}

fn item(item: sdk::Item) -> Item {
    Item {
        key: item.key,
        value: item.value,
        version: item.version,
        created_at: Timestamp::from_millis(item.created_at),
        updated_at: Timestamp::from_millis(item.updated_at),
        expires_at: item.expires_at.map(Timestamp::from_millis),
    }
}
