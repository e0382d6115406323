//! Sessions begin, expire, are closed and deleted.

use std::time::Duration;

use super::{ACTOR, Houses, close, create, create_for, ctx, delete, say};
use crate::sessions::{Session, SessionAck, SessionWrite, Sessions};
use crate::testkit::suite::{Case, cases};
use crate::{Clock, ErrorKind};

const TTL: Duration = Duration::from_millis(1_000);
const ONE_MS: Duration = Duration::from_millis(1);

pub(super) fn cases() -> Vec<Case<dyn Sessions>> {
    cases![
        a_session_is_read_as_it_was_created,
        a_session_without_an_id_gets_one_of_its_own,
        an_id_that_is_taken_is_a_conflict_open_or_closed,
        two_actors_may_use_the_same_id,
        sessions_are_listed_last_created_first,
        a_cursor_of_sessions_belongs_to_its_actor,
        a_session_created_between_pages_appears_at_most_once,
        a_session_and_its_events_are_absent_from_the_moment_of_expiry_on,
        an_event_does_not_prolong_a_session,
        the_id_of_an_expired_session_begins_anew_without_its_events,
        a_closed_session_can_be_read_and_takes_no_more,
        closing_says_whether_the_session_was_open,
        an_absent_session_cannot_be_closed,
        a_deleted_session_is_absent_with_its_events,
        deleting_what_is_absent_succeeds,
    ]
}

async fn a_session_is_read_as_it_was_created(houses: Houses) {
    let metadata = vec![
        ("channel".to_owned(), "web".to_owned()),
        ("language".to_owned(), "på svenska".to_owned()),
    ];
    let write = SessionWrite::Create {
        actor: ACTOR.to_owned(),
        id: Some("s-1".to_owned()),
        ttl: Some(TTL),
        metadata: metadata.clone(),
    };
    let now = houses.clock.now();
    let expires_at = Some(now.saturating_add(TTL));
    let ack = houses.apply(&write).await;
    let place = ack.place().unwrap_or_default();
    let expected = SessionAck::Created {
        id: "s-1".to_owned(),
        at: now,
        expires_at,
        place,
    };
    assert_eq!(ack, expected);
    let session = Session {
        actor: ACTOR.to_owned(),
        id: "s-1".to_owned(),
        metadata,
        created_at: now,
        expires_at,
        closed_at: None,
    };
    assert_eq!(houses.get("s-1").await.as_ref(), Some(&session));
    let page = houses.backend.list(&ctx(), ACTOR, None, 10).await.unwrap();
    assert_eq!(page.entries, [session]);
    assert_eq!(page.next_cursor, None);
}

async fn a_session_without_an_id_gets_one_of_its_own(houses: Houses) {
    let write = SessionWrite::Create {
        actor: ACTOR.to_owned(),
        id: None,
        ttl: None,
        metadata: Vec::new(),
    };
    let mut made = Vec::new();
    for _ in 0..3 {
        let SessionAck::Created { id, .. } = houses.apply(&write).await else {
            panic!("a create was answered with something else");
        };
        crate::sessions::check_session_id("sessions.create", &id).unwrap();
        assert!(houses.get(&id).await.is_some());
        made.insert(0, id);
    }
    assert_eq!(houses.ids(10).await, made);
}

async fn an_id_that_is_taken_is_a_conflict_open_or_closed(houses: Houses) {
    houses.apply(&create("s")).await;
    let error = houses.try_apply(&create("s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    houses.apply(&close("s")).await;
    let error = houses.try_apply(&create("s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

async fn two_actors_may_use_the_same_id(houses: Houses) {
    houses.apply(&create("s")).await;
    houses.apply(&say("s", "hej")).await;
    houses.apply(&create_for(None, "bo", "s")).await;
    assert_eq!(houses.said("s").await, ["hej"]);
    let session = houses.backend.get(&ctx(), "bo", "s").await.unwrap();
    assert_eq!(session.unwrap().actor, "bo");
    assert_eq!(houses.ids(10).await, ["s"]);
}

async fn sessions_are_listed_last_created_first(houses: Houses) {
    assert!(houses.ids(1).await.is_empty());
    for id in ["b", "c", "a", "d", "0"] {
        houses.apply(&create(id)).await;
    }
    houses.apply(&say("b", "the latest to speak")).await;
    for limit in [1, 2, 5, 1_000] {
        assert_eq!(houses.ids(limit).await, ["0", "d", "a", "c", "b"]);
    }
}

async fn a_cursor_of_sessions_belongs_to_its_actor(houses: Houses) {
    for id in ["a", "b"] {
        houses.apply(&create(id)).await;
    }
    let page = houses.backend.list(&ctx(), ACTOR, None, 1).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    for (actor, cursor) in [("bo", cursor.as_str()), (ACTOR, ""), (ACTOR, "nonsense")] {
        let result = houses.backend.list(&ctx(), actor, Some(cursor), 1).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid, "{cursor:?}");
    }
}

async fn a_session_created_between_pages_appears_at_most_once(houses: Houses) {
    for id in ["a", "b", "c"] {
        houses.apply(&create(id)).await;
    }
    let page = houses.backend.list(&ctx(), ACTOR, None, 2).await.unwrap();
    houses.apply(&create("d")).await;
    houses.apply(&delete("b")).await;
    let cursor = page.next_cursor.as_deref();
    let rest = houses.backend.list(&ctx(), ACTOR, cursor, 10).await;
    let rest: Vec<_> = rest.unwrap().entries.into_iter().map(|s| s.id).collect();
    assert_eq!(rest, ["a"]);
}

async fn a_session_and_its_events_are_absent_from_the_moment_of_expiry_on(houses: Houses) {
    houses.apply(&create_for(Some(TTL), ACTOR, "goes")).await;
    houses.apply(&create("stays")).await;
    houses.apply(&say("goes", "hej")).await;
    houses.clock.advance(TTL - ONE_MS);
    assert_eq!(houses.said("goes").await, ["hej"]);
    assert_eq!(houses.ids(1).await, ["stays", "goes"]);
    houses.clock.advance(ONE_MS);
    assert_eq!(houses.get("goes").await, None);
    assert_eq!(houses.ids(1).await, ["stays"]);
    let order = crate::sessions::Order::OldestFirst;
    let ctx = ctx();
    let events = houses.backend.events(&ctx, ACTOR, "goes", order, None, 1);
    assert_eq!(events.await.unwrap_err().kind(), ErrorKind::NotFound);
    for write in [say("goes", "too late"), close("goes")] {
        let error = houses.try_apply(&write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    let ack = houses.apply(&delete("goes")).await;
    assert_eq!(ack, SessionAck::Deleted { existed: false });
}

async fn an_event_does_not_prolong_a_session(houses: Houses) {
    houses.apply(&create_for(Some(TTL), ACTOR, "s")).await;
    houses.clock.advance(TTL - ONE_MS);
    houses.apply(&say("s", "still here")).await;
    houses.clock.advance(ONE_MS);
    assert_eq!(houses.get("s").await, None);
}

async fn the_id_of_an_expired_session_begins_anew_without_its_events(houses: Houses) {
    houses.apply(&create_for(Some(TTL), ACTOR, "s")).await;
    houses.apply(&say("s", "before")).await;
    houses.clock.advance(TTL);
    houses.apply(&create("s")).await;
    assert!(houses.said("s").await.is_empty());
    houses.apply(&say("s", "after")).await;
    // Whatever sweeps the old one must leave the new one.
    houses.clock.advance(TTL * 10);
    houses.apply(&say("s", "later")).await;
    assert_eq!(houses.said("s").await, ["after", "later"]);
    let session = houses.get("s").await.unwrap();
    assert_eq!(session.expires_at, None);
    assert_eq!(houses.ids(10).await, ["s"]);
}

async fn a_closed_session_can_be_read_and_takes_no_more(houses: Houses) {
    houses.apply(&create("s")).await;
    houses.apply(&say("s", "hej")).await;
    houses.clock.advance(ONE_MS);
    houses.apply(&close("s")).await;
    let closed_at = Some(houses.clock.now());
    let error = houses.try_apply(&say("s", "och")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(houses.said("s").await, ["hej"]);
    assert_eq!(houses.get("s").await.unwrap().closed_at, closed_at);
    assert_eq!(houses.ids(1).await, ["s"]);
}

async fn closing_says_whether_the_session_was_open(houses: Houses) {
    houses.apply(&create("s")).await;
    let ack = houses.apply(&close("s")).await;
    assert_eq!(ack, SessionAck::Closed { was_open: true });
    let closed_at = houses.get("s").await.unwrap().closed_at;
    houses.clock.advance(ONE_MS);
    let ack = houses.apply(&close("s")).await;
    assert_eq!(ack, SessionAck::Closed { was_open: false });
    assert_eq!(houses.get("s").await.unwrap().closed_at, closed_at);
}

async fn an_absent_session_cannot_be_closed(houses: Houses) {
    let error = houses.try_apply(&close("s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn a_deleted_session_is_absent_with_its_events(houses: Houses) {
    houses.apply(&create("s")).await;
    houses.apply(&say("s", "hej")).await;
    let ack = houses.apply(&delete("s")).await;
    assert_eq!(ack, SessionAck::Deleted { existed: true });
    assert_eq!(houses.get("s").await, None);
    assert!(houses.ids(1).await.is_empty());
    houses.apply(&create("s")).await;
    assert!(houses.said("s").await.is_empty());
}

async fn deleting_what_is_absent_succeeds(houses: Houses) {
    let ack = houses.apply(&delete("s")).await;
    assert_eq!(ack, SessionAck::Deleted { existed: false });
}
