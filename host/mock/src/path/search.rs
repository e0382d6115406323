//! The operations of search.

use async_trait::async_trait;
use stuga_core::search::{Answer, Document, IndexInfo, Query, Search, SearchAck, SearchWrite};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Path;

/// What faults may name. One change is its own operation, several at once are `search.bulk`.
pub(super) const OPERATIONS: &[&str] = &[
    "search.describe-index",
    "search.list-indices",
    "search.get",
    "search.query",
    "search.create-index",
    "search.drop-index",
    "search.put",
    "search.update",
    "search.delete",
    "search.bulk",
];

#[async_trait]
impl Capability for Path<dyn Search> {
    type Write = SearchWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SearchWrite) -> Result<SearchAck> {
        self.write(ctx, id, write).await
    }
}

#[async_trait]
impl Search for Path<dyn Search> {
    async fn describe(&self, ctx: &CallCtx, index: &str) -> Result<Option<IndexInfo>> {
        self.read(ctx, "search.describe-index", |search| async move {
            search.describe(ctx, index).await
        })
        .await
    }

    async fn indices(&self, ctx: &CallCtx) -> Result<Vec<IndexInfo>> {
        self.read(ctx, "search.list-indices", |search| async move {
            search.indices(ctx).await
        })
        .await
    }

    async fn get(&self, ctx: &CallCtx, index: &str, id: &str) -> Result<Option<Document>> {
        self.read(ctx, "search.get", |search| async move {
            search.get(ctx, index, id).await
        })
        .await
    }

    async fn query(&self, ctx: &CallCtx, index: &str, query: &Query) -> Result<Answer> {
        self.read(ctx, "search.query", |search| async move {
            search.query(ctx, index, query).await
        })
        .await
    }
}
