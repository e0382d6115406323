//! An embedder behind an endpoint that speaks the OpenAI protocol.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Response;
use stuga_core::embed::{DIMENSION_MAX, EMBEDDER_NAME_MAX_BYTES, Embedder, check_texts, normalise};
use stuga_core::model::Silence;
use stuga_core::{Error, Result};
use tokio::time::{Instant, timeout_at};

use super::endpoint::{Endpoint, EndpointConfig, SETTING};
use super::failure;
use super::wire::{EmbeddingsAnswer, EmbeddingsBody};

const OPERATION: &str = "embed";
/// What a number of a vector takes in an answer at most, in bytes.
const NUMBER_MAX_BYTES: usize = 32;
/// What an answer may have besides its numbers, in bytes.
const FRAME_MAX_BYTES: usize = 64 << 10;
/// Longest whole answer, whatever the caller's deadline is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// A model behind an endpoint.
pub struct EndpointEmbedder {
    endpoint: Endpoint,
    name: String,
    label: String,
    dimension: usize,
}

impl EndpointEmbedder {
    /// An embedder that asks `config` for its model `config.name`, whose vectors have `dimension` numbers.
    ///
    /// # Errors
    /// `Invalid` when the endpoint's configuration is wrong, the name too long or the dimension out of bounds.
    pub fn new(config: &EndpointConfig, dimension: usize) -> Result<Self> {
        const OPERATION: &str = "model.open";
        let label = format!("endpoint/{}", config.name);
        if label.len() > EMBEDDER_NAME_MAX_BYTES {
            return Err(Error::invalid(
                OPERATION,
                "the name of the embedding model is too long",
            ));
        }
        if !(1..=DIMENSION_MAX).contains(&dimension) {
            return Err(Error::invalid(
                OPERATION,
                format!("the dimension {dimension} is not between 1 and {DIMENSION_MAX}"),
            ));
        }
        Ok(Self {
            endpoint: Endpoint::new(config)?,
            name: config.name.clone(),
            label,
            dimension,
        })
    }

    /// Reads an answer of bounded size.
    async fn read(
        &self,
        mut response: Response,
        texts: usize,
        deadline: Instant,
    ) -> Result<Vec<u8>> {
        let limit = texts
            .saturating_mul(self.dimension)
            .saturating_mul(NUMBER_MAX_BYTES)
            .saturating_add(FRAME_MAX_BYTES);
        let mut body = Vec::new();
        loop {
            let silence = Silence::new(deadline, self.endpoint.patience());
            let part = timeout_at(silence.until(), response.chunk())
                .await
                .map_err(|_| silence.missed(OPERATION, SETTING))?
                .map_err(|e| failure::of_transport(OPERATION, e))?;
            let Some(part) = part else {
                return Ok(body);
            };
            if body.len().saturating_add(part.len()) > limit {
                return Err(failure::malformed(OPERATION, "the answer is too large"));
            }
            body.extend_from_slice(&part);
        }
    }

    fn vectors(&self, body: &[u8], texts: usize) -> Result<Vec<Vec<f32>>> {
        let answer: EmbeddingsAnswer = serde_json::from_slice(body)
            .map_err(|e| failure::malformed(OPERATION, format!("the answer is no vectors: {e}")))?;
        let mut vectors = vec![Vec::new(); texts];
        for embedding in answer.data {
            let length = embedding.embedding.len();
            if length != self.dimension {
                return Err(Error::unavailable(
                    OPERATION,
                    format!(
                        "the embedding model answers vectors of {length} numbers; the operator sets `model.embeddings.dimension` to {length} instead of {}",
                        self.dimension
                    ),
                ));
            }
            if let Some(vector) = vectors.get_mut(embedding.index) {
                *vector = embedding.embedding;
            }
        }
        for vector in &mut vectors {
            if vector.is_empty() {
                return Err(failure::malformed(OPERATION, "a text has no vector"));
            }
            normalise(OPERATION, vector)?;
        }
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for EndpointEmbedder {
    fn model(&self) -> &str {
        &self.label
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        check_texts(OPERATION, texts)?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        // Servers refuse an empty text, which has no meaning anyway.
        let spoken: Vec<&str> = texts
            .iter()
            .copied()
            .filter(|text| !text.is_empty())
            .collect();
        let mut made = if spoken.is_empty() {
            Vec::new()
        } else {
            let body = EmbeddingsBody {
                model: &self.name,
                input: &spoken,
                encoding_format: "float",
            };
            let sent = self.endpoint.send(OPERATION, "embeddings", &body, deadline);
            let body = self.read(sent.await?, spoken.len(), deadline).await?;
            self.vectors(&body, spoken.len())?
        }
        .into_iter();
        let vector = |text: &&str| match text.is_empty() {
            true => vec![0.0; self.dimension],
            false => made.next().unwrap_or_default(),
        };
        Ok(texts.iter().map(vector).collect())
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::ErrorKind;

    use super::*;

    fn embedder() -> EndpointEmbedder {
        let config = EndpointConfig {
            url: "http://127.0.0.1:1/v1".to_owned(),
            name: "m".to_owned(),
            also: Vec::new(),
            api_key: None,
            patience: Duration::from_secs(1),
        };
        EndpointEmbedder::new(&config, 2).unwrap()
    }

    #[test]
    fn vectors_are_put_in_order_and_brought_to_length_1() {
        let body = br#"{"data": [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}], "model": "x"}"#;
        let vectors = embedder().vectors(body, 2).unwrap();
        assert_eq!(vectors, [[0.6, 0.8], [0.0, 1.0]]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_an_outage_and_says_why() {
        for (body, word) in [
            (
                &br#"{"data": [{"index": 0, "embedding": [1, 2, 3]}]}"#[..],
                "dimension` to 3",
            ),
            (
                br#"{"data": [{"index": 7, "embedding": [1, 2]}]}"#,
                "protocol",
            ),
            (br#"{"data": []}"#, "protocol"),
            (br#"{"data": [{"index": 0, "embedding": [1e39, 2]}]}"#, ""),
            (b"<html>", "protocol"),
        ] {
            let refused = embedder().vectors(body, 1).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
            assert!(refused.message().contains(word), "{refused}");
        }
    }
}
