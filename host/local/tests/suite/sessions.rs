//! What the contract of sessions does not say and a store must keep: quotas, sweeping, restarts, a clock that goes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stuga_core::sessions::{Event, Order, Role, SessionAck, SessionWrite, Sessions};
use stuga_core::{Capability, Clock, ErrorKind, Result, Timestamp};
use stuga_local::{Local, LocalConfig, Quotas, Usage};
use tempfile::TempDir;

use crate::common::{House, put, scribe};

const TTL: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);

fn create(id: &str, ttl: Option<Duration>) -> SessionWrite {
    SessionWrite::Create {
        actor: "astrid".to_owned(),
        id: Some(id.to_owned()),
        ttl,
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

fn delete(session: &str) -> SessionWrite {
    SessionWrite::Delete {
        actor: "astrid".to_owned(),
        session: session.to_owned(),
    }
}

async fn write(local: &Local, write: SessionWrite) -> Result<SessionAck> {
    let ctx = scribe();
    let id = ctx.next_write_id()?;
    local.sessions().apply(&ctx, id, &write).await
}

async fn events(local: &Local, session: &str) -> Vec<Event> {
    let (ctx, sessions) = (scribe(), local.sessions());
    let page = sessions.events(&ctx, "astrid", session, Order::OldestFirst, None, 1_000);
    page.await.unwrap().entries
}

#[tokio::test]
async fn sessions_and_events_count_towards_the_quota_of_memory() {
    let house = House::new();
    house.quotas(Quotas {
        memory_items: 3,
        ..Quotas::default()
    });
    write(&house.local, create("s", None)).await.unwrap();
    write(&house.local, say("s", "hej")).await.unwrap();
    house.write(put("k", "x")).await.unwrap();
    let refused = write(&house.local, say("s", "och")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(refused.context_value("quota"), Some("memory_items"));
    assert_eq!(events(&house.local, "s").await.len(), 1);
    // What was deleted makes room at once, for memory as well.
    write(&house.local, delete("s")).await.unwrap();
    for key in ["l", "m"] {
        house.write(put(key, "x")).await.unwrap();
    }
    assert_eq!(house.usage().await.memory_items, 3);
}

#[tokio::test]
async fn sweeping_gives_back_all_that_was_booked() {
    let house = House::new();
    write(&house.local, create("deleted", None)).await.unwrap();
    // More events than one step takes.
    write(&house.local, create("expired", Some(TTL)))
        .await
        .unwrap();
    for n in 0..600 {
        write(&house.local, say("expired", &format!("word {n}")))
            .await
            .unwrap();
    }
    write(&house.local, say("deleted", "å")).await.unwrap();
    assert_eq!(house.usage().await.memory_items, 603);
    write(&house.local, delete("deleted")).await.unwrap();
    house.clock.advance(SECOND);
    // Each write takes one step with it.
    for _ in 0..4 {
        write(&house.local, delete("none")).await.unwrap();
    }
    assert_eq!(house.usage().await, Usage::default());
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let mut house = House::new();
    write(&house.local, create("s", None)).await.unwrap();
    write(&house.local, say("s", "before")).await.unwrap();
    house.reopen().await;
    write(&house.local, say("s", "after")).await.unwrap();
    let said = events(&house.local, "s").await;
    let said: Vec<_> = said.iter().map(|event| event.content.as_str()).collect();
    assert_eq!(said, ["before", "after"]);
}

/// A clock that a test sets to whatever it likes.
struct AnyTime(AtomicU64);

impl Clock for AnyTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_the_order_of_events() {
    let clock = Arc::new(AnyTime(AtomicU64::new(5_000)));
    let directory = TempDir::new().unwrap();
    let time = Arc::clone(&clock) as Arc<dyn Clock>;
    let local = Local::open(directory.path(), time, LocalConfig::default()).unwrap();
    write(&local, create("s", None)).await.unwrap();
    for (now, word) in [(6_000, "first"), (1_000, "second"), (7_000, "third")] {
        clock.0.store(now, Ordering::SeqCst);
        write(&local, say("s", word)).await.unwrap();
    }
    let events = events(&local, "s").await;
    let times: Vec<_> = events.iter().map(|event| event.at.as_millis()).collect();
    assert_eq!(times, [6_000, 6_000, 7_000]);
    // A deleted session stays deleted, however far back the clock goes.
    write(&local, delete("s")).await.unwrap();
    clock.0.store(1, Ordering::SeqCst);
    let listing = local.sessions().list(&scribe(), "astrid", None, 10).await;
    assert!(listing.unwrap().entries.is_empty());
}
