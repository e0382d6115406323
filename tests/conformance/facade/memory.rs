//! Memory as a guest reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::memory::{Item, Memory, MemoryAck, MemoryWrite, Page};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_resilience::Failover;

use super::write_as;

/// Memory as a guest reaches it.
pub(crate) struct FacadeMemory(pub(crate) Failover<dyn Memory>);

#[async_trait]
impl Capability for FacadeMemory {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Memory for FacadeMemory {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        let read = |memory: Arc<dyn Memory>| async move { memory.get(ctx, key).await };
        self.0.read(ctx, "memory.get", key, read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let read =
            |memory: Arc<dyn Memory>| async move { memory.list(ctx, prefix, cursor, limit).await };
        self.0
            .read(ctx, "memory.list", &(prefix, cursor, limit), read)
            .await
    }
}
