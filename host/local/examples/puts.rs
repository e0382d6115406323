//! How fast durable puts and reads are, beside plain rusqlite on the same disk.
//!
//! `cargo run --release -p stuga-local --example puts [SECONDS] [--json]`; `--json` prints the puts alone, for
//! `cargo xtask bench`. 256 byte values at random-looking keys, each row on a
//! fresh store. "plain" is one connection with WAL and synchronous=FULL that commits N rows of (key, value) at a time,
//! in a loop without any queue; "stuga" is N tasks that each put and wait, with versions, quotas and idempotency; "noted" is
//! the same while the cloud is away: each put has an entry in the journal, sealed; "copied" is the copy of what the cloud
//! acknowledged, which waits for no disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use stuga_core::memory::{Expected, Memory, MemoryAck, MemoryWrite};
use stuga_core::standby::{Made, Standby};
use stuga_core::{
    AgentName, CallCtx, Capability, Clock, InvocationId, RequestId, Result, SystemClock, TenantId,
    Timestamp, first_version,
};
use stuga_local::{Local, LocalConfig};
use uuid::Uuid;

const VALUE: [u8; 256] = [0x5a; 256];
const WRITERS: [usize; 4] = [1, 8, 64, 256];

type Failure = Box<dyn std::error::Error>;

/// How a put comes to lie here.
#[derive(Clone, Copy)]
enum Way {
    /// This host takes it.
    Taken,
    /// This host takes it in the cloud's place.
    Noted,
    /// The cloud took it.
    Copied,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = arguments.iter().any(|argument| argument == "--json");
    let seconds = arguments.iter().find(|argument| *argument != "--json");
    let time = Duration::from_secs(seconds.map_or(Ok(2), |text| text.parse())?);
    if as_json {
        let mut rows = Vec::new();
        for writers in WRITERS {
            let (plain, plain_cpu) = plain_puts(writers, time)?;
            let (stuga, stuga_cpu) = stuga_puts(writers, time, Way::Taken).await?;
            let (noted, noted_cpu) = stuga_puts(writers, time, Way::Noted).await?;
            let (copied, copied_cpu) = stuga_puts(writers, time, Way::Copied).await?;
            rows.push(serde_json::json!({
                "writers": writers, "plain_per_second": plain, "stuga_per_second": stuga,
                "noted_per_second": noted, "plain_cpu_us": plain_cpu, "stuga_cpu_us": stuga_cpu,
                "noted_cpu_us": noted_cpu, "copied_per_second": copied, "copied_cpu_us": copied_cpu,
            }));
        }
        println!("{}", serde_json::json!({ "puts": rows }));
        return Ok(());
    }
    for writers in WRITERS {
        let (plain, plain_cpu) = plain_puts(writers, time)?;
        let (stuga, stuga_cpu) = stuga_puts(writers, time, Way::Taken).await?;
        let (noted, noted_cpu) = stuga_puts(writers, time, Way::Noted).await?;
        let (copied, copied_cpu) = stuga_puts(writers, time, Way::Copied).await?;
        let ratio = stuga / plain;
        println!("{writers:>4} at once: ratio {ratio:.2}");
        println!("     plain {plain:>7.0} puts/s, {plain_cpu:>5.1} us CPU each");
        println!("     stuga {stuga:>7.0} puts/s, {stuga_cpu:>5.1} us CPU each");
        println!("     noted {noted:>7.0} puts/s, {noted_cpu:>5.1} us CPU each");
        println!("     copied {copied:>6.0} puts/s, {copied_cpu:>5.1} us CPU each");
    }
    sustained(time * 5).await?;
    reads(time).await?;
    idle().await
}

/// Puts a second and CPU time of each in microseconds.
fn plain_puts(group: usize, time: Duration) -> Result<(f64, f64), Failure> {
    let directory = tempfile::tempdir()?;
    let mut conn = Connection::open(directory.path().join("plain.db"))?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.execute_batch("CREATE TABLE item (key TEXT PRIMARY KEY, value BLOB NOT NULL)")?;
    let (begin, cpu) = (Instant::now(), cpu_micros()?);
    let mut done = 0_u64;
    while begin.elapsed() < time {
        let transaction = conn.transaction()?;
        for _ in 0..group {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO item VALUES (?1, ?2)")?
                .execute((key(done), VALUE))?;
            done += 1;
        }
        transaction.commit()?;
    }
    let done = done as f64;
    Ok((
        done / begin.elapsed().as_secs_f64(),
        (cpu_micros()? - cpu) / done,
    ))
}

async fn stuga_puts(writers: usize, time: Duration, way: Way) -> Result<(f64, f64), Failure> {
    let directory = tempfile::tempdir()?;
    let local = Local::open(
        directory.path(),
        Arc::new(SystemClock),
        LocalConfig::default(),
    )?;
    let next = Arc::new(AtomicU64::new(0));
    let (begin, cpu) = (Instant::now(), cpu_micros()?);
    let tasks: Vec<tokio::task::JoinHandle<Result<()>>> = (0..writers)
        .map(|_| {
            let (local, next) = (local.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                while begin.elapsed() < time {
                    put(&local, next.fetch_add(1, Ordering::Relaxed), way).await?;
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let done = next.load(Ordering::Relaxed) as f64;
    let result = (
        done / begin.elapsed().as_secs_f64(),
        (cpu_micros()? - cpu) / done,
    );
    local.close().await?;
    Ok(result)
}

/// One invocation that puts one item and ends.
async fn put(local: &Local, n: u64, way: Way) -> Result<()> {
    let ctx = ctx("bench")?;
    let write = MemoryWrite::Put {
        key: key(n),
        value: VALUE.to_vec(),
        ttl: None,
        expected: Expected::Any,
    };
    let id = ctx.next_write_id()?;
    let memory = local.memory();
    match way {
        Way::Taken => drop(memory.apply(&ctx, id, &write).await?),
        Way::Noted => drop(memory.apply_noted(&ctx, id, &write).await?),
        Way::Copied => {
            let at = SystemClock.now();
            let version = first_version(at);
            let ack = MemoryAck {
                version,
                existed: false,
            };
            let made = Made {
                ack,
                stamp: version,
                at,
            };
            memory.copy(&ctx, id, &write, &made).await?;
        }
    }
    local.invocations().forget(&ctx.tenant, ctx.invocation);
    Ok(())
}

/// What is left on disk when 64 writers replace the same 10,000 items for a while.
async fn sustained(time: Duration) -> Result<(), Failure> {
    const ITEMS: u64 = 10_000;
    let directory = tempfile::tempdir()?;
    let local = Local::open(
        directory.path(),
        Arc::new(SystemClock),
        LocalConfig::default(),
    )?;
    let next = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let tasks: Vec<tokio::task::JoinHandle<Result<()>>> = (0..64)
        .map(|_| {
            let (local, next) = (local.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                while begin.elapsed() < time {
                    put(
                        &local,
                        next.fetch_add(1, Ordering::Relaxed) % ITEMS,
                        Way::Taken,
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let done = next.load(Ordering::Relaxed);
    let per_second = done as f64 / begin.elapsed().as_secs_f64();
    local.close().await?;
    let database = directory.path().join("tenants/bench/state.db");
    let mib = std::fs::metadata(&database)?.len() as f64 / f64::from(1 << 20);
    let rows: u64 =
        Connection::open(database)?
            .query_row("SELECT count(*) FROM applied_write", [], |row| row.get(0))?;
    println!(
        "{done} puts to {ITEMS} items at {per_second:.0} puts/s: {mib:.1} MiB on disk, {rows} writes remembered"
    );
    Ok(())
}

async fn reads(time: Duration) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let local = Local::open(
        directory.path(),
        Arc::new(SystemClock),
        LocalConfig::default(),
    )?;
    let memory = local.memory();
    let ctx = ctx("bench")?;
    for n in 0..1_000 {
        let write = MemoryWrite::Put {
            key: key(n),
            value: VALUE.to_vec(),
            ttl: None,
            expected: Expected::Any,
        };
        memory.apply(&ctx, ctx.next_write_id()?, &write).await?;
    }
    let (begin, cpu) = (Instant::now(), cpu_micros()?);
    let mut done = 0_u64;
    while begin.elapsed() < time {
        let ctx = self::ctx("bench")?;
        memory.get(&ctx, &key(done % 1_000)).await?;
        done += 1;
    }
    let micros = begin.elapsed().as_secs_f64() * 1e6 / done as f64;
    let cpu = (cpu_micros()? - cpu) / done as f64;
    println!("one reader: {micros:.1} us a get, {cpu:.1} us CPU each");
    local.close().await?;
    let conn = Connection::open(directory.path().join("tenants/bench/state.db"))?;
    let (begin, cpu) = (Instant::now(), cpu_micros()?);
    let mut done = 0_u64;
    while begin.elapsed() < time {
        let _value: Vec<u8> = conn
            .prepare_cached("SELECT value FROM memory_item WHERE agent = 'bench' AND key = ?1")?
            .query_row([key(done % 1_000)], |row| row.get(0))?;
        done += 1;
    }
    let micros = begin.elapsed().as_secs_f64() * 1e6 / done as f64;
    let cpu = (cpu_micros()? - cpu) / done as f64;
    println!("     plain: {micros:.1} us a get, {cpu:.1} us CPU each");
    Ok(())
}

/// What a thousand tenants cost that have written once and rest.
async fn idle() -> Result<(), Failure> {
    const TENANTS: usize = 1_000;
    let directory = tempfile::tempdir()?;
    let local = Local::open(
        directory.path(),
        Arc::new(SystemClock),
        LocalConfig::default(),
    )?;
    let memory = local.memory();
    let before = resident_kib()?;
    let begin = Instant::now();
    for n in 0..TENANTS {
        let ctx = ctx(&format!("tenant-{n}"))?;
        let write = MemoryWrite::Put {
            key: key(0),
            value: VALUE.to_vec(),
            ttl: None,
            expected: Expected::Any,
        };
        memory.apply(&ctx, ctx.next_write_id()?, &write).await?;
        memory.get(&ctx, &key(0)).await?;
    }
    let grown = resident_kib()?.saturating_sub(before);
    let each = begin.elapsed() / TENANTS as u32;
    println!("{TENANTS} tenants at rest: {grown} KiB more, {each:?} to create one, put and get");
    local.close().await?;
    Ok(())
}

/// CPU time of this process so far; its ticks are hundredths of a second.
fn cpu_micros() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold spaces; user and system time are fields 14 and 15 of the whole.
    let (_, after_name) = stat.rsplit_once(')').ok_or("no stat")?;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks * 10_000.0)
}

fn resident_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

/// Spreads consecutive numbers over the key space.
fn key(n: u64) -> String {
    format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn ctx(tenant: &str) -> Result<CallCtx> {
    let id = Uuid::now_v7();
    Ok(CallCtx::new(
        TenantId::new(tenant)?,
        AgentName::new("bench")?,
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        Timestamp::default(),
        tokio::time::Instant::now() + Duration::from_secs(60),
    ))
}
