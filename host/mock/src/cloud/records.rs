//! The operations of records.

use async_trait::async_trait;
use stuga_core::records::{Hit, Page, Record, RecordAck, RecordWrite, Records};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;

#[async_trait]
impl Capability for Cloud<dyn Records> {
    type Write = RecordWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &RecordWrite) -> Result<RecordAck> {
        self.make(ctx, id, write).await
    }
}

#[async_trait]
impl Records for Cloud<dyn Records> {
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>> {
        self.up("records.get")?.get(ctx, namespace, id).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        self.up("records.list")?
            .list(ctx, under, cursor, limit)
            .await
    }

    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        self.up("records.recall")?
            .recall(ctx, under, query, k)
            .await
    }
}
