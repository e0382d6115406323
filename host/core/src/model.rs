//! Models: completing a conversation, and texts as vectors.
//!
//! Nothing is kept of what is asked and answered, so there are no writes: the capability goes through the facade by its
//! reads alone.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{CallCtx, Capability, CapabilityName, Error, Result, Write};

mod answering;
mod check;
mod limits;

pub use crate::embed::{EMBED_MAX_TEXTS, EMBED_TEXT_MAX_BYTES, check_texts};
pub use answering::{Answering, Piece, Pieces, Silence};
pub use check::check_request;
pub use limits::{LimitTable, ModelLimits, Place};

/// Most messages of a conversation.
pub const MESSAGES_MAX: usize = 256;
/// Most bytes of all messages together.
pub const PROMPT_MAX_BYTES: usize = 1 << 20;
/// Most tokens that can be asked for.
pub const MAX_TOKENS_MAX: u32 = 32_768;
/// Highest temperature.
pub const TEMPERATURE_MAX: f32 = 2.0;
/// Most stop texts.
pub const STOPS_MAX: usize = 4;
/// Longest stop text in bytes.
pub const STOP_MAX_BYTES: usize = 128;
/// Longest JSON Schema of an answer in bytes.
pub const SCHEMA_MAX_BYTES: usize = 32 << 10;
/// Longest name of a model in bytes.
pub const MODEL_NAME_MAX_BYTES: usize = 256;
/// Longest answer in bytes.
pub const ANSWER_MAX_BYTES: usize = 1 << 20;
/// Most completions that one invocation has open.
pub const COMPLETIONS_MAX_OPEN: usize = 4;

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions to the model.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// What an answer must look like.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Text.
    #[default]
    Text,
    /// A JSON object.
    Json,
    /// JSON that fits this JSON Schema, itself JSON text.
    JsonSchema(String),
}

/// How to answer.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Options {
    /// One of the names that the operator allows; none for the host's own choice.
    pub model: Option<String>,
    /// Most tokens of the answer, up to [`MAX_TOKENS_MAX`]; none for the model's own limit.
    pub max_tokens: Option<u32>,
    /// 0 to [`TEMPERATURE_MAX`]; none for the model's own.
    pub temperature: Option<f32>,
    /// Makes the same answer to the same request more likely.
    pub seed: Option<u32>,
    /// The answer ends before the first of them.
    pub stop: Vec<String>,
    /// What the answer must look like.
    pub format: Format,
}

/// What is asked of a model.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Request {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// How to answer.
    pub options: Options,
}

/// Why an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// A limit of tokens was reached: the answer is cut.
    Length,
    /// The endpoint withheld the rest.
    Filtered,
    /// Anything else.
    Other,
}

/// Tokens, as the endpoint counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Of the conversation.
    pub prompt_tokens: u32,
    /// Of the answer.
    pub completion_tokens: u32,
}

/// What is known once an answer has ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// The model that answered, as the endpoint calls it.
    pub model: String,
    /// Why it ended.
    pub reason: FinishReason,
    /// None when the endpoint does not say.
    pub usage: Option<Usage>,
}

/// A whole answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// What the model said.
    pub text: String,
    /// How it ended.
    pub ending: Ending,
}

/// Vectors with what made them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Embeddings {
    /// The embedder's name.
    pub model: String,
    /// Numbers in each vector.
    pub dimension: usize,
    /// In the order of the texts.
    pub vectors: Vec<Vec<f32>>,
}

/// A model has no writes. No value of this type exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NoWrite {}

impl Write for NoWrite {
    type Ack = ();
    const CAPABILITY: CapabilityName = CapabilityName::Model;

    fn key(&self) -> &str {
        match *self {}
    }

    fn operation(&self) -> &'static str {
        match *self {}
    }
}

/// An answer that is being made. Dropped before its end, it stops the model.
#[async_trait]
pub trait Completion: Send + Sync {
    /// The next piece, never empty, as soon as there is one; none once the answer has ended, and ever after.
    ///
    /// # Errors
    /// As [`Model::complete`], and `Unavailable` when all pieces together are over [`ANSWER_MAX_BYTES`]. After an error the
    /// completion is of no use and answers `Unavailable`.
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<String>>;

    /// How the answer ended; none before [`Completion::next`] has answered none.
    fn ending(&self) -> Option<&Ending>;
}

/// Models. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else. It keeps nothing of what is
/// asked and answered, and counts limits by `ctx.tenant`.
#[async_trait]
pub trait Model: Capability<Write = NoWrite> {
    /// Begins an answer and hands it out piece by piece.
    ///
    /// # Errors
    /// As [`Model::complete`]; what goes wrong after the beginning is answered by [`Completion::next`].
    async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>>;

    /// The whole answer.
    ///
    /// # Errors
    /// `Invalid` for a request out of bounds, a name that is not allowed, or what the endpoint refuses as such. `RateLimited`
    /// when the tenant's completions at once or its tokens per minute are used up, or the endpoint says so. `Unavailable` when
    /// no model is configured, naming the setting, and when the model cannot be reached or fails. `Timeout` when it does not
    /// answer within the deadline of `ctx` or the host's own patience. Nothing is tried again.
    async fn complete(&self, ctx: &CallCtx, request: &Request) -> Result<Answer> {
        let mut completion = self.start(ctx, request).await?;
        let mut text = String::new();
        while let Some(piece) = completion.next(ctx).await? {
            text.push_str(&piece);
        }
        let ending = completion.ending().cloned().ok_or_else(|| {
            Error::internal(
                "model.complete",
                "the backend did not say how the answer ended",
            )
        })?;
        Ok(Answer { text, ending })
    }

    /// The vectors of 1 to [`EMBED_MAX_TEXTS`] texts of at most [`EMBED_TEXT_MAX_BYTES`], as the host's
    /// [`Embedder`](crate::embed::Embedder) makes them.
    ///
    /// # Errors
    /// `Invalid` for a batch out of bounds; `RateLimited`, `Timeout` or `Unavailable` when the embedder cannot answer now.
    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings>;
}
