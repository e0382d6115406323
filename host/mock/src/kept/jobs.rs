//! Jobs and schedules.

use serde_json::Value;
use stuga_core::jobs::{Job, JobWrite, Jobs, Options, State};
use stuga_core::retry::RetryPolicy;
use stuga_core::{CallCtx, Result};

use super::PAGE;
use crate::compare::{Differences, Findings, shown};
use crate::scenario::{ExpectJob, ExpectSchedule, StateJob, StateSchedule, moment_text};

/// The input of a job that has none.
const NO_INPUT: &str = "{}";

pub(crate) async fn lay(
    jobs: &dyn Jobs,
    ctx: &CallCtx,
    waiting: &[StateJob],
    schedules: &[StateSchedule],
) -> Result<()> {
    let submissions = waiting.iter().map(|job| JobWrite::Submit {
        kind: job.kind.clone(),
        input: text(job.input.as_ref()),
        options: Options {
            delay: job.delay.map_or_else(Default::default, |delay| delay.0),
            retry: RetryPolicy {
                attempts: job.attempts.unwrap_or(RetryPolicy::default().attempts),
                ..RetryPolicy::default()
            },
            idempotency_key: job.key.clone(),
            ..Options::default()
        },
    });
    let schedules = schedules.iter().map(|schedule| JobWrite::PutSchedule {
        name: schedule.name.clone(),
        cron: schedule.cron.clone(),
        time_zone: schedule.time_zone.clone().unwrap_or_else(|| "UTC".into()),
        kind: schedule.kind.clone(),
        input: text(schedule.input.as_ref()),
        options: Options::default(),
    });
    for write in submissions.chain(schedules) {
        write.check()?;
        jobs.apply(ctx, ctx.next_write_id()?, &write).await?;
    }
    Ok(())
}

/// A job's input as it is submitted.
pub(crate) fn text(input: Option<&Value>) -> String {
    input.map_or_else(|| NO_INPUT.to_owned(), Value::to_string)
}

pub(super) async fn look(
    jobs: &dyn Jobs,
    ctx: &CallCtx,
    expected: &[ExpectJob],
    found: &mut Findings,
) -> Result<()> {
    if expected.is_empty() {
        return Ok(());
    }
    let mut there = all(jobs, ctx).await?;
    for (at, expect) in expected.iter().enumerate() {
        let place = format!("jobs[{at}] {:?}", expect.kind);
        let is_like = |job: &Job| !Findings::scratch(|found| compare(&place, expect, job, found));
        if let Some(count) = expect.count.or(expect.absent.then_some(0)) {
            let like = there.iter().filter(|job| is_like(job)).count();
            if like != count {
                let (count, like) = (format!("{count} jobs"), format!("{like} jobs"));
                Differences::new(place, found).add("", count, like);
            }
            continue;
        }
        // Each one stands for one job: the first that is like it, in the order in which they were submitted.
        if let Some(at) = there.iter().position(is_like) {
            there.remove(at);
            continue;
        }
        match there.iter().find(|job| job.info.kind == expect.kind) {
            None => Differences::new(place, found).add("", "a job", "nothing"),
            Some(nearest) => compare(&place, expect, nearest, found),
        }
    }
    Ok(())
}

/// Every job, the one submitted first first.
async fn all(jobs: &dyn Jobs, ctx: &CallCtx) -> Result<Vec<Job>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = jobs.list(ctx, None, cursor.as_deref(), PAGE).await?;
        for info in page.jobs {
            all.extend(jobs.get(ctx, &info.id).await?);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            all.reverse();
            return Ok(all);
        }
    }
}

fn compare(place: &str, expect: &ExpectJob, job: &Job, found: &mut Findings) {
    let mut differences = Differences::new(place, found);
    let info = &job.info;
    if info.kind != expect.kind {
        return differences.add(" kind", &expect.kind, &info.kind);
    }
    let state = expect.state.as_deref().and_then(State::from_name);
    if let Some(state) = state.filter(|state| *state != info.state) {
        differences.add(" state", state.as_str(), info.state.as_str());
    }
    if let Some(attempt) = expect.attempt.filter(|attempt| *attempt != info.attempt) {
        differences.add(" attempt", attempt.to_string(), info.attempt.to_string());
    }
    let read = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    if let Some(wanted) = &expect.input {
        differences.equal(" input", wanted, &read(&job.input));
    }
    if let Some(wanted) = &expect.contains {
        differences.contains(" input", wanted, &read(&job.input));
    }
    if let Some(wanted) = &expect.output {
        match &job.output {
            Some(output) => differences.equal(" output", wanted, &read(output)),
            None => differences.add(" output", shown(wanted), "nothing"),
        }
    }
    if let Some(part) = &expect.failure {
        let failure = info.failure.as_ref();
        let failure = failure.map(|f| format!("{}: {}", f.kind, f.message));
        let failure = failure.unwrap_or_else(|| "nothing".to_owned());
        if !failure.contains(part) {
            differences.add(" failure", format!("text with {part:?}"), failure);
        }
    }
    if let Some(wanted) = &expect.schedule
        && info.schedule.as_ref() != Some(wanted)
    {
        let made_by = info.schedule.clone().unwrap_or_else(|| "none".to_owned());
        differences.add(" schedule", wanted, made_by);
    }
}

pub(super) async fn look_at_schedules(
    jobs: &dyn Jobs,
    ctx: &CallCtx,
    expected: &[ExpectSchedule],
    found: &mut Findings,
) -> Result<()> {
    if expected.is_empty() {
        return Ok(());
    }
    let there = jobs.schedules(ctx).await?;
    for expect in expected {
        let schedule = there.iter().find(|schedule| schedule.name == expect.name);
        let at = format!("schedule {:?}", expect.name);
        let mut differences = Differences::new(at, found);
        let schedule = match (schedule, expect.absent) {
            (None, true) => continue,
            (None, false) => {
                differences.add("", "a schedule", "nothing");
                continue;
            }
            (Some(_), true) => {
                differences.add("", "nothing", "a schedule");
                continue;
            }
            (Some(schedule), false) => schedule,
        };
        for (what, wanted, there) in [
            (" cron", &expect.cron, &schedule.cron),
            (" kind", &expect.kind, &schedule.kind),
        ] {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != there) {
                differences.add(what, wanted, there);
            }
        }
        if let Some(wanted) = expect.next_at.filter(|at| at.0 != schedule.next_at) {
            let (wanted, there) = (moment_text(wanted.0), moment_text(schedule.next_at));
            differences.add(" next_at", wanted, there);
        }
    }
    Ok(())
}
