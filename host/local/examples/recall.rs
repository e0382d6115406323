//! How long a recall takes, and what it reads, over as many records and events as it compares at most.
//!
//! `cargo run --release -p stuga-local --example recall [RECALLS]`. 20,000 records in 200 namespaces and 20,000 events in
//! 200 sessions of one actor, each of a dozen words. "all" compares all of them, "one" those of one namespace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Role, SessionWrite, Sessions};
use stuga_core::{
    AgentName, CallCtx, Capability, InvocationId, RequestId, Result, SystemClock, TenantId,
    Timestamp,
};
use stuga_local::{Local, LocalConfig};
use uuid::Uuid;

const ROWS: u32 = 20_000;
const GROUPS: u32 = 200;
/// Rows that are written at once.
const WRITERS: usize = 64;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let recalls = std::env::args()
        .nth(1)
        .map_or(Ok(50), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock);
    let local = Local::open(directory.path(), clock, LocalConfig::default())?;
    fill(&local, "records", |local, n| async move {
        learn(&local, n).await
    })
    .await?;
    fill(
        &local,
        "events",
        |local, n| async move { say(&local, n).await },
    )
    .await?;
    let (records, sessions) = (local.records(), local.sessions());
    measure("records, all", recalls, |ctx, query| {
        let records = Arc::clone(&records);
        async move { Ok(records.recall(&ctx, "", &query, 10).await?.len()) }
    })
    .await?;
    measure("records, one", recalls, |ctx, query| {
        let records = Arc::clone(&records);
        async move { Ok(records.recall(&ctx, "/n/7", &query, 10).await?.len()) }
    })
    .await?;
    measure("events, all", recalls, |ctx, query| {
        let sessions = Arc::clone(&sessions);
        async move { Ok(sessions.recall(&ctx, "astrid", &query, 10).await?.len()) }
    })
    .await?;
    local.close().await?;
    Ok(())
}

/// Writes all rows, some at once, and says how fast.
async fn fill<F>(local: &Local, what: &str, write: impl Fn(Local, u32) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let begin = Instant::now();
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..ROWS {
        // The first of each group begins its session; a group comes again long after that was written.
        if writes.len() >= WRITERS
            && let Some(done) = writes.join_next().await
        {
            done??;
        }
        writes.spawn(write(local.clone(), n));
    }
    while let Some(done) = writes.join_next().await {
        done??;
    }
    let rate = f64::from(ROWS) / begin.elapsed().as_secs_f64();
    println!("{ROWS} {what} written at {rate:.0}/s");
    Ok(())
}

async fn measure<F>(
    what: &str,
    recalls: u32,
    recall: impl Fn(CallCtx, String) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<usize>>,
{
    let (mut times, mut hits) = (Vec::new(), 0);
    let read = bytes_read()?;
    for n in 0..recalls {
        let begin = Instant::now();
        hits += recall(ctx()?, words(n.wrapping_mul(7_919))).await?;
        times.push(begin.elapsed());
    }
    let read = (bytes_read()? - read) / u64::from(recalls) / 1_000;
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied();
    let (p50, p99) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
    println!("{what}: p50 {p50:?}, p99 {p99:?}, {read} kB read a recall, {hits} hits");
    Ok(())
}

/// Bytes that this process has read, from the disk or the page cache.
fn bytes_read() -> Result<u64, Failure> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(line.ok_or("no rchar")?.parse()?)
}

/// A dozen made-up words.
fn words(n: u32) -> String {
    let word = |k: u32| {
        let hash = (n.wrapping_mul(31).wrapping_add(k)).wrapping_mul(2_654_435_761);
        format!("{:05x}", hash >> 12)
    };
    (0..12).map(word).collect::<Vec<_>>().join(" ")
}

async fn learn(local: &Local, n: u32) -> Result<()> {
    let ctx = ctx()?;
    let write = RecordWrite::Put {
        namespace: format!("/n/{}", n % GROUPS),
        id: None,
        text: words(n),
        metadata: Vec::new(),
    };
    let id = ctx.next_write_id()?;
    local.records().apply(&ctx, id, &write).await.map(drop)
}

async fn say(local: &Local, n: u32) -> Result<()> {
    let ctx = ctx()?;
    let (actor, session) = ("astrid".to_owned(), (n % GROUPS).to_string());
    if n < GROUPS {
        let create = SessionWrite::Create {
            actor: actor.clone(),
            id: Some(session.clone()),
            ttl: None,
            metadata: Vec::new(),
        };
        let id = ctx.next_write_id()?;
        local.sessions().apply(&ctx, id, &create).await?;
    }
    let append = SessionWrite::Append {
        actor,
        session,
        role: Role::User,
        content: words(n),
        metadata: Vec::new(),
    };
    let id = ctx.next_write_id()?;
    local.sessions().apply(&ctx, id, &append).await.map(drop)
}

fn ctx() -> Result<CallCtx> {
    let id = Uuid::now_v7();
    Ok(CallCtx::new(
        TenantId::new("bench")?,
        AgentName::new("bench")?,
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        Timestamp::default(),
        tokio::time::Instant::now() + Duration::from_secs(60),
    ))
}
