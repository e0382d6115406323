//! One call of an agent, whoever makes it: the API, a stream or a command.

use std::sync::Arc;

use stuga_core::{CallCtx, InvocationId, Receipt, RequestId, Timestamp};
use stuga_runtime::{InvokeError, Request};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Failure, Host, RunningAgent, RunningTenant};
use crate::metrics::Outcome;

/// A call that may be made: its input was checked with [`RunningAgent::check`].
pub struct Call {
    /// In whose name.
    pub tenant: Arc<RunningTenant>,
    /// Which agent.
    pub agent: Arc<RunningAgent>,
    /// Which of its skills.
    pub skill: String,
    /// JSON text.
    pub input: String,
    /// Groups calls, as the caller names it.
    pub session: Option<String>,
    /// The request as it stands in logs.
    pub request: RequestId,
    /// Which invocation this is.
    pub invocation: InvocationId,
    /// When it was first accepted.
    pub accepted_at: Timestamp,
    /// Gets what the agent emits while it runs.
    pub parts: Option<mpsc::Sender<String>>,
}

/// What a call answered.
#[derive(Debug)]
pub struct Completed {
    /// JSON text.
    pub output: String,
    /// How the answer was made.
    pub receipt: Receipt,
}

/// A new invocation id. It is unique and grows with time.
pub(crate) fn new_invocation() -> InvocationId {
    InvocationId::from_uuid(Uuid::now_v7())
}

impl RunningTenant {
    /// The agent of that name.
    ///
    /// # Errors
    /// `UnknownAgent` with what there is, `NotReady` when it should be there and could not be readied.
    pub fn agent(&self, name: &str) -> Result<&Arc<RunningAgent>, Failure> {
        let found = self.agents.iter().find(|(known, _)| known.as_str() == name);
        found.map(|(_, agent)| agent).ok_or_else(|| {
            if self.failed.keys().any(|failed| failed.as_str() == name) {
                return Failure::NotReady {
                    agent: name.to_owned(),
                };
            }
            Failure::UnknownAgent {
                asked: name.to_owned(),
                known: self.agents.keys().map(ToString::to_string).collect(),
            }
        })
    }
}

impl RunningAgent {
    /// Checks that the skill exists and the input fits its schema.
    ///
    /// # Errors
    /// `UnknownSkill`, `Unreadable` or `Misfits`.
    pub fn check(&self, skill: &str, input: &str) -> Result<(), Failure> {
        self.skills.check(skill, input)
    }
}

impl Host {
    /// Makes a call and counts how it ended. Dropping the future stops the agent.
    ///
    /// # Errors
    /// `Invoke` with how the call ended instead.
    pub async fn invoke(&self, call: Call) -> Result<Completed, Failure> {
        let begun = Instant::now();
        let ctx = CallCtx::new(
            call.tenant.id().clone(),
            call.agent.name().clone(),
            call.invocation,
            call.request,
            call.accepted_at,
            begun + call.agent.made_of.limits.deadline,
        );
        let request = Request {
            skill: call.skill,
            input: call.input,
            session: call.session,
        };
        let result = call
            .agent
            .agent
            .invoke(Arc::new(ctx), request, call.parts)
            .await;
        let took = begun.elapsed();
        let outcome = outcome(&result);
        self.metrics.invocation(outcome, took);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match result {
            Ok(reply) => {
                tracing::debug!(took_us, "invocation answered");
                Ok(Completed {
                    output: reply.output,
                    receipt: reply.receipt,
                })
            }
            Err(error) => {
                log(&error, outcome, took_us);
                Err(error.into())
            }
        }
    }
}

fn outcome<T>(result: &Result<T, InvokeError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(InvokeError::Agent(_)) => Outcome::AgentError,
        Err(InvokeError::Trapped { .. }) => Outcome::Trapped,
        Err(InvokeError::Deadline) => Outcome::Deadline,
        Err(InvokeError::Busy { .. }) => Outcome::Busy,
        Err(InvokeError::TooLarge { .. } | InvokeError::NotJson { .. }) => Outcome::BadAnswer,
        Err(InvokeError::Internal(_)) => Outcome::Internal,
    }
}

/// The one line that an invocation without an answer leaves in the log, with what clients are not told.
fn log(error: &InvokeError, outcome: Outcome, took_us: u64) {
    let outcome = outcome.as_str();
    match error {
        InvokeError::Agent(error) => {
            tracing::info!(
                outcome,
                took_us,
                kind = error.kind().as_str(),
                error = error.message(),
                "invocation refused by the agent"
            );
        }
        InvokeError::Internal(error) => {
            tracing::error!(outcome, took_us, %error, causes = error.causes(), "invocation failed");
        }
        error => tracing::warn!(outcome, took_us, %error, "invocation failed"),
    }
}
