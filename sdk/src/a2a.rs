//! Messages to other agents: a skill of another agent, sent for its answer or posted into its mailbox.
//!
//! An agent of the same tenant is addressed `agent`, one of another tenant `tenant/agent`; between tenants the files of
//! both must allow it. The other agent finds the sender in its [`Context::origin`](crate::Context::origin).
//! Wants [`Capability::A2a`](crate::Capability::A2a).
//!
//! ```
//! use serde_json::{Value, json};
//! use stuga_sdk::{a2a, mock};
//!
//! # let host = mock::Host::new().answers("translator", |_, input| {
//! #     Ok(json!({"text": format!("{} (sv)", input["text"].as_str().unwrap_or(""))}))
//! # });
//! # host.run(|| -> stuga_sdk::Result<()> {
//! let answer: Value = a2a::send("translator", "translate", &json!({"text": "hello"}))?;
//! # assert_eq!(answer["text"], "hello (sv)");
//! let id = a2a::post("archivist", "file", &json!({"text": "hello"}))?;
//! # assert!(!id.is_empty());
//! # Ok(())
//! # }).unwrap();
//! # assert_eq!(host.posts()[0].to, "archivist");
//! ```

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::a2a as backend;
use crate::{Error, Result};

/// What goes with a message beside its input.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    pub(crate) session: Option<String>,
    pub(crate) deadline: Option<Duration>,
}

impl Options {
    /// No session; waiting as long as the invocation has left.
    pub fn new() -> Self {
        Self::default()
    }

    /// Groups invocations that belong together; at most 256 bytes.
    #[must_use]
    pub fn session(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// Waits at most that long for an answer. A message that is posted has nobody waiting.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// A message as it goes to the host.
pub(crate) struct Message<'m> {
    pub(crate) to: &'m str,
    pub(crate) skill: &'m str,
    pub(crate) input: String,
    pub(crate) session: Option<&'m str>,
}

/// Has another agent run a skill and waits for its output.
///
/// Its errors come back as they are. `NotFound` and `Invalid` also say that there is no such agent or skill or that the
/// input does not fit; `Denied` that tenants do not allow it; `Unavailable` that the agent is not running; `RateLimited`
/// that it has too much to do; `Timeout` that no answer came in time; `QuotaExceeded` that the message is over 16 deep.
pub fn send<I, O>(to: &str, skill: &str, input: &I) -> Result<O>
where
    I: Serialize + ?Sized,
    O: DeserializeOwned,
{
    send_with(to, skill, input, &Options::new())
}

/// As [`send`], with a session or a deadline.
pub fn send_with<I, O>(to: &str, skill: &str, input: &I, options: &Options) -> Result<O>
where
    I: Serialize + ?Sized,
    O: DeserializeOwned,
{
    let message = message(to, skill, input, options)?;
    let output = backend::send(&message, options.deadline)?;
    serde_json::from_str(&output).map_err(|e| {
        Error::invalid(format!(
            "the answer of `{to}` to `{skill}` is not what was expected: {e}"
        ))
    })
}

/// Puts a message into another agent's mailbox and returns its id; the agent need not be running. Durable.
///
/// Messages to one agent are taken in the order in which they were posted, each at least once; one that fails is tried
/// again for about a quarter of an hour. At most 256 KiB of input. `QuotaExceeded` when the mailbox is full.
pub fn post<I: Serialize + ?Sized>(to: &str, skill: &str, input: &I) -> Result<String> {
    post_with(to, skill, input, &Options::new())
}

/// As [`post`], with a session.
pub fn post_with<I: Serialize + ?Sized>(
    to: &str,
    skill: &str,
    input: &I,
    options: &Options,
) -> Result<String> {
    backend::post(&message(to, skill, input, options)?)
}

fn message<'m, I: Serialize + ?Sized>(
    to: &'m str,
    skill: &'m str,
    input: &I,
    options: &'m Options,
) -> Result<Message<'m>> {
    let input = serde_json::to_string(input)
        .map_err(|e| Error::invalid(format!("the message's input is no JSON: {e}")))?;
    Ok(Message {
        to,
        skill,
        input,
        session: options.session.as_deref(),
    })
}
