//! Bounds: at the limit it works, one more is `Invalid`.

use std::time::Duration;

use super::{ACTOR, Houses, create, create_for, ctx, say};
use crate::ErrorKind;
use crate::memory::TTL_MAX;
use crate::metadata::{METADATA_MAX_ENTRIES, METADATA_NAME_MAX_BYTES, METADATA_VALUE_MAX_BYTES};
use crate::sessions::{
    ACTOR_MAX_BYTES, CONTENT_MAX_BYTES, Order, PAGE_MAX_ENTRIES, SESSION_ID_MAX_BYTES,
    SessionWrite, Sessions,
};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Sessions>> {
    cases![
        actors_and_ids_are_taken_up_to_their_length,
        actors_and_ids_with_other_characters_are_invalid,
        content_is_taken_up_to_its_length_and_not_empty,
        metadata_is_taken_up_to_its_bounds,
        times_to_live_are_bounded,
        limits_are_bounded,
    ]
}

async fn refused(houses: &Houses, write: SessionWrite) {
    let error = houses.try_apply(&write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

async fn actors_and_ids_are_taken_up_to_their_length(houses: Houses) {
    let (actor, id) = (
        "a".repeat(ACTOR_MAX_BYTES),
        "s".repeat(SESSION_ID_MAX_BYTES),
    );
    houses.apply(&create_for(None, &actor, &id)).await;
    let session = houses.backend.get(&ctx(), &actor, &id).await.unwrap();
    assert!(session.is_some());
    refused(&houses, create_for(None, &format!("{actor}a"), &id)).await;
    refused(&houses, create_for(None, &actor, &format!("{id}s"))).await;
}

async fn actors_and_ids_with_other_characters_are_invalid(houses: Houses) {
    for good in ["Astrid", "users/astrid", "0", "a-b_c", "a//"] {
        houses.apply(&create_for(None, good, "s")).await;
    }
    for bad in [
        "", "/a", "-a", "_a", "å", "a b", "a:b", "a.b", "a\0", "a\n", "a%",
    ] {
        refused(&houses, create_for(None, bad, "s")).await;
        refused(&houses, create(bad)).await;
        let actor = houses.backend.get(&ctx(), bad, "s").await;
        assert_eq!(actor.unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
        let id = houses.backend.get(&ctx(), ACTOR, bad).await;
        assert_eq!(id.unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
    refused(&houses, create("a/b")).await;
}

async fn content_is_taken_up_to_its_length_and_not_empty(houses: Houses) {
    houses.apply(&create("s")).await;
    let content = "x".repeat(CONTENT_MAX_BYTES);
    houses.apply(&say("s", &content)).await;
    refused(&houses, say("s", &format!("{content}x"))).await;
    refused(&houses, say("s", "")).await;
    assert_eq!(houses.said("s").await, [content]);
}

async fn metadata_is_taken_up_to_its_bounds(houses: Houses) {
    let with = |metadata: Vec<(String, String)>| SessionWrite::Create {
        actor: ACTOR.to_owned(),
        id: None,
        ttl: None,
        metadata,
    };
    let (name, value) = (
        "n".repeat(METADATA_NAME_MAX_BYTES),
        "v".repeat(METADATA_VALUE_MAX_BYTES),
    );
    let many = |count| (0..count).map(|n| (format!("{n:02}"), value.clone()));
    houses
        .apply(&with(many(METADATA_MAX_ENTRIES).collect()))
        .await;
    houses
        .apply(&with(vec![(name.clone(), value.clone())]))
        .await;
    refused(&houses, with(many(METADATA_MAX_ENTRIES + 1).collect())).await;
    let twice = vec![("a".to_owned(), String::new()); 2];
    for bad in [
        vec![(format!("{name}n"), String::new())],
        vec![("n".to_owned(), format!("{value}v"))],
        vec![(String::new(), String::new())],
        twice,
    ] {
        refused(&houses, with(bad)).await;
    }
}

async fn times_to_live_are_bounded(houses: Houses) {
    houses
        .apply(&create_for(Some(TTL_MAX), ACTOR, "long"))
        .await;
    let short = Duration::from_millis(1);
    houses.apply(&create_for(Some(short), ACTOR, "short")).await;
    refused(&houses, create_for(Some(Duration::ZERO), ACTOR, "zero")).await;
    refused(&houses, create_for(Some(TTL_MAX + short), ACTOR, "over")).await;
}

async fn limits_are_bounded(houses: Houses) {
    houses.apply(&create("s")).await;
    let ctx = ctx();
    for limit in [0, PAGE_MAX_ENTRIES + 1, u32::MAX] {
        let sessions = houses.backend.list(&ctx, ACTOR, None, limit).await;
        assert_eq!(sessions.unwrap_err().kind(), ErrorKind::Invalid, "{limit}");
        let order = Order::OldestFirst;
        let events = houses.backend.events(&ctx, ACTOR, "s", order, None, limit);
        assert_eq!(events.await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(houses.ids(PAGE_MAX_ENTRIES).await, ["s"]);
}
