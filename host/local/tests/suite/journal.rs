//! What the suite does not say of the journal: its caps, what lies on the disk, damage, other processes, what it keeps alive.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use stuga_core::files::{Contents, Expected, FilesWrite, Spooled};
use stuga_core::journal::{Entry, EntryState, Journal, Settled};
use stuga_core::memory::{MemoryAck, MemoryWrite};
use stuga_core::secrets::SecretStore;
use stuga_core::standby::Standby;
use stuga_core::testkit::ctx;
use stuga_core::{Capability, CapabilityName, ErrorKind, Result, TenantId};
use stuga_local::{Local, Quotas};

use crate::common::{House, put, scribe};

const MEMORY: CapabilityName = CapabilityName::Memory;

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

async fn note_on(local: &Local, write: &MemoryWrite) -> Result<MemoryAck> {
    let ctx = scribe();
    let id = ctx.next_write_id()?;
    local.memory().apply_noted(&ctx, id, write).await
}

async fn note(house: &House, key: &str, value: &str) -> Result<MemoryAck> {
    note_on(&house.local, &put(key, value)).await
}

async fn waiting(journal: &Arc<dyn Journal>) -> Result<Vec<Entry>> {
    journal.next(&acme(), MEMORY, 0, 1_000).await
}

fn keys(entries: &[Entry]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| entry.info.key.as_str())
        .collect()
}

fn database(house: &House) -> Connection {
    Connection::open(house.database()).unwrap()
}

#[tokio::test]
async fn a_full_journal_refuses_and_nothing_changes() {
    let house = House::new();
    house.quotas(Quotas {
        journal_entries: 2,
        ..Quotas::default()
    });
    note(&house, "a", "1").await.unwrap();
    note(&house, "b", "1").await.unwrap();
    let ctx = scribe();
    let id = ctx.next_write_id().unwrap();
    let memory = house.local.memory();
    let write = put("c", "1");
    let refused = memory.apply_noted(&ctx, id, &write).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(refused.context_value("quota"), Some("journal_entries"));
    assert_eq!(refused.context_value("limit"), Some("2"));
    assert_eq!(house.get("c").await, None);
    let journal = house.local.journal();
    assert_eq!(journal.backlog(&acme(), MEMORY).await.unwrap().waiting, 2);
    assert!(
        !journal
            .waits(&acme(), MEMORY, &ctx.agent, "c")
            .await
            .unwrap()
    );
    let seq = waiting(&journal).await.unwrap()[0].info.seq;
    journal
        .settle(&acme(), seq, Settled::Adopted)
        .await
        .unwrap();
    memory.apply_noted(&ctx, id, &write).await.unwrap();
    assert_eq!(house.get("c").await.unwrap(), b"1");
    house.quotas(Quotas {
        journal_bytes: house.usage().await.journal_bytes + 100,
        ..Quotas::default()
    });
    let refused = note(&house, "d", "1").await.unwrap_err();
    assert_eq!(refused.context_value("quota"), Some("journal_bytes"));
    assert_eq!(house.usage().await.journal_entries, 2);
}

#[tokio::test]
async fn what_was_written_does_not_lie_open_in_the_journal() {
    const PLAIN: &str = "nobody must read this 0123456789";
    let house = House::new();
    note(&house, "the-key", PLAIN).await.unwrap();
    // The item itself goes, so that only the journal has it.
    house.write(crate::common::delete("the-key")).await.unwrap();
    house.local.close().await.unwrap();
    let conn = database(&house);
    conn.execute_batch("VACUUM").unwrap();
    drop(conn);
    let bytes = std::fs::read(house.database()).unwrap();
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let as_json: Vec<String> = PLAIN.bytes().map(|byte| byte.to_string()).collect();
    assert!(holds(b"the-key"), "an operator sees the key");
    assert!(!holds(PLAIN.as_bytes()) && !holds(as_json.join(",").as_bytes()));
}

#[tokio::test]
async fn a_damaged_entry_is_parked_and_the_rest_survives() {
    for change in [
        "UPDATE journal SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE key = 'b'",
        "UPDATE journal SET sealed = zeroblob(length(sealed)) WHERE key = 'b'",
        "UPDATE journal SET sealed = x'' WHERE key = 'b'",
        "UPDATE journal SET sealed = (SELECT sealed FROM journal WHERE key = 'a') WHERE key = 'b'",
        "UPDATE journal SET call = call + 1 WHERE key = 'b'",
        "UPDATE journal SET agent = 'other' WHERE key = 'b'",
        "UPDATE journal SET agent = 'No Agent' WHERE key = 'b'",
        "UPDATE journal SET invocation = x'00' WHERE key = 'b'",
        "UPDATE journal SET sealed_by = sealed_by + 1 WHERE key = 'b'",
    ] {
        let house = House::new();
        for key in ["a", "b", "c"] {
            note(&house, key, "1").await.unwrap();
        }
        let journal = house.local.journal();
        let seq = waiting(&journal).await.unwrap()[1].info.seq;
        assert_eq!(database(&house).execute(change, []).unwrap(), 1);
        assert_eq!(
            keys(&waiting(&journal).await.unwrap()),
            ["a", "c"],
            "{change}"
        );
        let backlog = journal.backlog(&acme(), MEMORY).await.unwrap();
        assert_eq!((backlog.waiting, backlog.parked), (2, 1), "{change}");
        let found = journal.find(&acme(), seq).await;
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Internal, "{change}");
        assert!(journal.discard(&acme(), seq).await.unwrap());
    }
}

#[tokio::test]
async fn damaged_entries_alone_on_a_page_do_not_end_it() {
    let house = House::new();
    for key in ["a", "b", "c"] {
        note(&house, key, "1").await.unwrap();
    }
    let conn = database(&house);
    let change = "UPDATE journal SET sealed = zeroblob(40) WHERE key <> 'c'";
    assert_eq!(conn.execute(change, []).unwrap(), 2);
    let journal = house.local.journal();
    let page = journal.next(&acme(), MEMORY, 0, 1).await.unwrap();
    assert_eq!(keys(&page), ["c"]);
    let parked = journal
        .list(&acme(), EntryState::Parked, 0, 10)
        .await
        .unwrap();
    assert_eq!(
        parked[0].reason.as_deref(),
        Some("the entry's content is damaged")
    );
    assert_eq!(parked.len(), 2);
}

#[tokio::test]
async fn entries_survive_a_rotation_of_the_tenants_keys() {
    let mut house = House::new();
    note(&house, "a", "1").await.unwrap();
    let rotate = async |house: &House| {
        let id = scribe().next_write_id().unwrap();
        let secrets = house.local.secrets();
        secrets.rotate(&acme(), id).await.unwrap();
    };
    rotate(&house).await;
    note(&house, "b", "1").await.unwrap();
    rotate(&house).await;
    house.reopen().await;
    note(&house, "c", "1").await.unwrap();
    let journal = house.local.journal();
    let entries = waiting(&journal).await.unwrap();
    assert_eq!(keys(&entries), ["a", "b", "c"]);
    let count = "SELECT count(*) FROM journal_key";
    let kept: u64 = database(&house)
        .query_row(count, [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 3);
    for entry in entries {
        let (seq, settled) = (entry.info.seq, Settled::Adopted);
        journal.settle(&acme(), seq, settled).await.unwrap();
    }
    rotate(&house).await;
    let kept: u64 = database(&house)
        .query_row(count, [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 1, "keys that no entry names go");
    note(&house, "d", "1").await.unwrap();
    assert_eq!(keys(&waiting(&journal).await.unwrap()), ["d"]);
}

#[tokio::test]
async fn without_the_master_key_nothing_is_noted_in_the_clear_and_nothing_is_given_up() {
    let mut house = House::new();
    note(&house, "a", "1").await.unwrap();
    let key = house.directory.path().join("keys/master.key");
    let aside = house.directory.path().join("aside");
    std::fs::rename(&key, &aside).unwrap();
    note(&house, "b", "1").await.unwrap();
    house.reopen().await;
    let journal = house.local.journal();
    let refused = waiting(&journal).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let refused = note(&house, "c", "1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(house.get("c").await, None);
    let _ = std::fs::remove_file(&key);
    std::fs::rename(&aside, &key).unwrap();
    assert_eq!(keys(&waiting(&journal).await.unwrap()), ["a", "b"]);
    note(&house, "c", "1").await.unwrap();
}

#[tokio::test]
async fn what_waits_is_known_again_after_a_restart() {
    let mut house = House::new();
    for key in ["a", "b", "c"] {
        note(&house, key, "1").await.unwrap();
        house.clock.advance(Duration::from_secs(1));
    }
    let journal = house.local.journal();
    let before = waiting(&journal).await.unwrap();
    let settled = Settled::Parked("no".to_owned());
    journal
        .settle(&acme(), before[0].info.seq, settled)
        .await
        .unwrap();
    let backlog = journal.backlog(&acme(), MEMORY).await.unwrap();
    house.reopen().await;
    let journal = house.local.journal();
    assert_eq!(journal.tenants().await.unwrap(), [acme()]);
    assert_eq!(journal.backlog(&acme(), MEMORY).await.unwrap(), backlog);
    assert_eq!(waiting(&journal).await.unwrap(), before[1..]);
    let agent = scribe().agent;
    assert!(journal.waits(&acme(), MEMORY, &agent, "b").await.unwrap());
    assert!(!journal.waits(&acme(), MEMORY, &agent, "a").await.unwrap());
}

#[tokio::test]
async fn a_mark_without_entries_is_taken_away() {
    let house = House::new();
    let mark = house.directory.path().join("pending/journal/acme");
    std::fs::write(&mark, "").unwrap();
    let journal = house.local.journal();
    assert_eq!(journal.tenants().await.unwrap(), [acme()]);
    assert!(waiting(&journal).await.unwrap().is_empty());
    assert!(journal.tenants().await.unwrap().is_empty());
    assert!(!mark.exists());
    note(&house, "a", "1").await.unwrap();
    assert!(mark.exists());
}

#[tokio::test]
async fn another_process_sees_the_table_and_is_heard_of_with_the_next_write() {
    let house = House::new();
    note(&house, "a", "1").await.unwrap();
    let beside = house.beside();
    let (journal, there) = (house.local.journal(), beside.journal());
    assert_eq!(keys(&waiting(&there).await.unwrap()), ["a"]);
    note_on(&beside, &put("b", "2")).await.unwrap();
    assert_eq!(keys(&waiting(&journal).await.unwrap()), ["a", "b"]);
    house.write(put("c", "3")).await.unwrap();
    let backlog = journal.backlog(&acme(), MEMORY).await.unwrap();
    assert_eq!(backlog.waiting, 2);
    let agent = scribe().agent;
    assert!(journal.waits(&acme(), MEMORY, &agent, "b").await.unwrap());
    let seq = waiting(&journal).await.unwrap()[0].info.seq;
    let parked = Settled::Parked("no".to_owned());
    there.settle(&acme(), seq, parked).await.unwrap();
    assert!(there.retry(&acme(), seq).await.unwrap());
    note(&house, "d", "4").await.unwrap();
    let backlog = journal.backlog(&acme(), MEMORY).await.unwrap();
    assert_eq!((backlog.waiting, backlog.parked), (3, 0));
}

#[tokio::test]
async fn a_content_stays_as_long_as_the_journal_names_it() {
    let house = House::new();
    let files = house.local.files();
    let spooled = house.spool("the content").await;
    let write = FilesWrite::Put {
        path: "a.txt".to_owned(),
        sha256: spooled.sha256.clone(),
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        metadata: Vec::new(),
        expected: Expected::Any,
    };
    let ctx = scribe();
    let id = ctx.next_write_id().unwrap();
    files.apply_noted(&ctx, id, &write).await.unwrap();
    house.purge_file("a.txt").await.unwrap();
    house.clock.advance(Duration::from_secs(7_200));
    house.local.sweep(&acme()).await.unwrap();
    let read = async |offset, len| {
        let ctx = scribe();
        files.content(&ctx, &spooled, offset, len).await.unwrap()
    };
    assert_eq!(read(0, 100).await.unwrap(), b"the content");
    assert_eq!(read(4, 3).await.unwrap(), b"con");
    assert_eq!(read(100, 3).await.unwrap(), b"");
    let whose = stuga_core::testkit::ctx("other", "scribe");
    let theirs = files.content(&whose, &spooled, 0, 100).await.unwrap();
    assert_eq!(theirs, None, "a tenant reaches its own contents only");
    let other = Spooled {
        size: spooled.size + 1,
        ..spooled.clone()
    };
    assert_eq!(files.content(&scribe(), &other, 0, 1).await.unwrap(), None);
    let journal = house.local.journal();
    let entry = journal.next(&acme(), CapabilityName::Files, 0, 1).await;
    let seq = entry.unwrap()[0].info.seq;
    journal
        .settle(&acme(), seq, Settled::Adopted)
        .await
        .unwrap();
    house.clock.advance(Duration::from_secs(7_200));
    house.local.sweep(&acme()).await.unwrap();
    assert_eq!(read(0, 100).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_race_are_all_noted_and_counted() {
    let house = House::new();
    let racers: Vec<_> = (0..64)
        .map(|n| {
            let memory = house.local.memory();
            tokio::spawn(async move {
                let ctx = ctx("acme", "scribe");
                let id = ctx.next_write_id().unwrap();
                let write = put(&format!("key-{}", n % 8), "1");
                memory.apply_noted(&ctx, id, &write).await.unwrap()
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let journal = house.local.journal();
    let entries = waiting(&journal).await.unwrap();
    assert_eq!(entries.len(), 64);
    let backlog = journal.backlog(&acme(), MEMORY).await.unwrap();
    let bytes: u64 = entries.iter().map(|entry| entry.info.bytes).sum();
    assert_eq!((backlog.waiting, backlog.bytes), (64, bytes));
    let usage = house.usage().await;
    assert_eq!((usage.journal_entries, usage.journal_bytes), (64, bytes));
    let repeated = house.local.memory();
    let (ctx, entry) = (scribe(), &entries[5]);
    let write: MemoryWrite = serde_json::from_slice(&entry.write).unwrap();
    let again = repeated.apply(&ctx, entry.info.id, &write).await.unwrap();
    assert_eq!(again, serde_json::from_slice(&entry.ack).unwrap());
}
