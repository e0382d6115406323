//! The contract of jobs, as agents see them. What the runner sees is proved in [`super::job_queue`].
//!
//! Every sentence of `wit/jobs.wit` and of [`crate::jobs`] that a backend must keep is a case here.

mod bounds;
mod isolation;
mod lifetime;
mod listing;
mod repetition;
mod schedules;

use std::time::Duration;

use super::suite::{Case, Fixture};
use crate::jobs::{Job, JobAck, JobWrite, Jobs, Options, Page, State};
use crate::{CallCtx, Result};

/// All cases.
pub fn cases() -> Vec<Case<dyn Jobs>> {
    let mut all = lifetime::cases();
    all.extend(listing::cases());
    all.extend(schedules::cases());
    all.extend(bounds::cases());
    all.extend(repetition::cases());
    all.extend(isolation::cases());
    all
}

type Desks = Fixture<dyn Jobs>;

/// A new invocation of the tenant and agent that a case uses when it does not matter which.
fn ctx() -> CallCtx {
    super::ctx("acme", "scribe")
}

/// A submission of `input`, which is JSON.
pub(super) fn submit(input: &str) -> JobWrite {
    submit_with(input, Options::default())
}

pub(super) fn submit_with(input: &str, options: Options) -> JobWrite {
    JobWrite::Submit {
        kind: "copy".to_owned(),
        input: input.to_owned(),
        options,
    }
}

/// A submission under an idempotency key.
fn keyed(key: &str, input: &str) -> JobWrite {
    let options = Options {
        idempotency_key: Some(key.to_owned()),
        retention: Some(Duration::from_secs(60)),
        ..Options::default()
    };
    submit_with(input, options)
}

pub(super) fn cancel(id: &str) -> JobWrite {
    JobWrite::Cancel { id: id.to_owned() }
}

pub(super) fn requeue(id: &str) -> JobWrite {
    JobWrite::Requeue { id: id.to_owned() }
}

pub(super) fn schedule(name: &str, cron: &str) -> JobWrite {
    JobWrite::PutSchedule {
        name: name.to_owned(),
        cron: cron.to_owned(),
        time_zone: "Europe/Stockholm".to_owned(),
        kind: "copy".to_owned(),
        input: "[1]".to_owned(),
        options: Options::default(),
    }
}

fn unschedule(name: &str) -> JobWrite {
    JobWrite::DeleteSchedule {
        name: name.to_owned(),
    }
}

/// The id of a job that was submitted anew.
pub(super) fn new_id(ack: JobAck) -> String {
    match ack {
        JobAck::Submitted { id, existed: false } => id,
        other => panic!("a new submission was answered with {other:?}"),
    }
}

impl Desks {
    /// Applies a write in an invocation of its own.
    async fn try_apply(&self, write: &JobWrite) -> Result<JobAck> {
        self.try_apply_as(&ctx(), write).await
    }

    async fn try_apply_as(&self, ctx: &CallCtx, write: &JobWrite) -> Result<JobAck> {
        let id = ctx.next_write_id()?;
        self.backend.apply(ctx, id, write).await
    }

    async fn apply(&self, write: &JobWrite) -> JobAck {
        self.try_apply(write).await.unwrap()
    }

    async fn submit(&self, input: &str) -> String {
        new_id(self.apply(&submit(input)).await)
    }

    async fn get(&self, id: &str) -> Option<Job> {
        self.backend.get(&ctx(), id).await.unwrap()
    }

    async fn state(&self, id: &str) -> Option<State> {
        self.get(id).await.map(|job| job.info.state)
    }

    async fn page(&self, state: Option<State>, cursor: Option<&str>, limit: u32) -> Result<Page> {
        self.backend.list(&ctx(), state, cursor, limit).await
    }

    /// Reads the agent's jobs page by page.
    async fn ids(&self, state: Option<State>, limit: u32) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10_000 {
            let page = self.page(state, cursor.as_deref(), limit).await.unwrap();
            assert!(page.jobs.len() <= limit as usize, "over the limit");
            ids.extend(page.jobs.into_iter().map(|job| job.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return ids;
            }
        }
        panic!("the listing does not end");
    }
}
