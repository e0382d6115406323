//! What the facade adds to a cloud that is well: memory on AgentCore and Redis, bare and behind the facade with its copy on
//! this host, in turns.
//!
//! `cargo run --release -p stuga-tests --example facade_cost -- [SECONDS] [ROUNDS] [CLIENTS]`
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
    let (seconds, rounds, clients) = (number(5), number(5), number(8));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cloud = cloud(&clock).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, models) = (LocalConfig::default(), Models::default());
    let local = Local::open_with(folder.path(), Arc::clone(&clock), config, &models).unwrap();
    let bare = Failover::<dyn Memory>::cloud(cloud.memory().unwrap());
    let facade = facade(&cloud, &local, &clock);
    println!("{clients} clients, {rounds} rounds of {seconds} s, in turns; medians of the rounds");
    for (name, writes) in [("put", true), ("get", false)] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            without.push(round(&bare, writes, seconds, clients).await);
            with.push(round(&facade, writes, seconds, clients).await);
        }
        for (what, of) in [("p50", 0), ("p99", 1)] {
            let median = |rounds: &[[f64; 2]]| {
                let mut values: Vec<f64> = rounds.iter().map(|round| round[of]).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            let (without, with) = (median(&without), median(&with));
            let more = 100.0 * (with / without - 1.0);
            println!("{name} {what}: bare {without:.3} ms, facade {with:.3} ms, {more:+.1} %");
        }
    }
}

/// One round; answers with p50 and p99 in milliseconds.
async fn round(
    memory: &Failover<dyn Memory>,
    writes: bool,
    seconds: u64,
    clients: u64,
) -> [f64; 2] {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut running = JoinSet::new();
    for client in 0..clients {
        let memory = memory.clone();
        running.spawn(async move {
            let mut took = Vec::new();
            let mut n = client;
            while Instant::now() < end {
                n += clients;
                let key = format!("k{}", n % KEYS);
                let ctx = ctx();
                let begin = Instant::now();
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
                took.push(begin.elapsed().as_secs_f64() * 1e3);
            }
            took
        });
    }
    let mut took = running.join_all().await.concat();
    took.sort_by(f64::total_cmp);
    [took[took.len() / 2], took[took.len() * 99 / 100]]
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
