//! How many jobs a second the queue takes in and hands out, durably: submit, claim, settle, without the guest in between.
//!
//! `cargo run --release -p stuga-local --example jobs [SECONDS]`. N tasks submit while one claims up to 64 at a time and 64
//! settle, as the runner does; each job costs three durable writes, which share transactions as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stuga_core::jobs::queue::{CLAIM_MAX, Outcome};
use stuga_core::jobs::{JobWrite, Options};
use stuga_core::lease::{Lease, LeaseToken};
use stuga_core::{
    AgentName, CallCtx, ErrorKind, InvocationId, RequestId, Result, SystemClock, TenantId,
    Timestamp,
};
use stuga_local::{Local, LocalConfig, Quotas};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

const SUBMITTERS: [usize; 3] = [1, 8, 64];

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let seconds = std::env::args().nth(1).map_or(Ok(2), |text| text.parse())?;
    let time = Duration::from_secs(seconds);
    for submitters in SUBMITTERS {
        let directory = tempfile::tempdir()?;
        let config = LocalConfig {
            default_quotas: Quotas {
                jobs: u64::MAX,
                jobs_bytes: u64::MAX,
                ..Quotas::default()
            },
            ..LocalConfig::default()
        };
        let local = Local::open(directory.path(), Arc::new(SystemClock), config)?;
        let (submitted, ended) = run(&local, submitters, time).await?;
        println!(
            "{submitters:>3} submit at once: {submitted:>6.0} submitted/s, {ended:>6.0} ended/s"
        );
        local.close().await?;
    }
    Ok(())
}

fn tenant() -> Result<TenantId> {
    TenantId::new("acme")
}

/// Submissions and ends a second.
async fn run(local: &Local, submitters: usize, time: Duration) -> Result<(f64, f64), Failure> {
    let (stop, stopped) = watch::channel(false);
    let (submitted, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begin = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..submitters {
        let (local, count, stopped) = (local.clone(), Arc::clone(&submitted), stopped.clone());
        tasks.push(tokio::spawn(async move {
            while !*stopped.borrow() {
                submit(&local).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }));
    }
    let (runner, count) = (local.clone(), Arc::clone(&ended));
    tasks.push(tokio::spawn(work(runner, count, stopped)));
    tokio::time::sleep(time).await;
    stop.send_replace(true);
    let took = begin.elapsed().as_secs_f64();
    let rates = [&submitted, &ended].map(|count| count.load(Ordering::Relaxed) as f64 / took);
    for task in tasks {
        task.await??;
    }
    let [submitted, ended] = rates;
    Ok((submitted, ended))
}

async fn submit(local: &Local) -> Result<()> {
    let id = Uuid::now_v7();
    let ctx = CallCtx::new(
        tenant()?,
        AgentName::new("scribe")?,
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        Timestamp::default(),
        tokio::time::Instant::now() + Duration::from_secs(60),
    );
    let write = JobWrite::Submit {
        kind: "none".to_owned(),
        input: "{}".to_owned(),
        options: Options::default(),
    };
    let id = ctx.next_write_id()?;
    match local.jobs().apply(&ctx, id, &write).await {
        // Too many wait for the disk: as a caller does, later.
        Err(error) if error.kind() == ErrorKind::RateLimited => {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        }
        result => result.map(drop),
    }
}

async fn work(local: Local, ended: Arc<AtomicU64>, stopped: watch::Receiver<bool>) -> Result<()> {
    let (tenant, agents) = (tenant()?, [AgentName::new("scribe")?]);
    let places = Arc::new(Semaphore::new(CLAIM_MAX));
    while !*stopped.borrow() {
        let free = places.available_permits().max(1);
        let lease = |_| Lease {
            token: LeaseToken::from_uuid(Uuid::new_v4()),
            time: Duration::from_secs(30),
        };
        let leases: Vec<_> = (0..free).map(lease).collect();
        let queue = local.job_queue();
        let claims = queue.claim(&tenant, &agents, &leases, 7).await?;
        if claims.jobs.is_empty() {
            tokio::task::yield_now().await;
        }
        for job in claims.jobs {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return Ok(());
            };
            let (queue, tenant, ended) = (local.job_queue(), tenant.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                let outcome = Outcome::Succeeded("{}".to_owned());
                if queue.settle(&tenant, &job.token, outcome).await.is_ok() {
                    ended.fetch_add(1, Ordering::Relaxed);
                }
                drop(place);
            });
        }
    }
    // What is under way ends before the store is closed.
    let all = u32::try_from(CLAIM_MAX).unwrap_or(u32::MAX);
    drop(places.acquire_many(all).await);
    Ok(())
}
