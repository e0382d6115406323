//! What everybody does with `jobs`.

use std::time::Duration;

use stuga_core::jobs::{JobAck, JobInfo, JobWrite, Options, Page, Progress, State};
use stuga_core::{CallCtx, Result, Write};
use tokio::time::Instant;

use super::{Heard, Stage, mark};

/// Idempotency key and name of a schedule that all of them use.
const NAME: &str = "k";

impl Stage {
    async fn write_job(&self, ctx: &CallCtx, write: &JobWrite) -> Result<JobAck> {
        let id = ctx.next_write_id()?;
        self.local.jobs().apply(ctx, id, write).await
    }

    /// Submits the job under the key.
    pub(crate) async fn try_submit(&self, ctx: &CallCtx) -> Result<JobAck> {
        self.write_job(ctx, &submit(ctx)).await
    }

    /// The job under the key, and a schedule.
    pub(super) async fn furnish_jobs(&self, ctx: &CallCtx) {
        for write in [submit(ctx), schedule(ctx)] {
            self.write_job(ctx, &write).await.unwrap();
        }
    }

    pub(super) async fn jobs_of(&self, owner: &CallCtx) -> Vec<String> {
        let jobs = self.local.jobs();
        let page = jobs.list(owner, None, None, 1_000).await.unwrap();
        let mut all = vec![format!("{:?}", jobs.schedules(owner).await.unwrap())];
        for info in page.jobs {
            all.push(format!("{:?}", jobs.get(owner, &info.id).await.unwrap()));
        }
        all
    }

    pub(super) async fn use_jobs(&self, ctx: &CallCtx, heard: &mut Heard) {
        let jobs = self.local.jobs();
        let submitted = self.write_job(ctx, &submit(ctx)).await;
        let id = match &submitted {
            Ok(JobAck::Submitted { id, .. }) => id.clone(),
            _ => "none".to_owned(),
        };
        heard.hear("jobs.submit", submitted.map(drop));
        let page = jobs.list(ctx, None, None, 1).await;
        let cursor = page.iter().find_map(|page| page.next_cursor.clone());
        let rest = jobs.list(ctx, None, cursor.as_deref(), 10).await;
        let cancelled = jobs.list(ctx, Some(State::Cancelled), None, 10).await;
        for page in [page, rest, cancelled] {
            heard.hear("jobs.list", page.map(states));
        }
        for id in [id.as_str(), "nobody"] {
            let got = jobs.get(ctx, id).await;
            heard.hear("jobs.get", got.map(|job| job.map(|job| job.input)));
            let waited = jobs.wait(ctx, id, Instant::now()).await;
            heard.hear("jobs.wait", waited.map(|job| job.map(|job| job.input)));
            let progress = JobWrite::ReportProgress {
                id: id.to_owned(),
                attempt: 1,
                progress: Progress {
                    percent: 1,
                    note: mark(ctx),
                },
            };
            let requeue = JobWrite::Requeue { id: id.to_owned() };
            let cancel = JobWrite::Cancel { id: id.to_owned() };
            for write in [progress, requeue, cancel] {
                let ack = self.write_job(ctx, &write).await;
                heard.hear(write.operation(), ack);
            }
        }
        heard.hear(
            "jobs.list-schedules",
            jobs.schedules(ctx).await.map(|all| all.len()),
        );
        let delete = JobWrite::DeleteSchedule {
            name: NAME.to_owned(),
        };
        for write in [schedule(ctx), delete] {
            let ack = self.write_job(ctx, &write).await;
            heard.hear(write.operation(), ack.map(drop));
        }
    }
}

fn states(page: Page) -> Vec<State> {
    let state = |info: JobInfo| info.state;
    page.jobs.into_iter().map(state).collect()
}

fn input(ctx: &CallCtx) -> String {
    serde_json::to_string(&mark(ctx)).unwrap()
}

fn submit(ctx: &CallCtx) -> JobWrite {
    JobWrite::Submit {
        kind: "copy".to_owned(),
        input: input(ctx),
        options: Options {
            idempotency_key: Some(NAME.to_owned()),
            retention: Some(Duration::from_secs(3_600)),
            ..Options::default()
        },
    }
}

fn schedule(ctx: &CallCtx) -> JobWrite {
    JobWrite::PutSchedule {
        name: NAME.to_owned(),
        cron: "@yearly".to_owned(),
        time_zone: "UTC".to_owned(),
        kind: "copy".to_owned(),
        input: input(ctx),
        options: Options::default(),
    }
}
