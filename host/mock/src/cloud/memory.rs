//! The operations of memory.

use async_trait::async_trait;
use stuga_core::memory::{Item, Memory, MemoryAck, MemoryWrite, Page};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;

#[async_trait]
impl Capability for Cloud<dyn Memory> {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        self.make(ctx, id, write).await
    }
}

#[async_trait]
impl Memory for Cloud<dyn Memory> {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        self.up("memory.get")?.get(ctx, key).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        self.up("memory.list")?
            .list(ctx, prefix, cursor, limit)
            .await
    }
}
