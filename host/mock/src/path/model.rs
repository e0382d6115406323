//! The operations of models.

use async_trait::async_trait;
use stuga_core::model::{Completion, Embeddings, Model, NoWrite, Request};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Path;

/// What faults may name. A completion in one piece begins like one in many.
pub(super) const OPERATIONS: &[&str] = &["model.start", "model.embed"];

#[async_trait]
impl Capability for Path<dyn Model> {
    type Write = NoWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &NoWrite) -> Result<()> {
        self.write(ctx, id, write).await
    }
}

#[async_trait]
impl Model for Path<dyn Model> {
    async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        self.read(ctx, "model.start", |model| async move {
            model.start(ctx, request).await
        })
        .await
    }

    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings> {
        self.read(ctx, "model.embed", |model| async move {
            model.embed(ctx, texts).await
        })
        .await
    }
}
