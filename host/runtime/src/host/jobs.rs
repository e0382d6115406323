//! `jobs`: reads go to the facade as closures, writes as values. A job is checked against the agent's own kinds before it
//! is queued.

use std::time::Duration;

use stuga_core::jobs::{
    self, JobAck, JobWrite, Options, Priority, Progress, State, WAIT_MAX, check_job_id,
    check_limit, check_progress,
};
use stuga_core::retry::RetryPolicy;
use stuga_core::{CapabilityName, Error, Result};
use tokio::time::Instant;

use crate::bindings::stuga::agent::jobs as wit;
use crate::state::HostState;

/// What a wait leaves of the invocation's time, so that the guest can still answer.
const WAIT_MARGIN: Duration = Duration::from_millis(100);

impl HostState {
    async fn write_job(&self, write: JobWrite) -> Result<JobAck> {
        let (ctx, capabilities) = self.permit(CapabilityName::Jobs, write_operation(&write))?;
        write.check()?;
        if let JobWrite::Submit { kind, input, .. } | JobWrite::PutSchedule { kind, input, .. } =
            &write
        {
            self.authority.job_check.check(kind, input)?;
        }
        capabilities.jobs.write(ctx, &write).await
    }
}

fn write_operation(write: &JobWrite) -> &'static str {
    stuga_core::Write::operation(write)
}

/// What the backend never answers: an acknowledgement of another kind of write.
fn mismatch(operation: &'static str) -> Error {
    Error::internal(operation, "the backend answered another write")
}

impl wit::Host for HostState {
    async fn submit(
        &mut self,
        kind: String,
        input: String,
        options: wit::Options,
    ) -> Result<String> {
        let write = JobWrite::Submit {
            kind,
            input,
            options: options.into(),
        };
        match self.write_job(write).await? {
            JobAck::Submitted { id, .. } => Ok(id),
            _ => Err(mismatch("jobs.submit")),
        }
    }

    async fn get(&mut self, id: String) -> Result<Option<wit::Job>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Jobs, "jobs.get")?;
        check_job_id("jobs.get", &id)?;
        let id = id.as_str();
        let job = capabilities
            .jobs
            .read(ctx, "jobs.get", id, |jobs| async move {
                jobs.get(ctx, id).await
            })
            .await?;
        Ok(job.map(wit::Job::from))
    }

    async fn wait(&mut self, id: String, timeout_ms: u64) -> Result<Option<wit::Job>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Jobs, "jobs.wait")?;
        check_job_id("jobs.wait", &id)?;
        let longest = Duration::from_millis(timeout_ms).min(WAIT_MAX);
        let latest = ctx
            .deadline
            .checked_sub(WAIT_MARGIN)
            .unwrap_or(ctx.deadline);
        let (id, until) = (id.as_str(), latest.min(Instant::now() + longest));
        let job = capabilities
            .jobs
            .read(ctx, "jobs.wait", &(id, timeout_ms), |jobs| async move {
                jobs.wait(ctx, id, until).await
            })
            .await?;
        Ok(job.map(wit::Job::from))
    }

    async fn list(
        &mut self,
        state: Option<wit::State>,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<wit::Page> {
        let (ctx, capabilities) = self.permit(CapabilityName::Jobs, "jobs.list")?;
        check_limit("jobs.list", limit)?;
        let (state, cursor) = (state.map(State::from), cursor.as_deref());
        let page = capabilities
            .jobs
            .read(
                ctx,
                "jobs.list",
                &(state, cursor, limit),
                |jobs| async move { jobs.list(ctx, state, cursor, limit).await },
            )
            .await?;
        Ok(wit::Page {
            jobs: page.jobs.into_iter().map(wit::Info::from).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn cancel(&mut self, id: String) -> Result<bool> {
        match self.write_job(JobWrite::Cancel { id }).await? {
            JobAck::Cancelled { was_open } => Ok(was_open),
            _ => Err(mismatch("jobs.cancel")),
        }
    }

    async fn requeue(&mut self, id: String) -> Result<()> {
        self.write_job(JobWrite::Requeue { id }).await.map(drop)
    }

    async fn report_progress(&mut self, percent: u32, note: String) -> Result<()> {
        const OPERATION: &str = "jobs.report-progress";
        self.permit(CapabilityName::Jobs, OPERATION)?;
        check_progress(OPERATION, percent, &note)?;
        let running = self.call.as_ref().and_then(|call| call.job.clone());
        let (id, attempt) = running.ok_or_else(|| {
            Error::invalid(
                OPERATION,
                "no job runs; progress is reported from within a job",
            )
        })?;
        let progress = Progress {
            percent: u8::try_from(percent).unwrap_or(u8::MAX),
            note,
        };
        let write = JobWrite::ReportProgress {
            id,
            attempt,
            progress,
        };
        self.write_job(write).await.map(drop)
    }

    async fn put_schedule(
        &mut self,
        name: String,
        cron: String,
        time_zone: String,
        kind: String,
        input: String,
        options: wit::Options,
    ) -> Result<u64> {
        let write = JobWrite::PutSchedule {
            name,
            cron,
            time_zone,
            kind,
            input,
            options: options.into(),
        };
        match self.write_job(write).await? {
            JobAck::Scheduled { next_at, .. } => Ok(next_at.as_millis()),
            _ => Err(mismatch("jobs.put-schedule")),
        }
    }

    async fn delete_schedule(&mut self, name: String) -> Result<bool> {
        match self.write_job(JobWrite::DeleteSchedule { name }).await? {
            JobAck::Unscheduled { existed } => Ok(existed),
            _ => Err(mismatch("jobs.delete-schedule")),
        }
    }

    async fn list_schedules(&mut self) -> Result<Vec<wit::Schedule>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Jobs, "jobs.list-schedules")?;
        let schedules = capabilities
            .jobs
            .read(ctx, "jobs.list-schedules", &(), |jobs| async move {
                jobs.schedules(ctx).await
            })
            .await?;
        Ok(schedules.into_iter().map(wit::Schedule::from).collect())
    }
}

impl From<wit::Options> for Options {
    fn from(options: wit::Options) -> Self {
        Self {
            delay: Duration::from_millis(options.delay_ms),
            priority: match options.priority {
                wit::Priority::Low => Priority::Low,
                wit::Priority::Normal => Priority::Normal,
                wit::Priority::High => Priority::High,
            },
            retry: options
                .retry
                .map_or_else(RetryPolicy::default, |retry| RetryPolicy {
                    attempts: retry.attempts,
                    base: Duration::from_millis(retry.base_ms),
                    cap: Duration::from_millis(retry.cap_ms),
                }),
            deadline: options.deadline_ms.map(Duration::from_millis),
            retention: options.retention_ms.map(Duration::from_millis),
            idempotency_key: options.idempotency_key,
        }
    }
}

impl From<wit::State> for State {
    fn from(state: wit::State) -> Self {
        match state {
            wit::State::Waiting => Self::Waiting,
            wit::State::Running => Self::Running,
            wit::State::Succeeded => Self::Succeeded,
            wit::State::Dead => Self::Dead,
            wit::State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<jobs::JobInfo> for wit::Info {
    fn from(info: jobs::JobInfo) -> Self {
        Self {
            id: info.id,
            kind: info.kind,
            state: match info.state {
                State::Waiting => wit::State::Waiting,
                State::Running => wit::State::Running,
                State::Succeeded => wit::State::Succeeded,
                State::Dead => wit::State::Dead,
                State::Cancelled => wit::State::Cancelled,
            },
            priority: match info.priority {
                Priority::Low => wit::Priority::Low,
                Priority::Normal => wit::Priority::Normal,
                Priority::High => wit::Priority::High,
            },
            attempt: info.attempt,
            submitted_at: info.submitted_at.as_millis(),
            due_at: info.due_at.as_millis(),
            began_at: info.began_at.map(stuga_core::Timestamp::as_millis),
            ended_at: info.ended_at.map(stuga_core::Timestamp::as_millis),
            progress: info.progress.map(|progress| wit::Progress {
                percent: u32::from(progress.percent),
                note: progress.note,
            }),
            failure: info.failure.map(|failure| wit::Failure {
                kind: failure.kind.as_str().to_owned(),
                message: failure.message,
            }),
            schedule: info.schedule,
        }
    }
}

impl From<jobs::Job> for wit::Job {
    fn from(job: jobs::Job) -> Self {
        Self {
            info: job.info.into(),
            input: job.input,
            output: job.output,
        }
    }
}

impl From<jobs::Schedule> for wit::Schedule {
    fn from(schedule: jobs::Schedule) -> Self {
        Self {
            name: schedule.name,
            cron: schedule.cron,
            time_zone: schedule.time_zone,
            kind: schedule.kind,
            input: schedule.input,
            next_at: schedule.next_at.as_millis(),
        }
    }
}
