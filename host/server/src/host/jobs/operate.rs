//! The jobs of a tenant for whoever operates it: listed over its agents, shown, cancelled, queued again.
//!
//! Everything goes through the facade, in the name of the agent whose job it is, as a guest's own call does.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use stuga_core::jobs::{Job, JobAck, JobInfo, JobWrite, Jobs, State, check_job_id, check_limit};
use stuga_core::{AgentName, CallCtx, Error, RequestId, Result, TenantId, Timestamp};
use stuga_resilience::Failover;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::host::new_invocation;

/// Longest time that one operation may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A job as its operator sees it. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobOf {
    /// Whose job.
    #[schema(value_type = String)]
    pub agent: AgentName,
    /// Its id, unique among the agent's jobs.
    pub id: String,
    /// What kind of job.
    pub kind: String,
    /// `waiting`, `running`, `succeeded`, `dead` or `cancelled`.
    pub state: &'static str,
    /// `low`, `normal` or `high`.
    #[schema(value_type = String)]
    pub priority: stuga_core::jobs::Priority,
    /// Number of the attempt that runs or comes next, or of the last one.
    pub attempt: u32,
    /// When it was submitted.
    #[schema(value_type = u64)]
    pub submitted_at: Timestamp,
    /// From when on the next attempt may begin.
    #[schema(value_type = u64)]
    pub due_at: Timestamp,
    /// When the attempt that runs began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub began_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub ended_at: Option<Timestamp>,
    /// How many percent of it are done, as it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// What it said with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why the latest attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureOf>,
    /// The schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FailureOf {
    /// The kind of error, such as `unavailable`.
    pub kind: &'static str,
    /// In one line.
    pub message: String,
}

impl JobOf {
    fn new(agent: AgentName, info: JobInfo) -> Self {
        let (percent, note) = match info.progress {
            Some(progress) => (Some(progress.percent), Some(progress.note)),
            None => (None, None),
        };
        Self {
            agent,
            id: info.id,
            kind: info.kind,
            state: info.state.as_str(),
            priority: info.priority,
            attempt: info.attempt,
            submitted_at: info.submitted_at,
            due_at: info.due_at,
            began_at: info.began_at,
            ended_at: info.ended_at,
            percent,
            note,
            failure: info.failure.map(|failure| FailureOf {
                kind: failure.kind.as_str(),
                message: failure.message,
            }),
            schedule: info.schedule,
        }
    }
}

/// The jobs of these agents of a tenant.
pub struct Desk {
    jobs: Failover<dyn Jobs>,
    tenant: TenantId,
    agents: Vec<AgentName>,
    now: Timestamp,
}

impl Desk {
    /// A desk for these agents.
    pub fn new(
        jobs: Failover<dyn Jobs>,
        tenant: TenantId,
        mut agents: Vec<AgentName>,
        now: Timestamp,
    ) -> Self {
        agents.sort();
        Self {
            jobs,
            tenant,
            agents,
            now,
        }
    }

    fn ctx(&self, agent: &AgentName) -> CallCtx {
        let invocation = new_invocation();
        CallCtx::new(
            self.tenant.clone(),
            agent.clone(),
            invocation,
            RequestId::from_uuid(*invocation.as_uuid()),
            self.now,
            Instant::now() + PATIENCE,
        )
    }

    /// At most `limit` jobs, agent by agent, of each the one submitted last first, and where to read on.
    ///
    /// # Errors
    /// `Invalid` for a limit or cursor that is none.
    pub async fn list(
        &self,
        state: Option<State>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<JobOf>, Option<String>)> {
        check_limit("jobs.list", limit)?;
        let (first, mut inner) = match cursor.map(|cursor| cursor.split_once(':')) {
            None => (None, None),
            Some(Some((agent, inner))) => {
                let inner = (!inner.is_empty()).then(|| inner.to_owned());
                (Some(agent), inner)
            }
            Some(None) => return Err(wrong_cursor()),
        };
        if first.is_some_and(|first| self.agents.iter().all(|agent| agent.as_str() != first)) {
            return Err(wrong_cursor());
        }
        let mut found = Vec::new();
        let ahead = |agent: &&AgentName| first.is_none_or(|first| agent.as_str() >= first);
        for agent in self.agents.iter().filter(ahead) {
            loop {
                let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
                if left == 0 {
                    let inner = inner.unwrap_or_default();
                    return Ok((found, Some(format!("{agent}:{inner}"))));
                }
                let (ctx, cursor) = (self.ctx(agent), inner.as_deref());
                let (ctx, read) = (&ctx, |jobs: Arc<dyn Jobs>| {
                    let ctx = &ctx;
                    async move { jobs.list(ctx, state, cursor, left).await }
                });
                let asked = &(state, cursor, left);
                let page = self.jobs.read(ctx, "jobs.list", asked, read).await?;
                let jobs = page.jobs.into_iter();
                found.extend(jobs.map(|info| JobOf::new(agent.clone(), info)));
                inner = page.next_cursor;
                if inner.is_none() {
                    break;
                }
            }
        }
        Ok((found, None))
    }

    /// A job with its input and output, and whose it is.
    ///
    /// # Errors
    /// `NotFound` when none of the agents has one of that id.
    pub async fn show(&self, id: &str) -> Result<(JobOf, String, Option<String>)> {
        let (agent, job) = self.find("jobs.get", id).await?;
        Ok((JobOf::new(agent, job.info), job.input, job.output))
    }

    /// Cancels a job; whether it had not ended before.
    ///
    /// # Errors
    /// `NotFound` when none of the agents has one of that id.
    pub async fn cancel(&self, id: &str) -> Result<bool> {
        let (agent, _) = self.find("jobs.cancel", id).await?;
        let write = JobWrite::Cancel { id: id.to_owned() };
        let ack = self.jobs.write(&self.ctx(&agent), &write).await?;
        Ok(ack == JobAck::Cancelled { was_open: true })
    }

    /// Queues a dead job again.
    ///
    /// # Errors
    /// `NotFound` when none of the agents has one of that id, `Conflict` when it is not dead.
    pub async fn requeue(&self, id: &str) -> Result<()> {
        let (agent, _) = self.find("jobs.requeue", id).await?;
        let write = JobWrite::Requeue { id: id.to_owned() };
        self.jobs.write(&self.ctx(&agent), &write).await.map(drop)
    }

    async fn find(&self, operation: &'static str, id: &str) -> Result<(AgentName, Job)> {
        check_job_id(operation, id)?;
        for agent in &self.agents {
            let ctx = &self.ctx(agent);
            let read = |jobs: Arc<dyn Jobs>| async move { jobs.get(ctx, id).await };
            if let Some(job) = self.jobs.read(ctx, "jobs.get", id, read).await? {
                return Ok((agent.clone(), job));
            }
        }
        Err(Error::not_found(
            operation,
            format!("there is no job {id}, or its retention has passed"),
        ))
    }
}

fn wrong_cursor() -> Error {
    Error::invalid(
        "jobs.list",
        "the cursor is not one that this listing returned; begin without a cursor",
    )
}
