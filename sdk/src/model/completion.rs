//! An answer piece by piece.

use super::{Ending, Message, Options, backend};
use crate::Result;

/// An answer that is being made: an iterator over its pieces. Dropped before its end, it stops the model.
///
/// It belongs to the invocation that began it: one that is kept in the agent for the next invocation is `Conflict` there.
///
/// ```
/// use stuga_sdk::{Result, mock, model::{self, Message, Options}, output};
///
/// fn stream(question: &str) -> Result<String> {
///     let mut answer = String::new();
///     for piece in model::start(&[Message::user(question)], &Options::new())? {
///         let piece = piece?;
///         output::emit(&piece)?;
///         answer.push_str(&piece);
///     }
///     Ok(answer)
/// }
///
/// let host = mock::Host::new().model_says("by the lake");
/// assert_eq!(host.run(|| stream("Where is the cabin?")).unwrap(), "by the lake");
/// assert_eq!(host.outputs().len(), 3);
/// ```
#[derive(Debug)]
pub struct Completion {
    handle: backend::Completion,
    over: bool,
}

/// Asks the model to continue the conversation and hands out its answer as it is made. Errors as [`complete`](super::complete).
///
/// An invocation has at most 4 open; one more is `QuotaExceeded`.
pub fn start(messages: &[Message], options: &Options) -> Result<Completion> {
    let handle = backend::Completion::start(messages, options)?;
    Ok(Completion {
        handle,
        over: false,
    })
}

impl Completion {
    /// How the answer ended; none before the iterator has come to its end.
    pub fn ending(&self) -> Option<Ending> {
        self.handle.ending()
    }
}

/// The pieces in their order, none of them empty. After an error it ends; what came before is a part of an answer.
impl Iterator for Completion {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let piece = self.handle.next().transpose();
        self.over = !matches!(piece, Some(Ok(_)));
        piece
    }
}
