//! One call of an agent, whoever makes it: the API, a stream or a command.

use std::sync::Arc;

use stuga_core::a2a::Incoming;
use stuga_core::tape::Tape;
use stuga_core::{CallCtx, ErrorKind, InvocationId, Receipt, RequestId, Timestamp};
use stuga_runtime::{InvokeError, Request};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::announce::Limit;
use super::recordings::Recorded;
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
    /// Whether it may run again under its id, as one with an `Idempotency-Key` may.
    pub repeatable: bool,
    /// The message that is answered; none when a client calls.
    pub message: Option<Incoming>,
    /// When the caller stops waiting, if that is earlier than the tenant's limit.
    pub deadline: Option<Instant>,
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
        self.skills
            .check(skill, input)
            .map_err(|error| Failure::of_input(skill, error))
    }
}

impl Host {
    /// Makes a call and counts how it ended. Dropping the future stops the agent.
    ///
    /// # Errors
    /// `Invoke` with how the call ended instead.
    pub async fn invoke(&self, call: Call) -> Result<Completed, Failure> {
        // All fields at once: adding one to a span later formats the others again.
        let span = tracing::info_span!(
            "invocation",
            request = %call.request,
            tenant = %call.tenant.id(),
            agent = %call.agent.name(),
            invocation = %call.invocation,
        );
        self.run(call).instrument(span).await
    }

    async fn run(&self, call: Call) -> Result<Completed, Failure> {
        let begun = Instant::now();
        let recorded = Recorded::begin(&call);
        let limit = begun + call.agent.made_of.limits.deadline;
        let ctx = CallCtx::new(
            call.tenant.id().clone(),
            call.agent.name().clone(),
            call.invocation,
            call.request,
            call.accepted_at,
            call.deadline.map_or(limit, |deadline| deadline.min(limit)),
        );
        let tape = recorded
            .as_ref()
            .map(|recorded| Arc::clone(&recorded.recorder));
        let tape = tape.map(|recorder| recorder as Arc<dyn Tape>);
        let ctx = ctx.answering(call.message).taped(tape);
        let ctx = Arc::new(if call.repeatable { ctx } else { ctx.once() });
        let mut ended = Ended {
            host: self,
            ctx: Arc::clone(&ctx),
            begun,
            outcome: Outcome::Cancelled,
        };
        let request = Request {
            skill: call.skill,
            input: call.input,
            session: call.session,
        };
        let agent = &call.agent.agent;
        let result = agent.invoke(ctx, request, call.parts).await;
        ended.outcome = outcome(&result);
        if let Some(recorded) = recorded {
            recorded.end(&result);
        }
        if let Err(error) = &result {
            log(error, ended.outcome);
            if matches!(error, InvokeError::Agent(error) if error.kind() == ErrorKind::QuotaExceeded)
            {
                self.limited(&ended.ctx.tenant, Limit::Quota, Some(&ended.ctx.agent));
            }
        }
        let reply = result?;
        Ok(Completed {
            output: reply.output,
            receipt: reply.receipt,
        })
    }
}

/// Counts an invocation when it is dropped, so that one whose client went away is counted, too. Nothing of it runs then.
struct Ended<'h> {
    host: &'h Host,
    ctx: Arc<CallCtx>,
    begun: Instant,
    outcome: Outcome,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let host = self.host;
        host.metrics.invocation(self.outcome, self.begun.elapsed());
        if !self.ctx.repeatable && self.ctx.has_written() {
            let invocations = host.backends.invocations();
            invocations.forget(&self.ctx.tenant, self.ctx.invocation);
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
fn log(error: &InvokeError, outcome: Outcome) {
    let outcome = outcome.as_str();
    match error {
        InvokeError::Agent(error) => {
            tracing::info!(
                outcome,
                kind = error.kind().as_str(),
                error = error.message(),
                "invocation refused by the agent"
            );
        }
        InvokeError::Internal(error) => {
            tracing::error!(outcome, %error, causes = error.causes(), "invocation failed");
        }
        error => tracing::warn!(outcome, %error, "invocation failed"),
    }
}
