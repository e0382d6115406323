//! Jobs of the agent under test. They lie on this host in every state, as on a host with a cloud; whoever waits for one runs
//! what is due meanwhile, see [`crate::runner`].

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::jobs::{Job, JobAck, JobWrite, Jobs, Page, Schedule, State};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use tokio::time::Instant;

use crate::turn::Turn;

/// Jobs that run while somebody waits for them.
pub(crate) struct TurnedJobs {
    pub(crate) jobs: Arc<dyn Jobs>,
    pub(crate) turn: Arc<Turn>,
}

#[async_trait]
impl Capability for TurnedJobs {
    type Write = JobWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &JobWrite) -> Result<JobAck> {
        self.jobs.apply(ctx, id, write).await
    }
}

#[async_trait]
impl Jobs for TurnedJobs {
    async fn get(&self, ctx: &CallCtx, id: &str) -> Result<Option<Job>> {
        self.jobs.get(ctx, id).await
    }

    async fn wait(&self, ctx: &CallCtx, id: &str, until: Instant) -> Result<Option<Job>> {
        loop {
            let job = self.jobs.get(ctx, id).await?;
            let is_over = job.as_ref().is_none_or(|job| job.info.state.is_end());
            if is_over || Instant::now() >= until {
                return Ok(job);
            }
            let pause = match self.turn.take().await? {
                // Something ran: perhaps this one.
                None => continue,
                Some(next) => next.map_or(until, |next| next.min(until)),
            };
            // Somebody else may end the job meanwhile.
            self.jobs.wait(ctx, id, pause).await?;
        }
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        state: Option<State>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        self.jobs.list(ctx, state, cursor, limit).await
    }

    async fn schedules(&self, ctx: &CallCtx) -> Result<Vec<Schedule>> {
        self.jobs.schedules(ctx).await
    }
}
