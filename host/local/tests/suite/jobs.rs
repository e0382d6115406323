//! Jobs on SQLite beyond the contract: quotas, retention, several processes, marks.

use std::time::Duration;

use stuga_core::jobs::queue::{Claimed, Outcome};
use stuga_core::jobs::{JobAck, JobWrite, Options, State};
use stuga_core::lease::{Lease, LeaseToken};
use stuga_core::{AgentName, ErrorKind, Result, TenantId};
use stuga_local::{Local, Quotas};
use tokio::time::Instant;
use uuid::Uuid;

use crate::common::{House, scribe};

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn quotas(jobs: u64, jobs_bytes: u64) -> Quotas {
    Quotas {
        jobs,
        jobs_bytes,
        ..Quotas::default()
    }
}

async fn apply(local: &Local, write: &JobWrite) -> Result<JobAck> {
    let ctx = scribe();
    let id = ctx.next_write_id()?;
    local.jobs().apply(&ctx, id, write).await
}

async fn submit(local: &Local, input: &str) -> Result<String> {
    let write = JobWrite::Submit {
        kind: "copy".to_owned(),
        input: input.to_owned(),
        options: Options {
            retention: Some(Duration::from_secs(10)),
            ..Options::default()
        },
    };
    match apply(local, &write).await? {
        JobAck::Submitted { id, .. } => Ok(id),
        other => unreachable!("{other:?}"),
    }
}

async fn claim(local: &Local) -> Option<Claimed> {
    let lease = Lease {
        token: LeaseToken::from_uuid(Uuid::new_v4()),
        time: Duration::from_secs(30),
    };
    let agents = [AgentName::new("scribe").unwrap()];
    let queue = local.job_queue();
    let claims = queue.claim(&tenant(), &agents, &[lease], 7).await;
    claims.unwrap().jobs.pop()
}

async fn finish(local: &Local, job: &Claimed) {
    let outcome = Outcome::Succeeded(format!("\"{}\"", "x".repeat(98)));
    let queue = local.job_queue();
    queue.settle(&tenant(), &job.token, outcome).await.unwrap();
}

#[tokio::test]
async fn jobs_are_taken_up_to_the_quota_and_ended_ones_make_room() {
    let house = House::new();
    house.quotas(quotas(2, 1 << 20));
    for input in ["1", "2"] {
        submit(&house.local, input).await.unwrap();
    }
    let refused = submit(&house.local, "3").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(refused.context_value("quota"), Some("jobs"));
    let schedule = JobWrite::PutSchedule {
        name: "s".to_owned(),
        cron: "@daily".to_owned(),
        time_zone: "UTC".to_owned(),
        kind: "copy".to_owned(),
        input: "1".to_owned(),
        options: Options::default(),
    };
    let refused = apply(&house.local, &schedule).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded, "schedules count");
    let job = claim(&house.local).await.unwrap();
    finish(&house.local, &job).await;
    submit(&house.local, "3").await.unwrap_err();
    house.clock.advance(Duration::from_secs(10));
    submit(&house.local, "3").await.unwrap();
}

#[tokio::test]
async fn inputs_and_outputs_count_until_they_are_gone() {
    let house = House::new();
    house.quotas(quotas(100, 1_000));
    let large = format!("\"{}\"", "x".repeat(1_000));
    let refused = submit(&house.local, &large).await.unwrap_err();
    assert_eq!(refused.context_value("quota"), Some("jobs_bytes"));
    submit(&house.local, "1").await.unwrap();
    let before = house.usage().await.jobs_bytes;
    let job = claim(&house.local).await.unwrap();
    finish(&house.local, &job).await;
    assert_eq!(house.usage().await.jobs_bytes, before + 100);
    // The sweep rides on the writes that come after.
    house.clock.advance(Duration::from_secs(10));
    for _ in 0..2 {
        house.write(crate::common::put("k", "v")).await.unwrap();
        house.clock.advance(Duration::from_secs(2));
    }
    let usage = house.usage().await;
    assert_eq!((usage.jobs, usage.jobs_bytes), (0, 0));
}

#[tokio::test]
async fn the_output_of_a_job_that_ran_is_kept_whatever_the_quota() {
    let house = House::new();
    let id = submit(&house.local, "1").await.unwrap();
    let job = claim(&house.local).await.unwrap();
    house.quotas(quotas(0, 0));
    finish(&house.local, &job).await;
    let job = house.local.jobs().get(&scribe(), &id).await.unwrap();
    assert_eq!(job.unwrap().info.state, State::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_sees_an_end_that_another_process_brought() {
    let house = House::new();
    let beside = house.beside();
    let id = submit(&house.local, "1").await.unwrap();
    let job = claim(&beside).await.unwrap();
    let (local, waited_for) = (house.local.clone(), id);
    let waiting = tokio::spawn(async move {
        let until = Instant::now() + Duration::from_secs(60);
        local.jobs().wait(&scribe(), &waited_for, until).await
    });
    finish(&beside, &job).await;
    let job = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!(job.info.state, State::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_never_hold_the_same_job() {
    let house = House::new();
    for n in 0..40 {
        submit(&house.local, &n.to_string()).await.unwrap();
    }
    let take = |local: Local| async move {
        let mut inputs = Vec::new();
        while let Some(job) = claim(&local).await {
            inputs.push(job.input);
        }
        inputs
    };
    let (here, there) = tokio::join!(
        tokio::spawn(take(house.local.clone())),
        tokio::spawn(take(house.beside()))
    );
    let mut all = here.unwrap();
    all.extend(there.unwrap());
    all.sort_by_key(|input| input.parse::<u32>().unwrap());
    let expected: Vec<_> = (0..40).map(|n: u32| n.to_string()).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn a_mark_that_was_lost_is_no_loss_of_the_next_job_and_a_false_one_is_removed() {
    let house = House::new();
    let mark = house.directory.path().join("pending/jobs/acme");
    submit(&house.local, "1").await.unwrap();
    assert!(mark.exists());
    std::fs::remove_file(&mark).unwrap();
    submit(&house.local, "2").await.unwrap();
    assert!(mark.exists());
    while let Some(job) = claim(&house.local).await {
        finish(&house.local, &job).await;
    }
    assert!(!mark.exists());
    std::fs::write(&mark, "").unwrap();
    assert!(claim(&house.local).await.is_none());
    assert!(!mark.exists(), "nothing stands behind it");
}
