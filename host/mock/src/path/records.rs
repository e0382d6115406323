//! The operations of records.

use async_trait::async_trait;
use stuga_core::records::{Hit, Page, Record, RecordAck, RecordWrite, Records};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Path;

/// What faults may name.
pub(super) const OPERATIONS: &[&str] = &[
    "records.get",
    "records.list",
    "records.recall",
    "records.put",
    "records.delete",
];

#[async_trait]
impl Capability for Path<dyn Records> {
    type Write = RecordWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &RecordWrite) -> Result<RecordAck> {
        self.write(ctx, id, write).await
    }
}

#[async_trait]
impl Records for Path<dyn Records> {
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>> {
        self.read(ctx, "records.get", |records| async move {
            records.get(ctx, namespace, id).await
        })
        .await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        self.read(ctx, "records.list", |records| async move {
            records.list(ctx, under, cursor, limit).await
        })
        .await
    }

    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        self.read(ctx, "records.recall", |records| async move {
            records.recall(ctx, under, query, k).await
        })
        .await
    }
}
