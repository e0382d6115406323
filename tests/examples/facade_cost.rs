//! What the facade adds to a cloud that is well: memory on AgentCore and Redis, bare and behind the facade with its copy on
//! this host, one call and then the other.
//!
//! In turns call by call, as the server becomes slower with every event that it holds: within some seconds by more than a facade
//! ever could be.
//!
//! `cargo run --release -p stuga-tests --example facade_cost -- [SECONDS] [CLIENTS]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot be made ends"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stuga_aws::{AccessKeys, Aws, AwsConfig};
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, InvocationId, RequestId, SystemClock, TenantId,
};
use stuga_local::{Local, LocalConfig, Models};
use stuga_resilience::{Breaker, BreakerSettings, BudgetSettings, Failover, Modes, Route, Sides};
use stuga_test_servers::{Ministack, Redis, unique};
use tokio::task::JoinSet;

/// Keys that calls go to.
const KEYS: u64 = 500;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
    let mut number = |otherwise| {
        args.next()
            .map_or(otherwise, |n| n.expect("a whole number"))
    };
    let (seconds, clients) = (number(20), number(8));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cloud = cloud(&clock).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, models) = (LocalConfig::default(), Models::default());
    let local = Local::open_with(folder.path(), Arc::clone(&clock), config, &models).unwrap();
    let bare = Failover::<dyn Memory>::cloud(cloud.memory().unwrap());
    let facade = facade(&cloud, &local, &clock);
    println!("{clients} clients, {seconds} s, the bare cloud and the facade in turns call by call");
    for (name, writes) in [("put", true), ("get", false)] {
        let took = run([&bare, &facade], writes, seconds, clients).await;
        let calls = took[0].len() + took[1].len();
        for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
            let [without, with] = [&took[0], &took[1]].map(|took| quantile(took, share));
            let more = 100.0 * (with / without - 1.0);
            println!(
                "{name} {what}: bare {without:.3} ms, facade {with:.3} ms, {more:+.1} % ({calls} calls)"
            );
        }
    }
}

/// The value in a sorted list that this share of it is below.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[(sorted.len() as f64 * share) as usize]
}

/// How long calls took, in milliseconds, sorted: those of the first memory and of the second.
async fn run(
    memories: [&Failover<dyn Memory>; 2],
    writes: bool,
    seconds: u64,
    clients: u64,
) -> [Vec<f64>; 2] {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut running = JoinSet::new();
    for client in 0..clients {
        let memories = memories.map(Clone::clone);
        running.spawn(async move {
            let mut took = [Vec::new(), Vec::new()];
            let mut n = client;
            while Instant::now() < end {
                n += clients;
                // First the one and then the other first, so that neither always follows the other.
                for turn in [n / clients, n / clients + 1] {
                    let side = usize::from(turn % 2 == 1);
                    let begin = Instant::now();
                    call(&memories[side], writes, n % KEYS).await;
                    took[side].push(begin.elapsed().as_secs_f64() * 1e3);
                }
            }
            took
        });
    }
    let mut all = [Vec::new(), Vec::new()];
    for took in running.join_all().await {
        for (all, took) in all.iter_mut().zip(took) {
            all.extend(took);
        }
    }
    for took in &mut all {
        took.sort_by(f64::total_cmp);
    }
    all
}

async fn call(memory: &Failover<dyn Memory>, writes: bool, key: u64) {
    let (ctx, key) = (ctx(), format!("k{key}"));
    if writes {
        let write = MemoryWrite::Put {
            key,
            value: vec![b'x'; 200],
            ttl: None,
            expected: Expected::Any,
        };
        memory.write(&ctx, &write).await.unwrap();
    } else {
        let (ctx, key) = (&ctx, key.as_str());
        let read = |memory: Arc<dyn Memory>| async move { memory.get(ctx, key).await };
        memory.read(ctx, "memory.get", key, read).await.unwrap();
    }
}

fn ctx() -> CallCtx {
    let id = InvocationId::from_uuid(uuid::Uuid::now_v7());
    CallCtx::new(
        TenantId::new("acme").unwrap(),
        AgentName::new("bench").unwrap(),
        id,
        RequestId::from_uuid(*id.as_uuid()),
        SystemClock.now(),
        tokio::time::Instant::now() + Duration::from_secs(30),
    )
}

fn facade(cloud: &Aws, local: &Local, clock: &Arc<dyn Clock>) -> Failover<dyn Memory> {
    let breaker = Breaker::new(BreakerSettings::default(), Box::new(|| 0.5));
    let route = Route::new(
        CapabilityName::Memory,
        Arc::new(breaker),
        BudgetSettings::default(),
        local.journal(),
        Arc::new(Modes::default()),
        Arc::clone(clock),
    );
    let (cloud, local) = (cloud.memory().unwrap(), local.memory());
    Failover::sides(Sides::new(
        Arc::clone(&cloud) as _,
        cloud as _,
        Arc::clone(&local) as _,
        local,
        Arc::new(route),
    ))
}

async fn cloud(clock: &Arc<dyn Clock>) -> Aws {
    let (ministack, redis) = (Ministack::shared().await, Redis::shared().await);
    // The name in the signature, which nobody checks, says which service is meant.
    let scope = format!(
        "test/20260101/{}/bedrock-agentcore/aws4_request",
        ministack.region()
    );
    let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let wanted = json!({
        "name": unique("bench").replace('-', "_"),
        "eventExpiryDuration": 365,
        "clientToken": unique("bench-memory-of-at-least-33-characters"),
    });
    let url = format!("{}/memories/create", ministack.endpoint());
    let made = reqwest::Client::new()
        .post(url)
        .header("Authorization", signed);
    let made = made.body(wanted.to_string()).send().await.unwrap();
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let config: AwsConfig = serde_json::from_value(json!({
        "region": ministack.region(),
        "endpoints": {"all": ministack.endpoint()},
        "memory": {"memory_id": made["memory"]["id"], "redis": redis.url()},
    }))
    .unwrap();
    let keys = AccessKeys {
        id: "test".to_owned(),
        secret: "test".into(),
        session_token: None,
    };
    Aws::open_with_keys(config, Arc::clone(clock), keys).unwrap()
}
