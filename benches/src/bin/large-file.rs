//! A file of one gigabyte through a guest: uploaded in parts by one call, read back in parts by others. Prints one JSON
//! object for `cargo xtask bench`: rates, the guest's memory, and the most that this process had resident.
//!
//! `--files s3` keeps it on a SeaweedFS of its own, which is another process, so that what is measured is the host alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use serde_json::{Value, json};
use stuga_core::files::Files;
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, InvocationId, RequestId, SystemClock, TenantId,
};
use stuga_resilience::{Capabilities, Failover};
use stuga_runtime::{
    Agent, AgentSettings, InstanceMode, JobCheck, Limits, Request, Runtime, RuntimeConfig,
};
use stuga_test_servers::SeaweedFs;
use uuid::Uuid;

/// Bytes of a part.
const PART: u64 = 1 << 20;
/// Longest call: uploading takes one.
const DEADLINE: Duration = Duration::from_secs(600);

#[derive(Parser)]
struct Args {
    /// The component with the skills `upload-file` and `read-file`.
    #[arg(long)]
    guest: PathBuf,
    /// Size of the file in MiB
    #[arg(long, default_value_t = 1_024)]
    mib: u64,
    /// Who keeps the file
    #[arg(long, value_enum, default_value = "local")]
    files: Keeper,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Keeper {
    /// This host's disk.
    Local,
    /// S3, as SeaweedFS plays it.
    S3,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let component = std::fs::read(&args.guest).with_context(|| {
        format!(
            "cannot read {}; run `cargo xtask guests`",
            args.guest.display()
        )
    })?;
    let data = tempfile::tempdir()?;
    let local = stuga_local::Local::open(
        data.path(),
        Arc::new(SystemClock),
        stuga_local::LocalConfig::default(),
    )
    .map_err(|e| anyhow!("{e}"))?;
    let runtime =
        Runtime::new(RuntimeConfig::default()).map_err(|e| anyhow!("{e}: {}", e.causes()))?;
    let plugin = runtime.load(component).await?;
    let mut capabilities = Capabilities::local(local.backends());
    // Held until the end: it ends with its holder.
    let seaweed = match args.files {
        Keeper::Local => None,
        Keeper::S3 => {
            let seaweed = SeaweedFs::start()?;
            let files: Arc<dyn Files> = stuga_bench::files_on(&seaweed)?
                .files()
                .context("files are not on S3")?;
            capabilities.files = Failover::cloud(files);
            Some(seaweed)
        }
    };
    let agent = runtime.deploy(plugin, settings()?, capabilities).await?;

    let before = memory_kib("VmRSS:")?;
    // From here on the peak counts: compiling the component takes more.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let text = "x".repeat(usize::try_from(PART)?);
    let input = json!({ "path": "large", "text": text, "times": args.mib });
    let begin = Instant::now();
    let (answer, guest) = invoke(&agent, "upload-file", &input).await?;
    let uploading = begin.elapsed().as_secs_f64();
    let size = answer.get("value").and_then(Value::as_u64);
    anyhow::ensure!(size == Some(args.mib * PART), "the file has {size:?} bytes");

    let (begin, mut read, mut guest_reading) = (Instant::now(), 0, 0);
    for part in 0..args.mib {
        let input = json!({ "path": "large", "offset": part * PART, "len": PART });
        let (answer, guest) = invoke(&agent, "read-file", &input).await?;
        read += answer
            .get("text")
            .and_then(Value::as_str)
            .map_or(0, str::len);
        guest_reading = guest_reading.max(guest);
    }
    let reading = begin.elapsed().as_secs_f64();
    anyhow::ensure!(read as u64 == args.mib * PART, "{read} bytes came back");
    local.close().await.map_err(|e| anyhow!("{e}"))?;

    let mib = args.mib as f64;
    let figures = json!({
        "mib": args.mib,
        "files": seaweed.as_ref().map_or_else(|| "this host's disk".to_owned(), SeaweedFs::describe),
        "upload_mib_per_second": mib / uploading,
        "read_mib_per_second": mib / reading,
        "guest_mib": guest.max(guest_reading) as f64 / PART as f64,
        "process_peak_mib": memory_kib("VmHWM:")? as f64 / 1_024.0,
        "process_before_mib": before as f64 / 1_024.0,
    });
    println!("{figures}");
    Ok(())
}

fn settings() -> Result<AgentSettings> {
    Ok(AgentSettings {
        tenant: TenantId::new("bench").map_err(|e| anyhow!("{e}"))?,
        agent: AgentName::new("echo").map_err(|e| anyhow!("{e}"))?,
        grants: CapabilityName::ALL.into_iter().collect(),
        config: Default::default(),
        secrets: Default::default(),
        job_check: JobCheck::default(),
        limits: Limits {
            memory_bytes: 64 << 20,
            deadline: DEADLINE,
            output_bytes: 4 << 20,
            waiting: 16,
        },
        instance: InstanceMode::Warm,
        max_instances: 1,
        max_invocations: u64::MAX,
        idle: DEADLINE,
    })
}

/// What a skill answers, and the size of the guest's memory after it.
async fn invoke(agent: &Agent, skill: &str, input: &Value) -> Result<(Value, u64)> {
    let id = Uuid::now_v7();
    let ctx = CallCtx::new(
        TenantId::new("bench").map_err(|e| anyhow!("{e}"))?,
        AgentName::new("echo").map_err(|e| anyhow!("{e}"))?,
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        SystemClock.now(),
        tokio::time::Instant::now() + DEADLINE,
    );
    let request = Request {
        skill: skill.to_owned(),
        input: input.to_string(),
        session: None,
    };
    let reply = agent.invoke(Arc::new(ctx), request, None).await;
    let reply = reply.map_err(|e| anyhow!("{e:?}"))?;
    let answer = serde_json::from_str(&reply.output)?;
    Ok((answer, reply.receipt.cost.memory_bytes))
}

/// What a line says of this process's memory: `VmRSS:` what is resident, `VmHWM:` the most that was.
fn memory_kib(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.with_context(|| format!("no {name}"))?.parse()?)
}
