//! The operations of memory.

use async_trait::async_trait;
use stuga_core::memory::{Item, Memory, MemoryAck, MemoryWrite, Page};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Path;

/// What faults may name.
pub(super) const OPERATIONS: &[&str] = &[
    "memory.get",
    "memory.list",
    "memory.put",
    "memory.compare-and-set",
    "memory.delete",
];

#[async_trait]
impl Capability for Path<dyn Memory> {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        self.write(ctx, id, write).await
    }
}

#[async_trait]
impl Memory for Path<dyn Memory> {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        self.read(ctx, "memory.get", |memory| async move {
            memory.get(ctx, key).await
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
        self.read(ctx, "memory.list", |memory| async move {
            memory.list(ctx, prefix, cursor, limit).await
        })
        .await
    }
}
