//! `jobs` as an agent finds it inside of Lambda: it can say how far it is. The queue is far away, with the host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stuga_core::jobs::elsewhere::Principal;
use stuga_core::jobs::{Job, JobAck, JobWrite, Jobs, Page, Schedule, State};
use stuga_core::{CallCtx, Capability, Error, InvocationId, Result, Write, WriteId};
use tokio::time::Instant;

type Listeners = Mutex<HashMap<InvocationId, Arc<dyn Principal>>>;

/// Who listens to which attempt.
#[derive(Default)]
pub(super) struct FarJobs(Listeners);

/// Somebody listens as long as this lives.
pub(super) struct Listening<'j> {
    jobs: &'j FarJobs,
    invocation: InvocationId,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut listeners = self.jobs.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.remove(&self.invocation);
    }
}

impl FarJobs {
    /// Passes on to `principal` what that attempt says of itself.
    pub(super) fn listen(
        &self,
        invocation: InvocationId,
        principal: Arc<dyn Principal>,
    ) -> Listening<'_> {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.insert(invocation, principal);
        Listening {
            jobs: self,
            invocation,
        }
    }

    fn listener(&self, ctx: &CallCtx) -> Option<Arc<dyn Principal>> {
        let listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.get(&ctx.invocation).cloned()
    }
}

fn far(operation: &'static str) -> Error {
    Error::unavailable(
        operation,
        "a job that runs on Lambda reaches no jobs; the operator takes the agent off `aws.jobs.agents`",
    )
}

#[async_trait]
impl Capability for FarJobs {
    type Write = JobWrite;

    /// Takes progress, the latest word of which counts; everything else is `Unavailable`.
    async fn apply(&self, ctx: &CallCtx, _: WriteId, write: &JobWrite) -> Result<JobAck> {
        write.check()?;
        let JobWrite::ReportProgress { progress, .. } = write else {
            return Err(far(write.operation()));
        };
        if let Some(listener) = self.listener(ctx) {
            listener.progress(progress.clone()).await;
        }
        Ok(JobAck::Noted)
    }
}

#[async_trait]
impl Jobs for FarJobs {
    async fn get(&self, _: &CallCtx, _: &str) -> Result<Option<Job>> {
        Err(far("jobs.get"))
    }

    async fn wait(&self, _: &CallCtx, _: &str, _: Instant) -> Result<Option<Job>> {
        Err(far("jobs.wait"))
    }

    async fn list(&self, _: &CallCtx, _: Option<State>, _: Option<&str>, _: u32) -> Result<Page> {
        Err(far("jobs.list"))
    }

    async fn schedules(&self, _: &CallCtx) -> Result<Vec<Schedule>> {
        Err(far("jobs.schedules"))
    }
}
