//! Models: completions by an endpoint that speaks the OpenAI protocol (llama.cpp, Ollama, …), vectors by the host's embedder.
//!
//! Without an endpoint a completion is `Unavailable` and says which setting is missing. Nothing of what is asked and answered
//! is kept or logged, and nothing is tried again here.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::embed::{Embedder, HashedEmbedder, check_texts};
use stuga_core::model::{
    Answering, Completion, Embeddings, LimitTable, Model, NoWrite, Request, check_request,
};
use stuga_core::{CallCtx, Capability, Error, Result, WriteId};

use crate::tenant::within;

mod embedder;
mod endpoint;
mod failure;
mod sse;
mod stream;
mod wire;

pub use embedder::EndpointEmbedder;
pub use endpoint::{EndpointConfig, check_endpoint_url};
pub use stuga_core::model::ModelLimits;

use endpoint::Endpoint;
use stream::Chunks;

/// Which models a host has.
#[derive(Clone)]
pub struct Models {
    /// What completes conversations; none when nothing does.
    pub endpoint: Option<EndpointConfig>,
    /// What makes vectors of texts, for agents, recall and search alike.
    pub embedder: Arc<dyn Embedder>,
}

impl Default for Models {
    /// No endpoint, and the built-in embedder.
    fn default() -> Self {
        Self {
            endpoint: None,
            embedder: Arc::new(HashedEmbedder),
        }
    }
}

/// Models for all tenants on this host.
pub(crate) struct LocalModel {
    endpoint: Option<Endpoint>,
    embedder: Arc<dyn Embedder>,
    limits: Arc<LimitTable>,
}

impl LocalModel {
    /// # Errors
    /// `Invalid` when the endpoint's configuration is wrong.
    pub(crate) fn new(models: &Models, limits: Arc<LimitTable>) -> Result<Self> {
        Ok(Self {
            endpoint: models.endpoint.as_ref().map(Endpoint::new).transpose()?,
            embedder: Arc::clone(&models.embedder),
            limits,
        })
    }
}

#[async_trait]
impl Capability for LocalModel {
    type Write = NoWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &NoWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Model for LocalModel {
    async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        const OPERATION: &str = "model.complete";
        check_request(OPERATION, request)?;
        let Some(endpoint) = &self.endpoint else {
            return Err(Error::unavailable(
                OPERATION,
                "the host has no model; the operator sets `model.endpoint` in stuga.yaml",
            )
            .with_context("setting", "model.endpoint"));
        };
        let name = endpoint.choose(OPERATION, request.options.model.as_deref())?;
        let place = self.limits.admit(OPERATION, &ctx.tenant)?;
        let body = wire::ChatBody::of(OPERATION, name, request)?;
        let response = endpoint
            .send(OPERATION, "chat/completions", &body, ctx.deadline)
            .await?;
        let prompt_bytes = request.messages.iter().map(|m| m.content.len()).sum();
        let chunks = Chunks::new(response, endpoint.patience());
        let answering = Answering::new(chunks, name, place, prompt_bytes);
        Ok(Box::new(answering))
    }

    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings> {
        const OPERATION: &str = "model.embed";
        check_texts(OPERATION, texts)?;
        let vectors = within(ctx, OPERATION, self.embedder.embed(texts)).await?;
        Ok(Embeddings {
            model: self.embedder.model().to_owned(),
            dimension: self.embedder.dimension(),
            vectors,
        })
    }
}
