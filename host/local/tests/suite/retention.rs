//! What a tenant wants kept and no longer: by age, number and bytes, oldest first, in bounded steps.

use std::time::Duration;

use stuga_core::memory::Memory;
use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Order, Role, SessionWrite, Sessions};
use stuga_core::{Capability, TenantId};
use stuga_local::{Keep, Quotas, Retention, Usage};

use crate::common::{House, put, scribe};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn by_age(age: Duration) -> Keep {
    Keep {
        age: Some(age),
        ..Keep::default()
    }
}

fn by_count(count: u64) -> Keep {
    Keep {
        count: Some(count),
        ..Keep::default()
    }
}

fn by_bytes(bytes: u64) -> Keep {
    Keep {
        bytes: Some(bytes),
        ..Keep::default()
    }
}

impl House {
    fn keep(&self, retention: Retention) {
        self.local.set_retention(&acme(), retention);
    }

    /// Sweeps as the server does for a tenant that rests.
    async fn sweep(&self) {
        self.clock.advance(SECOND);
        assert!(
            !self.local.sweep(&acme()).await.unwrap(),
            "it came to its end"
        );
    }

    async fn keys(&self) -> Vec<String> {
        let page = self.local.memory().list(&scribe(), "", None, 1_000).await;
        page.unwrap()
            .items
            .into_iter()
            .map(|item| item.key)
            .collect()
    }

    async fn converse(&self, write: SessionWrite) {
        let ctx = scribe();
        let id = ctx.next_write_id().unwrap();
        self.local.sessions().apply(&ctx, id, &write).await.unwrap();
    }

    async fn learn(&self, name: &str, text: &str) {
        let ctx = scribe();
        let id = ctx.next_write_id().unwrap();
        let write = RecordWrite::Put {
            namespace: "/a".to_owned(),
            id: Some(name.to_owned()),
            text: text.to_owned(),
            metadata: Vec::new(),
        };
        self.local.records().apply(&ctx, id, &write).await.unwrap();
    }

    /// Each session with what was said in it.
    async fn said(&self) -> Vec<(String, Vec<String>)> {
        let (ctx, sessions) = (scribe(), self.local.sessions());
        let page = sessions.list(&ctx, "astrid", None, 1_000).await.unwrap();
        let mut all = Vec::new();
        for session in page.entries {
            let order = Order::OldestFirst;
            let events = sessions.events(&ctx, "astrid", &session.id, order, None, 1_000);
            let events = events.await.unwrap().entries.into_iter();
            all.push((session.id, events.map(|event| event.content).collect()));
        }
        all
    }
}

fn create(id: &str) -> SessionWrite {
    SessionWrite::Create {
        actor: "astrid".to_owned(),
        id: Some(id.to_owned()),
        ttl: None,
        metadata: Vec::new(),
    }
}

fn say(session: &str, content: &str) -> SessionWrite {
    SessionWrite::Append {
        actor: "astrid".to_owned(),
        session: session.to_owned(),
        role: Role::User,
        content: content.to_owned(),
        metadata: Vec::new(),
    }
}

fn conversation(session: &str, said: &[&str]) -> (String, Vec<String>) {
    let said = said.iter().map(ToString::to_string).collect();
    (session.to_owned(), said)
}

#[tokio::test]
async fn items_older_than_the_age_go_and_one_that_was_put_again_is_young() {
    let house = House::new();
    house.keep(Retention {
        memory: by_age(HOUR),
        ..Retention::default()
    });
    for key in ["old", "again"] {
        house.write(put(key, "x")).await.unwrap();
    }
    house.clock.advance(HOUR - 2 * SECOND);
    house.write(put("again", "y")).await.unwrap();
    house.sweep().await;
    assert_eq!(house.keys().await, ["again", "old"], "a second is left");
    house.sweep().await;
    assert_eq!(house.keys().await, ["again"]);
}

#[tokio::test]
async fn of_too_many_items_those_put_longest_ago_go_first() {
    let house = House::new();
    house.keep(Retention {
        memory: by_count(2),
        ..Retention::default()
    });
    for key in ["d", "a", "c", "b", "d"] {
        house.write(put(key, "x")).await.unwrap();
    }
    house.sweep().await;
    assert_eq!(house.keys().await, ["b", "d"]);
}

#[tokio::test]
async fn of_too_many_bytes_as_many_items_go_as_it_takes_and_no_more() {
    let house = House::new();
    house.keep(Retention {
        memory: by_bytes(12),
        ..Retention::default()
    });
    for key in ["a", "b", "c", "d"] {
        house.write(put(key, "1234")).await.unwrap();
    }
    house.sweep().await;
    assert_eq!(house.keys().await, ["c", "d"]);
    assert_eq!(house.usage().await.memory_bytes, 10);
}

#[tokio::test]
async fn old_events_go_and_a_session_goes_with_its_last_one() {
    let house = House::new();
    house.keep(Retention {
        sessions: by_age(HOUR),
        ..Retention::default()
    });
    for session in ["silent", "short", "long"] {
        house.converse(create(session)).await;
    }
    house.converse(say("short", "hej")).await;
    house.converse(say("long", "first")).await;
    house.clock.advance(HOUR - SECOND);
    house.converse(say("long", "second")).await;
    house.converse(create("new")).await;
    house.sweep().await;
    let left = [conversation("new", &[]), conversation("long", &["second"])];
    assert_eq!(house.said().await, left);
    house.clock.advance(HOUR);
    house.sweep().await;
    assert!(house.said().await.is_empty());
    assert_eq!(house.usage().await, Usage::default());
}

#[tokio::test]
async fn of_too_many_events_the_oldest_of_any_session_go_first() {
    let house = House::new();
    house.keep(Retention {
        sessions: by_count(2),
        ..Retention::default()
    });
    for session in ["one", "two"] {
        house.converse(create(session)).await;
    }
    for (session, content) in [("one", "a"), ("two", "b"), ("one", "c"), ("two", "d")] {
        house.converse(say(session, content)).await;
    }
    house.sweep().await;
    let left = [conversation("two", &["d"]), conversation("one", &["c"])];
    assert_eq!(house.said().await, left);
}

#[tokio::test]
async fn records_beyond_what_is_kept_go_and_are_recalled_no_more() {
    let house = House::new();
    house.keep(Retention {
        records: by_count(1),
        ..Retention::default()
    });
    house.learn("old", "the red house").await;
    house.learn("new", "the red boat").await;
    house.sweep().await;
    let hits = house.local.records().recall(&scribe(), "", "red", 10).await;
    let found: Vec<_> = hits.unwrap().into_iter().map(|hit| hit.record.id).collect();
    assert_eq!(found, ["new"]);
    house.keep(Retention {
        records: by_bytes(0),
        ..Retention::default()
    });
    house.sweep().await;
    assert_eq!(house.usage().await, Usage::default());
    let conn = rusqlite::Connection::open(house.database()).unwrap();
    let vectors: u64 = conn
        .query_row("SELECT count(*) FROM vector", [], |row| row.get(0))
        .unwrap();
    assert_eq!(vectors, 0, "no vector is left behind");
}

#[tokio::test]
async fn what_one_kind_keeps_says_nothing_of_the_others() {
    let house = House::new();
    house.keep(Retention {
        memory: by_count(0),
        ..Retention::default()
    });
    house.write(put("k", "x")).await.unwrap();
    house.learn("r", "x").await;
    house.converse(create("s")).await;
    house.converse(say("s", "x")).await;
    house.clock.advance(1_000 * HOUR);
    house.sweep().await;
    assert!(house.keys().await.is_empty());
    assert_eq!(house.said().await.len(), 1);
    assert_eq!(house.usage().await.memory_items, 3);
}

#[tokio::test]
async fn a_step_takes_a_bounded_part_beside_a_write() {
    let house = House::new();
    for n in 0..700 {
        house.write(put(&format!("k{n:03}"), "x")).await.unwrap();
    }
    house.keep(Retention {
        memory: by_count(100),
        ..Retention::default()
    });
    house.clock.advance(SECOND);
    for left in [700 - 256, 700 - 512, 100, 100] {
        house.write(crate::common::delete("none")).await.unwrap();
        assert_eq!(house.usage().await.memory_items, left);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_while_a_resting_store_is_swept() {
    let house = House::new();
    for n in 0..3_000 {
        house.write(put(&format!("k{n}"), "x")).await.unwrap();
    }
    house.keep(Retention {
        memory: by_count(10),
        ..Retention::default()
    });
    house.clock.advance(SECOND);
    let tenant = acme();
    let (swept, ()) = tokio::join!(house.local.sweep(&tenant), async {
        for n in 0..50 {
            house.write(put(&format!("new{n}"), "x")).await.unwrap();
        }
    });
    assert!(!swept.unwrap());
    house.sweep().await;
    assert_eq!(house.usage().await.memory_items, 10);
}

#[tokio::test]
async fn other_tenants_keep_everything() {
    let house = House::new();
    let other = TenantId::new("other").unwrap();
    let retention = Retention {
        memory: by_count(0),
        ..Retention::default()
    };
    house.local.set_retention(&other, retention);
    house.write(put("k", "x")).await.unwrap();
    house.sweep().await;
    house.local.sweep(&other).await.unwrap();
    assert_eq!(house.keys().await, ["k"]);
}

#[tokio::test]
async fn earlier_versions_of_files_are_held_to_the_quota_for_files() {
    let house = House::new();
    house.quotas(Quotas {
        files_bytes: 20,
        ..Quotas::default()
    });
    for content in ["1aaaaaa", "2aaaaaa", "3aaaaaa", "4aaaaaa"] {
        house.put_file("f", content).await.unwrap();
    }
    let usage = house.usage().await;
    assert_eq!((usage.files_bytes, usage.file_version_bytes), (7, 7));
    assert_eq!(house.versions_of("f").await, 2);
}
