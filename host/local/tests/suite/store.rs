//! What the contract does not say and a store must keep: quotas, sweeping, closing, other processes, damage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use stuga_core::files::Files;
use stuga_core::memory::Memory;
use stuga_core::testkit::ctx;
use stuga_core::{Capability, ErrorKind};
use stuga_local::{LocalConfig, Quotas, Usage};

use crate::common::{House, delete, put, put_for};

const HOUR: Duration = Duration::from_secs(3_600);

/// All files below `directory`, by their paths.
fn files_below(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => drop(found.insert(path)),
        }
    }
    found
}

#[tokio::test]
async fn memory_is_taken_up_to_the_quota_and_no_further() {
    let house = House::new();
    house.quotas(Quotas {
        memory_bytes: 20,
        memory_items: 3,
        ..Quotas::default()
    });
    house.write(put("a", "123456789")).await.unwrap();
    house.write(put("b", "123456789")).await.unwrap();
    let bytes = house.write(put("c", "")).await.unwrap_err();
    assert_eq!(bytes.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(bytes.context_value("quota"), Some("memory_bytes"));
    assert_eq!(bytes.context_value("limit"), Some("20"));
    assert_eq!(bytes.context_value("used"), Some("20"));
    house.write(put("a", "1")).await.unwrap();
    house.write(put("c", "1")).await.unwrap();
    let items = house.write(put("d", "")).await.unwrap_err();
    assert_eq!(items.context_value("quota"), Some("memory_items"));
    assert_eq!(house.get("d").await, None);
    house.write(delete("b")).await.unwrap();
    house.write(put("d", "")).await.unwrap();
    let usage = house.usage().await;
    assert_eq!((usage.memory_items, usage.memory_bytes), (3, 5));
}

#[tokio::test]
async fn over_a_lowered_quota_only_what_shrinks_is_taken() {
    let house = House::new();
    house.write(put("a", "123456789")).await.unwrap();
    house.quotas(Quotas {
        memory_bytes: 5,
        ..Quotas::default()
    });
    let same_size = house.write(put("a", "abcdefghi")).await;
    assert!(same_size.is_ok(), "{same_size:?}");
    house.write(put("a", "12345678")).await.unwrap();
    let larger = house.write(put("a", "123456789")).await.unwrap_err();
    assert_eq!(larger.kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn items_that_expired_make_room_at_once() {
    let house = House::new();
    house.quotas(Quotas {
        memory_items: 600,
        ..Quotas::default()
    });
    for n in 0..600 {
        let write = put_for(Duration::from_millis(10), &format!("k{n}"), "x");
        house.write(write).await.unwrap();
    }
    let full = house.write(put("new", "x")).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::QuotaExceeded);
    house.clock.advance(Duration::from_millis(10));
    // More have expired than one sweep takes, and all of them must be gone for the last of these.
    for n in 0..600 {
        house.write(put(&format!("n{n}"), "x")).await.unwrap();
    }
    assert_eq!(house.usage().await.memory_items, 600);
}

#[tokio::test]
async fn a_quota_is_one_tenants_own() {
    let house = House::new();
    house.quotas(Quotas {
        memory_items: 0,
        ..Quotas::default()
    });
    house.write(put("a", "x")).await.unwrap_err();
    let other = ctx("other", "scribe");
    let id = other.next_write_id().unwrap();
    let memory = house.local.memory();
    memory.apply(&other, id, &put("a", "x")).await.unwrap();
}

#[tokio::test]
async fn files_are_taken_up_to_the_quota_and_no_further() {
    let house = House::new();
    house.quotas(Quotas {
        files_bytes: 10,
        files_count: 2,
        ..Quotas::default()
    });
    house.put_file("a", "12345").await.unwrap();
    house.put_file("b", "12345").await.unwrap();
    let count = house.put_file("c", "").await.unwrap_err();
    assert_eq!(count.context_value("quota"), Some("files_count"));
    let bytes = house.put_file("b", "123456").await.unwrap_err();
    assert_eq!(bytes.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(bytes.context_value("quota"), Some("files_bytes"));
    house.delete_file("a").await.unwrap();
    house.put_file("b", "123456").await.unwrap();
    let usage = house.usage().await;
    assert_eq!((usage.files_count, usage.files_bytes), (1, 6));
}

#[tokio::test]
async fn replacing_a_file_over_and_over_cannot_fill_the_disk() {
    let house = House::new();
    house.quotas(Quotas {
        files_bytes: 10,
        ..Quotas::default()
    });
    for content in ["1aaaa", "2aaaa", "3aaaa", "4aaaa"] {
        house.put_file("f", content).await.unwrap();
    }
    let full = house.put_file("f", "5aaaa").await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::RateLimited);
    assert!(full.retry_after().is_some_and(|after| after <= HOUR));
    house.clock.advance(HOUR);
    house.write(put("occasion", "to tidy up")).await.unwrap();
    house.put_file("f", "5aaaa").await.unwrap();
}

#[tokio::test]
async fn a_content_without_a_name_goes_after_an_hour_and_not_before() {
    let house = House::new();
    let contents = house.tenant_dir().join("files");
    house.put_file("f", "stays").await.unwrap();
    house.put_file("g", "is replaced").await.unwrap();
    house.put_file("g", "stays, too").await.unwrap();
    house.spool("is never named").await;
    house.put_file("h", "is purged").await.unwrap();
    house.purge_file("h").await.unwrap();
    assert_eq!(files_below(&contents).len(), 5);
    house.clock.advance(HOUR - Duration::from_millis(1));
    house.write(put("occasion", "1")).await.unwrap();
    assert_eq!(files_below(&contents).len(), 5, "1 ms before the hour");
    house.clock.advance(Duration::from_millis(1_000));
    house.write(put("occasion", "2")).await.unwrap();
    assert_eq!(files_below(&contents).len(), 3, "two files, one version");
    assert_eq!(house.get_file("f").await.unwrap(), b"stays");
    assert_eq!(house.get_file("g").await.unwrap(), b"stays, too");
}

#[tokio::test]
async fn usage_counts_what_is_there_and_survives_a_restart() {
    let mut house = House::new();
    house.write(put("key", "value")).await.unwrap();
    house.write(put("key", "val")).await.unwrap();
    house.put_file("f", "12345").await.unwrap();
    house.put_file("g", "12345").await.unwrap();
    house.delete_file("g").await.unwrap();
    let expected = Usage {
        memory_bytes: 6,
        memory_items: 1,
        files_bytes: 5,
        files_count: 1,
        file_versions: 1,
        file_version_bytes: 5,
        ..Usage::default()
    };
    assert_eq!(house.usage().await, expected);
    house.reopen().await;
    assert_eq!(house.usage().await, expected);
    house.write(delete("key")).await.unwrap();
    house.delete_file("f").await.unwrap();
    assert_eq!(house.usage().await.file_version_bytes, 10);
    house.purge_file("f").await.unwrap();
    house.purge_file("g").await.unwrap();
    assert_eq!(house.usage().await, Usage::default());
}

#[tokio::test]
async fn uploads_are_held_to_the_quota_together_and_leave_nothing_when_dropped() {
    let house = House::new();
    house.quotas(Quotas {
        files_bytes: 10,
        ..Quotas::default()
    });
    let (files, ctx) = (house.local.files(), ctx("acme", "scribe"));
    let mut one = files.begin_upload(&ctx).await.unwrap();
    let mut two = files.begin_upload(&ctx).await.unwrap();
    one.append(&ctx, b"123456").await.unwrap();
    let full = two.append(&ctx, b"12345").await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(full.context_value("quota"), Some("files_bytes"));
    let over = two.append(&ctx, b"").await.unwrap_err();
    assert_eq!(over.kind(), ErrorKind::Conflict, "it failed before");
    drop((one, two));
    let mut three = files.begin_upload(&ctx).await.unwrap();
    three.append(&ctx, b"1234567890").await.unwrap();
    drop(three);
    house.local.close().await.unwrap();
    assert!(files_below(&house.tenant_dir().join("files")).is_empty());
}

#[tokio::test]
async fn a_tenant_has_so_many_uploads_open_and_no_more() {
    let house = House::new();
    let (files, ctx) = (house.local.files(), ctx("acme", "scribe"));
    let mut open = Vec::new();
    let refused = loop {
        match files.begin_upload(&ctx).await {
            Ok(upload) => open.push(upload),
            Err(error) => break error,
        }
        assert!(open.len() < 1_000, "there is no bound");
    };
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert!(refused.retry_after().is_some());
    open.pop();
    files.begin_upload(&ctx).await.unwrap();
}

#[tokio::test]
async fn earlier_versions_give_way_to_files_that_stand() {
    let house = House::new();
    house.quotas(Quotas {
        files_bytes: 10,
        ..Quotas::default()
    });
    house.put_file("f", "1aa").await.unwrap();
    house.delete_file("f").await.unwrap();
    house.put_file("g", "2aa").await.unwrap();
    house.put_file("g", "3aa").await.unwrap();
    assert_eq!(house.usage().await.file_versions, 2);
    // 3 bytes stand, 6 are earlier versions: of these the one that ended first goes.
    house.put_file("h", "4aaa").await.unwrap();
    assert_eq!(house.versions_of("f").await, 0);
    assert_eq!(house.versions_of("g").await, 2);
    let usage = house.usage().await;
    assert_eq!((usage.files_bytes, usage.file_version_bytes), (7, 3));
    let full = house.put_file("i", "5aaa").await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(
        house.versions_of("g").await,
        2,
        "a refusal costs no version"
    );
    house.put_file("i", "5aa").await.unwrap();
    assert_eq!(house.versions_of("g").await, 1);
    assert_eq!(house.usage().await.file_versions, 0);
}

#[tokio::test]
async fn versions_grow_across_a_restart() {
    let mut house = House::new();
    let before = house.write(put("k", "a")).await.unwrap().version;
    house.write(delete("k")).await.unwrap();
    house.reopen().await;
    assert!(house.write(put("k", "a")).await.unwrap().version > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_tenants_than_may_stay_open_are_all_served() {
    let house = House::with(LocalConfig {
        max_open_tenants: 2,
        ..LocalConfig::default()
    });
    let tasks: Vec<_> = (0..10)
        .map(|tenant| {
            let memory = house.local.memory();
            tokio::spawn(async move {
                for n in 0..10 {
                    let ctx = ctx(&format!("tenant-{tenant}"), "scribe");
                    let value = format!("{tenant}/{n}");
                    let id = ctx.next_write_id().unwrap();
                    memory.apply(&ctx, id, &put("k", &value)).await.unwrap();
                    let item = memory.get(&ctx, "k").await.unwrap().unwrap();
                    assert_eq!(item.value, value.into_bytes());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_may_use_one_data_directory() {
    let house = House::new();
    let other = house.beside();
    let (left, right) = (house.local.memory(), other.memory());
    let mut versions = BTreeSet::new();
    for n in 0..20 {
        let (one, two) = (ctx("acme", "scribe"), ctx("acme", "scribe"));
        let (a, b) = (format!("a{n}"), format!("b{n}"));
        let (a, b) = (put(&a, "left"), put(&b, "right"));
        let (a, b) = tokio::join!(
            left.apply(&one, one.next_write_id().unwrap(), &a),
            right.apply(&two, two.next_write_id().unwrap(), &b)
        );
        versions.extend([a.unwrap().version, b.unwrap().version]);
    }
    assert_eq!(versions.len(), 40, "no version is given twice");
    for memory in [left, right] {
        let page = memory.list(&ctx("acme", "scribe"), "", None, 100).await;
        assert_eq!(page.unwrap().items.len(), 40);
    }
}

#[tokio::test]
async fn a_store_that_another_process_locks_is_unavailable_for_that_time() {
    let house = House::new();
    house.write(put("k", "a")).await.unwrap();
    let other = Connection::open(house.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let locked = house.write(put("k", "b")).await.unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::Unavailable, "{locked}");
    assert!(locked.retry_after().is_some() && !locked.causes().is_empty());
    assert_eq!(house.get("k").await.unwrap(), b"a", "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    house.write(put("k", "b")).await.unwrap();
}

#[tokio::test]
async fn after_close_calls_are_refused_and_the_log_is_written_back() {
    let mut house = House::new();
    for n in 0..50 {
        house.write(put(&format!("k{n}"), "x")).await.unwrap();
    }
    house.local.close().await.unwrap();
    let refused = house.write(put("late", "x")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(!house.database().with_extension("db-wal").exists());
    house.reopen().await;
    assert_eq!(house.usage().await.memory_items, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_waits_for_the_writes_that_were_accepted() {
    let mut house = House::new();
    house.write(put("warm", "x")).await.unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let memory = house.local.memory();
            tokio::spawn(async move {
                let ctx = ctx("acme", "scribe");
                let id = ctx.next_write_id().unwrap();
                let key = format!("k{n}");
                let done = memory.apply(&ctx, id, &put(&key, "x")).await;
                done.is_ok().then_some(key)
            })
        })
        .collect();
    tokio::task::yield_now().await;
    house.local.close().await.unwrap();
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    house.reopen().await;
    for key in acknowledged {
        assert!(house.get(&key).await.is_some(), "{key}");
    }
}

#[tokio::test]
async fn a_damaged_content_is_reported_and_never_handed_out() {
    let house = House::new();
    house.put_file("f", "the content").await.unwrap();
    let contents = house.tenant_dir().join("files");
    let path = files_below(&contents).pop_first().unwrap();
    for damage in ["the c0ntent", "short", "the content, and more"] {
        std::fs::write(&path, damage).unwrap();
        let error = house.try_get_file("f").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{damage}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = house.try_get_file("f").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    // Putting it again heals it.
    house.put_file("f", "the content").await.unwrap();
    assert_eq!(house.get_file("f").await.unwrap(), b"the content");
}

#[tokio::test]
async fn a_damaged_store_is_reported_and_harms_no_other_tenant() {
    let mut house = House::new();
    house.write(put("k", "a")).await.unwrap();
    house.local.close().await.unwrap();
    std::fs::write(house.database(), "this is no database, it never was one").unwrap();
    house.reopen().await;
    let error = house.write(put("k", "b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(!error.to_string().contains("tenants/"), "{error}");
    let other = ctx("other", "scribe");
    let id = other.next_write_id().unwrap();
    let memory = house.local.memory();
    memory.apply(&other, id, &put("k", "a")).await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_left_alone() {
    let mut house = House::new();
    house.write(put("k", "a")).await.unwrap();
    house.local.close().await.unwrap();
    let conn = Connection::open(house.database()).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    house.reopen().await;
    let error = house.write(put("k", "b")).await.unwrap_err();
    assert!(error.message().contains("newer version"), "{error}");
}

#[tokio::test]
async fn the_data_directory_shows_nothing_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new();
    house.write(put("k", "a")).await.unwrap();
    let tenants = house.directory.path().join("tenants");
    let mode = std::fs::metadata(tenants).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}
