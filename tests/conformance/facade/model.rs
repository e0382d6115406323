//! Models as a guest reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::model::{Answer, Completion, Embeddings, Model, NoWrite, Request};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_resilience::Failover;

/// Models as a guest reaches them.
pub(crate) struct FacadeModel(pub(crate) Failover<dyn Model>);

#[async_trait]
impl Capability for FacadeModel {
    type Write = NoWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &NoWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Model for FacadeModel {
    async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        self.0.start(ctx, request).await
    }

    async fn complete(&self, ctx: &CallCtx, request: &Request) -> Result<Answer> {
        let complete = |model: Arc<dyn Model>| async move { model.complete(ctx, request).await };
        self.0.read(ctx, "model.complete", request, complete).await
    }

    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings> {
        let embed = |model: Arc<dyn Model>| async move { model.embed(ctx, texts).await };
        self.0.read(ctx, "model.embed", texts, embed).await
    }
}
