//! One attempt of a job: run, kept alive, told to the queue.

use std::sync::Arc;
use std::time::Duration;

use stuga_core::jobs::queue::{Claimed, JobQueue, Outcome, Settled, invocation_of};
use stuga_core::lease::{Held, Lease};
use stuga_core::retry::Next;
use stuga_core::{CallCtx, ErrorKind, RequestId};
use stuga_runtime::{InvokeError, JobRun, Reply};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::Instrument;

use super::ending::failure_of;
use super::{elsewhere, roll};
use crate::host::announce::Limit;
use crate::host::{Host, RunningTenant};
use crate::metrics::JobEnd;

/// Signs of life in the time of a lease.
const BEATS: u32 = 3;
/// Waits before the end of an attempt is told again, when the store does not take it.
const TELL_AGAIN_AFTER: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];
/// How long an attempt keeps its place that found no instance, before it is given back.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// An attempt that is to be run.
pub(super) struct Attempt {
    pub(super) host: Arc<Host>,
    pub(super) queue: Arc<dyn JobQueue>,
    pub(super) tenant: Arc<RunningTenant>,
    pub(super) job: Claimed,
    pub(super) lease: Duration,
    /// Changes when the job may have been cancelled.
    pub(super) changed: watch::Receiver<()>,
}

impl Attempt {
    /// Runs the attempt to its end, whatever that is.
    pub(super) async fn run(self) {
        let span = tracing::info_span!(
            "job",
            tenant = %self.tenant.id(),
            agent = %self.job.agent,
            job = self.job.id,
            kind = self.job.kind,
            attempt = self.job.attempt,
        );
        self.run_and_tell().instrument(span).await;
    }

    async fn run_and_tell(mut self) {
        let _running = self.host.metrics.job_begins();
        let Some(outcome) = self.outcome().await else {
            // Whoever cancelled it, or took it over, has said how it goes on.
            tracing::info!("the job was cancelled or is held by another; the attempt was stopped");
            self.host.metrics.job(JobEnd::Lost);
            return;
        };
        if matches!(&outcome, Outcome::Failed { failure, .. } if failure.kind == ErrorKind::QuotaExceeded)
        {
            self.host
                .limited(self.tenant.id(), Limit::Quota, Some(&self.job.agent));
        }
        let told = self.tell(outcome).await;
        let end = match told {
            Some(Settled::Succeeded) => JobEnd::Succeeded,
            Some(Settled::Failed(Next::Retry(_))) => JobEnd::Failed,
            Some(Settled::Failed(Next::GiveUp)) => JobEnd::Dead,
            Some(Settled::Released) => JobEnd::Released,
            Some(Settled::Lost) | None => JobEnd::Lost,
        };
        self.host.metrics.job(end);
        // Nothing repeats an attempt that has ended; but where one was lost, its holder may still write.
        if self.job.losses == 0 && matches!(end, JobEnd::Succeeded | JobEnd::Failed | JobEnd::Dead)
        {
            let (tenant, job) = (self.tenant.id(), &self.job);
            let invocation = invocation_of(tenant, &job.agent, &job.id, job.attempt);
            let invocations = self.host.backends.invocations();
            invocations.forget(tenant, invocation);
        }
    }

    /// Runs the agent with signs of life; none when the job is not this holder's any more.
    async fn outcome(&mut self) -> Option<Outcome> {
        let (host, queue) = (Arc::clone(&self.host), Arc::clone(&self.queue));
        let tenant = Arc::clone(&self.tenant);
        let lease = Lease {
            token: self.job.token,
            time: self.lease,
        };
        let run = self.agent();
        tokio::pin!(run);
        let beat = self.lease / BEATS;
        let mut beats = interval_at(Instant::now() + beat, beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sure_until = Instant::now() + self.lease;
        loop {
            tokio::select! {
                outcome = &mut run => return Some(outcome),
                () = host.stop.cancelled() => return Some(Outcome::Released),
                _ = beats.tick() => {}
                Ok(()) = self.changed.changed() => {}
            }
            let asked = Instant::now();
            match queue.prolong(tenant.id(), &lease).await {
                Ok(Held::Yes) => sure_until = asked + lease.time,
                Ok(Held::No) => return None,
                Err(error) if Instant::now() < sure_until => {
                    tracing::warn!(%error, causes = error.causes(), "a lease cannot be prolonged; trying again");
                }
                Err(_) => return None,
            }
        }
    }

    /// Runs the agent, here or elsewhere.
    fn agent(&self) -> impl Future<Output = Outcome> + use<> {
        let (host, tenant) = (Arc::clone(&self.host), Arc::clone(&self.tenant));
        let job = self.job.clone();
        async move {
            let Some(running) = tenant.agents.get(&job.agent) else {
                sleep(BUSY_PAUSE).await;
                return Outcome::Released;
            };
            let longest = tenant.tenant.limits.jobs.deadline;
            let time = job.deadline.map_or(longest, |asked| asked.min(longest));
            if let Some(outcome) = elsewhere::run(&host, &tenant, running, &job, time).await {
                return outcome;
            }
            let invocation = invocation_of(tenant.id(), &job.agent, &job.id, job.attempt);
            let ctx = CallCtx::new(
                tenant.id().clone(),
                job.agent.clone(),
                invocation,
                RequestId::from_uuid(*invocation.as_uuid()),
                job.began_at,
                Instant::now() + time,
            );
            let run = JobRun {
                id: job.id,
                kind: job.kind,
                input: job.input,
                attempt: job.attempt,
            };
            outcome_of(running.agent.run_job(Arc::new(ctx), run).await).await
        }
    }

    /// Tells the queue how the attempt ended. When it cannot be told the lease runs out, and the same attempt comes again.
    async fn tell(&self, outcome: Outcome) -> Option<Settled> {
        let mut pauses = TELL_AGAIN_AFTER.into_iter();
        loop {
            let (tenant, token) = (self.tenant.id(), &self.job.token);
            match self.queue.settle(tenant, token, outcome.clone()).await {
                Ok(settled) => return Some(settled),
                Err(error) => {
                    tracing::warn!(%error, causes = error.causes(), "the end of a job cannot be kept");
                    sleep(pauses.next()?).await;
                }
            }
        }
    }
}

/// How an attempt that ran here ended, in the words of the queue.
async fn outcome_of(ended: Result<Reply, InvokeError>) -> Outcome {
    match ended {
        Ok(reply) => Outcome::Succeeded(reply.output),
        Err(InvokeError::Busy { .. }) => {
            sleep(BUSY_PAUSE).await;
            Outcome::Released
        }
        Err(error) => Outcome::Failed {
            failure: failure_of(error),
            roll: roll(),
        },
    }
}
