//! Memory on SQLite.

use async_trait::async_trait;
use stuga_core::cursor::{self, Listing};
use stuga_core::memory::{
    Item, KEY_MAX_BYTES, Memory, MemoryAck, MemoryWrite, Page, check_key, check_limit, check_prefix,
};
use stuga_core::{CallCtx, Capability, Result, Timestamp, Write, WriteId};

use crate::Local;
use crate::scope::Scope;

mod effects;
mod queries;

/// Memory of all tenants on this host.
pub(crate) struct LocalMemory {
    pub(crate) local: Local,
}

#[async_trait]
impl Capability for LocalMemory {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        write.check()?;
        let operation = write.operation();
        let scope = Scope::of(ctx);
        let digest = effects::digest(&scope, write);
        let write = write.clone();
        let weight = match &write {
            MemoryWrite::Put { value, .. } => value.len(),
            MemoryWrite::Delete { .. } => 0,
        };
        self.local
            .write(ctx, operation, weight, move |tx| {
                effects::apply_in(tx, &scope, id, digest, &write)
            })
            .await
    }
}

#[async_trait]
impl Memory for LocalMemory {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        const OPERATION: &str = "memory.get";
        check_key(OPERATION, key)?;
        let key = key.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::get(reading.conn, &reading.scope, key, reading.now())
            })
            .await
    }

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
            .map(|c| cursor::decode(OPERATION, Listing::Memory, prefix, c, KEY_MAX_BYTES))
            .transpose()?;
        let prefix = prefix.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::list(
                    reading.conn,
                    &reading.scope,
                    &prefix,
                    after,
                    limit,
                    reading.now(),
                )
            })
            .await
    }
}

/// Whether an item that expires then is still there.
fn is_live(expires_at: Option<u64>, now: Timestamp) -> bool {
    expires_at.is_none_or(|at| at > now.as_millis())
}
