//! How fast a journal goes to the cloud, and how fast the cloud takes writes that nobody had to wait with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Serialize;
use stuga_core::files::{Files, FilesWrite};
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::{BreakerState, CallCtx, Capability, CapabilityName};
use stuga_resilience::{Breaker, Failover, FileCarrier, Pass, Replay, ReplaySettings, Sides};
use stuga_test_servers::SeaweedFs;
use tokio::task::JoinSet;

use crate::{VALUE, breaker, ctx, open_local, route};

/// Writers at once while the journal is filled.
const FILLERS: u64 = 64;
/// The tenant of whose writes the cloud's own rate is taken, and the one whose writes wait.
const ALONE: &str = "alone";
const WAITING: &str = "waiting";

/// What a drain came to.
#[derive(Serialize)]
pub(crate) struct Drain {
    /// What was written, and where to.
    what: String,
    entries: u64,
    at_a_time: u64,
    /// What the cloud takes without a journal.
    alone_per_second: f64,
    /// What this host takes while the cloud is away.
    noted_per_second: f64,
    /// From the first entry to the last.
    seconds: f64,
}

/// A second data directory takes the cloud's place, which costs as little as a cloud can. So what is measured is the journal,
/// the replay and the adoption, and no network.
pub(crate) async fn memory(entries: u64, at_a_time: u64) -> Result<Drain> {
    let ((_folder, here), (_cloud_folder, there)) = (open_local()?, open_local()?);
    let breaker = breaker();
    let facade = Failover::sides(Sides::new(
        there.memory() as _,
        there.memory() as _,
        here.memory() as _,
        here.memory(),
        Arc::new(route(CapabilityName::Memory, &breaker, &here)),
    ));
    let bench = Bench {
        what: "memory, to a second data directory".to_owned(),
        bare: Failover::<dyn Memory>::cloud(there.memory()),
        facade,
        breaker,
    };
    bench.drain(entries, at_a_time, put_value).await
}

/// Small files to a real object store over HTTP.
pub(crate) async fn files(entries: u64, at_a_time: u64) -> Result<Drain> {
    let seaweed = SeaweedFs::start()?;
    let cloud = stuga_bench::files_on(&seaweed)?;
    let cloud = cloud.files().context("files are not on S3")?;
    let (_folder, here) = open_local()?;
    let breaker = breaker();
    let carrier = FileCarrier::new(here.files() as _, Arc::clone(&cloud) as _);
    let sides = Sides::new(
        Arc::clone(&cloud) as _,
        Arc::clone(&cloud) as _,
        here.files() as _,
        here.files(),
        Arc::new(route(CapabilityName::Files, &breaker, &here)),
    );
    let bench = Bench {
        what: format!("files of {VALUE} bytes, to {}", seaweed.describe()),
        bare: Failover::<dyn Files>::cloud(cloud as _),
        facade: Failover::sides(sides.carried(Arc::new(carrier))),
        breaker,
    };
    bench.drain(entries, at_a_time, put_file).await
}

struct Bench<C: Capability + ?Sized> {
    what: String,
    bare: Failover<C>,
    facade: Failover<C>,
    breaker: Arc<Breaker>,
}

impl<C: Capability + ?Sized> Bench<C> {
    /// Fills the journal while the cloud is away, has it drained, and says how long each took.
    async fn drain<P, Fut>(self, entries: u64, at_a_time: u64, put: P) -> Result<Drain>
    where
        P: Fn(Failover<C>, CallCtx, u64) -> Fut + Copy + Send + 'static,
        Fut: Future<Output = Result<()>> + Send,
    {
        let what = &self.what;
        let settings = ReplaySettings {
            keys: usize::try_from(at_a_time)?,
            // The default spares the cloud; here its limit is to be found.
            per_second: 1_000_000,
            ..ReplaySettings::default()
        };
        let replay = Replay::of(&self.facade, settings).context("the sides do not tell")?;
        eprintln!("failover: {entries} writes of {what}, {at_a_time} at a time");
        let alone_per_second = fill(&self.bare, entries, at_a_time, ALONE, put).await?;
        self.breaker.isolate();
        eprintln!("failover: the same writes while the cloud is away");
        let noted_per_second = fill(&self.facade, entries, FILLERS, WAITING, put).await?;
        self.breaker.release();
        // Probes close it.
        while self.breaker.state() != BreakerState::Closed {
            put(self.facade.clone(), ctx(ALONE)?, 0).await?;
        }
        eprintln!("failover: the journal drains");
        let begin = Instant::now();
        let pass = replay.pass().await.map_err(|e| anyhow!("{e}"))?;
        ensure!(pass == Pass::Drained, "the journal did not drain");
        Ok(Drain {
            what: self.what,
            entries,
            at_a_time,
            alone_per_second,
            noted_per_second,
            seconds: begin.elapsed().as_secs_f64(),
        })
    }
}

/// Writes so many keys, and says how many in a second.
async fn fill<C, P, Fut>(
    facade: &Failover<C>,
    writes: u64,
    writers: u64,
    tenant: &'static str,
    put: P,
) -> Result<f64>
where
    C: Capability + ?Sized,
    P: Fn(Failover<C>, CallCtx, u64) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
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
                    return anyhow::Ok(());
                }
                put(facade.clone(), ctx(tenant)?, n).await?;
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(writes as f64 / begin.elapsed().as_secs_f64())
}

async fn put_value(memory: Failover<dyn Memory>, ctx: CallCtx, n: u64) -> Result<()> {
    let put = MemoryWrite::Put {
        key: format!("k{n}"),
        value: vec![b'x'; VALUE],
        ttl: None,
        expected: Expected::Any,
    };
    let put = memory.write(&ctx, &put).await;
    put.map(drop).map_err(|e| anyhow!("{e}: {}", e.causes()))
}

async fn put_file(files: Failover<dyn Files>, ctx: CallCtx, n: u64) -> Result<()> {
    // No two are the same, so that each is carried.
    let content = format!("{n:0VALUE$}");
    let spooled = files.spool(&ctx, content.as_bytes()).await;
    let spooled = spooled.map_err(|e| anyhow!("{e}: {}", e.causes()))?;
    let put = FilesWrite::Put {
        path: format!("k{n}"),
        sha256: spooled.sha256,
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        metadata: Vec::new(),
        expected: stuga_core::files::Expected::Any,
    };
    let put = files.write(&ctx, &put).await;
    put.map(drop).map_err(|e| anyhow!("{e}: {}", e.causes()))
}
