//! Memory bare and behind the facade, one call and then the other.
//!
//! In turns call by call, so that both meet the same machine: a server becomes slower with every event that it holds, within
//! some seconds by more than a facade ever could be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use stuga_core::CapabilityName;
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_resilience::{Failover, Sides};
use stuga_test_servers::{Ministack, Redis};
use tokio::task::JoinSet;

use crate::{VALUE, breaker, ctx, open_local, route};

/// Callers at once, a measurement each.
const CALLERS: [u64; 2] = [8, 1];
/// Keys that calls go to.
const KEYS: u64 = 500;

/// What calls took.
#[derive(Serialize)]
pub(crate) struct Row {
    /// What stands behind the facade.
    behind: &'static str,
    call: Call,
    callers: u64,
    calls: usize,
    bare: Latency,
    facade: Latency,
}

#[derive(Serialize)]
struct Latency {
    p50_ms: f64,
    p99_ms: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Call {
    Put,
    Get,
}

/// A cloud that is well, and the copy of it on this host: AgentCore and Redis.
pub(crate) async fn healthy(each: Duration) -> Result<Vec<Row>> {
    let (ministack, redis) = (Ministack::shared().await, Redis::shared().await);
    let (_folder, local) = open_local()?;
    let cloud = stuga_bench::memory_on(ministack, redis).await?;
    let cloud = cloud.memory().context("memory is not on AgentCore")?;
    let bare = Failover::<dyn Memory>::cloud(Arc::clone(&cloud) as _);
    let facade = Failover::sides(Sides::new(
        Arc::clone(&cloud) as _,
        cloud as _,
        local.memory() as _,
        local.memory(),
        Arc::new(route(CapabilityName::Memory, &breaker(), &local)),
    ));
    rows("a cloud that is well", &bare, &facade, each).await
}

/// This host while the cloud is away, which is never asked, beside a host without a cloud.
pub(crate) async fn open(each: Duration) -> Result<Vec<Row>> {
    let ((_bare_folder, alone), (_folder, local)) = (open_local()?, open_local()?);
    let breaker = breaker();
    breaker.isolate();
    let bare = Failover::<dyn Memory>::local(alone.memory());
    let facade = Failover::sides(Sides::new(
        local.memory() as _,
        local.memory() as _,
        local.memory() as _,
        local.memory(),
        Arc::new(route(CapabilityName::Memory, &breaker, &local)),
    ));
    rows("this host, breaker open", &bare, &facade, each).await
}

async fn rows(
    behind: &'static str,
    bare: &Failover<dyn Memory>,
    facade: &Failover<dyn Memory>,
    each: Duration,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for callers in CALLERS {
        for call in [Call::Put, Call::Get] {
            eprintln!("failover: each {call:?} before {behind}, callers at once: {callers}");
            let [bare, facade] = take_turns([bare, facade], call, callers, each).await?;
            rows.push(Row {
                behind,
                call,
                callers,
                calls: bare.len() + facade.len(),
                bare: Latency::of(bare),
                facade: Latency::of(facade),
            });
        }
    }
    Ok(rows)
}

impl Latency {
    /// Of calls that took so many milliseconds.
    fn of(mut took: Vec<f64>) -> Self {
        took.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (took.len() as f64 * share) as usize;
            took.get(place).copied().unwrap_or(f64::NAN)
        };
        Self {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        }
    }
}

/// How long calls took, in milliseconds: those of the first memory and of the second.
async fn take_turns(
    memories: [&Failover<dyn Memory>; 2],
    call: Call,
    callers: u64,
    each: Duration,
) -> Result<[Vec<f64>; 2]> {
    let end = Instant::now() + each;
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let [bare, facade] = memories.map(Clone::clone);
        running.spawn(async move {
            let (mut of_bare, mut of_facade) = (Vec::new(), Vec::new());
            let mut n = caller;
            while Instant::now() < end {
                n += callers;
                let mut sides = [(&bare, &mut of_bare), (&facade, &mut of_facade)];
                // First the one and then the other first, so that neither always follows the other.
                if n / callers % 2 == 1 {
                    sides.reverse();
                }
                for (memory, took) in sides {
                    let begin = Instant::now();
                    make(memory, call, n % KEYS).await?;
                    took.push(begin.elapsed().as_secs_f64() * 1e3);
                }
            }
            anyhow::Ok([of_bare, of_facade])
        });
    }
    let mut all = [Vec::new(), Vec::new()];
    while let Some(took) = running.join_next().await {
        for (all, took) in all.iter_mut().zip(took??) {
            all.extend(took);
        }
    }
    Ok(all)
}

async fn make(memory: &Failover<dyn Memory>, call: Call, key: u64) -> Result<()> {
    let (ctx, key) = (&ctx("acme")?, format!("k{key}"));
    match call {
        Call::Put => {
            let write = MemoryWrite::Put {
                key,
                value: vec![b'x'; VALUE],
                ttl: None,
                expected: Expected::Any,
            };
            memory.write(ctx, &write).await.map(drop)
        }
        Call::Get => {
            let key = key.as_str();
            let read = |memory: Arc<dyn Memory>| async move { memory.get(ctx, key).await };
            memory.read(ctx, "memory.get", key, read).await.map(drop)
        }
    }
    .map_err(|e| anyhow!("{e}: {}", e.causes()))
}
