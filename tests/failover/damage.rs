//! Stores that a crash or a disk has damaged, between two starts.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::outage::is_back;
use crate::support::expect;
use crate::world::{Host, World};

/// Less than a frame of a log.
const TORN_BYTES: usize = 4_000;

/// Where a tenant's data lies.
fn store(host: &Host, tenant: &str, file: &str) -> PathBuf {
    host.site
        .path()
        .join("data/tenants")
        .join(tenant)
        .join(file)
}

/// The host again, after it was killed and something was done to its disk.
fn restarted(mut host: Host, between: impl FnOnce(&Host)) -> Host {
    host.server.cut_down();
    between(&host);
    host.server = host.site.start();
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_end_of_a_journal_is_cut_off_and_said_and_the_rest_reaches_aws() {
    let world = World::new().await;
    let host = world.host();
    world.cut().await;
    for n in 0..5 {
        host.put("acme", &format!("k{n}"), "acknowledged").await;
    }
    let host = restarted(host, |host| {
        // What a machine leaves that loses its power in the middle of a write: the beginning of what it wrote.
        let log = store(host, "acme", "state.db-wal");
        let text = fs::read(&log).unwrap();
        let mut log = OpenOptions::new().append(true).open(log).unwrap();
        // The head of a frame of this log, as it would go on.
        log.write_all(&text[32..32 + TORN_BYTES]).unwrap();
    });
    for n in 0..5 {
        let (text, _) = host.get("acme", &format!("k{n}")).await;
        assert_eq!(text, "acknowledged");
    }
    let said = host.server.log(|line| line["event"] == "store-cut");
    assert_eq!(
        (&said["tenant"], &said["bytes"]),
        (&json!("acme"), &json!(TORN_BYTES))
    );
    let told = host.site.stuga(&["explain", "acme"]);
    assert!(
        told.contains("The end of the store's log was not whole"),
        "{told}"
    );
    let told = host.site.stuga(&["explain", "globex"]);
    assert!(!told.contains("not whole"), "{told}");
    host.put("acme", "k5", "acknowledged").await;
    world.heal();
    let said = host.until("acme", "memory", is_back).await;
    assert_eq!(said["backlog"]["parked"], 0, "{said}");
    let other = world.other_host();
    for n in 0..6 {
        let (text, _) = other.get("acme", &format!("k{n}")).await;
        assert_eq!(text, "acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_a_disk_has_lost_are_said_and_those_before_them_reach_aws() {
    let world = World::new().await;
    let host = world.host();
    world.cut().await;
    host.put("acme", "first", "acknowledged").await;
    let log = store(&host, "acme", "state.db-wal");
    let after_first = fs::metadata(&log).unwrap().len();
    host.put("acme", "second", "acknowledged").await;
    let host = restarted(host, |_| {
        let mut log = OpenOptions::new().write(true).open(&log).unwrap();
        log.seek(SeekFrom::Start(after_first + 100)).unwrap();
        log.write_all(&[0xA5; 64]).unwrap();
    });
    assert_eq!(host.get("acme", "first").await.0, "acknowledged");
    assert_eq!(host.get("acme", "second").await.0, Value::Null);
    host.server
        .log(|line| line["event"] == "store-cut" && line["tenant"] == "acme");
    world.heal();
    host.until("acme", "memory", is_back).await;
    assert_eq!(
        world.other_host().get("acme", "first").await.0,
        "acknowledged"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_damaged_is_refused_by_name_and_other_tenants_are_served() {
    let world = World::new().await;
    let host = world.host();
    for tenant in ["acme", "globex"] {
        host.put(tenant, "k", "before").await;
    }
    let host = restarted(host, |host| {
        let database = store(host, "globex", "state.db");
        let mut database = OpenOptions::new().write(true).open(database).unwrap();
        database.write_all(&[0xA5; 4_096]).unwrap();
        // Or it would come back from there.
        fs::write(store(host, "globex", "state.db-wal"), "").unwrap();
    });
    let input = json!({"key": "k"});
    let get = host.server.echo("globex", host.key("globex"), "get", input);
    let refused = expect(get, 500).await;
    let fix = "the tenant's store is damaged; the operator must restore it";
    assert!(
        refused["detail"].as_str().unwrap().contains(fix),
        "{refused}"
    );
    let said = host.server.log(|line| line["event"] == "store-refused");
    let file = said["file"].as_str().unwrap();
    assert!(file.ends_with("tenants/globex/state.db"), "{said}");
    let told = host.site.stuga(&["explain", "globex"]);
    assert!(told.contains("the operator must restore it"), "{told}");
    // Neither its neighbours nor the figures of all suffer.
    assert_eq!(host.get("acme", "k").await.0, "before");
    let status = host.command(&["status"]);
    let all = status["failover"]["capabilities"].as_array().unwrap();
    let memory = all.iter().find(|one| one["capability"] == "memory");
    assert_eq!(memory.unwrap()["waiting"]["unreadable"], 1, "{status}");
    // Moved away, a new one begins, and AWS has what it had.
    let host = restarted(host, |host| {
        for file in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(store(host, "globex", file));
        }
    });
    let (text, used) = host.get("globex", "k").await;
    assert_eq!((text, &used["backend"]), (json!("before"), &json!("cloud")));
}
