//! `jobs` of the real host: bindings on one side, the records of this crate on the other.

use super::{Result, host::jobs as wit};
use crate::jobs::{
    Failure, Job, JobInfo, Options, Page, Priority, Progress, Schedule, State, millis,
};

fn options(options: &Options) -> wit::Options {
    wit::Options {
        delay_ms: millis(options.delay),
        priority: match options.priority {
            Priority::Low => wit::Priority::Low,
            Priority::Normal => wit::Priority::Normal,
            Priority::High => wit::Priority::High,
        },
        retry: options.retry.map(|retry| wit::Retry {
            attempts: retry.attempts,
            base_ms: millis(retry.base),
            cap_ms: millis(retry.cap),
        }),
        deadline_ms: options.deadline.map(millis),
        retention_ms: options.retention.map(millis),
        idempotency_key: options.idempotency_key.clone(),
    }
}

fn info(info: wit::Info) -> JobInfo {
    JobInfo {
        id: info.id,
        kind: info.kind,
        state: match info.state {
            wit::State::Waiting => State::Waiting,
            wit::State::Running => State::Running,
            wit::State::Succeeded => State::Succeeded,
            wit::State::Dead => State::Dead,
            wit::State::Cancelled => State::Cancelled,
        },
        priority: match info.priority {
            wit::Priority::Low => Priority::Low,
            wit::Priority::Normal => Priority::Normal,
            wit::Priority::High => Priority::High,
        },
        attempt: info.attempt,
        submitted_at: info.submitted_at,
        due_at: info.due_at,
        began_at: info.began_at,
        ended_at: info.ended_at,
        progress: info.progress.map(|progress| Progress {
            percent: progress.percent,
            note: progress.note,
        }),
        failure: info.failure.map(|failure| Failure {
            kind: failure.kind,
            message: failure.message,
        }),
        schedule: info.schedule,
    }
}

fn job(job: wit::Job) -> Job {
    Job {
        info: info(job.info),
        input: job.input,
        output: job.output,
    }
}

pub(crate) fn submit(kind: &str, input: &str, given: &Options) -> Result<String> {
    Ok(wit::submit(kind, input, &options(given))?)
}

pub(crate) fn get(id: &str) -> Result<Option<Job>> {
    Ok(wit::get(id)?.map(job))
}

pub(crate) fn wait(id: &str, timeout_ms: u64) -> Result<Option<Job>> {
    Ok(wit::wait(id, timeout_ms)?.map(job))
}

pub(crate) fn list(state: Option<State>, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let state = state.map(|state| match state {
        State::Waiting => wit::State::Waiting,
        State::Running => wit::State::Running,
        State::Succeeded => wit::State::Succeeded,
        State::Dead => wit::State::Dead,
        State::Cancelled => wit::State::Cancelled,
    });
    let page = wit::list(state, cursor, limit)?;
    Ok(Page {
        jobs: page.jobs.into_iter().map(info).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(crate) fn cancel(id: &str) -> Result<bool> {
    Ok(wit::cancel(id)?)
}

pub(crate) fn requeue(id: &str) -> Result<()> {
    Ok(wit::requeue(id)?)
}

pub(crate) fn report_progress(percent: u32, note: &str) -> Result<()> {
    Ok(wit::report_progress(percent, note)?)
}

pub(crate) fn put_schedule(
    name: &str,
    cron: &str,
    time_zone: &str,
    kind: &str,
    input: &str,
    given: &Options,
) -> Result<u64> {
    let given = options(given);
    Ok(wit::put_schedule(
        name, cron, time_zone, kind, input, &given,
    )?)
}

pub(crate) fn delete_schedule(name: &str) -> Result<bool> {
    Ok(wit::delete_schedule(name)?)
}

pub(crate) fn list_schedules() -> Result<Vec<Schedule>> {
    let schedules = wit::list_schedules()?.into_iter();
    Ok(schedules
        .map(|schedule| Schedule {
            name: schedule.name,
            cron: schedule.cron,
            time_zone: schedule.time_zone,
            kind: schedule.kind,
            input: schedule.input,
            next_at: schedule.next_at,
        })
        .collect())
}
