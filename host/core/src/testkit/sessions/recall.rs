//! Events found again by meaning.

use std::time::Duration;

use super::{ACTOR, Houses, close, create, create_for, ctx, delete, say};
use crate::ErrorKind;
use crate::records::{RECALL_MAX_HITS, TEXT_MAX_BYTES};
use crate::sessions::{CONTENT_MAX_BYTES, Sessions};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Sessions>> {
    cases![
        recall_finds_the_nearest_event_of_any_session_first,
        a_hit_is_the_event_as_a_listing_shows_it,
        recall_hands_out_at_most_k_events_and_nothing_unrelated,
        of_equal_events_the_later_comes_first,
        recall_reaches_one_actor_alone,
        closed_sessions_are_recalled_and_absent_ones_are_not,
        a_session_that_took_anothers_name_is_not_taken_for_it,
        the_longest_event_is_recalled,
        arguments_of_recall_are_bounded,
    ]
}

impl Houses {
    /// Session and content of the hits.
    async fn recalled(&self, query: &str, k: u32) -> Vec<(String, String)> {
        let hits = self.backend.recall(&ctx(), ACTOR, query, k).await.unwrap();
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.score <= 1.0));
        let hits = hits.into_iter();
        hits.map(|hit| (hit.session, hit.event.content)).collect()
    }
}

fn pair(session: &str, content: &str) -> (String, String) {
    (session.to_owned(), content.to_owned())
}

async fn recall_finds_the_nearest_event_of_any_session_first(houses: Houses) {
    let said = [
        ("may", "The stove smokes when the wind is from the north."),
        ("june", "The boat has been painted twice this year."),
        ("july", "Hunden heter Bamse och är sju år."),
    ];
    for (session, content) in said {
        houses.apply(&create(session)).await;
        houses.apply(&say(session, content)).await;
    }
    for (query, nearest) in [
        ("what was it about the STOVE", 0),
        ("painting boats", 1),
        ("vad heter hunden", 2),
    ] {
        let found = houses.recalled(query, 3).await;
        let (session, content) = said[nearest];
        assert_eq!(found.first(), Some(&pair(session, content)), "{query}");
    }
}

async fn a_hit_is_the_event_as_a_listing_shows_it(houses: Houses) {
    houses.apply(&create("s")).await;
    houses.apply(&say("s", "kvarnstugan vid sjön")).await;
    let listed = houses
        .events("s", crate::sessions::Order::OldestFirst, 10)
        .await;
    let hits = houses.backend.recall(&ctx(), ACTOR, "kvarnstugan", 1).await;
    let found: Vec<_> = hits.unwrap().into_iter().map(|hit| hit.event).collect();
    assert_eq!(found, listed);
}

async fn recall_hands_out_at_most_k_events_and_nothing_unrelated(houses: Houses) {
    houses.apply(&create("s")).await;
    for n in 0..5 {
        houses.apply(&say("s", &format!("the red house {n}"))).await;
    }
    houses.apply(&say("s", "?! ...")).await;
    assert_eq!(houses.recalled("red house", 3).await.len(), 3);
    assert_eq!(houses.recalled("red house", 100).await.len(), 5);
    assert!(houses.recalled("?! ...", 100).await.is_empty());
}

async fn of_equal_events_the_later_comes_first(houses: Houses) {
    for session in ["one", "two"] {
        houses.apply(&create(session)).await;
    }
    for session in ["two", "one", "two"] {
        houses.apply(&say(session, "the red house")).await;
    }
    let found = houses.recalled("red house", 3).await;
    let sessions: Vec<_> = found.iter().map(|(session, _)| session.as_str()).collect();
    assert_eq!(sessions, ["two", "one", "two"]);
}

async fn recall_reaches_one_actor_alone(houses: Houses) {
    for actor in ["astri", "astrid/work", "bo"] {
        houses.apply(&create_for(None, actor, "s")).await;
        let mut write = say("s", "the red house");
        if let crate::sessions::SessionWrite::Append { actor: whose, .. } = &mut write {
            actor.clone_into(whose);
        }
        houses.apply(&write).await;
    }
    assert!(houses.recalled("red house", 10).await.is_empty());
    let hits = houses.backend.recall(&ctx(), "bo", "red house", 10).await;
    assert_eq!(hits.unwrap().len(), 1);
}

async fn closed_sessions_are_recalled_and_absent_ones_are_not(houses: Houses) {
    const TTL: Duration = Duration::from_millis(10);
    houses.apply(&create("closed")).await;
    houses.apply(&create("deleted")).await;
    houses.apply(&create_for(Some(TTL), ACTOR, "expired")).await;
    for session in ["closed", "deleted", "expired"] {
        houses.apply(&say(session, "the red house")).await;
    }
    houses.apply(&close("closed")).await;
    assert_eq!(houses.recalled("red house", 10).await.len(), 3);
    houses.apply(&delete("deleted")).await;
    houses.clock.advance(TTL);
    let found = houses.recalled("red house", 10).await;
    assert_eq!(found, [pair("closed", "the red house")]);
}

async fn a_session_that_took_anothers_name_is_not_taken_for_it(houses: Houses) {
    houses.apply(&create("s")).await;
    houses.apply(&say("s", "the red house")).await;
    houses.apply(&delete("s")).await;
    houses.apply(&create("s")).await;
    assert!(houses.recalled("red house", 10).await.is_empty());
}

async fn the_longest_event_is_recalled(houses: Houses) {
    houses.apply(&create("s")).await;
    let long = "midsommar ".repeat(CONTENT_MAX_BYTES / "midsommar ".len());
    houses.apply(&say("s", &long)).await;
    assert_eq!(houses.recalled("midsommar", 1).await.len(), 1);
}

async fn arguments_of_recall_are_bounded(houses: Houses) {
    let ctx = ctx();
    let text = "x".repeat(TEXT_MAX_BYTES);
    let long = format!("{text}x");
    for (actor, query, k) in [
        ("a b", "x", 1),
        ("", "x", 1),
        (ACTOR, "", 1),
        (ACTOR, &long, 1),
        (ACTOR, "x", 0),
        (ACTOR, "x", RECALL_MAX_HITS + 1),
    ] {
        let refused = houses.backend.recall(&ctx, actor, query, k).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let most = houses.backend.recall(&ctx, ACTOR, &text, RECALL_MAX_HITS);
    assert!(most.await.unwrap().is_empty());
}
