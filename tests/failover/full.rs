//! The disk of a host is full.

use serde_json::{Value, json};

use crate::outage::is_back;
use crate::support::problem;
use crate::world::{Host, World};

/// Room that is left on a disk which is about to be full.
const ROOM_BYTES: u64 = 2 << 20;
/// Texts that a test writes at most before that is used up.
const WRITES_MAX: usize = 200;
const TEXT_BYTES: usize = 40_000;

fn text(n: usize) -> String {
    format!("{n:>TEXT_BYTES$}")
}

fn key(n: usize) -> String {
    format!("k{n}")
}

/// Writes texts one after the other until the disk refuses one; how many were acknowledged.
async fn write_until_refused(host: &Host, skill: &str, name: &str) -> usize {
    for n in 0..WRITES_MAX {
        let input = json!({name: key(n), "text": text(n)});
        let call = host.server.echo("acme", host.key("acme"), skill, input);
        let answer = call.try_clone().unwrap().send().await.unwrap();
        if answer.status() == 200 {
            let answer: Value = answer.json().await.unwrap();
            let used = &answer["receipt"]["capabilities"][0];
            assert_eq!(used["pending"], 1, "{used}");
            continue;
        }
        let refused = problem(call, 503, "unavailable").await;
        let told = refused["detail"].as_str().unwrap();
        let fix = "is full; the operator must make room";
        assert!(told.contains(fix), "{refused}");
        assert!(n > 0, "the disk was full before it was filled");
        return n;
    }
    panic!("the disk did not become full");
}

/// What was acknowledged is there, and what was refused is not.
async fn has_what_was_acknowledged(host: &Host, memory: usize, files: usize) {
    for n in 0..memory {
        assert_eq!(host.get("acme", &key(n)).await.0, text(n));
    }
    assert_eq!(host.get("acme", &key(memory)).await.0, Value::Null);
    for n in 0..files {
        assert_eq!(host.get_file("acme", &key(n)).await.0, text(n));
    }
    assert_eq!(host.get_file("acme", &key(files)).await.0, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_of_an_outage_and_loses_none_that_it_took() {
    let world = World::new().await;
    let mut host = world.host_on_a_disk();
    world.cut().await;
    host.put("acme", "first", "first").await;
    let disk = host.disk.take().unwrap();
    disk.fill(ROOM_BYTES);
    let files = write_until_refused(&host, "put-file", "path").await;
    disk.fill(ROOM_BYTES);
    let memory = write_until_refused(&host, "put", "key").await;
    has_what_was_acknowledged(&host, memory, files).await;
    // A crash does not make it worse.
    let site = host.site;
    host.server.kill();
    disk.free();
    host.server = site.start();
    host.site = site;
    has_what_was_acknowledged(&host, memory, files).await;
    host.put("acme", "last", "last").await;
    host.put_file("acme", "last", "last").await;
    world.heal();
    for capability in ["memory", "files"] {
        let said = host.until("acme", capability, is_back).await;
        assert_eq!(said["backlog"]["parked"], 0, "{said}");
    }
    let other = world.other_host();
    has_what_was_acknowledged(&other, memory, files).await;
    for at in ["first", "last"] {
        assert_eq!(other.get("acme", at).await.0, at);
    }
    assert_eq!(other.get_file("acme", "last").await.0, "last");
    host.disk = Some(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_a_healthy_cloud_no_write_and_each_says_what_is_missed() {
    let world = World::new().await;
    let host = world.host_on_a_disk();
    // What has never been opened could hold writes that wait, and must be looked at first.
    host.put("acme", "first", "first").await;
    let disk = host.disk.as_ref().unwrap();
    disk.fill(0);
    let upload = json!({"path": "uploaded", "text": text(0), "times": 30});
    let (_, uploaded) = host.call("acme", "upload-file", upload, "files").await;
    for used in [
        host.put("acme", &key(0), &text(0)).await,
        host.put_file("acme", &key(0), &text(0)).await,
        uploaded,
    ] {
        assert_eq!(
            (&used["backend"], &used["pending"]),
            (&json!("cloud"), &json!(0))
        );
        let missed = json!("this host's copy misses a write that the cloud has");
        assert_eq!(used["degraded"], missed, "{used}");
    }
    for there in [&host, &world.other_host()] {
        has_what_was_acknowledged(there, 1, 1).await;
        let end = json!({"path": "uploaded", "offset": 30 * TEXT_BYTES - 2, "len": 9});
        let (end, _) = there.call("acme", "read-file", end, "files").await;
        assert_eq!(end["text"], " 0");
    }
    disk.free();
    for used in [
        host.put("acme", &key(0), "later").await,
        host.put_file("acme", &key(0), "later").await,
    ] {
        assert_eq!(used["degraded"], Value::Null, "{used}");
    }
    world.cut().await;
    assert_eq!(host.get("acme", &key(0)).await.0, "later");
    assert_eq!(host.get_file("acme", &key(0)).await.0, "later");
}
