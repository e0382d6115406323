//! Jobs of a mock host: the host's own checks and times over a list in the order of submission.
//!
//! Nothing runs by itself: [`run_jobs`](super::run_jobs) runs what is due.

use std::collections::BTreeMap;
use std::time::Duration;

use stuga_core::jobs::cron::Rule;
use stuga_core::jobs::{
    self as core, DEAD_RETENTION, JobWrite, PRIORITY_STEP, RETENTION_DEFAULT, SCHEDULES_MAX,
    check_job_id, check_limit, check_progress,
};
use stuga_core::retry::{Next, RetryPolicy};
use stuga_core::{Timestamp, Write};

use super::memory::cursor_after;
use super::state::State as Host;
use crate::jobs::{
    Failure, Job, JobInfo, Options, Page, Priority, Progress, Schedule, State, millis,
};
use crate::{Capability, Error, ErrorKind, Result};

#[derive(Default)]
pub(crate) struct Store {
    jobs: Vec<Held>,
    schedules: BTreeMap<String, Standing>,
    last: u64,
}

struct Held {
    number: u64,
    job: Job,
    write: JobWrite,
    retry: RetryPolicy,
    retention: Duration,
    failures: u32,
    expires_at: Option<u64>,
}

struct Standing {
    schedule: Schedule,
    options: core::Options,
}

/// An attempt that is to run.
pub(super) struct Attempt {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) input: String,
    pub(super) number: u32,
}

impl Store {
    /// Nothing refers to what is over, so it can go at once.
    fn expire(&mut self, now: u64) {
        self.jobs
            .retain(|held| held.expires_at.is_none_or(|end| now < end));
    }

    fn find(&mut self, id: &str) -> Result<&mut Held> {
        self.jobs
            .iter_mut()
            .find(|held| held.job.info.id == id)
            .ok_or_else(|| {
                Error::not_found("the agent has no job of that id, or its retention has passed")
            })
    }
}

impl Held {
    fn end(&mut self, state: State, now: u64, retention: Duration) {
        self.job.info.state = state;
        self.job.info.began_at = None;
        self.job.info.ended_at = Some(now);
        self.expires_at = Some(now.saturating_add(millis(retention)));
    }

    fn key(&self) -> Option<&str> {
        match &self.write {
            JobWrite::Submit { options, .. } => options.idempotency_key.as_deref(),
            _ => None,
        }
    }
}

/// What comes before every write.
fn admit<'h>(host: &'h mut Host, write: &JobWrite) -> Result<&'h mut Store> {
    host.admit(Capability::Jobs, write.operation())?;
    write.check()?;
    if let JobWrite::Submit { kind, input, .. } | JobWrite::PutSchedule { kind, input, .. } = write
    {
        host.check_job(kind, input)?;
    }
    let now = host.now;
    host.jobs.expire(now);
    Ok(&mut host.jobs)
}

fn core_options(options: &Options) -> core::Options {
    core::Options {
        delay: options.delay,
        priority: match options.priority {
            Priority::Low => core::Priority::Low,
            Priority::Normal => core::Priority::Normal,
            Priority::High => core::Priority::High,
        },
        retry: options
            .retry
            .map_or_else(RetryPolicy::default, |retry| RetryPolicy {
                attempts: retry.attempts,
                base: retry.base,
                cap: retry.cap,
            }),
        deadline: options.deadline,
        retention: options.retention,
        idempotency_key: options.idempotency_key.clone(),
    }
}

pub(crate) fn submit(
    host: &mut Host,
    kind: &str,
    input: &str,
    options: &Options,
) -> Result<String> {
    let write = JobWrite::Submit {
        kind: kind.to_owned(),
        input: input.to_owned(),
        options: core_options(options),
    };
    let now = host.now;
    let store = admit(host, &write)?;
    let of_key = store
        .jobs
        .iter()
        .find(|held| held.key().is_some() && held.key() == options.idempotency_key.as_deref());
    if let Some(held) = of_key {
        let id = held.job.info.id.clone();
        if held.write != write {
            return Err(Error::conflict(
                "another job was submitted under this idempotency key; use a new key for a new job",
            )
            .with_context("job", id));
        }
        return Ok(id);
    }
    Ok(push(store, now, write, None))
}

/// Puts a job that was checked into the list.
fn push(store: &mut Store, now: u64, write: JobWrite, schedule: Option<(&str, u64)>) -> String {
    store.last += 1;
    let number = store.last;
    let id = match schedule {
        Some((name, at)) => format!("cron-{name}-{at}"),
        None => format!("{number:032x}-0"),
    };
    let (JobWrite::Submit {
        kind,
        input,
        options,
    }
    | JobWrite::PutSchedule {
        kind,
        input,
        options,
        ..
    }) = &write
    else {
        return id;
    };
    let info = JobInfo {
        id: id.clone(),
        kind: kind.clone(),
        state: State::Waiting,
        priority: match options.priority {
            core::Priority::Low => Priority::Low,
            core::Priority::Normal => Priority::Normal,
            core::Priority::High => Priority::High,
        },
        attempt: 1,
        submitted_at: now,
        due_at: now.saturating_add(millis(options.delay)),
        began_at: None,
        ended_at: None,
        progress: None,
        failure: None,
        schedule: schedule.map(|(name, _)| name.to_owned()),
    };
    let (retry, retention) = (options.retry, options.retention);
    store.jobs.push(Held {
        number,
        job: Job {
            info,
            input: input.clone(),
            output: None,
        },
        retry,
        retention: retention.unwrap_or(RETENTION_DEFAULT),
        failures: 0,
        expires_at: None,
        write,
    });
    id
}

pub(crate) fn get(host: &mut Host, operation: &'static str, id: &str) -> Result<Option<Job>> {
    host.admit(Capability::Jobs, operation)?;
    check_job_id(operation, id)?;
    let now = host.now;
    host.jobs.expire(now);
    Ok(host.jobs.find(id).ok().map(|held| held.job.clone()))
}

pub(crate) fn list(
    host: &mut Host,
    state: Option<State>,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page> {
    host.admit(Capability::Jobs, "jobs.list")?;
    check_limit("jobs.list", limit)?;
    let listing = format!("{}:", state.map_or("all", State::as_str));
    let after = after(&listing, cursor)?;
    let now = host.now;
    host.jobs.expire(now);
    let mut page = Page::default();
    let mut last = 0;
    for held in host.jobs.jobs.iter().rev() {
        if held.number >= after || state.is_some_and(|state| state != held.job.info.state) {
            continue;
        }
        if page.jobs.len() == limit as usize {
            page.next_cursor = Some(cursor_after(&listing, &format!("{listing}{last}")));
            break;
        }
        last = held.number;
        page.jobs.push(held.job.info.clone());
    }
    Ok(page)
}

/// The number before which a listing goes on.
fn after(listing: &str, cursor: Option<&str>) -> Result<u64> {
    let Some(cursor) = cursor else {
        return Ok(u64::MAX);
    };
    let last = cursor.splitn(3, ':').nth(2).unwrap_or_default();
    last.strip_prefix(listing)
        .filter(|_| cursor == cursor_after(listing, last))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| {
            Error::invalid(
                "the cursor is malformed or belongs to another listing; list from the start",
            )
        })
}

pub(crate) fn cancel(host: &mut Host, id: &str) -> Result<bool> {
    let write = JobWrite::Cancel { id: id.to_owned() };
    let now = host.now;
    let held = admit(host, &write)?.find(id)?;
    let was_open = !held.job.info.state.is_end();
    if was_open {
        held.end(State::Cancelled, now, held.retention);
    }
    Ok(was_open)
}

pub(crate) fn requeue(host: &mut Host, id: &str) -> Result<()> {
    let write = JobWrite::Requeue { id: id.to_owned() };
    let now = host.now;
    let held = admit(host, &write)?.find(id)?;
    let info = &mut held.job.info;
    if info.state != State::Dead {
        let state = info.state.as_str();
        return Err(Error::conflict(format!(
            "the job is {state}; only a dead one is queued again"
        ))
        .with_context("state", state));
    }
    info.state = State::Waiting;
    info.attempt += 1;
    info.due_at = now;
    info.ended_at = None;
    held.failures = 0;
    held.expires_at = None;
    Ok(())
}

pub(crate) fn report_progress(host: &mut Host, percent: u32, note: &str) -> Result<()> {
    const OPERATION: &str = "jobs.report-progress";
    host.admit(Capability::Jobs, OPERATION)?;
    check_progress(OPERATION, percent, note)?;
    let (id, attempt) = host
        .job
        .clone()
        .ok_or_else(|| Error::invalid("no job runs; progress is reported from within a job"))?;
    let now = host.now;
    host.jobs.expire(now);
    let info = &mut host.jobs.find(&id)?.job.info;
    if info.state != State::Running || info.attempt != attempt {
        return Err(Error::conflict(
            "this attempt of the job does not run any more: it was cancelled, or lost to another; end now",
        )
        .with_context("state", info.state.as_str()));
    }
    info.progress = Some(Progress {
        percent,
        note: note.to_owned(),
    });
    Ok(())
}

pub(crate) fn put_schedule(
    host: &mut Host,
    name: &str,
    cron: &str,
    time_zone: &str,
    kind: &str,
    input: &str,
    options: &Options,
) -> Result<u64> {
    let options = core_options(options);
    let write = JobWrite::PutSchedule {
        name: name.to_owned(),
        cron: cron.to_owned(),
        time_zone: time_zone.to_owned(),
        kind: kind.to_owned(),
        input: input.to_owned(),
        options: options.clone(),
    };
    let now = host.now;
    let store = admit(host, &write)?;
    let next_at = next(write.operation(), cron, time_zone, now)?;
    if store.schedules.len() >= SCHEDULES_MAX && !store.schedules.contains_key(name) {
        return Err(
            Error::quota_exceeded("the agent has too many schedules; delete one")
                .with_context("limit", SCHEDULES_MAX),
        );
    }
    let schedule = Schedule {
        name: name.to_owned(),
        cron: cron.to_owned(),
        time_zone: time_zone.to_owned(),
        kind: kind.to_owned(),
        input: input.to_owned(),
        next_at,
    };
    let standing = Standing { schedule, options };
    store.schedules.insert(name.to_owned(), standing);
    Ok(next_at)
}

fn next(operation: &'static str, cron: &str, time_zone: &str, now: u64) -> Result<u64> {
    let rule = Rule::parse(operation, cron, time_zone)?;
    let next = rule.next_after(operation, Timestamp::from_millis(now))?;
    Ok(next.as_millis())
}

pub(crate) fn delete_schedule(host: &mut Host, name: &str) -> Result<bool> {
    let write = JobWrite::DeleteSchedule {
        name: name.to_owned(),
    };
    let store = admit(host, &write)?;
    Ok(store.schedules.remove(name).is_some())
}

pub(crate) fn list_schedules(host: &mut Host) -> Result<Vec<Schedule>> {
    host.admit(Capability::Jobs, "jobs.list-schedules")?;
    let schedules = host.jobs.schedules.values();
    Ok(schedules
        .map(|standing| standing.schedule.clone())
        .collect())
}

/// Takes the job that would run next, after schedules that are due have made theirs.
pub(super) fn take(host: &mut Host) -> Option<Attempt> {
    let now = host.now;
    let store = &mut host.jobs;
    store.expire(now);
    make_scheduled(store, now);
    let due =
        |held: &&mut Held| held.job.info.state == State::Waiting && held.job.info.due_at <= now;
    let rank = |held: &&mut Held| {
        let info = &held.job.info;
        let head_start = millis(PRIORITY_STEP) * info.priority as u64;
        (
            i128::from(info.due_at) - i128::from(head_start),
            held.number,
        )
    };
    let held = store.jobs.iter_mut().filter(due).min_by_key(rank)?;
    let info = &mut held.job.info;
    info.state = State::Running;
    info.began_at = Some(now);
    Some(Attempt {
        id: info.id.clone(),
        kind: info.kind.clone(),
        input: held.job.input.clone(),
        number: info.attempt,
    })
}

fn make_scheduled(store: &mut Store, now: u64) {
    let mut due = Vec::new();
    for standing in store.schedules.values_mut() {
        let schedule = &mut standing.schedule;
        if schedule.next_at > now {
            continue;
        }
        due.push((
            schedule.name.clone(),
            schedule.next_at,
            JobWrite::PutSchedule {
                name: schedule.name.clone(),
                cron: schedule.cron.clone(),
                time_zone: schedule.time_zone.clone(),
                kind: schedule.kind.clone(),
                input: schedule.input.clone(),
                options: standing.options.clone(),
            },
        ));
        schedule.next_at =
            next("jobs.claim", &schedule.cron, &schedule.time_zone, now).unwrap_or(u64::MAX);
    }
    for (name, at, write) in due {
        let occupied = store.jobs.iter().any(|held| {
            held.job.info.schedule.as_deref() == Some(&name) && !held.job.info.state.is_end()
        });
        if !occupied {
            push(store, now, write, Some((&name, at)));
        }
    }
}

/// Notes how an attempt ended, unless the job was cancelled meanwhile.
pub(super) fn settle(host: &mut Host, id: &str, answer: Result<String>) {
    let (now, roll) = (host.now, host.next_u64());
    let Ok(held) = host.jobs.find(id) else { return };
    if held.job.info.state != State::Running {
        return;
    }
    let error = match answer {
        Ok(output) => {
            held.job.output = Some(output);
            held.job.info.failure = None;
            return held.end(State::Succeeded, now, held.retention);
        }
        Err(error) => error,
    };
    held.failures += 1;
    let is_final = matches!(
        error.kind(),
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound
    );
    held.job.info.failure = Some(Failure {
        kind: error.kind().as_str().to_owned(),
        message: error.message().to_owned(),
    });
    match held.retry.after(held.failures, roll) {
        Next::Retry(wait) if !is_final => {
            let info = &mut held.job.info;
            info.state = State::Waiting;
            info.began_at = None;
            info.attempt += 1;
            info.due_at = now.saturating_add(millis(wait));
        }
        _ => held.end(State::Dead, now, DEAD_RETENTION),
    }
}
