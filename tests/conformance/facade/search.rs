//! Search as a guest reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::search::{Answer, Document, IndexInfo, Query, Search, SearchAck, SearchWrite};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_resilience::Failover;

use super::write_as;

/// Search as a guest reaches it.
pub(crate) struct FacadeSearch(pub(crate) Failover<dyn Search>);

#[async_trait]
impl Capability for FacadeSearch {
    type Write = SearchWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SearchWrite) -> Result<SearchAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Search for FacadeSearch {
    async fn describe(&self, ctx: &CallCtx, index: &str) -> Result<Option<IndexInfo>> {
        let read = |search: Arc<dyn Search>| async move { search.describe(ctx, index).await };
        self.0.read(ctx, "search.describe-index", index, read).await
    }

    async fn indices(&self, ctx: &CallCtx) -> Result<Vec<IndexInfo>> {
        let read = |search: Arc<dyn Search>| async move { search.indices(ctx).await };
        self.0.read(ctx, "search.list-indices", &(), read).await
    }

    async fn get(&self, ctx: &CallCtx, index: &str, id: &str) -> Result<Option<Document>> {
        let read = |search: Arc<dyn Search>| async move { search.get(ctx, index, id).await };
        self.0.read(ctx, "search.get", &(index, id), read).await
    }

    async fn query(&self, ctx: &CallCtx, index: &str, query: &Query) -> Result<Answer> {
        let read = |search: Arc<dyn Search>| async move { search.query(ctx, index, query).await };
        self.0
            .read(ctx, "search.query", &(index, query), read)
            .await
    }
}
