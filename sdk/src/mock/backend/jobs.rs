//! `jobs` of the mock host.

use super::with;
use crate::Result;
use crate::jobs::{Job, Options, Page, Schedule, State};
use crate::mock::jobs as store;

pub(crate) fn submit(kind: &str, input: &str, options: &Options) -> Result<String> {
    with(|state| store::submit(state, kind, input, options))
}

pub(crate) fn get(id: &str) -> Result<Option<Job>> {
    with(|state| store::get(state, "jobs.get", id))
}

/// Nothing runs beside the caller here, so what a wait waits for is run within it.
pub(crate) fn wait(id: &str, _timeout_ms: u64) -> Result<Option<Job>> {
    with(|state| store::get(state, "jobs.wait", id))?;
    if let Some(run) = with(|state| state.run_jobs) {
        run();
    }
    with(|state| store::get(state, "jobs.wait", id))
}

pub(crate) fn list(state: Option<State>, cursor: Option<&str>, limit: u32) -> Result<Page> {
    with(|host| store::list(host, state, cursor, limit))
}

pub(crate) fn cancel(id: &str) -> Result<bool> {
    with(|state| store::cancel(state, id))
}

pub(crate) fn requeue(id: &str) -> Result<()> {
    with(|state| store::requeue(state, id))
}

pub(crate) fn report_progress(percent: u32, note: &str) -> Result<()> {
    with(|state| store::report_progress(state, percent, note))
}

pub(crate) fn put_schedule(
    name: &str,
    cron: &str,
    time_zone: &str,
    kind: &str,
    input: &str,
    options: &Options,
) -> Result<u64> {
    with(|state| store::put_schedule(state, name, cron, time_zone, kind, input, options))
}

pub(crate) fn delete_schedule(name: &str) -> Result<bool> {
    with(|state| store::delete_schedule(state, name))
}

pub(crate) fn list_schedules() -> Result<Vec<Schedule>> {
    with(store::list_schedules)
}
