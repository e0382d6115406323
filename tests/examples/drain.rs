//! How fast a journal goes to the cloud, and how fast the cloud takes writes that nobody had to wait with.
//!
//! - `memory`: a second data directory takes the cloud's place, which costs as little as a cloud can. So what is measured is
//!   the journal, the replay and the adoption, and no network.
//! - `files`: small files go to a real object store over HTTP.
//!
//! `cargo run --release -p stuga-tests --example drain -- [memory|files] [ENTRIES] [AT A TIME]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that cannot be made ends"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use stuga_aws::{AccessKeys, Aws};
use stuga_core::files::{Files, FilesWrite};
use stuga_core::memory::{Memory, MemoryWrite};
use stuga_core::{
    AgentName, BreakerState, CallCtx, Capability, CapabilityName, Clock, InvocationId, RequestId,
    SystemClock, TenantId,
};
use stuga_local::{Local, LocalConfig, Models};
use stuga_resilience::{
    Breaker, BreakerSettings, BudgetSettings, Failover, FileCarrier, Modes, Pass, Replay,
    ReplaySettings, Route, Sides,
};
use stuga_test_servers::{SeaweedFs, unique};
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
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_else(|| "memory".to_owned());
    let mut number = |otherwise: u64| {
        args.next()
            .map_or(otherwise, |arg| arg.parse().expect("a whole number"))
    };
    let (entries, keys) = (number(100_000), number(16));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (_folder, here) = open(&clock);
    let breaker = Breaker::new(BreakerSettings::default(), Box::new(|| 0.5));
    let breaker = Arc::new(breaker);
    let route = |capability| {
        Arc::new(Route::new(
            capability,
            Arc::clone(&breaker),
            BudgetSettings::default(),
            here.journal(),
            Arc::new(Modes::default()),
            Arc::clone(&clock),
        ))
    };
    match what.as_str() {
        "memory" => {
            let (_folder, there) = open(&clock);
            let (cloud, local) = (there.memory(), here.memory());
            let facade = Failover::sides(Sides::new(
                Arc::clone(&cloud) as _,
                Arc::clone(&cloud) as _,
                Arc::clone(&local) as _,
                local,
                route(CapabilityName::Memory),
            ));
            let bare = Failover::<dyn Memory>::cloud(cloud);
            drain(&bare, &facade, &breaker, entries, keys, put_value).await;
        }
        "files" => {
            let cloud = bucket(&clock).files().expect("files are configured");
            let local = here.files();
            let carrier = FileCarrier::new(Arc::clone(&local) as _, Arc::clone(&cloud) as _);
            let sides = Sides::new(
                Arc::clone(&cloud) as _,
                Arc::clone(&cloud) as _,
                Arc::clone(&local) as _,
                local,
                route(CapabilityName::Files),
            );
            let facade = Failover::sides(sides.carried(Arc::new(carrier)));
            let bare = Failover::<dyn Files>::cloud(cloud as _);
            drain(&bare, &facade, &breaker, entries, keys, put_file).await;
        }
        other => panic!("{other} is neither memory nor files"),
    }
}

/// Fills the journal of `facade` while its cloud is away, has it drained, and says how long each took.
async fn drain<C, P, Fut>(
    bare: &Failover<C>,
    facade: &Failover<C>,
    breaker: &Breaker,
    entries: u64,
    keys: u64,
    put: P,
) where
    C: Capability + ?Sized,
    P: Fn(Failover<C>, CallCtx, u64) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let settings = ReplaySettings {
        keys: usize::try_from(keys).expect("so many keys"),
        // The default spares the cloud; here its limit is to be found.
        per_second: 1_000_000,
        ..ReplaySettings::default()
    };
    let replay = Replay::of(facade, settings).expect("two sides that tell each other");
    let alone = fill(bare, SAMPLE.min(entries), keys, "alone", put).await;
    println!("the cloud's own rate, {keys} writers: {alone:.0}/s");
    breaker.isolate();
    let noted = fill(facade, entries, FILLERS, "drain", put).await;
    println!("{entries} writes noted here, {FILLERS} writers: {noted:.0}/s");
    breaker.release();
    // Probes close it.
    while breaker.state() != BreakerState::Closed {
        put(facade.clone(), ctx("alone"), 0).await;
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

/// Writes so many keys, and says how many in a second.
async fn fill<C, P, Fut>(
    facade: &Failover<C>,
    writes: u64,
    writers: u64,
    tenant: &'static str,
    put: P,
) -> f64
where
    C: Capability + ?Sized,
    P: Fn(Failover<C>, CallCtx, u64) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    let begin = Instant::now();
    for _ in 0..writers {
        let (facade, next) = (facade.clone(), Arc::clone(&next));
        running.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= writes {
                    return;
                }
                put(facade.clone(), ctx(tenant), n).await;
            }
        });
    }
    running.join_all().await;
    writes as f64 / begin.elapsed().as_secs_f64()
}

async fn put_value(memory: Failover<dyn Memory>, ctx: CallCtx, n: u64) {
    let put = MemoryWrite::Put {
        key: format!("k{n}"),
        value: vec![b'x'; VALUE],
        ttl: None,
        expected: stuga_core::memory::Expected::Any,
    };
    memory.write(&ctx, &put).await.expect("it is taken");
}

async fn put_file(files: Failover<dyn Files>, ctx: CallCtx, n: u64) {
    // No two are the same, so that each is carried.
    let content = format!("{n:0VALUE$}");
    let spooled = files.spool(&ctx, content.as_bytes()).await;
    let spooled = spooled.expect("it is spooled");
    let put = FilesWrite::Put {
        path: format!("k{n}"),
        sha256: spooled.sha256,
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        metadata: Vec::new(),
        expected: stuga_core::files::Expected::Any,
    };
    files.write(&ctx, &put).await.expect("it is taken");
}

fn open(clock: &Arc<dyn Clock>) -> (TempDir, Local) {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, models) = (LocalConfig::default(), Models::default());
    let local = Local::open_with(folder.path(), Arc::clone(clock), config, &models);
    (folder, local.expect("an empty data directory opens"))
}

/// AWS with files in a bucket of their own.
fn bucket(clock: &Arc<dyn Clock>) -> Aws {
    let server = SeaweedFs::start().expect("the server starts");
    // It runs until the process ends.
    let server = Box::leak(Box::new(server));
    println!("files: {}", server.describe());
    let bucket = unique("drain");
    server.make_bucket(&bucket).expect("the bucket is made");
    let config = json!({
        "region": "eu-north-1",
        "endpoints": {"s3": server.endpoint()},
        // A busy machine's disk is slow now and then.
        "attempt_timeout": "60s",
        "files": {"bucket": bucket, "path_style": true},
    });
    let (id, secret) = server.keys();
    let keys = AccessKeys {
        id: id.to_owned(),
        secret: secret.into(),
        session_token: None,
    };
    let config = serde_json::from_value(config).expect("settings of AWS");
    Aws::open_with_keys(config, Arc::clone(clock), keys).expect("AWS opens")
}

fn ctx(tenant: &str) -> CallCtx {
    let id = InvocationId::from_uuid(uuid::Uuid::now_v7());
    CallCtx::new(
        TenantId::new(tenant).expect("a name"),
        AgentName::new("bench").expect("a name"),
        id,
        RequestId::from_uuid(*id.as_uuid()),
        SystemClock.now(),
        tokio::time::Instant::now() + Duration::from_secs(60),
    )
}
