//! What the facade adds to an answer of this host while the cloud is away: reads of memory without a cloud, and behind an
//! open breaker with nothing and with something waiting, in turns. CPU time, which others on the machine disturb less.
//!
//! `cargo run --release -p stuga-tests --example facade_open -- [CALLS] [ROUNDS]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot be made ends"
)]

use std::sync::Arc;
use std::time::Duration;

use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, InvocationId, RequestId, SystemClock, TenantId,
};
use stuga_local::{Local, LocalConfig, Models};
use stuga_resilience::{Breaker, BreakerSettings, BudgetSettings, Failover, Modes, Route, Sides};

/// Keys that are read.
const KEYS: u64 = 500;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let mut number = |otherwise| {
        args.next()
            .map_or(otherwise, |n| n.expect("a whole number"))
    };
    let (calls, rounds) = (number(5_000), number(15));
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (config, models) = (LocalConfig::default(), Models::default());
    let local = Local::open_with(folder.path(), Arc::clone(&clock), config, &models).unwrap();
    let bare = Failover::<dyn Memory>::local(local.memory());
    let facade = away(&local, &clock);
    for tenant in ["rests", "waits"] {
        let through = match tenant {
            "rests" => &bare,
            _ => &facade,
        };
        for key in 0..KEYS {
            through.write(&ctx(tenant), &put(key)).await.unwrap();
        }
    }
    let rows = [
        ("without a cloud", "rests", &bare),
        ("breaker open, nothing waits", "rests", &facade),
        ("breaker open, 500 entries wait", "waits", &facade),
    ];
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..rounds {
        for ((_, tenant, memory), times) in rows.iter().zip(&mut times) {
            let begin = cpu_micros().unwrap();
            for n in 0..calls {
                get(memory, tenant, n % KEYS).await;
            }
            times.push((cpu_micros().unwrap() - begin) / calls as f64);
        }
    }
    println!(
        "{rounds} rounds of {calls} gets by one caller, in turns; CPU time of one, fastest and median of the rounds"
    );
    let mut first = None;
    for ((name, ..), times) in rows.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let (fastest, median) = (times[0], times[times.len() / 2]);
        let (of_fastest, of_median) = *first.get_or_insert((fastest, median));
        let more = |now: f64, before: f64| 100.0 * (now / before - 1.0);
        println!(
            "{name:<32} {fastest:>7.2} us ({:+.1} %) {median:>7.2} us ({:+.1} %)",
            more(fastest, of_fastest),
            more(median, of_median)
        );
    }
}

async fn get(memory: &Failover<dyn Memory>, tenant: &str, key: u64) {
    let (ctx, key) = (&ctx(tenant), format!("k{key}"));
    let key = key.as_str();
    let read = |memory: Arc<dyn Memory>| async move { memory.get(ctx, key).await };
    let found = memory.read(ctx, "memory.get", key, read).await.unwrap();
    assert!(found.is_some());
}

fn put(key: u64) -> MemoryWrite {
    MemoryWrite::Put {
        key: format!("k{key}"),
        value: vec![b'x'; 200],
        ttl: None,
        expected: Expected::Any,
    }
}

fn ctx(tenant: &str) -> CallCtx {
    let id = InvocationId::from_uuid(uuid::Uuid::now_v7());
    CallCtx::new(
        TenantId::new(tenant).unwrap(),
        AgentName::new("bench").unwrap(),
        id,
        RequestId::from_uuid(*id.as_uuid()),
        SystemClock.now(),
        tokio::time::Instant::now() + Duration::from_secs(30),
    )
}

/// Two sides whose cloud is never asked.
fn away(local: &Local, clock: &Arc<dyn Clock>) -> Failover<dyn Memory> {
    let breaker = Arc::new(Breaker::new(BreakerSettings::default(), Box::new(|| 0.5)));
    breaker.isolate();
    let route = Route::new(
        CapabilityName::Memory,
        breaker,
        BudgetSettings::default(),
        local.journal(),
        Arc::new(Modes::default()),
        Arc::clone(clock),
    );
    let memory = local.memory();
    Failover::sides(Sides::new(
        Arc::clone(&memory) as _,
        Arc::clone(&memory) as _,
        Arc::clone(&memory) as _,
        memory,
        Arc::new(route),
    ))
}

/// CPU time of this process so far; its ticks are hundredths of a second.
fn cpu_micros() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold spaces; user and system time are fields 14 and 15 of the whole.
    let (_, after_name) = stat.rsplit_once(')').ok_or("no stat")?;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks * 10_000.0)
}
