//! Runs jobs: when a scenario says so, and while the agent waits for one. One after the other, so that the same scenario
//! has the same bytes; chance is left out of the waits between attempts, which are the longest that a policy allows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stuga_core::jobs::queue::{Claimed, JobQueue, Outcome, invocation_of};
use stuga_core::lease::{Failure, Lease, LeaseToken};
use stuga_core::{
    AgentName, CallCtx, Clock, Error, ErrorKind, RequestId, Result, TenantId, Timestamp,
};
use stuga_runtime::{Agent, InvokeError, JobRun};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::clock::ScenarioClock;
use crate::mock::DEADLINE;
use crate::report::{Ended, Ran};
use crate::run::ended;
use crate::watch::watched;

/// Longest run of an attempt that does not ask for less: a tenant's own default.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(300);
/// Longer than any attempt: nothing is lost here.
const LEASE: Duration = Duration::from_secs(48 * 3_600);
/// Makes each wait between attempts the longest that the policy allows.
const ROLL: u64 = u64::MAX;
/// How long an attempt waits that found no instance, as on a host.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// Most attempts in one call or step: what makes jobs forever is stopped.
const ATTEMPTS_MAX: usize = 1_000;

/// What came of a look for a job that is due.
pub(crate) enum Turned {
    /// One ran.
    Ran,
    /// None is due; when there may be one.
    Idle(Option<Timestamp>),
}

/// Runs the jobs of the agent under test.
pub(crate) struct Runner {
    pub(crate) agent: Arc<Agent>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) tenant: TenantId,
    pub(crate) name: AgentName,
    pub(crate) clock: Arc<ScenarioClock>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) leases: AtomicU64,
    pub(crate) ran: Mutex<Vec<Ran>>,
}

impl Runner {
    /// Runs the job that is due first.
    ///
    /// # Errors
    /// When the queue fails, and `QuotaExceeded` when more ran in this call or step than makes sense.
    pub(crate) async fn turn(&self) -> Result<Turned> {
        if self.lock().len() >= ATTEMPTS_MAX {
            return Err(Error::quota_exceeded(
                "jobs.run",
                format!("more than {ATTEMPTS_MAX} attempts of jobs ran; do they make each other?"),
            ));
        }
        let lease = Lease {
            token: LeaseToken::from_uuid(Uuid::from_u128(u128::from(
                self.leases.fetch_add(1, Ordering::Relaxed),
            ))),
            time: LEASE,
        };
        let agents = std::slice::from_ref(&self.name);
        let leases = [lease];
        let claims = self.queue.claim(&self.tenant, agents, &leases, ROLL);
        let claims = claims.await?;
        let Some(job) = claims.jobs.into_iter().next() else {
            return Ok(Turned::Idle(claims.next_at));
        };
        let outcome = self.attempt(job).await;
        let settled = self.queue.settle(&self.tenant, &lease.token, outcome);
        settled.await?;
        Ok(Turned::Ran)
    }

    /// Runs what is due until `span` has passed, each job when its time comes, and lets that time pass.
    ///
    /// # Errors
    /// As [`Runner::turn`].
    pub(crate) async fn run_for(&self, span: Duration) -> Result<()> {
        let end = self.clock.now().saturating_add(span);
        loop {
            match self.turn().await? {
                Turned::Ran => {}
                Turned::Idle(Some(at)) if at > self.clock.now() && at <= end => {
                    self.clock.advance(at.since(self.clock.now()));
                }
                Turned::Idle(_) => break,
            }
        }
        self.clock.advance(end.since(self.clock.now()));
        Ok(())
    }

    /// The attempts that ended since they were taken last.
    pub(crate) fn take(&self) -> Vec<Ran> {
        std::mem::take(&mut *self.lock())
    }

    /// A moment of the scenario as the executor counts time.
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        Instant::now() + at.since(self.clock.now())
    }

    async fn attempt(&self, job: Claimed) -> Outcome {
        let longest = self.deadline.unwrap_or(ATTEMPT_DEADLINE);
        let time = job.deadline.map_or(longest, |asked| asked.min(longest));
        let invocation = invocation_of(&self.tenant, &self.name, &job.id, job.attempt);
        let ctx = Arc::new(CallCtx::new(
            self.tenant.clone(),
            self.name.clone(),
            invocation,
            RequestId::from_uuid(*invocation.as_uuid()),
            job.began_at,
            Instant::now() + time,
        ));
        let run = JobRun {
            id: job.id.clone(),
            kind: job.kind.clone(),
            input: job.input,
            attempt: job.attempt,
        };
        let running = self.agent.run_job(Arc::clone(&ctx), run);
        let reply = watched(time.min(DEADLINE), time, running).await;
        let (outcome, how) = match reply {
            Ok(reply) => {
                let output = serde_json::from_str(&reply.output).unwrap_or_default();
                (Outcome::Succeeded(reply.output), Ended::Output(output))
            }
            Err(InvokeError::Busy { .. }) => {
                sleep(BUSY_PAUSE).await;
                return Outcome::Released;
            }
            Err(error) => {
                let roll = ROLL;
                let failure = failure(&error);
                (Outcome::Failed { failure, roll }, ended(error))
            }
        };
        self.lock().push(Ran {
            job: job.id,
            kind: job.kind,
            attempt: job.attempt,
            ended: how,
            receipt: ctx.receipt.snapshot(),
        });
        outcome
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Ran>> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an attempt did not succeed, as a host's runner keeps it with the job.
fn failure(error: &InvokeError) -> Failure {
    match error {
        InvokeError::Agent(error) => {
            let failure = Failure::new(error.kind(), error.message());
            match error.kind() {
                // The same input is refused again.
                ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound => failure.finally(),
                _ => failure,
            }
        }
        InvokeError::Deadline => Failure::new(
            ErrorKind::Timeout,
            "the attempt was stopped at its deadline",
        ),
        InvokeError::Trapped { .. } => {
            Failure::new(ErrorKind::Internal, "the agent stopped abnormally")
        }
        other => Failure::new(ErrorKind::Internal, other.to_string()),
    }
}
