//! The operations of models.

use async_trait::async_trait;
use stuga_core::model::{Completion, Embeddings, Model, NoWrite, Request};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;

#[async_trait]
impl Capability for Cloud<dyn Model> {
    type Write = NoWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &NoWrite) -> Result<()> {
        self.make(ctx, id, write).await
    }
}

#[async_trait]
impl Model for Cloud<dyn Model> {
    async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        self.up("model.start")?.start(ctx, request).await
    }

    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings> {
        self.up("model.embed")?.embed(ctx, texts).await
    }
}
