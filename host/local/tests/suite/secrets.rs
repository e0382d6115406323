//! What keeps a secret secret on a disk: who holds the database alone, or the key alone, or moves rows about, gets no
//! value; and an acknowledged value survives `kill -9`.

mod wrapped;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use stuga_core::secrets::{Removal, SecretInfo, SecretStore, SecretValue, Secrets};
use stuga_core::testkit::ctx;
use stuga_core::{ErrorKind, Result, SystemClock, TenantId, Timestamp, WriteId};
use stuga_local::{Local, LocalConfig, LocalSecrets};

use crate::common::House;
use crate::mortal;

/// Long enough to be found in a file by chance never.
const PLAIN: &str = "the-plain-text-of-a-secret-0123456789";

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn write_id() -> WriteId {
    ctx("acme", "scribe").next_write_id().unwrap()
}

fn key_path(house: &House) -> PathBuf {
    house.directory.path().join("keys/master.key")
}

fn secrets(house: &House) -> Arc<LocalSecrets> {
    house.local.secrets()
}

async fn set(secrets: &LocalSecrets, whose: &str, name: &str, text: &str) -> u64 {
    let value = SecretValue::new(text.into()).unwrap();
    let set = secrets.set(&tenant(whose), write_id(), name, &value).await;
    set.unwrap().version
}

async fn reveal(secrets: &LocalSecrets, whose: &str, name: &str, version: u64) -> Result<String> {
    let value = secrets.reveal(&ctx(whose, "scribe"), name, version).await?;
    Ok(String::from_utf8(value.unwrap().reveal().to_vec()).unwrap())
}

fn database(house: &House, whose: &str) -> Connection {
    let path = house.directory.path().join("tenants").join(whose);
    Connection::open(path.join("state.db")).unwrap()
}

/// What a column of one row holds.
fn sealed(conn: &Connection, sql: &str) -> Vec<u8> {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The refusal of a row that is not what it should be: no value, no hint of one.
async fn assert_shut(secrets: &LocalSecrets, whose: &str, name: &str, version: u64) {
    let refused = reveal(secrets, whose, name, version).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Internal, "{refused}");
    assert!(!format!("{refused} {}", refused.causes()).contains("plain"));
}

#[tokio::test]
async fn no_value_and_no_guess_of_one_lies_on_the_disk() {
    let house = House::new();
    let store = secrets(&house);
    set(&store, "acme", "k", PLAIN).await;
    set(&store, "acme", "k", "tiny").await;
    house.local.close().await.unwrap();
    let digest = |text: &str| {
        use sha2::Digest;
        sha2::Sha256::digest(text).to_vec()
    };
    for path in [house.database(), key_path(&house)] {
        let bytes = std::fs::read(path).unwrap();
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!holds(PLAIN.as_bytes()) && !holds(b"tiny"));
        assert!(!holds(&digest("tiny")), "a digest that can be guessed");
    }
}

#[tokio::test]
async fn a_bit_that_was_flipped_anywhere_in_a_row_keeps_the_value_shut() {
    let house = House::new();
    let store = secrets(&house);
    set(&store, "acme", "k", PLAIN).await;
    let conn = database(&house, "acme");
    let rows = [
        ("SELECT sealed FROM secret", "UPDATE secret SET sealed = ?1"),
        (
            "SELECT sealed FROM secret_key",
            "UPDATE secret_key SET sealed = ?1",
        ),
    ];
    for (read, write) in rows {
        let whole = sealed(&conn, read);
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            conn.execute(write, [&bent]).unwrap();
            assert_shut(&store, "acme", "k", 1).await;
        }
        conn.execute(write, [&whole[..whole.len() - 1]]).unwrap();
        assert_shut(&store, "acme", "k", 1).await;
        conn.execute(write, [&whole]).unwrap();
        assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
    }
}

#[tokio::test]
async fn a_copy_stands_under_the_version_and_time_of_the_side_that_gave_it_and_is_sealed() {
    let house = House::new();
    let store = secrets(&house);
    let info = |version| SecretInfo {
        name: "k".to_owned(),
        version,
        created_at: Timestamp::from_millis(5),
    };
    let value = SecretValue::new(PLAIN.into()).unwrap();
    let acme = tenant("acme");
    for version in [7, 9, 9] {
        store.keep(&acme, &info(version), &value).await.unwrap();
    }
    let found = store.find(&ctx("acme", "scribe"), "k", None).await.unwrap();
    assert_eq!(found, Some(info(9)));
    assert_eq!(store.list(&acme).await.unwrap(), [info(9), info(7)]);
    assert_eq!(reveal(&store, "acme", "k", 7).await.unwrap(), PLAIN);
    let kept = sealed(
        &database(&house, "acme"),
        "SELECT sealed FROM secret WHERE version = 9",
    );
    let holds = kept
        .windows(PLAIN.len())
        .any(|part| part == PLAIN.as_bytes());
    assert!(!holds, "the value lies there in the clear");
    // As many stay as of a store's own.
    store.keep(&acme, &info(30), &value).await.unwrap();
    assert_eq!(store.list(&acme).await.unwrap(), [info(30)]);
}

#[tokio::test]
async fn rows_that_changed_places_stay_shut() {
    let house = House::new();
    let store = secrets(&house);
    for whose in ["acme", "globex"] {
        set(&store, whose, "k", PLAIN).await;
        set(&store, whose, "k", PLAIN).await;
        set(&store, whose, "other", PLAIN).await;
    }
    let acme = database(&house, "acme");
    let globex = database(&house, "globex");
    let mine = sealed(
        &acme,
        "SELECT sealed FROM secret WHERE name = 'k' AND version = 2",
    );
    let put = "UPDATE secret SET sealed = ?1 WHERE name = 'k' AND version = 2";
    let elsewhere = [
        // Of another name, of another version, of the same place in another tenant.
        sealed(&acme, "SELECT sealed FROM secret WHERE name = 'other'"),
        sealed(
            &acme,
            "SELECT sealed FROM secret WHERE name = 'k' AND version = 1",
        ),
        sealed(
            &globex,
            "SELECT sealed FROM secret WHERE name = 'k' AND version = 2",
        ),
    ];
    for other in elsewhere {
        acme.execute(put, [&other]).unwrap();
        assert_shut(&store, "acme", "k", 2).await;
    }
    acme.execute(put, [&mine]).unwrap();
    assert_eq!(reveal(&store, "acme", "k", 2).await.unwrap(), PLAIN);
    // The other tenant's key together with the other tenant's row.
    let theirs = sealed(&globex, "SELECT sealed FROM secret_key");
    acme.execute("UPDATE secret_key SET sealed = ?1", [&theirs])
        .unwrap();
    acme.execute(
        put,
        [&sealed(
            &globex,
            "SELECT sealed FROM secret WHERE name = 'k' AND version = 2",
        )],
    )
    .unwrap();
    assert_shut(&store, "acme", "k", 2).await;
}

#[tokio::test]
async fn without_the_master_key_nothing_opens_and_nothing_is_made_up() {
    let house = House::new();
    let store = secrets(&house);
    set(&store, "acme", "k", PLAIN).await;
    let away = key_path(&house).with_extension("away");
    std::fs::rename(key_path(&house), &away).unwrap();
    let refused = reveal(&store, "acme", "k", 1).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused.message().contains("STUGA_MASTER_KEY_FILE"),
        "{refused}"
    );
    assert!(!key_path(&house).exists(), "reading makes no key");
    // Another key in its place opens nothing either, and says so.
    set(&store, "globex", "k", "theirs").await;
    let refused = reveal(&store, "acme", "k", 1).await.unwrap_err();
    assert!(refused.message().contains("put it back"), "{refused}");
    std::fs::rename(away, key_path(&house)).unwrap();
    assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
}

#[tokio::test]
async fn a_new_master_key_takes_over_with_a_rotation_and_the_old_one_may_go() {
    let house = House::new();
    let store = secrets(&house);
    set(&store, "acme", "k", PLAIN).await;
    let old = std::fs::read_to_string(key_path(&house)).unwrap();
    let new = format!("{}\n", "ab".repeat(32));
    std::fs::write(key_path(&house), format!("{new}{old}")).unwrap();
    assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
    let before = sealed(&database(&house, "acme"), "SELECT sealed FROM secret");
    store.rotate(&tenant("acme"), write_id()).await.unwrap();
    let after = sealed(&database(&house, "acme"), "SELECT sealed FROM secret");
    assert_ne!(after, before, "the value is sealed anew");
    std::fs::write(key_path(&house), new).unwrap();
    assert_eq!(reveal(&store, "acme", "k", 1).await.unwrap(), PLAIN);
    std::fs::write(key_path(&house), old).unwrap();
    assert!(reveal(&store, "acme", "k", 1).await.is_err());
}

#[tokio::test]
async fn a_rotation_that_meets_a_damaged_row_changes_nothing() {
    let house = House::new();
    let store = secrets(&house);
    set(&store, "acme", "a", PLAIN).await;
    set(&store, "acme", "b", PLAIN).await;
    let conn = database(&house, "acme");
    conn.execute("UPDATE secret SET sealed = x'00' WHERE name = 'b'", [])
        .unwrap();
    assert!(store.rotate(&tenant("acme"), write_id()).await.is_err());
    assert_eq!(reveal(&store, "acme", "a", 1).await.unwrap(), PLAIN);
    // The way out: the damaged one is removed or set again.
    let acme = tenant("acme");
    let gone = store.remove(&acme, write_id(), "b", Removal::All).await;
    assert_eq!(gone.unwrap(), 1);
    assert_eq!(store.rotate(&acme, write_id()).await.unwrap(), 1);
}

/// How often the child is killed.
const ROUNDS: u32 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_value_survives_kill_9() {
    if let Some((directory, _)) = mortal::as_child() {
        set_until_killed(&directory).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..ROUNDS {
        let before = acknowledged.len();
        let acks = 1 + (round as usize * 5) % 23;
        kill_after(directory.path(), round, acks, &mut acknowledged);
        assert!(acknowledged.len() > before, "the child set nothing");
        let (local, store) = open(directory.path());
        let list = store.list(&tenant("acme")).await.unwrap();
        // The write in the middle of which it was killed may stand or not.
        let last = acknowledged.last().unwrap().0;
        assert!([last, last + 1].contains(&list[0].version), "{list:?}");
        for (version, text) in acknowledged.iter().rev().take(10) {
            assert_eq!(reveal(&store, "acme", "k", *version).await.unwrap(), *text);
        }
        local.close().await.unwrap();
    }
}

fn open(directory: &Path) -> (Local, Arc<LocalSecrets>) {
    let clock = Arc::new(SystemClock);
    let local = Local::open(directory, clock, LocalConfig::default()).unwrap();
    let secrets = local.secrets();
    (local, secrets)
}

async fn set_until_killed(directory: &Path) {
    let (_local, store) = open(directory);
    for n in 0.. {
        let text = format!("{n} of {}", std::process::id());
        let value = SecretValue::new(text.clone().into()).unwrap();
        let id = WriteId {
            invocation: stuga_core::InvocationId::from_uuid(uuid::Uuid::new_v4()),
            call: 0,
        };
        let set = store.set(&tenant("acme"), id, "k", &value).await.unwrap();
        mortal::tell(&format!("ack {} {text}", set.version));
        if n % 7 == 6 {
            let id = WriteId { call: 1, ..id };
            store.rotate(&tenant("acme"), id).await.unwrap();
        }
    }
}

/// Kills a child after so many acknowledgements and takes down all that it told.
fn kill_after(directory: &Path, round: u32, acks: usize, acknowledged: &mut Vec<(u64, String)>) {
    let test = "secrets::every_acknowledged_value_survives_kill_9";
    mortal::kill_after(test, (directory, round), acks, |words| {
        let ["ack", version, text @ ..] = words else {
            return false;
        };
        acknowledged.push((version.parse().unwrap(), text.join(" ")));
        true
    });
}
