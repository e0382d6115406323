//! What the suites do not say of a side that takes over: versions that are no numbers of rows, moments that are one, counters.

use std::time::Duration;

use rusqlite::Connection;
use stuga_core::files::{Expected, FileInfo, FilesAck, FilesWrite};
use stuga_core::memory::{Memory, MemoryAck, MemoryWrite};
use stuga_core::records::{RecordAck, RecordWrite, Records};
use stuga_core::sessions::{Order, Role, SessionAck, SessionWrite, Sessions};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::{Capability, Clock, ErrorKind, Result};
use stuga_local::Quotas;

use crate::common::{House, delete, put, put_for, scribe};

/// What the cloud says of a put of memory, in answer to which nothing stood before.
fn made(house: &House, version: u64) -> Made<MemoryAck> {
    Made {
        ack: MemoryAck {
            version,
            existed: false,
        },
        stamp: version,
        at: house.clock.now(),
    }
}

async fn adopt(house: &House, write: &MemoryWrite, made: &Made<MemoryAck>) -> Result<Adopted> {
    let ctx = scribe();
    let id = ctx.next_write_id()?;
    house.local.memory().adopt(&ctx, id, write, made).await
}

/// A version that a cloud gives at this moment.
fn version_now(house: &House) -> u64 {
    house.clock.now().as_millis() << 10
}

#[tokio::test]
async fn keys_of_one_version_stand_beside_each_other() {
    let house = House::new();
    let version = version_now(&house);
    for key in ["a", "b", "c"] {
        let adopted = adopt(&house, &put(key, key), &made(&house, version)).await;
        assert_eq!(adopted.unwrap(), Adopted::Stands);
    }
    let memory = house.local.memory();
    for key in ["a", "b", "c"] {
        let item = memory.get(&scribe(), key).await.unwrap().unwrap();
        assert_eq!((item.version, item.value), (version, key.into()));
    }
    let mut removal = made(&house, version);
    removal.ack.existed = true;
    removal.stamp += 1;
    adopt(&house, &delete("b"), &removal).await.unwrap();
    let left = memory.list(&scribe(), "", None, 10).await.unwrap().items;
    let keys: Vec<_> = left.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["a", "c"]);
    assert_eq!(house.usage().await.memory_items, 2);
    let here = house.write(put("b", "here")).await.unwrap();
    assert!(here.version > version + 2, "beyond every number");
}

#[tokio::test]
async fn records_and_events_of_one_version_keep_their_vectors() {
    let house = House::new();
    let version = version_now(&house);
    let at = house.clock.now();
    let (records, sessions) = (house.local.records(), house.local.sessions());
    for id in ["dog", "cat"] {
        let ctx = scribe();
        let write = RecordWrite::Put {
            namespace: "/pets".to_owned(),
            id: Some(id.to_owned()),
            text: format!("The {id} sleeps."),
            metadata: Vec::new(),
        };
        let ack = RecordAck {
            id: id.to_owned(),
            version,
            existed: false,
        };
        let (id, stamp) = (ctx.next_write_id().unwrap(), version);
        let made = Made { ack, stamp, at };
        let adopted = records.adopt(&ctx, id, &write, &made).await.unwrap();
        assert_eq!(adopted, Adopted::Stands);
    }
    let begin = SessionWrite::Create {
        actor: "astrid".to_owned(),
        id: Some("s".to_owned()),
        ttl: None,
        metadata: Vec::new(),
    };
    let begun = SessionAck::Created {
        id: "s".to_owned(),
        at,
        expires_at: None,
        place: version,
    };
    let mut writes = vec![(begin, begun)];
    for (n, content) in ["The bird sings.", "The fish swims."].iter().enumerate() {
        let said = SessionWrite::Append {
            actor: "astrid".to_owned(),
            session: "s".to_owned(),
            role: Role::User,
            content: (*content).to_owned(),
            metadata: Vec::new(),
        };
        let id = format!("event-{n}");
        let place = version;
        writes.push((said, SessionAck::Appended { id, at, place }));
    }
    for (write, ack) in writes {
        let ctx = scribe();
        let (id, stamp) = (ctx.next_write_id().unwrap(), version);
        let made = Made { ack, stamp, at };
        let adopted = sessions.adopt(&ctx, id, &write, &made).await.unwrap();
        assert_eq!(adopted, Adopted::Stands);
        // The copy comes again, and its id was forgotten.
        house
            .local
            .invocations()
            .forget(&ctx.tenant, ctx.invocation);
        house.write(put("any", "thing")).await.unwrap();
        let adopted = sessions.adopt(&ctx, id, &write, &made).await.unwrap();
        assert_eq!(adopted, Adopted::Stands);
    }
    let hits = records.recall(&scribe(), "", "the cat", 1).await.unwrap();
    assert_eq!(hits[0].record.id, "cat");
    let ctx = scribe();
    let hits = sessions
        .recall(&ctx, "astrid", "the fish", 1)
        .await
        .unwrap();
    assert_eq!(hits[0].event.id, "event-1");
    let events = sessions.events(&ctx, "astrid", "s", Order::OldestFirst, None, 10);
    let events: Vec<_> = events.await.unwrap().entries;
    let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["event-0", "event-1"]);
}

#[tokio::test]
async fn of_one_moment_the_removal_is_the_later() {
    let house = House::new();
    let (at, version) = (house.clock.now(), version_now(&house));
    let spooled = house.spool("ett").await;
    let files = house.local.files();
    let ctx = scribe();
    let write = FilesWrite::Put {
        path: "a.txt".to_owned(),
        sha256: spooled.sha256.clone(),
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        metadata: Vec::new(),
        expected: Expected::Any,
    };
    let info = FileInfo {
        path: "a.txt".to_owned(),
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        sha256: spooled.sha256,
        // Another host's clock was ahead of this one's.
        version: version + 5_000,
        created_at: at,
        updated_at: at,
        metadata: Vec::new(),
    };
    let ack = FilesAck {
        info: Some(info.clone()),
        existed: false,
    };
    let stamp = info.version;
    let id = ctx.next_write_id().unwrap();
    let stored = Made { ack, stamp, at };
    files.adopt(&ctx, id, &write, &stored).await.unwrap();
    let removal = FilesWrite::Delete {
        path: "a.txt".to_owned(),
    };
    let ack = FilesAck {
        info: None,
        existed: true,
    };
    let id = ctx.next_write_id().unwrap();
    let stamp = version;
    let removed = Made { ack, stamp, at };
    let adopted = files.adopt(&ctx, id, &removal, &removed).await.unwrap();
    assert_eq!(adopted, Adopted::Stands);
    assert_eq!(house.get_file("a.txt").await, None);
    assert_eq!(house.versions_of("a.txt").await, 1);
}

#[tokio::test]
async fn two_sides_that_gave_one_version_do_not_both_stand() {
    let house = House::new();
    let version = version_now(&house);
    adopt(&house, &put("a", "mine"), &made(&house, version))
        .await
        .unwrap();
    let other = adopt(&house, &put("a", "theirs"), &made(&house, version)).await;
    assert_eq!(other.unwrap(), Adopted::Superseded, "and somebody is told");
    assert_eq!(house.get("a").await.unwrap(), b"mine");
}

#[tokio::test]
async fn quotas_hold_for_what_is_taken_over() {
    let house = House::new();
    house.quotas(Quotas {
        memory_items: 1,
        ..Quotas::default()
    });
    let version = version_now(&house);
    adopt(&house, &put("a", "1"), &made(&house, version))
        .await
        .unwrap();
    let ctx = scribe();
    let id = ctx.next_write_id().unwrap();
    let (write, made) = (put("b", "1"), made(&house, version + 1));
    let memory = house.local.memory();
    let refused = memory.adopt(&ctx, id, &write, &made).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(house.get("b").await, None);
    house.quotas(Quotas::default());
    memory.adopt(&ctx, id, &write, &made).await.unwrap();
    assert_eq!(memory.apply(&ctx, id, &write).await.unwrap(), made.ack);
}

#[tokio::test]
async fn what_cannot_have_been_answered_is_refused() {
    let house = House::new();
    let sound = made(&house, version_now(&house));
    let mut beyond = sound.clone();
    beyond.stamp = u64::MAX;
    let mut before_itself = sound.clone();
    before_itself.stamp -= 1;
    let mut never = sound.clone();
    never.at = stuga_core::Timestamp::from_millis(u64::MAX);
    for wrong in [beyond, before_itself, never] {
        let refused = adopt(&house, &put("a", "1"), &wrong).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{wrong:?}");
    }
    assert_eq!(house.get("a").await, None);
    let ack = house.write(put("a", "1")).await.unwrap();
    assert_eq!(ack.version, version_now(&house), "no version was wasted");
}

#[tokio::test]
async fn what_was_taken_over_expires_and_is_retained_as_if_written_here() {
    let house = House::new();
    let version = version_now(&house);
    let ttl = Duration::from_secs(60);
    for (n, key) in (0_u64..).zip(["a", "b", "c"]) {
        let write = put_for(ttl, key, "1");
        adopt(&house, &write, &made(&house, version + n % 2))
            .await
            .unwrap();
    }
    house.clock.advance(ttl);
    house.write(put("d", "1")).await.unwrap();
    assert_eq!(house.usage().await.memory_items, 1);
    let conn = Connection::open(house.database()).unwrap();
    let rows: u64 = conn
        .query_row("SELECT count(*) FROM memory_item", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}
