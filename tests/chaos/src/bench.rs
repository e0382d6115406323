//! What it costs to stand in for AWS, and how fast AWS catches up. Figures of one machine and run are for comparing with
//! each other.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde::Serialize;
use serde_json::json;
use stuga_fault_proxy::Fault;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::admin::Desk;
use crate::client::Client;
use crate::history::Recorder;
use crate::host::Host;
use crate::nemesis::Place;
use crate::report::quantile;
use crate::site::{TENANTS, Tools};
use crate::stage::{Reach, Stage};

/// The tenant whose agent is called.
const TENANT: &str = TENANTS[0];
/// How often what must come is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long it may take. A full journal drains for minutes.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Keys that reads and writes go to.
const KEYS: u64 = 1_000;

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub struct Settings {
    /// Seconds for each measurement and round
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Rounds; the median is shown
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Clients at once
    #[arg(long, default_value_t = 8)]
    pub clients: u32,
    /// Entries that are to wait for the cloud before it comes back
    #[arg(long, default_value_t = 10_000)]
    pub entries: u64,
}

/// How long calls took, in milliseconds: medians over the rounds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Latency {
    /// Calls in a second.
    pub per_second: f64,
    /// Half of the calls were faster.
    pub p50_ms: f64,
    /// 99 in 100 calls were faster.
    pub p99_ms: f64,
}

/// All figures.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figures {
    /// Puts of a host without a cloud.
    pub local_puts: Latency,
    /// Gets of a host without a cloud.
    pub local_gets: Latency,
    /// Puts of a host whose cloud is away, with an open breaker.
    pub open_puts: Latency,
    /// Gets of the same.
    pub open_gets: Latency,
    /// Puts while the cloud answers.
    pub cloud_puts: Latency,
    /// From the loss of the cloud until the breaker of a host without any traffic is open, in seconds: connections refused.
    pub idle_refused_s: f64,
    /// The same for a cloud that does not answer at all.
    pub idle_black_hole_s: f64,
    /// Entries that waited.
    pub entries: u64,
    /// From the return of the cloud until the first entry was gone, in seconds.
    pub first_gone_s: f64,
    /// From the return of the cloud until nothing waited any longer, in seconds.
    pub empty_s: f64,
    /// Entries that went in a second, from the first that went.
    pub drained_per_second: f64,
}

#[derive(Clone, Copy)]
enum Call {
    Put,
    Get,
}

/// Measures everything.
///
/// # Errors
/// When a server or host cannot be had, or a call fails: no call may.
pub async fn measure(settings: &Settings, folder: PathBuf, tools: &Tools) -> Result<Figures> {
    let stage = Stage::set(&folder, tools, 1).await?;
    let host = |name: &str, reach| -> Result<Host> {
        let mut host = Host::new(stage.site(&folder.join(name), reach, "")?)?;
        block_in_place(|| host.start())?;
        Ok(host)
    };
    let local = host("local", Reach::Never)?;
    let cloud = host("cloud", Reach::Proxied(0))?;
    let desk = Desk::of(&cloud);
    let cloud_puts = rounds(settings, &[&cloud], Call::Put).await?;
    let idle_black_hole_s = lose(&stage, &desk, &Fault::BlackHole).await?;
    stage.set_way(0, Place::Everything, &Fault::None);
    until(|| async { Ok(breaker(&desk).await? == "closed") }).await?;
    let idle_refused_s = lose(&stage, &desk, &Fault::Refuse).await?;
    // In turns, so that both meet the same machine.
    let puts = rounds(settings, &[&local, &cloud], Call::Put).await?;
    let gets = rounds(settings, &[&local, &cloud], Call::Get).await?;
    fill(settings, &cloud, &desk).await?;
    let entries = desk.backlog(TENANT).await?.waiting;
    stage.set_way(0, Place::Everything, &Fault::None);
    let began = Instant::now();
    until(|| async { Ok(desk.backlog(TENANT).await?.waiting < entries) }).await?;
    let first = began.elapsed();
    until(|| async { Ok(desk.backlog(TENANT).await?.waiting == 0) }).await?;
    let empty = began.elapsed();
    let at = |latencies: &[Latency], n: usize| latencies.get(n).copied().unwrap_or_default();
    Ok(Figures {
        local_puts: at(&puts, 0),
        local_gets: at(&gets, 0),
        open_puts: at(&puts, 1),
        open_gets: at(&gets, 1),
        cloud_puts: at(&cloud_puts, 0),
        idle_refused_s,
        idle_black_hole_s,
        entries,
        first_gone_s: first.as_secs_f64(),
        empty_s: empty.as_secs_f64(),
        drained_per_second: entries as f64 / (empty - first).as_secs_f64().max(1e-3),
    })
}

/// Takes the cloud away from a host that nobody calls, and says after how many seconds its breaker is open.
async fn lose(stage: &Stage, desk: &Desk, fault: &Fault) -> Result<f64> {
    let began = Instant::now();
    stage.set_way(0, Place::Everything, fault);
    until(|| async { Ok(breaker(desk).await? == "open") }).await?;
    Ok(began.elapsed().as_secs_f64())
}

/// The state of memory's breaker.
async fn breaker(desk: &Desk) -> Result<String> {
    let all = desk.explain(TENANT).await?;
    let memory = all.into_iter().find(|one| one.capability == "memory");
    Ok(memory.context("memory is not in the cloud")?.breaker)
}

/// Waits until something is so.
async fn until<F, Fut>(is_so: F) -> Result<()>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let end = Instant::now() + PATIENCE;
    while !is_so().await? {
        anyhow::ensure!(
            Instant::now() < end,
            "nothing came of it within {PATIENCE:?}"
        );
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Calls each host in turn, and answers with the medians of each.
async fn rounds(settings: &Settings, hosts: &[&Host], call: Call) -> Result<Vec<Latency>> {
    let mut all: Vec<Vec<Latency>> = vec![Vec::new(); hosts.len()];
    for _ in 0..settings.rounds.max(1) {
        for (host, rounds) in hosts.iter().zip(&mut all) {
            rounds.push(round(settings, host, call).await?);
        }
    }
    let median = |rounds: &[Latency], of: fn(&Latency) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        quantile(&mut values, 0.5)
    };
    let medians = all.iter().map(|rounds| Latency {
        per_second: median(rounds, |one| one.per_second),
        p50_ms: median(rounds, |one| one.p50_ms),
        p99_ms: median(rounds, |one| one.p99_ms),
    });
    Ok(medians.collect())
}

async fn round(settings: &Settings, host: &Host, call: Call) -> Result<Latency> {
    let length = Duration::from_secs_f64(settings.seconds);
    let began = Instant::now();
    let calls = (0..settings.clients).map(|id| async move {
        let client = client(host, id)?;
        let mut took = Vec::new();
        let mut n = u64::from(id);
        while began.elapsed() < length {
            n += u64::from(settings.clients);
            let key = format!("bench/{}", n % KEYS);
            let begin = Instant::now();
            match call {
                Call::Put => client.look("put", json!({"key": key, "text": "x".repeat(200)})),
                Call::Get => client.look("get", json!({"key": key})),
            }
            .await?;
            took.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        anyhow::Ok(took)
    });
    let mut took = try_join_all(calls).await?.concat();
    Ok(Latency {
        per_second: took.len() as f64 / began.elapsed().as_secs_f64(),
        p50_ms: quantile(&mut took, 0.5),
        p99_ms: quantile(&mut took, 0.99),
    })
}

/// Writes to new keys until so many entries wait.
async fn fill(settings: &Settings, host: &Host, desk: &Desk) -> Result<()> {
    let there = desk.backlog(TENANT).await?.waiting;
    let next = AtomicU64::new(there);
    let writers = (0..settings.clients).map(|id| {
        let next = &next;
        async move {
            let client = client(host, id)?;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= settings.entries {
                    return anyhow::Ok(());
                }
                let input = json!({"key": format!("fill/{n}"), "text": "x".repeat(200)});
                client.look("put", input).await?;
            }
        }
    });
    try_join_all(writers).await.map(drop)
}

fn client(host: &Host, id: u32) -> Result<Client> {
    let key = host
        .site()
        .keys
        .get(TENANT)
        .context("the tenant has no key")?;
    let recorder = Arc::new(Recorder::new(None)?);
    Client::new(recorder, host.address(), key, TENANT, id, "bench")
}
