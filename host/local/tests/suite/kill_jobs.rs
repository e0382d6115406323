//! Jobs survive `kill -9` of the process that runs them: none is lost, none that was finished runs again, and what an
//! attempt wrote is written once however often it was cut off.
//!
//! The test runs itself as a child that submits and runs jobs with several tasks and prints what was acknowledged; the
//! parent kills it in the middle and lets the next child go on. At the end it finishes the rest itself and counts.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::jobs::queue::{Claimed, Outcome, Settled, invocation_of};
use stuga_core::jobs::{JobAck, JobWrite, Options, State};
use stuga_core::lease::{Lease, LeaseToken};
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::retry::RetryPolicy;
use stuga_core::testkit::ManualClock;
use stuga_core::{AgentName, CallCtx, Capability, Clock, RequestId, TenantId, Timestamp, WriteId};
use stuga_local::{Local, LocalConfig};
use uuid::Uuid;

use crate::mortal;

/// How often the child is killed.
const ROUNDS: u32 = 24;
/// Tasks that submit, and tasks that run, at the same time in the child.
const TASKS: u32 = 3;
/// How long a job is held; each child's clock begins that much later than the last one's, so that it finds the leases of
/// the dead run out.
const LEASE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_exactly_the_unfinished_jobs_run_again() {
    if let Some((directory, round)) = mortal::as_child() {
        work_until_killed(&directory, round).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for round in 0..ROUNDS {
        // A different moment each time.
        let acks = 2 + (round as usize * 11) % 40;
        kill_after(directory.path(), round, acks, &mut told);
    }
    assert!(!told.submitted.is_empty() && !told.finished.is_empty());
    let local = open(directory.path(), ROUNDS);
    let pending = local.job_queue().pending().await.unwrap();
    assert_eq!(pending.len(), 1, "a start finds the tenant by its mark");
    while let Some(job) = claim(&local).await {
        let name = (job.id.clone(), job.attempt);
        assert!(
            !told.finished.contains(&job.id),
            "{name:?} was finished and runs again"
        );
        assert_eq!(run(&local, &job).await, Settled::Succeeded);
    }
    for id in &told.submitted {
        let job = local.jobs().get(&ctx(1), id).await.unwrap();
        let job = job.unwrap_or_else(|| panic!("{id} is lost"));
        assert_eq!(job.info.state, State::Succeeded, "{id}");
        assert_eq!(job.info.attempt, 1, "{id} was cut off, it did not fail");
        // The first write of its one attempt stands, and stands once: a second one would have given it a new version.
        let item = local.memory().get(&ctx(1), id).await.unwrap().unwrap();
        assert_eq!(job.output.unwrap(), item.version.to_string(), "{id}");
    }
    assert!(claim(&local).await.is_none());
    let pending = local.job_queue().pending().await.unwrap();
    assert!(pending.is_empty(), "nothing is left to do");
    check_counters(&local, directory.path()).await;
}

/// What children said before they were killed.
#[derive(Default)]
struct Told {
    submitted: BTreeSet<String>,
    finished: BTreeSet<String>,
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn scribe() -> AgentName {
    AgentName::new("scribe").unwrap()
}

fn ctx(number: u128) -> CallCtx {
    ctx_of(stuga_core::InvocationId::from_uuid(Uuid::from_u128(number)))
}

fn ctx_of(invocation: stuga_core::InvocationId) -> CallCtx {
    CallCtx::new(
        tenant(),
        scribe(),
        invocation,
        RequestId::from_uuid(*invocation.as_uuid()),
        Timestamp::default(),
        tokio::time::Instant::now() + Duration::from_secs(60),
    )
}

fn open(directory: &Path, round: u32) -> Local {
    let start = 1_700_000_000_000 + u64::from(round) * 2 * LEASE.as_millis() as u64;
    let clock = ManualClock::at(Timestamp::from_millis(start));
    let clock: Arc<dyn Clock> = Arc::new(clock);
    Local::open(directory, clock, LocalConfig::default()).unwrap()
}

async fn submit(local: &Local, number: u128) -> String {
    let write = JobWrite::Submit {
        kind: "copy".to_owned(),
        input: "1".to_owned(),
        options: Options {
            // A loss too many would end it, so that a round of bad luck shows.
            retry: RetryPolicy::ONCE,
            ..Options::default()
        },
    };
    let ctx = ctx(number);
    let id = ctx.next_write_id().unwrap();
    match local.jobs().apply(&ctx, id, &write).await.unwrap() {
        JobAck::Submitted { id, .. } => id,
        other => unreachable!("{other:?}"),
    }
}

async fn claim(local: &Local) -> Option<Claimed> {
    let lease = Lease {
        token: LeaseToken::from_uuid(Uuid::new_v4()),
        time: LEASE,
    };
    let queue = local.job_queue();
    let claims = queue.claim(&tenant(), &[scribe()], &[lease], 7).await;
    claims.unwrap().jobs.pop()
}

/// What a guest would do: a write, whose id comes from the attempt, and an answer.
async fn run(local: &Local, job: &Claimed) -> Settled {
    let ctx = ctx_of(invocation_of(&tenant(), &job.agent, &job.id, job.attempt));
    let write = MemoryWrite::Put {
        key: job.id.clone(),
        value: b"done".to_vec(),
        ttl: None,
        expected: Expected::Any,
    };
    let id = WriteId {
        invocation: ctx.invocation,
        call: 0,
    };
    let ack = local.memory().apply(&ctx, id, &write).await.unwrap();
    let outcome = Outcome::Succeeded(ack.version.to_string());
    let queue = local.job_queue();
    queue.settle(&tenant(), &job.token, outcome).await.unwrap()
}

async fn work_until_killed(directory: &Path, round: u32) {
    let local = open(directory, round);
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let mine = local.clone();
        tasks.push(tokio::spawn(async move {
            for n in 1_u64.. {
                let number = (u128::from(round) << 80) | (u128::from(task) << 64) | u128::from(n);
                let id = submit(&mine, number).await;
                mortal::tell(&format!("submitted {id}"));
            }
        }));
        let mine = local.clone();
        tasks.push(tokio::spawn(async move {
            loop {
                match claim(&mine).await {
                    Some(job) => {
                        assert_eq!(run(&mine, &job).await, Settled::Succeeded);
                        mortal::tell(&format!("finished {}", job.id));
                    }
                    None => tokio::task::yield_now().await,
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Kills a child after so many lines and takes down all that it told.
fn kill_after(directory: &Path, round: u32, lines: usize, told: &mut Told) {
    let test = "kill_jobs::after_kill_9_exactly_the_unfinished_jobs_run_again";
    mortal::kill_after(test, (directory, round), lines, |words| match words {
        ["submitted", id] => told.submitted.insert((*id).to_owned()),
        ["finished", id] => {
            let first = told.finished.insert((*id).to_owned());
            assert!(first, "{id} was finished twice");
            first
        }
        _ => false,
    });
}

/// Counters and rows agree after a crash.
async fn check_counters(local: &Local, directory: &Path) {
    let usage = local.usage(&tenant()).await.unwrap();
    let conn = rusqlite::Connection::open(directory.join("tenants/acme/state.db")).unwrap();
    let counted = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(counted("SELECT count(*) FROM job"), usage.jobs);
    assert_eq!(
        counted("SELECT CAST(total(bytes) AS INTEGER) FROM job"),
        usage.jobs_bytes
    );
    let fine: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(fine, "ok");
}
