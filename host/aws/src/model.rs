//! Models on Bedrock: completions by `ConverseStream`, vectors by Titan or Cohere.
//!
//! Agents use the operator's names; which model of Bedrock stands behind a name is nobody else's concern and appears in no
//! answer. Nothing of what is asked and answered is kept or logged, and nothing is tried again: the client of Bedrock is the one
//! whose requests the SDK does not repeat.

mod answer;
mod embedder;
mod request;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::embed::{Embedder, check_texts};
use stuga_core::model::{
    Answering, Completion, Embeddings, Model, NoWrite, Request, Silence, check_request,
};
use stuga_core::{CallCtx, Capability, Error, Result, WriteId};
use tokio::time::{Instant, timeout_at};

use crate::Shared;
use crate::call::call_until;
use crate::config::ModelConfig;
use crate::error::deadline_passed;
use answer::{Events, explain};

pub use embedder::BedrockEmbedder;

/// Bytes that a model at least reads in a second before it says anything: some thousand tokens. Whoever waits gives up a cloud of
/// which nothing is heard ([`stuga_core::pulse`]); one that reads a long conversation is at work.
const READ_PER_SECOND: u64 = 16 << 10;

/// How long a model may read `bytes` in silence.
fn reading(bytes: usize) -> Duration {
    Duration::from_millis((bytes as u64).saturating_mul(1_000) / READ_PER_SECOND)
}

/// Models for all tenants on Bedrock.
pub(crate) struct BedrockModel {
    shared: Arc<Shared>,
    config: ModelConfig,
    embedder: Arc<dyn Embedder>,
}

impl BedrockModel {
    pub(crate) fn new(
        shared: Arc<Shared>,
        config: ModelConfig,
        embedder: Arc<dyn Embedder>,
    ) -> Self {
        Self {
            shared,
            config,
            embedder,
        }
    }

    /// The operator's name and Bedrock's id of the model to ask.
    fn choose<'a>(
        &'a self,
        operation: &'static str,
        wanted: Option<&'a str>,
    ) -> Result<(&'a str, &'a str)> {
        let name = wanted.unwrap_or(&self.config.name);
        let Some((name, id)) = self.config.models.get_key_value(name) else {
            let allowed: Vec<&str> = self.config.models.keys().map(String::as_str).collect();
            let allowed = allowed.join(", ");
            return Err(Error::invalid(
                operation,
                format!("the model {name:?} is not allowed here; choose {allowed}, or none"),
            ));
        };
        Ok((name, id))
    }
}

#[async_trait]
impl Capability for BedrockModel {
    type Write = NoWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &NoWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Model for BedrockModel {
    /// `ConverseStream`. A seed is not passed on: Bedrock has no such parameter for all models. JSON is asked for by a schema,
    /// which models that know no structured output refuse.
    async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        const OPERATION: &str = "model.complete";
        check_request(OPERATION, request)?;
        let (name, id) = self.choose(OPERATION, request.options.model.as_deref())?;
        let place = self.shared.model_limits.admit(OPERATION, &ctx.tenant)?;
        let clients = self.shared.clients(ctx);
        let prepared = request::Prepared::of(OPERATION, request)?;
        let send = prepared.send(clients.bedrock(), id);
        let prompt_bytes = request.messages.iter().map(|m| m.content.len()).sum();
        let silence = Silence::new(ctx.deadline, self.config.timeout);
        ctx.pulse.excuse(reading(prompt_bytes));
        let begun = call_until(silence.until(), OPERATION, send).await;
        let begun = begun.map_err(|error| explain(silence, OPERATION, error))?;
        ctx.pulse.beat();
        let events = Events {
            stream: begun.stream,
            patience: self.config.timeout,
        };
        let answering = Answering::new(events, name, place, prompt_bytes);
        Ok(Box::new(answering))
    }

    /// As the host's embedder makes them.
    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings> {
        const OPERATION: &str = "model.embed";
        check_texts(OPERATION, texts)?;
        if Instant::now() >= ctx.deadline {
            return Err(deadline_passed(OPERATION));
        }
        let bytes = texts.iter().map(|text| text.len()).sum();
        ctx.pulse.excuse(reading(bytes));
        let vectors = timeout_at(ctx.deadline, self.embedder.embed(texts))
            .await
            .map_err(|_| deadline_passed(OPERATION))??;
        Ok(Embeddings {
            model: self.embedder.model().to_owned(),
            dimension: self.embedder.dimension(),
            vectors,
        })
    }
}
