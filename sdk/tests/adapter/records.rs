//! Records over the SDK's functions.

use async_trait::async_trait;
use stuga_core::records::{Hit, Page, Record, RecordAck, RecordWrite, Records};
use stuga_core::{CallCtx, Capability, Result, Timestamp, Write, WriteId};
use stuga_sdk::records as sdk;

use super::Mock;

/// Records of the mock hosts.
pub(crate) struct RecordsOf(pub(crate) Mock);

#[async_trait]
impl Capability for RecordsOf {
    type Write = RecordWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &RecordWrite) -> Result<RecordAck> {
        self.0.once(ctx, id, write, || {
            self.0.run(ctx, write.operation(), || apply(write))
        })
    }
}

fn apply(write: &RecordWrite) -> stuga_sdk::Result<RecordAck> {
    match write {
        RecordWrite::Put {
            namespace,
            id,
            text,
            metadata,
        } => {
            let id = id.as_deref();
            let before = id.and_then(|id| sdk::get(namespace, id).ok().flatten());
            let stored = sdk::put_with(namespace, id, text, metadata)?;
            Ok(RecordAck {
                id: stored.id,
                version: stored.version,
                existed: before.is_some(),
            })
        }
        RecordWrite::Delete { namespace, id } => {
            let before = sdk::get(namespace, id).ok().flatten();
            let existed = sdk::delete(namespace, id)?;
            Ok(RecordAck {
                id: id.clone(),
                version: before.map_or(0, |record| record.version),
                existed,
            })
        }
    }
}

#[async_trait]
impl Records for RecordsOf {
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>> {
        let get = || sdk::get(namespace, id);
        Ok(self.0.run(ctx, "records.get", get)?.map(record))
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let list = || sdk::list(under, cursor, limit);
        let page = self.0.run(ctx, "records.list", list)?;
        Ok(Page {
            records: page.records.into_iter().map(record).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        let recall = || sdk::recall(under, query, k);
        let hits = self.0.run(ctx, "records.recall", recall)?.into_iter();
        Ok(hits
            .map(|hit| Hit {
                record: record(hit.record),
                score: hit.score,
            })
            .collect())
    }
}

fn record(record: sdk::Record) -> Record {
    Record {
        namespace: record.namespace,
        id: record.id,
        text: record.text,
        metadata: record.metadata,
        version: record.version,
        created_at: Timestamp::from_millis(record.created_at),
        updated_at: Timestamp::from_millis(record.updated_at),
    }
}
