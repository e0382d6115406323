//! What it costs to stand in for a cloud: the facade beside what stands behind it, and the journal beside the cloud that it
//! goes to. Prints one JSON object for `cargo xtask bench`.

mod drain;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Parser;
use serde_json::json;
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, InvocationId, RequestId, SystemClock, TenantId,
};
use stuga_local::{Local, LocalConfig};
use stuga_resilience::{Breaker, BreakerSettings, BudgetSettings, Modes, Route};

/// Longest call.
const DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of what is written.
const VALUE: usize = 200;

/// Measures failover in one process.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  failover\n  failover healthy open --seconds 5\n  failover drain --entries 100000"
)]
struct Args {
    /// What to measure [default: all of it]
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Seconds for each kind of call
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Entries that a journal holds before it drains
    #[arg(long, default_value_t = 20_000)]
    entries: u64,
    /// Keys that go to the cloud at a time, and writers of whom the cloud's own rate is taken
    #[arg(long, default_value_t = 16)]
    at_a_time: u64,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    /// The facade before a cloud that is well
    Healthy,
    /// The facade while the breaker is open
    Open,
    /// A journal on its way to the cloud
    Drain,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    let (mut turns, mut drains) = (Vec::new(), Vec::new());
    if wanted(Part::Healthy) {
        turns.extend(turns::healthy(Duration::from_secs(args.seconds)).await?);
    }
    if wanted(Part::Open) {
        turns.extend(turns::open(Duration::from_secs(args.seconds)).await?);
    }
    if wanted(Part::Drain) {
        drains.push(drain::memory(args.entries, args.at_a_time).await?);
        drains.push(drain::files(args.entries, args.at_a_time).await?);
    }
    println!("{}", json!({"turns": turns, "drains": drains}));
    Ok(())
}

/// A call of an invocation of its own.
fn ctx(tenant: &str) -> Result<CallCtx> {
    let id = InvocationId::from_uuid(uuid::Uuid::now_v7());
    Ok(CallCtx::new(
        TenantId::new(tenant).map_err(|e| anyhow!("{e}"))?,
        AgentName::new("bench").map_err(|e| anyhow!("{e}"))?,
        id,
        RequestId::from_uuid(*id.as_uuid()),
        SystemClock.now(),
        tokio::time::Instant::now() + DEADLINE,
    ))
}

/// The way of a capability whose writes are noted in the journal of `local`.
fn route(capability: CapabilityName, breaker: &Arc<Breaker>, local: &Local) -> Route {
    Route::new(
        capability,
        Arc::clone(breaker),
        BudgetSettings::default(),
        local.journal(),
        Arc::new(Modes::default()),
        Arc::new(SystemClock),
    )
}

/// An empty data directory, and what lies in it.
fn open_local() -> Result<(tempfile::TempDir, Local)> {
    let folder = tempfile::tempdir()?;
    let local = Local::open(folder.path(), Arc::new(SystemClock), LocalConfig::default());
    Ok((folder, local.map_err(|e| anyhow!("{e}"))?))
}

/// A breaker that lets calls through.
fn breaker() -> Arc<Breaker> {
    Arc::new(Breaker::new(BreakerSettings::default(), Box::new(|| 0.5)))
}
