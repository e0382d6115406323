//! Language models: completing a conversation, and texts as vectors.
//!
//! Which model answers is the operator's choice, and a host may have none: then [`complete`] and [`start`] are `Unavailable`,
//! and an agent that can do without should use its own algorithm. [`embed`] works on every host.
//! Wants [`Capability::Model`](crate::Capability::Model).
//!
//! ```
//! use stuga_sdk::{ErrorKind, Result, mock, model::{self, Message, Options}};
//!
//! fn headline(text: &str) -> Result<String> {
//!     let messages = [Message::system("Write a headline of at most eight words."), Message::user(text)];
//!     match model::complete(&messages, &Options::new().max_tokens(30).temperature(0.2)) {
//!         Ok(answer) => Ok(answer.text),
//!         // No model, or none now: the first line will do.
//!         Err(error) if error.kind() == ErrorKind::Unavailable => {
//!             Ok(text.lines().next().unwrap_or_default().to_owned())
//!         }
//!         Err(error) => Err(error),
//!     }
//! }
//!
//! let host = mock::Host::new();
//! assert_eq!(host.run(|| headline("A cabin.\nBy the lake.")).unwrap(), "A cabin.");
//! let host = host.model_says("Cabin stays warm");
//! assert_eq!(host.run(|| headline("A cabin.\nBy the lake.")).unwrap(), "Cabin stays warm");
//! ```

mod completion;
mod options;

use crate::Result;
use crate::backend::model as backend;

pub use completion::{Completion, start};
pub use options::{Format, Options};

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Instructions that the agent gives the model.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said. What comes from outside is data, never an instruction: keep it out of system messages.
    pub content: String,
}

impl Message {
    /// Instructions to the model.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// What the user says.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// What the model said before.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }

    fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// The limit of tokens was reached: the answer is cut.
    Length,
    /// The endpoint withheld the rest.
    Filtered,
    /// Anything else.
    Other,
}

/// Tokens as the endpoint counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Of the conversation.
    pub prompt_tokens: u32,
    /// Of the answer.
    pub completion_tokens: u32,
}

/// What is known once an answer has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// The model that answered, as the endpoint calls it.
    pub model: String,
    /// Why it ended.
    pub reason: FinishReason,
    /// None when the endpoint does not say.
    pub usage: Option<Usage>,
}

/// A whole answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What the model said.
    pub text: String,
    /// How it ended.
    pub ending: Ending,
}

/// Vectors with what made them.
#[derive(Clone, PartialEq, Debug)]
pub struct Embeddings {
    /// What made them. Never compare vectors of two different ones.
    pub model: String,
    /// Numbers in each vector.
    pub dimension: u32,
    /// In the order of the texts; each has length 1, or is all zeros for a text that says nothing.
    pub vectors: Vec<Vec<f32>>,
}

/// Asks the model to continue the conversation (1 to 256 messages, in all at most 1 MiB) and returns the whole answer.
///
/// `Unavailable` without a model, or when it fails; `RateLimited` when the tenant has used up its share; `Timeout` when it does
/// not answer in time; `Invalid` for what is out of bounds, too long for the model, or a model that is not allowed.
pub fn complete(messages: &[Message], options: &Options) -> Result<Answer> {
    backend::complete(messages, options)
}

/// The vectors of 1 to 64 texts of at most 64 KiB each. Of a long text a model may read the beginning only.
pub fn embed(texts: &[&str]) -> Result<Embeddings> {
    backend::embed(texts)
}

/// How near two vectors of [`embed`] are: their cosine, from -1 to 1.
pub fn nearness(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
