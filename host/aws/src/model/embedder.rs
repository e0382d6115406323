//! Vectors by a model on Bedrock: Titan, which takes one text at a time, or Cohere, which takes many.
//!
//! One embedder serves the whole host, so its requests go with the host's own credentials.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_smithy_types::Blob;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use stuga_core::embed::{EMBEDDER_NAME_MAX_BYTES, Embedder, check_texts, normalise};
use stuga_core::{Error, Result};
use tokio::time::Instant;

use crate::Shared;
use crate::call::call_until;
use crate::config::EmbeddingConfig;

const OPERATION: &str = "embed";
/// Longest wait for one answer, whatever the caller's deadline is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests of one batch at the same time.
const REQUESTS_AT_ONCE: usize = 8;
/// What Titan reads of a text, in characters.
const TITAN_TEXT_MAX_CHARS: usize = 50_000;
/// What Cohere reads of a text, in characters.
const COHERE_TEXT_MAX_CHARS: usize = 2_048;
/// The first Titan, which knows one dimension and takes no other parameter.
const TITAN_FIRST: &str = "amazon.titan-embed-text-v1";

/// Whose request and answer it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Titan,
    Cohere,
}

/// An embedding model on Bedrock.
pub struct BedrockEmbedder {
    shared: Arc<Shared>,
    family: Family,
    model_id: String,
    label: String,
    dimension: usize,
}

impl BedrockEmbedder {
    /// # Errors
    /// `Invalid` when the model is of no family that is known here, or its name too long.
    pub(crate) fn new(shared: Arc<Shared>, config: &EmbeddingConfig) -> Result<Self> {
        let id = &config.model_id;
        let wrong = |what: &str| {
            Error::invalid(
                "aws.open",
                format!("`aws.model.embeddings.model_id` {what}"),
            )
            .with_context("setting", "aws.model.embeddings.model_id")
        };
        // An inference profile has the region's group before the id: `eu.cohere.embed-v4:0`.
        let family = if id.contains("amazon.titan-embed") {
            Family::Titan
        } else if id.contains("cohere.embed") {
            Family::Cohere
        } else {
            return Err(wrong("is neither amazon.titan-embed-… nor cohere.embed-…"));
        };
        let label = format!("bedrock/{id}/{}", config.dimension);
        if label.len() > EMBEDDER_NAME_MAX_BYTES {
            return Err(wrong("is too long"));
        }
        Ok(Self {
            shared,
            family,
            model_id: id.clone(),
            label,
            dimension: config.dimension,
        })
    }

    /// `InvokeModel`.
    async fn invoke(&self, body: Value) -> Result<Answer> {
        let send = self
            .shared
            .clients
            .host()
            .bedrock()
            .invoke_model()
            .model_id(&self.model_id)
            .content_type("application/json")
            .accept("application/json")
            .body(Blob::new(body.to_string()))
            .send();
        let answer = call_until(Instant::now() + ANSWER_TIMEOUT, OPERATION, send).await?;
        serde_json::from_slice(answer.body.as_ref()).map_err(|e| {
            Error::unavailable(OPERATION, "the embedding model answered no vectors").with_source(e)
        })
    }

    async fn titan(&self, text: String) -> Result<Vec<f32>> {
        let body = match self.model_id.ends_with(TITAN_FIRST) {
            true => json!({ "inputText": text }),
            false => json!({ "inputText": text, "dimensions": self.dimension, "normalize": true }),
        };
        match self.invoke(body).await? {
            Answer::Titan { embedding } => self.checked(embedding),
            _ => Err(self.astray()),
        }
    }

    async fn cohere(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let count = texts.len();
        let body = json!({
            "texts": texts,
            "input_type": "search_document",
            "embedding_types": ["float"],
            "truncate": "END",
        });
        let vectors = match self.invoke(body).await? {
            Answer::Cohere { embeddings } => embeddings,
            Answer::CohereTyped { embeddings } => embeddings.float,
            Answer::Titan { .. } => return Err(self.astray()),
        };
        if vectors.len() != count {
            return Err(self.astray());
        }
        vectors
            .into_iter()
            .map(|vector| self.checked(vector))
            .collect()
    }

    /// A vector of the right dimension and of length 1.
    fn checked(&self, mut vector: Vec<f32>) -> Result<Vec<f32>> {
        if vector.len() != self.dimension {
            return Err(self.astray());
        }
        normalise(OPERATION, &mut vector)?;
        Ok(vector)
    }

    fn astray(&self) -> Error {
        Error::unavailable(
            OPERATION,
            "the embedding model answers other vectors than configured; the operator checks `aws.model.embeddings`",
        )
    }
}

/// What the families answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Titan { embedding: Vec<f32> },
    Cohere { embeddings: Vec<Vec<f32>> },
    CohereTyped { embeddings: Typed },
}

#[derive(Deserialize)]
struct Typed {
    float: Vec<Vec<f32>>,
}

#[async_trait]
impl Embedder for BedrockEmbedder {
    fn model(&self) -> &str {
        &self.label
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    /// `InvokeModel`: once for a batch with Cohere, once for each text with Titan. What is only spaces is not sent: the models refuse
    /// it, and its vector is zeros.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        check_texts(OPERATION, texts)?;
        let chars = match self.family {
            Family::Titan => TITAN_TEXT_MAX_CHARS,
            Family::Cohere => COHERE_TEXT_MAX_CHARS,
        };
        let said = texts.iter().filter(|text| !text.trim().is_empty());
        let said: Vec<String> = said
            .map(|text| text.chars().take(chars).collect())
            .collect();
        let vectors = match self.family {
            _ if said.is_empty() => Vec::new(),
            Family::Cohere => self.cohere(said).await?,
            Family::Titan => {
                let requests = said.into_iter().map(|text| self.titan(text));
                let vectors = stream::iter(requests).buffered(REQUESTS_AT_ONCE);
                vectors.try_collect().await?
            }
        };
        let mut vectors = vectors.into_iter();
        let of = |text: &&str| match text.trim().is_empty() {
            true => Some(vec![0.0; self.dimension]),
            false => vectors.next(),
        };
        let all: Option<Vec<Vec<f32>>> = texts.iter().map(of).collect();
        all.ok_or_else(|| self.astray())
    }
}
