//! The operations of search.

use async_trait::async_trait;
use stuga_core::search::{Answer, Document, IndexInfo, Query, Search, SearchAck, SearchWrite};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;

#[async_trait]
impl Capability for Cloud<dyn Search> {
    type Write = SearchWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SearchWrite) -> Result<SearchAck> {
        self.make(ctx, id, write).await
    }
}

#[async_trait]
impl Search for Cloud<dyn Search> {
    async fn describe(&self, ctx: &CallCtx, index: &str) -> Result<Option<IndexInfo>> {
        self.up("search.describe-index")?.describe(ctx, index).await
    }

    async fn indices(&self, ctx: &CallCtx) -> Result<Vec<IndexInfo>> {
        self.up("search.list-indices")?.indices(ctx).await
    }

    async fn get(&self, ctx: &CallCtx, index: &str, id: &str) -> Result<Option<Document>> {
        self.up("search.get")?.get(ctx, index, id).await
    }

    async fn query(&self, ctx: &CallCtx, index: &str, query: &Query) -> Result<Answer> {
        self.up("search.query")?.query(ctx, index, query).await
    }
}
