//! Records as a guest reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::records::{Hit, Page, Record, RecordAck, RecordWrite, Records};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_resilience::Failover;

use super::write_as;

/// Records as a guest reaches them.
pub(crate) struct FacadeRecords(pub(crate) Failover<dyn Records>);

#[async_trait]
impl Capability for FacadeRecords {
    type Write = RecordWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &RecordWrite) -> Result<RecordAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Records for FacadeRecords {
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>> {
        let read = |records: Arc<dyn Records>| async move { records.get(ctx, namespace, id).await };
        self.0
            .read(ctx, "records.get", &(namespace, id), read)
            .await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let read = |records: Arc<dyn Records>| async move {
            records.list(ctx, under, cursor, limit).await
        };
        self.0
            .read(ctx, "records.list", &(under, cursor, limit), read)
            .await
    }

    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        let read =
            |records: Arc<dyn Records>| async move { records.recall(ctx, under, query, k).await };
        self.0
            .read(ctx, "records.recall", &(under, query, k), read)
            .await
    }
}
