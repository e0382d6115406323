//! Files larger than any memory, through a guest to S3 and back; and uploads whose call ends early.

use std::fs;

use serde_json::{Value, json};
use stuga_tests::large::Large;
use tokio::time::Duration;

use crate::cloud::{Cloud, Host, until};
use crate::support::expect;
use crate::uses::assert_cloud;

/// Size of the file unless `STUGA_FILE_MIB` says another.
const MIB: u64 = 128;
/// What the host may take more than before, less than the file: a part that fills, two under way, what one call takes and
/// gives, and what the allocator keeps of all that.
const HOST_MAX_MIB: u64 = 112;
/// What the guest may have: a few times what one call takes or gives. The tenant's limit is 16 MiB.
const GUEST_MAX_BYTES: u64 = 12 << 20;
/// Longest call for a large file on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// What the file says of a process's memory, in MiB.
fn memory(process: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    let kib = line.trim_matches([':', ' ', '\t', 'k', 'B']);
    kib.parse::<u64>().unwrap() / 1_024
}

#[tokio::test]
async fn a_large_file_goes_through_a_guest_to_s3_and_back_with_little_memory() {
    let mib = std::env::var("STUGA_FILE_MIB").map_or(MIB, |mib| mib.parse().unwrap());
    let cloud = Cloud::new().await;
    let host = cloud.host();
    let process = host.server.process();
    host.call("acme", "get-file", json!({"path": "warm"})).await;
    let before = memory(process, "VmRSS");
    // From here on the peak counts.
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
    let guest = std::cell::Cell::new(0);
    let file = Large::of(mib << 20);
    file.passes("large", async |skill, input| {
        let call = host.request("acme", skill, input).timeout(PATIENCE);
        let answer = expect(call, 200).await;
        assert_cloud(&answer, "files");
        let took = answer["receipt"]["cost"]["memory_bytes"].as_u64().unwrap();
        guest.set(guest.get().max(took));
        answer["output"].clone()
    })
    .await;
    let peak = memory(process, "VmHWM").saturating_sub(before);
    println!(
        "{mib} MiB up and back: {peak} MiB of memory over {before} MiB, the guest {} KiB",
        guest.get() >> 10
    );
    assert!(
        peak <= HOST_MAX_MIB,
        "the host took {peak} MiB for {mib} MiB"
    );
    assert!(
        guest.get() <= GUEST_MAX_BYTES,
        "the guest took {} bytes",
        guest.get()
    );
    assert_eq!(cloud.uploads().await, Vec::<String>::new());
}

/// The input of an upload that takes longer than any test.
fn endless() -> Value {
    let mut input = Large::of(1).upload("endless");
    input["times"] = json!(60_000);
    input
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_parts_and_no_file() {
    let cloud = Cloud::new().await;
    let host = cloud.host();
    let call = host.request("acme", "upload-file", endless());
    let client = tokio::spawn(call.timeout(PATIENCE).send());
    let begun = async || (!cloud.uploads().await.is_empty()).then_some(());
    until("the upload", begun).await;
    // Its connection closes, as when the client dies.
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    let ended = async || cloud.uploads().await.is_empty().then_some(());
    until("the end of the upload", ended).await;
    let found = host
        .call("acme", "get-file", json!({"path": "endless"}))
        .await;
    assert_eq!(found["output"]["text"], json!(null));
}

#[tokio::test]
async fn a_call_that_is_stopped_at_its_deadline_leaves_no_parts_and_no_file() {
    let cloud = Cloud::new().await;
    let site = cloud.site();
    site.edit_tenant("acme", |text| text.replace("deadline: 10m", "deadline: 5s"));
    let host = Host::start(site);
    let call = host.request("acme", "upload-file", endless());
    let late = tokio::spawn(expect(call, 504));
    let begun = async || (!cloud.uploads().await.is_empty()).then_some(());
    until("the upload", begun).await;
    late.await.unwrap();
    let ended = async || cloud.uploads().await.is_empty().then_some(());
    until("the end of the upload", ended).await;
    let found = host
        .call("acme", "get-file", json!({"path": "endless"}))
        .await;
    assert_eq!(found["output"]["text"], json!(null));
}
