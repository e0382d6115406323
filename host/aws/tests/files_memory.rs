//! A content far larger than what a host may hold goes up and comes down through little memory.
//!
//! A binary of its own, because the peak of a process is measured. `STUGA_FILE_MIB` sets the size, 1024 for the figure in
//! docs/PERFORMANCE.md.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "files/stage.rs"]
#[allow(dead_code, reason = "shared with the tests of files")]
mod stage;

use std::time::Instant;

use sha2::{Digest, Sha256};
use stage::{Stage, acme, apply, put};
use stuga_core::files::{Expected, Files, RANGE_MAX_BYTES};
use stuga_core::{CallCtx, Capability};

/// Four times what one upload may hold.
const MIB: u64 = 128;
/// A part that fills, two under way, what one call appends, and as much again for what the HTTP client buffers.
const MEMORY_MAX_MIB: u64 = 64;

/// A context that lasts for a large file on a busy machine.
fn patient() -> CallCtx {
    let ctx = acme();
    CallCtx::new(
        ctx.tenant,
        ctx.agent,
        ctx.invocation,
        ctx.request,
        ctx.accepted_at,
        tokio::time::Instant::now() + std::time::Duration::from_secs(1_800),
    )
}

/// A line of `/proc/self/status` in MiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    let kib: u64 = line
        .trim_start_matches(':')
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .unwrap();
    kib / 1_024
}

/// The part number `n`: no two are the same, and none compresses to nothing.
fn part(n: u64) -> Vec<u8> {
    let word = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word.to_le_bytes()
        .into_iter()
        .cycle()
        .take(RANGE_MAX_BYTES)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_content_goes_up_and_comes_down_through_little_memory() {
    let mib = std::env::var("STUGA_FILE_MIB")
        .ok()
        .map_or(MIB, |mib| mib.parse().unwrap());
    let parts = (mib << 20) / RANGE_MAX_BYTES as u64;
    let stage = Stage::seaweedfs().await;
    let files = stage.host().files().unwrap();
    files.get(&acme(), "warm").await.unwrap();
    let before = memory("VmRSS");
    // From here on the peak counts.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();

    let ctx = patient();
    let begun = Instant::now();
    let mut expected = Sha256::new();
    let mut upload = files.begin_upload(&ctx).await.unwrap();
    for n in 0..parts {
        let part = part(n);
        expected.update(&part);
        upload.append(&ctx, &part).await.unwrap();
    }
    let spooled = upload.finish(&ctx).await.unwrap();
    let up = begun.elapsed();
    let id = ctx.next_write_id().unwrap();
    let write = put("large", &spooled, Expected::Any);
    let info = files.apply(&ctx, id, &write).await.unwrap().info.unwrap();
    let named = begun.elapsed() - up;
    let mut read = Sha256::new();
    let len = u32::try_from(RANGE_MAX_BYTES).unwrap();
    for n in 0..parts {
        let offset = n * u64::from(len);
        let part = files
            .read_range(&ctx, "large", Some(info.version), offset, len)
            .await;
        read.update(part.unwrap().unwrap().content);
    }
    let down = begun.elapsed() - up - named;
    let peak = memory("VmHWM").saturating_sub(before);
    println!(
        "{mib} MiB: up {up:.1?}, named {named:.1?}, down {down:.1?}, {peak} MiB of memory over {before} MiB"
    );

    let expected = hex::encode(expected.finalize());
    assert_eq!(spooled.sha256, expected);
    assert_eq!(hex::encode(read.finalize()), expected);
    assert!(peak <= MEMORY_MAX_MIB, "{peak} MiB of memory for {mib} MiB");
    assert_eq!(stage.unfinished().await, 0);
    let purge = stuga_core::files::FilesWrite::Purge {
        path: "large".to_owned(),
    };
    apply(&*files, &purge).await.unwrap();
}
