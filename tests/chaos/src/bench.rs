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
use crate::run::TELL_EVERY;
use crate::site::{TENANTS, Tools};
use crate::stage::{Reach, Stage};

/// The tenant whose agent is called.
const TENANT: &str = TENANTS[0];
/// How often what must come is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a breaker may take, and the first entry.
const PATIENCE: Duration = Duration::from_secs(120);
/// Keys that reads and writes go to.
const KEYS: u64 = 1_000;

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub struct Settings {
    /// Seconds for each measurement
    #[arg(long, default_value_t = 20.0)]
    pub seconds: f64,
    /// Clients at once
    #[arg(long, default_value_t = 8)]
    pub clients: u32,
    /// Least entries that are to wait for the cloud before it comes back; each put that was measured while it was away
    /// is one
    #[arg(long, default_value_t = 10_000)]
    pub entries: u64,
    /// Longest time that the journal is watched while it drains, in seconds
    #[arg(long, default_value_t = 600.0)]
    pub drain: f64,
}

/// How long calls took, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Latency {
    /// Calls in a second, had the clients called nobody else.
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
    /// From the return of the cloud until nothing waited any longer, in seconds; none when that was not seen.
    pub empty_s: Option<f64>,
    /// Entries that still waited when nobody watched any longer.
    pub left: u64,
    /// Entries that went in a second, from the first that went.
    pub drained_per_second: f64,
}

#[derive(Clone, Copy, Debug)]
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
    let [cloud_puts] = time("cloud", settings, [&cloud], Call::Put).await?;
    let idle_black_hole_s = lose(&stage, &desk, &Fault::BlackHole).await?;
    eprintln!("idle, a cloud that does not answer: open after {idle_black_hole_s:.1} s");
    stage.set_way(0, Place::Everything, &Fault::None);
    until(|| async { Ok(breaker(&desk).await? == "closed") }).await?;
    let idle_refused_s = lose(&stage, &desk, &Fault::Refuse).await?;
    eprintln!("idle, a cloud that refuses connections: open after {idle_refused_s:.1} s");
    let hosts = [&local, &cloud];
    let [local_puts, open_puts] = time("local, open", settings, hosts, Call::Put).await?;
    let [local_gets, open_gets] = time("local, open", settings, hosts, Call::Get).await?;
    fill(settings, &cloud, &desk).await?;
    let entries = desk.backlog(TENANT).await?.waiting;
    eprintln!("{entries} entries wait");
    stage.set_way(0, Place::Everything, &Fault::None);
    let began = Instant::now();
    until(|| async { Ok(desk.backlog(TENANT).await?.waiting < entries) }).await?;
    let first = began.elapsed();
    let left = watch_drain(settings, &desk).await?;
    let drained = began.elapsed();
    Ok(Figures {
        local_puts,
        local_gets,
        open_puts,
        open_gets,
        cloud_puts,
        idle_refused_s,
        idle_black_hole_s,
        entries,
        first_gone_s: first.as_secs_f64(),
        empty_s: (left == 0).then_some(drained.as_secs_f64()),
        left,
        drained_per_second: (entries - left) as f64 / (drained - first).as_secs_f64().max(1e-3),
    })
}

/// Watches the journal drain, as long as it is to be watched, and answers with what is left.
async fn watch_drain(settings: &Settings, desk: &Desk) -> Result<u64> {
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(settings.drain);
    let mut told = began;
    loop {
        let left = desk.backlog(TENANT).await?.waiting;
        if left == 0 || Instant::now() >= end {
            return Ok(left);
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!(
                "{left} entries wait after {:.0} s",
                began.elapsed().as_secs_f64()
            );
        }
        sleep(LOOK_EVERY).await;
    }
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

/// Calls the hosts in turns, call by call so that all meet the same machine at the same time, and answers with what each took.
/// `names` are told with the figures.
async fn time<const N: usize>(
    names: &str,
    settings: &Settings,
    hosts: [&Host; N],
    call: Call,
) -> Result<[Latency; N]> {
    let end = Instant::now() + Duration::from_secs_f64(settings.seconds);
    let calls = (0..settings.clients).map(|id| async move {
        let mut sides = Vec::new();
        for (side, host) in hosts.iter().enumerate() {
            sides.push((side, client(host, id)?));
        }
        let mut took = Vec::new();
        let mut n = u64::from(id);
        while Instant::now() < end {
            n += u64::from(settings.clients);
            let key = format!("bench/{}", n % KEYS);
            for (side, client) in &sides {
                let begin = Instant::now();
                match call {
                    Call::Put => client.look("put", json!({"key": key, "text": "x".repeat(200)})),
                    Call::Get => client.look("get", json!({"key": key})),
                }
                .await?;
                took.push((*side, begin.elapsed().as_secs_f64() * 1e3));
            }
            // Another one is first the next time.
            sides.rotate_left(1);
        }
        anyhow::Ok(took)
    });
    let took = try_join_all(calls).await?.concat();
    let latencies = std::array::from_fn(|side| {
        let of_side = took.iter().filter(|(of, _)| *of == side);
        let mut took: Vec<f64> = of_side.map(|(_, took)| *took).collect();
        let mean = took.iter().sum::<f64>() / took.len() as f64;
        Latency {
            per_second: f64::from(settings.clients) * 1e3 / mean,
            p50_ms: quantile(&mut took, 0.5),
            p99_ms: quantile(&mut took, 0.99),
        }
    });
    eprintln!("{call:?}, {names}: {latencies:?}");
    Ok(latencies)
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
