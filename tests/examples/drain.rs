//! How fast a journal goes to a cloud that costs as little as a cloud can: memory of two data directories, one in the cloud's
//! place, so that what is measured is the journal, the replay and the adoption, and no network.
//!
//! `cargo run --release -p stuga-tests --example drain -- [ENTRIES] [AT A TIME]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made ends"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::{
    AgentName, BreakerState, CallCtx, CapabilityName, Clock, InvocationId, RequestId, SystemClock,
    TenantId,
};
use stuga_local::{Local, LocalConfig, Models};
use stuga_resilience::{
    Breaker, BreakerSettings, BudgetSettings, Failover, Modes, Pass, Replay, ReplaySettings, Route,
    Sides,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Writers at once while the journal is filled.
const FILLERS: u64 = 64;
/// Writes of which the cloud's own rate is taken.
const SAMPLE: u64 = 20_000;
/// Bytes of a value.
const VALUE: usize = 200;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let mut number = |otherwise| {
        args.next()
            .map_or(otherwise, |n| n.expect("a whole number"))
    };
    let (entries, keys) = (number(100_000), number(16));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (_here, here) = open(&clock);
    let (_there, there) = open(&clock);
    let breaker = Breaker::new(BreakerSettings::default(), Box::new(|| 0.5));
    let breaker = Arc::new(breaker);
    let facade = facade(&here, &there, &breaker, &clock);
    let settings = ReplaySettings {
        keys: usize::try_from(keys).expect("so many keys"),
        // The default spares the cloud; here its limit is to be found.
        per_second: 1_000_000,
        ..ReplaySettings::default()
    };
    let replay = Replay::of(&facade, settings).expect("two sides that tell each other");

    let bare = Failover::<dyn Memory>::local(there.memory());
    let alone = fill(&bare, SAMPLE, keys, "alone").await;
    println!("the cloud's own rate, {keys} writers: {alone:.0}/s");
    breaker.isolate();
    let noted = fill(&facade, entries, FILLERS, "drain").await;
    println!("{entries} writes noted here, {FILLERS} writers: {noted:.0}/s");
    breaker.release();
    // Probes close it.
    while breaker.state() != BreakerState::Closed {
        let ctx = &ctx("alone");
        let read = |memory: Arc<dyn Memory>| async move { memory.get(ctx, "k0").await };
        let read = facade.read(ctx, "memory.get", "k0", read).await;
        assert!(read.is_ok(), "{read:?}");
    }
    let begin = Instant::now();
    let pass = replay.pass().await.expect("the journal can be read");
    assert_eq!(pass, Pass::Drained, "the cloud is there");
    let took = begin.elapsed().as_secs_f64();
    let rate = entries as f64 / took;
    println!(
        "drained in {took:.1} s, {keys} keys at a time: {rate:.0}/s, {:.2} of the cloud's own rate",
        rate / alone
    );
}

fn open(clock: &Arc<dyn Clock>) -> (TempDir, Local) {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, models) = (LocalConfig::default(), Models::default());
    let local = Local::open_with(folder.path(), Arc::clone(clock), config, &models);
    (folder, local.expect("an empty data directory opens"))
}

fn facade(
    here: &Local,
    there: &Local,
    breaker: &Arc<Breaker>,
    clock: &Arc<dyn Clock>,
) -> Failover<dyn Memory> {
    let route = Route::new(
        CapabilityName::Memory,
        Arc::clone(breaker),
        BudgetSettings::default(),
        here.journal(),
        Arc::new(Modes::default()),
        Arc::clone(clock),
    );
    let (cloud, local) = (there.memory(), here.memory());
    Failover::sides(Sides::new(
        Arc::clone(&cloud) as _,
        cloud,
        Arc::clone(&local) as _,
        local,
        Arc::new(route),
    ))
}

/// Writes so many keys, and says how many in a second.
async fn fill(memory: &Failover<dyn Memory>, writes: u64, writers: u64, tenant: &str) -> f64 {
    let next = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    let begin = Instant::now();
    for _ in 0..writers {
        let (memory, next, tenant) = (memory.clone(), Arc::clone(&next), tenant.to_owned());
        running.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= writes {
                    return;
                }
                let put = MemoryWrite::Put {
                    key: format!("k{n}"),
                    value: vec![b'x'; VALUE],
                    ttl: None,
                    expected: Expected::Any,
                };
                memory
                    .write(&ctx(&tenant), &put)
                    .await
                    .expect("it is taken");
            }
        });
    }
    running.join_all().await;
    writes as f64 / begin.elapsed().as_secs_f64()
}

fn ctx(tenant: &str) -> CallCtx {
    let id = InvocationId::from_uuid(uuid::Uuid::now_v7());
    CallCtx::new(
        TenantId::new(tenant).expect("a name"),
        AgentName::new("bench").expect("a name"),
        id,
        RequestId::from_uuid(*id.as_uuid()),
        SystemClock.now(),
        tokio::time::Instant::now() + Duration::from_secs(30),
    )
}
