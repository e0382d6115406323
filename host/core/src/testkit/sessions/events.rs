//! Events: what is kept of them, their order, pages and cursors.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{ACTOR, Houses, appended, create, ctx, say};
use crate::sessions::{CONTENT_MAX_BYTES, Order, PAGE_MAX_BYTES, Role, SessionWrite, Sessions};
use crate::testkit::suite::{Case, cases};
use crate::{Clock, ErrorKind};

pub(super) fn cases() -> Vec<Case<dyn Sessions>> {
    cases![
        an_event_is_read_as_it_was_appended,
        events_come_in_the_order_of_their_times_both_ways,
        events_of_one_moment_keep_the_order_of_appending,
        an_absent_session_takes_and_has_no_events,
        ids_of_events_are_unique_across_sessions,
        a_page_of_events_is_bounded_by_its_bytes,
        a_cursor_of_events_belongs_to_its_session_and_order,
        an_event_appended_between_pages_appears_at_most_once,
        events_appended_side_by_side_are_all_there,
    ]
}

async fn an_event_is_read_as_it_was_appended(houses: Houses) {
    houses.apply(&create("s")).await;
    for role in Role::ALL {
        houses.clock.advance(Duration::from_millis(5));
        let content = format!("jag är {}\n\t\u{1f3e1}", role.as_str());
        let metadata = vec![("tool".to_owned(), "väder".to_owned())];
        let write = SessionWrite::Append {
            actor: ACTOR.to_owned(),
            session: "s".to_owned(),
            role,
            content: content.clone(),
            metadata: metadata.clone(),
        };
        let (id, at) = appended(houses.apply(&write).await);
        assert_eq!(at, houses.clock.now());
        let event = houses.events("s", Order::NewestFirst, 1).await.remove(0);
        assert_eq!((event.id, event.at, event.role), (id, at, role));
        assert_eq!((event.content, event.metadata), (content, metadata));
    }
}

async fn events_come_in_the_order_of_their_times_both_ways(houses: Houses) {
    houses.apply(&create("s")).await;
    let words: Vec<String> = (0..7).map(|n| format!("word {n}")).collect();
    for word in &words {
        houses.apply(&say("s", word)).await;
        houses.clock.advance(Duration::from_millis(1));
    }
    for limit in [1, 3, 7, 1_000] {
        let mut events = houses.events("s", Order::OldestFirst, limit).await;
        let read: Vec<_> = events.iter().map(|event| event.content.clone()).collect();
        assert_eq!(read, words);
        assert!(events.windows(2).all(|pair| pair[0].at < pair[1].at));
        events.reverse();
        let back = houses.events("s", Order::NewestFirst, limit).await;
        assert_eq!(back, events);
    }
}

async fn events_of_one_moment_keep_the_order_of_appending(houses: Houses) {
    houses.apply(&create("s")).await;
    for word in ["c", "a", "b"] {
        houses.apply(&say("s", word)).await;
    }
    assert_eq!(houses.said("s").await, ["c", "a", "b"]);
}

async fn an_absent_session_takes_and_has_no_events(houses: Houses) {
    let error = houses.try_apply(&say("s", "hej")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let ctx = ctx();
    let events = houses
        .backend
        .events(&ctx, ACTOR, "s", Order::OldestFirst, None, 1);
    assert_eq!(events.await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn ids_of_events_are_unique_across_sessions(houses: Houses) {
    let mut ids = BTreeSet::new();
    for session in ["a", "b"] {
        houses.apply(&create(session)).await;
        for _ in 0..5 {
            ids.insert(appended(houses.apply(&say(session, "same")).await).0);
        }
    }
    assert_eq!(ids.len(), 10);
}

async fn a_page_of_events_is_bounded_by_its_bytes(houses: Houses) {
    houses.apply(&create("s")).await;
    let large = "x".repeat(CONTENT_MAX_BYTES);
    let count = PAGE_MAX_BYTES / CONTENT_MAX_BYTES + 2;
    for _ in 0..count {
        houses.apply(&say("s", &large)).await;
    }
    let ctx = ctx();
    let page = houses
        .backend
        .events(&ctx, ACTOR, "s", Order::OldestFirst, None, 1_000)
        .await
        .unwrap();
    let bytes: usize = page.entries.iter().map(|event| event.content.len()).sum();
    assert!(bytes <= PAGE_MAX_BYTES && page.next_cursor.is_some());
    assert_eq!(
        houses.events("s", Order::NewestFirst, 1_000).await.len(),
        count
    );
}

async fn a_cursor_of_events_belongs_to_its_session_and_order(houses: Houses) {
    for session in ["a", "b"] {
        houses.apply(&create(session)).await;
        for word in ["1", "2", "3"] {
            houses.apply(&say(session, word)).await;
        }
    }
    let ctx = ctx();
    let up = Order::OldestFirst;
    let page = houses.backend.events(&ctx, ACTOR, "a", up, None, 1).await;
    let cursor = page.unwrap().next_cursor.unwrap();
    for (session, order, cursor) in [
        ("b", up, cursor.as_str()),
        ("a", Order::NewestFirst, &cursor),
        ("a", up, ""),
        ("a", up, "nonsense"),
    ] {
        let result = houses
            .backend
            .events(&ctx, ACTOR, session, order, Some(cursor), 1);
        assert_eq!(result.await.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

async fn an_event_appended_between_pages_appears_at_most_once(houses: Houses) {
    houses.apply(&create("s")).await;
    for word in ["1", "2", "3"] {
        houses.apply(&say("s", word)).await;
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let ctx = ctx();
        let first = houses.backend.events(&ctx, ACTOR, "s", order, None, 2);
        let first = first.await.unwrap();
        houses.apply(&say("s", "between")).await;
        let cursor = first.next_cursor.as_deref();
        let rest = houses.backend.events(&ctx, ACTOR, "s", order, cursor, 100);
        let rest = rest.await.unwrap();
        let ids: Vec<_> = first.entries.iter().chain(&rest.entries).collect();
        let unique: BTreeSet<_> = ids.iter().map(|event| &event.id).collect();
        assert_eq!(unique.len(), ids.len());
        assert!(ids.len() >= 3);
    }
}

async fn events_appended_side_by_side_are_all_there(houses: Houses) {
    houses.apply(&create("s")).await;
    let houses = Arc::new(houses);
    let speakers: Vec<_> = (0..8)
        .map(|n| {
            let houses = Arc::clone(&houses);
            tokio::spawn(async move {
                for m in 0..5 {
                    houses.apply(&say("s", &format!("{n}/{m}"))).await;
                }
            })
        })
        .collect();
    for speaker in speakers {
        speaker.await.unwrap();
    }
    let said = houses.said("s").await;
    assert_eq!(said.len(), 40);
    for n in 0..8 {
        let own = said.iter().filter(|s| s.starts_with(&format!("{n}/")));
        let expected: Vec<_> = (0..5).map(|m| format!("{n}/{m}")).collect();
        assert!(
            own.eq(expected.iter()),
            "a speaker's own words keep their order"
        );
    }
}
