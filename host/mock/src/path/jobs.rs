//! The operations of jobs. Whoever waits for a job runs what is due meanwhile, see [`crate::runner`].

use async_trait::async_trait;
use stuga_core::jobs::{Job, JobAck, JobWrite, Jobs, Page, Schedule, State};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use tokio::time::Instant;

use super::Path;
use crate::faults::Effect;

/// What faults may name.
pub(super) const OPERATIONS: &[&str] = &[
    "jobs.get",
    "jobs.wait",
    "jobs.list",
    "jobs.list-schedules",
    "jobs.submit",
    "jobs.cancel",
    "jobs.requeue",
    "jobs.report-progress",
    "jobs.put-schedule",
    "jobs.delete-schedule",
];

#[async_trait]
impl Capability for Path<dyn Jobs> {
    type Write = JobWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &JobWrite) -> Result<JobAck> {
        self.write(ctx, id, write).await
    }
}

#[async_trait]
impl Jobs for Path<dyn Jobs> {
    async fn get(&self, ctx: &CallCtx, id: &str) -> Result<Option<Job>> {
        self.read(
            ctx,
            "jobs.get",
            |jobs| async move { jobs.get(ctx, id).await },
        )
        .await
    }

    async fn wait(&self, ctx: &CallCtx, id: &str, until: Instant) -> Result<Option<Job>> {
        const OPERATION: &str = "jobs.wait";
        if let Some(Effect { error, .. }) = self.common.faults.strike(ctx, OPERATION).await {
            return Err(error);
        }
        loop {
            let look = |jobs: std::sync::Arc<dyn Jobs>| async move { jobs.get(ctx, id).await };
            let job = self.answer(ctx, OPERATION, look).await?;
            let is_over = job.as_ref().is_none_or(|job| job.info.state.is_end());
            if is_over || Instant::now() >= until {
                return Ok(job);
            }
            let pause = match self.common.turn.take().await? {
                // Something ran: perhaps this one.
                None => continue,
                Some(next) => next.map_or(until, |next| next.min(until)),
            };
            // This host knows of everything that was acknowledged; on it somebody else may end the job meanwhile.
            self.local.wait(ctx, id, pause).await?;
        }
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        state: Option<State>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        self.read(ctx, "jobs.list", |jobs| async move {
            jobs.list(ctx, state, cursor, limit).await
        })
        .await
    }

    async fn schedules(&self, ctx: &CallCtx) -> Result<Vec<Schedule>> {
        self.read(ctx, "jobs.list-schedules", |jobs| async move {
            jobs.schedules(ctx).await
        })
        .await
    }
}
