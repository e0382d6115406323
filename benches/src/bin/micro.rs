//! In one process: a new instance and a warm call through `stuga-runtime`, beside wasmtime alone with the same component
//! and the same engine settings. Prints one JSON object for `cargo xtask bench`.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use serde_json::json;
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, InvocationId, RequestId, SystemClock, TenantId,
};
use stuga_resilience::Capabilities;
use stuga_runtime::{
    Agent, AgentSettings, InstanceMode, JobCheck, Limits, Plugin, Request, Runtime, RuntimeConfig,
};
use uuid::Uuid;

mod raw {
    //! wasmtime without Stuga: the floor.
    #![allow(
        missing_docs,
        unsafe_code,
        reason = "generated bindings; the contract stands in wit/"
    )]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "guest",
        exports: { default: async },
    });
}

/// Batches of a measurement; the median is reported.
const BATCHES: usize = 31;

#[derive(Parser)]
struct Args {
    /// The component with the skill `echo`.
    #[arg(long)]
    guest: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let component = std::fs::read(&args.guest).with_context(|| {
        format!(
            "cannot read {}; run `cargo xtask guests`",
            args.guest.display()
        )
    })?;
    let figures = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(component))?;
    println!("{figures}");
    Ok(())
}

async fn run(component: Vec<u8>) -> Result<serde_json::Value> {
    let data = tempfile::tempdir()?;
    let local = stuga_local::Local::open(
        data.path(),
        Arc::new(SystemClock),
        stuga_local::LocalConfig::default(),
    )
    .map_err(|e| anyhow!("{e}"))?;
    let capabilities = Capabilities::local(local.backends());
    let runtime =
        Runtime::new(RuntimeConfig::default()).map_err(|e| anyhow!("{e}: {}", e.causes()))?;
    let compile = Instant::now();
    let plugin = runtime.load(component.clone()).await?;
    let compile = compile.elapsed();

    let input = json!({ "text": "x".repeat(1_000) }).to_string();
    let warm = deploy(&runtime, &plugin, &capabilities, InstanceMode::Warm).await?;
    let fresh = deploy(&runtime, &plugin, &capabilities, InstanceMode::Fresh).await?;
    let (raw_new, raw_call) = raw_figures(&component, &input).await?;
    let warm = median(2_000, || invoke(&warm, "echo", &input)).await?;
    let fresh = median(300, || invoke(&fresh, "echo", &input)).await?;
    Ok(json!({
        "compile_ms": compile.as_secs_f64() * 1e3,
        "warm_echo_us": micros(warm),
        "fresh_echo_us": micros(fresh),
        "wasmtime_new_us": micros(raw_new),
        "wasmtime_echo_us": micros(raw_call),
    }))
}

struct Deployed {
    tenant: TenantId,
    name: AgentName,
    agent: Agent,
}

async fn deploy(
    runtime: &Runtime,
    plugin: &Arc<Plugin>,
    capabilities: &Capabilities,
    instance: InstanceMode,
) -> Result<Deployed> {
    let tenant = TenantId::new("bench").map_err(|e| anyhow!("{e}"))?;
    let name = AgentName::new("echo").map_err(|e| anyhow!("{e}"))?;
    let settings = AgentSettings {
        tenant: tenant.clone(),
        agent: name.clone(),
        grants: CapabilityName::ALL.into_iter().collect(),
        config: Default::default(),
        secrets: Default::default(),
        limits: Limits {
            memory_bytes: 64 << 20,
            deadline: Duration::from_secs(10),
            output_bytes: 1 << 20,
            waiting: 16,
        },
        instance,
        max_instances: 4,
        max_invocations: u64::MAX,
        idle: Duration::from_secs(60),
        job_check: JobCheck::default(),
    };
    let agent = runtime
        .deploy(Arc::clone(plugin), settings, capabilities.clone())
        .await?;
    Ok(Deployed {
        tenant,
        name,
        agent,
    })
}

async fn invoke(agent: &Deployed, skill: &str, input: &str) -> Result<usize> {
    let id = Uuid::now_v7();
    let ctx = Arc::new(CallCtx::new(
        agent.tenant.clone(),
        agent.name.clone(),
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        SystemClock.now(),
        tokio::time::Instant::now() + Duration::from_secs(10),
    ));
    let request = Request {
        skill: skill.into(),
        input: input.into(),
        session: None,
    };
    Ok(agent.agent.invoke(ctx, request, None).await?.output.len())
}

/// wasmtime alone: a new instance, and a warm call of the same skill.
async fn raw_figures(component: &[u8], input: &str) -> Result<(Duration, Duration)> {
    use wasmtime::component::{Component, Linker};
    use wasmtime::{
        Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    };

    let mut pool = PoolingAllocationConfig::new();
    pool.linear_memory_keep_resident(256 << 10)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .epoch_interruption(true);
    let engine = Engine::new(&config).map_err(|e| anyhow!("{e:#}"))?;
    let component = Component::from_binary(&engine, component).map_err(|e| anyhow!("{e:#}"))?;
    let mut linker = Linker::<()>::new(&engine);
    linker
        .define_unknown_imports_as_traps(&component)
        .map_err(|e| anyhow!("{e:#}"))?;
    let pre = linker
        .instantiate_pre(&component)
        .and_then(raw::GuestPre::new)
        .map_err(|e| anyhow!("{e:#}"))?;
    let store = || {
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        store
    };

    let new = median(300, || async {
        let mut store = store();
        pre.instantiate_async(&mut store)
            .await
            .map_err(|e| anyhow!("{e:#}"))?;
        Ok(0)
    })
    .await?;

    let mut warm = store();
    let guest = pre
        .instantiate_async(&mut warm)
        .await
        .map_err(|e| anyhow!("{e:#}"))?;
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let started = Instant::now();
        for _ in 0..2_000 {
            let invocation = raw::exports::stuga::agent::agent::Invocation {
                id: "00000000-0000-0000-0000-000000000000".into(),
                skill: "echo".into(),
                input: input.into(),
                session: None,
                origin: raw::exports::stuga::agent::agent::Origin::Client,
                deadline_ms: 1_000,
                context: Vec::new(),
            };
            let answer = guest
                .stuga_agent_agent()
                .call_invoke(&mut warm, &invocation)
                .await;
            answer
                .map_err(|e| anyhow!("{e:#}"))?
                .map_err(|e| anyhow!("{e:?}"))?;
        }
        batches.push(started.elapsed() / 2_000);
    }
    Ok((new, middle(batches)))
}

async fn median<F, Fut>(calls: u32, mut call: F) -> Result<Duration>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<usize>>,
{
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let started = Instant::now();
        for _ in 0..calls {
            std::hint::black_box(call().await?);
        }
        batches.push(started.elapsed() / calls);
    }
    Ok(middle(batches))
}

fn middle(mut batches: Vec<Duration>) -> Duration {
    batches.sort();
    batches.get(batches.len() / 2).copied().unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e8).round() / 100.0
}
