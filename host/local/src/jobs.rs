//! Jobs on SQLite: the table `job` is the queue, the table `schedule` makes rows in it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::jobs::{
    Job, JobAck, JobWrite, Jobs, Page, Schedule, State, check_job_id, check_limit,
};
use stuga_core::{CallCtx, Capability, Result, Write, WriteId};
use tokio::time::{Instant, timeout_at};

use crate::Local;
use crate::error;
use crate::lease::Leased;
use crate::marks::Marks;
use crate::scope::Scope;
use crate::tenant::within;

mod claim;
mod effects;
mod queries;
mod queue;
mod rows;
mod schedules;

pub(crate) use queue::LocalJobQueue;
pub(crate) use rows::sweep;

/// The table whose rows are done under leases.
const TABLE: Leased = Leased("job");
/// How often a wait looks whether another process has ended the job.
const WAIT_LOOKS_EVERY: Duration = Duration::from_millis(500);

/// Jobs of all tenants on this host.
pub(crate) struct LocalJobs {
    pub(crate) local: Local,
    pub(crate) marks: Arc<Marks>,
}

#[async_trait]
impl Capability for LocalJobs {
    type Write = JobWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &JobWrite) -> Result<JobAck> {
        write.check()?;
        let operation = write.operation();
        let scope = Scope::of(ctx);
        let digest = effects::digest(&scope, write);
        let weight = match write {
            JobWrite::Submit { input, .. } | JobWrite::PutSchedule { input, .. } => input.len(),
            _ => 0,
        };
        let (write, marks) = (write.clone(), Arc::clone(&self.marks));
        within(ctx, operation, async {
            let tenant = self.local.tenant(&scope.tenant).await?;
            let store = Arc::clone(&tenant);
            let is_end = matches!(write, JobWrite::Cancel { .. });
            let ack = tenant.write(operation, weight, move |tx| {
                let ack = effects::apply_in(tx, &scope, id, digest, &write)?;
                if effects::is_news(&write) {
                    let marked = marks.set(&scope.tenant);
                    marked.map_err(|e| error::io(operation, e))?;
                    // Whoever hears of it asks through this writer, so after this transaction.
                    marks.ring(&scope.tenant);
                }
                Ok(ack)
            });
            let ack = ack.await?;
            if is_end {
                store.note_job_ended();
            }
            Ok(ack)
        })
        .await
    }
}

#[async_trait]
impl Jobs for LocalJobs {
    async fn get(&self, ctx: &CallCtx, id: &str) -> Result<Option<Job>> {
        const OPERATION: &str = "jobs.get";
        check_job_id(OPERATION, id)?;
        self.find(ctx, OPERATION, id).await
    }

    async fn wait(&self, ctx: &CallCtx, id: &str, until: Instant) -> Result<Option<Job>> {
        const OPERATION: &str = "jobs.wait";
        check_job_id(OPERATION, id)?;
        let tenant = within(ctx, OPERATION, self.local.tenant(&ctx.tenant)).await?;
        let mut ended = tenant.job_ended();
        loop {
            // Before the look, so that an end right after it is not missed.
            ended.borrow_and_update();
            let job = self.find(ctx, OPERATION, id).await?;
            let is_over = job.as_ref().is_none_or(|job| job.info.state.is_end());
            if is_over || Instant::now() >= until {
                return Ok(job);
            }
            let next_look = until.min(Instant::now() + WAIT_LOOKS_EVERY);
            // Either way the job is looked at again.
            let _ = timeout_at(next_look, ended.changed()).await;
        }
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        state: Option<State>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        const OPERATION: &str = "jobs.list";
        check_limit(OPERATION, limit)?;
        let after = queries::decode(OPERATION, state, cursor)?;
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::list(
                    reading.conn,
                    &reading.scope,
                    state,
                    after,
                    limit,
                    reading.now(),
                )
            })
            .await
    }

    async fn schedules(&self, ctx: &CallCtx) -> Result<Vec<Schedule>> {
        const OPERATION: &str = "jobs.list-schedules";
        self.local
            .read(ctx, OPERATION, |reading| {
                queries::schedules(reading.conn, &reading.scope)
            })
            .await
    }
}

impl LocalJobs {
    async fn find(&self, ctx: &CallCtx, operation: &'static str, id: &str) -> Result<Option<Job>> {
        let id = id.to_owned();
        self.local
            .read(ctx, operation, move |reading| {
                queries::get(reading.conn, &reading.scope, &id, reading.now())
            })
            .await
    }
}
