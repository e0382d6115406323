//! What an invocation asks of its host and what it is answered, in order.
//!
//! Everything that a guest can see of the world passes one of the places that call [`taped`]. While a [`Tape`] records, it
//! gets down what was asked and answered there; while it plays, it answers in the backends' place, so that the guest does
//! again what it did. Without a tape in the context nothing of this costs anything. What a tape does with what it gets,
//! and where it is kept, is not decided here.

use std::fmt;
use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::secrets::SecretValue;
use crate::{CallCtx, Error, Result};

/// Records one invocation, or plays one.
pub trait Tape: Send + Sync + fmt::Debug {
    /// A call of the host begins; `asked` is its arguments as JSON. Says who answers it.
    fn begin(&self, operation: &'static str, asked: String) -> Turn;

    /// What a call that [`Turn::Ask`] let through was answered, as JSON.
    fn end(&self, slot: usize, answer: Result<String, &Error>);

    /// The value of a secret is handed to the guest: it must stand nowhere.
    fn hide(&self, name: &str, value: &SecretValue);

    /// The guest emits a part of its answer, as JSON.
    fn part(&self, json: &str);

    /// The guest writes a line into its log; values of secrets are left out.
    fn line(&self, level: &'static str, message: &str, fields: &str);

    /// How much time the guest is told it has, when it really has `actual`.
    fn deadline_ms(&self, actual: u64) -> u64;

    /// What the guest's random numbers follow from, when the host itself would take `derived`.
    fn random_seed(&self, derived: [u8; 32]) -> [u8; 32];

    /// Whether the guest asked for something else than it did when it was recorded. Then it is stopped: nothing that it
    /// would do from here on means anything.
    fn differs(&self) -> bool;
}

/// Who answers a call.
#[derive(Debug)]
pub enum Turn {
    /// The backend, and the tape hears of it by [`Tape::end`] under this number.
    Ask(usize),
    /// The tape, with JSON.
    Answer(Result<String>),
    /// Nobody: when it was recorded, the invocation ended before the answer came.
    Silence,
}

/// Has `call` answer, or the tape of the context.
///
/// # Errors
/// What `call` or the tape answers; `Internal` when what is on the tape cannot be read.
pub async fn taped<A, T, Fut>(
    ctx: &CallCtx,
    operation: &'static str,
    asked: &A,
    call: impl FnOnce() -> Fut + Send,
) -> Result<T>
where
    A: Serialize + ?Sized + Sync,
    T: Serialize + DeserializeOwned + Send,
    Fut: Future<Output = Result<T>> + Send,
{
    let Some(tape) = &ctx.tape else {
        return call().await;
    };
    match tape.begin(operation, json(asked)) {
        Turn::Ask(slot) => {
            let result = call().await;
            tape.end(slot, result.as_ref().map(json));
            result
        }
        Turn::Answer(answer) => read(operation, answer),
        Turn::Silence => std::future::pending().await,
    }
}

/// As [`taped`], for what is answered at once.
///
/// # Errors
/// As [`taped`].
pub fn taped_now<A, T>(
    ctx: &CallCtx,
    operation: &'static str,
    asked: &A,
    call: impl FnOnce() -> Result<T>,
) -> Result<T>
where
    A: Serialize + ?Sized,
    T: Serialize + DeserializeOwned,
{
    let Some(tape) = &ctx.tape else {
        return call();
    };
    match tape.begin(operation, json(asked)) {
        Turn::Ask(slot) => {
            let result = call();
            tape.end(slot, result.as_ref().map(json));
            result
        }
        Turn::Answer(answer) => read(operation, answer),
        Turn::Silence => Err(unreadable(operation)),
    }
}

/// A value as JSON. What a capability is asked and answers is data, which is always JSON; `null` stands for what is not.
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// What a tape answered.
///
/// # Errors
/// The taped error, or `Internal` when the answer is not of this type.
pub fn read<T: DeserializeOwned>(operation: &'static str, answer: Result<String>) -> Result<T> {
    serde_json::from_str(&answer?).map_err(|error| unreadable(operation).with_source(error))
}

fn unreadable(operation: &'static str) -> Error {
    Error::internal(
        operation,
        "the recorded answer is not one that this host understands; record the invocation again",
    )
}
