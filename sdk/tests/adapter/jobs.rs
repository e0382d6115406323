//! Jobs over the SDK's functions.

use async_trait::async_trait;
use serde_json::json;
use stuga_core::jobs::{
    Job, JobAck, JobInfo, JobWrite, Jobs, Options, Page, Priority, Progress, Schedule, State,
};
use stuga_core::lease::Failure;
use stuga_core::{CallCtx, Capability, ErrorKind, Result, Timestamp, Write, WriteId};
use stuga_sdk::jobs as sdk;
use stuga_sdk::mock::Call;
use stuga_sdk::{Agent, Context, Instance, Origin, Skills};
use tokio::time::Instant;

use super::Mock;

/// Jobs of the mock hosts.
pub(crate) struct JobsOf(pub(crate) Mock);

/// Reports progress as from within a job: there is no other way.
#[derive(Default)]
struct Reporter;

impl Agent for Reporter {
    const NAME: &'static str = "reporter";
    const VERSION: &'static str = "0.0.0";
    const SUMMARY: &'static str = "Reports progress.";
    const CAPABILITIES: &'static [stuga_sdk::Capability] = &[stuga_sdk::Capability::Jobs];

    fn skills() -> Skills<Self> {
        Skills::new().skill(
            "report",
            "Reports progress.",
            |_: &Self, _: &Context, (percent, note): (u32, String)| {
                sdk::report_progress(percent, &note)
            },
        )
    }
}

#[async_trait]
impl Capability for JobsOf {
    type Write = JobWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &JobWrite) -> Result<JobAck> {
        self.0.once(ctx, id, write, || {
            self.0.run(ctx, write.operation(), || apply(write))
        })
    }
}

fn apply(write: &JobWrite) -> stuga_sdk::Result<JobAck> {
    match write {
        JobWrite::Submit {
            kind,
            input,
            options,
        } => {
            let before: Vec<_> = sdk::list_all(None).flatten().map(|job| job.id).collect();
            let id = sdk::submit_json(kind, input, &sdk_options(options))?;
            let existed = before.contains(&id);
            Ok(JobAck::Submitted { id, existed })
        }
        JobWrite::Cancel { id } => Ok(JobAck::Cancelled {
            was_open: sdk::cancel(id)?,
        }),
        JobWrite::Requeue { id } => sdk::requeue(id).map(|()| JobAck::Requeued),
        JobWrite::ReportProgress {
            id,
            attempt,
            progress,
        } => {
            let origin = Origin::Job {
                job_id: id.clone(),
                attempt: *attempt,
            };
            Call::new("report", json!([progress.percent, progress.note]))
                .origin(origin)
                .on(&mut Instance::<Reporter>::new())?;
            Ok(JobAck::Noted)
        }
        JobWrite::PutSchedule {
            name,
            cron,
            time_zone,
            kind,
            input,
            options,
        } => {
            let existed = sdk::schedules()?.iter().any(|s| s.name == *name);
            let input: serde_json::Value = serde_json::from_str(input).unwrap();
            let options = sdk_options(options);
            let next_at = sdk::put_schedule_with(name, cron, time_zone, kind, &input, &options)?;
            Ok(JobAck::Scheduled {
                next_at: Timestamp::from_millis(next_at),
                existed,
            })
        }
        JobWrite::DeleteSchedule { name } => Ok(JobAck::Unscheduled {
            existed: sdk::delete_schedule(name)?,
        }),
    }
}

fn sdk_options(options: &Options) -> sdk::Options {
    let retry = sdk::Retry {
        attempts: options.retry.attempts,
        base: options.retry.base,
        cap: options.retry.cap,
    };
    let mut given = sdk::Options::new()
        .delay(options.delay)
        .retry(retry)
        .priority(match options.priority {
            Priority::Low => sdk::Priority::Low,
            Priority::Normal => sdk::Priority::Normal,
            Priority::High => sdk::Priority::High,
        });
    if let Some(deadline) = options.deadline {
        given = given.deadline(deadline);
    }
    if let Some(retention) = options.retention {
        given = given.retention(retention);
    }
    match &options.idempotency_key {
        Some(key) => given.idempotency_key(key),
        None => given,
    }
}

#[async_trait]
impl Jobs for JobsOf {
    async fn get(&self, ctx: &CallCtx, id: &str) -> Result<Option<Job>> {
        Ok(self.0.run(ctx, "jobs.get", || sdk::get(id))?.map(job))
    }

    async fn wait(&self, ctx: &CallCtx, id: &str, until: Instant) -> Result<Option<Job>> {
        let timeout = until.saturating_duration_since(Instant::now());
        let wait = || sdk::wait(id, timeout);
        Ok(self.0.run(ctx, "jobs.wait", wait)?.map(job))
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        state: Option<State>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let state = state.map(|state| {
            let named = |known: &sdk::State| known.as_str() == state.as_str();
            sdk::State::ALL.into_iter().find(named).unwrap()
        });
        let list = || sdk::list(state, cursor, limit);
        let page = self.0.run(ctx, "jobs.list", list)?;
        Ok(Page {
            jobs: page.jobs.into_iter().map(info).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn schedules(&self, ctx: &CallCtx) -> Result<Vec<Schedule>> {
        let schedules = self.0.run(ctx, "jobs.list-schedules", sdk::schedules)?;
        let converted = schedules.into_iter().map(|schedule| Schedule {
            name: schedule.name,
            cron: schedule.cron,
            time_zone: schedule.time_zone,
            kind: schedule.kind,
            input: schedule.input,
            next_at: Timestamp::from_millis(schedule.next_at),
        });
        Ok(converted.collect())
    }
}

fn job(job: sdk::Job) -> Job {
    Job {
        info: info(job.info),
        input: job.input,
        output: job.output,
    }
}

fn info(info: sdk::JobInfo) -> JobInfo {
    JobInfo {
        id: info.id,
        kind: info.kind,
        state: State::from_name(info.state.as_str()).unwrap(),
        priority: match info.priority {
            sdk::Priority::Low => Priority::Low,
            sdk::Priority::Normal => Priority::Normal,
            sdk::Priority::High => Priority::High,
        },
        attempt: info.attempt,
        submitted_at: Timestamp::from_millis(info.submitted_at),
        due_at: Timestamp::from_millis(info.due_at),
        began_at: info.began_at.map(Timestamp::from_millis),
        ended_at: info.ended_at.map(Timestamp::from_millis),
        progress: info.progress.map(|progress| Progress {
            percent: u8::try_from(progress.percent).unwrap(),
            note: progress.note,
        }),
        failure: info.failure.map(|failure| {
            let kind = serde_json::from_value::<ErrorKind>(failure.kind.into()).unwrap();
            Failure::new(kind, failure.message)
        }),
        schedule: info.schedule,
    }
}
