//! Jobs as a guest reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::jobs::{Job, JobAck, JobWrite, Jobs, Page, Schedule, State};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_resilience::Failover;
use tokio::time::Instant;

use super::write_as;

/// Jobs as a guest reaches them.
pub(crate) struct FacadeJobs(pub(crate) Failover<dyn Jobs>);

#[async_trait]
impl Capability for FacadeJobs {
    type Write = JobWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &JobWrite) -> Result<JobAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Jobs for FacadeJobs {
    async fn get(&self, ctx: &CallCtx, id: &str) -> Result<Option<Job>> {
        let read = |jobs: Arc<dyn Jobs>| async move { jobs.get(ctx, id).await };
        self.0.read(ctx, "jobs.get", id, read).await
    }

    async fn wait(&self, ctx: &CallCtx, id: &str, until: Instant) -> Result<Option<Job>> {
        let read = |jobs: Arc<dyn Jobs>| async move { jobs.wait(ctx, id, until).await };
        self.0.read(ctx, "jobs.wait", id, read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        state: Option<State>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let read = |jobs: Arc<dyn Jobs>| async move { jobs.list(ctx, state, cursor, limit).await };
        self.0
            .read(ctx, "jobs.list", &(state, cursor, limit), read)
            .await
    }

    async fn schedules(&self, ctx: &CallCtx) -> Result<Vec<Schedule>> {
        let read = |jobs: Arc<dyn Jobs>| async move { jobs.schedules(ctx).await };
        self.0.read(ctx, "jobs.list-schedules", &(), read).await
    }
}
