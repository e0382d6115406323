//! Time to live.

use std::time::Duration;

use super::{Memories, delete, put, put_for, put_if};
use crate::Clock;
use crate::memory::{Expected, Memory, MemoryAck, TTL_MAX};
use crate::testkit::suite::{Case, cases};

const TTL: Duration = Duration::from_millis(1_000);
const ONE_MS: Duration = Duration::from_millis(1);

pub(super) fn cases() -> Vec<Case<dyn Memory>> {
    cases![
        an_item_is_absent_from_its_moment_of_expiry_on,
        an_expired_item_is_in_no_listing,
        expires_at_is_the_time_of_the_put_and_the_ttl,
        a_put_with_a_ttl_starts_it_anew,
        a_put_without_a_ttl_keeps_the_item,
        the_shortest_and_the_longest_ttl_are_taken,
        an_expired_item_is_absent_for_compare_and_set,
        an_expired_item_is_absent_for_delete,
        created_at_begins_anew_after_expiry,
        versions_grow_across_expiry,
    ]
}

async fn an_item_is_absent_from_its_moment_of_expiry_on(memory: Memories) {
    memory.apply(&put_for(TTL, "k", "a")).await;
    memory.clock.advance(TTL - ONE_MS);
    assert!(memory.get("k").await.is_some(), "1 ms before");
    memory.clock.advance(ONE_MS);
    assert_eq!(memory.get("k").await, None, "at the moment");
    memory.clock.advance(TTL);
    assert_eq!(memory.get("k").await, None, "later");
}

async fn an_expired_item_is_in_no_listing(memory: Memories) {
    memory.apply(&put("a", "stays")).await;
    memory.apply(&put_for(TTL, "b", "goes")).await;
    memory
        .apply(&put_for(TTL + ONE_MS, "c", "goes later"))
        .await;
    memory.apply(&put("d", "stays")).await;
    memory.clock.advance(TTL - ONE_MS);
    assert_eq!(memory.keys("", 1).await, ["a", "b", "c", "d"]);
    memory.clock.advance(ONE_MS);
    assert_eq!(memory.keys("", 1).await, ["a", "c", "d"]);
    assert_eq!(memory.keys("", 10).await, ["a", "c", "d"]);
    assert!(memory.keys("b", 10).await.is_empty());
}

async fn expires_at_is_the_time_of_the_put_and_the_ttl(memory: Memories) {
    memory.apply(&put_for(TTL, "k", "a")).await;
    let item = memory.get("k").await.unwrap();
    assert_eq!(
        item.expires_at,
        Some(memory.clock.now().saturating_add(TTL))
    );
    assert_eq!(memory.keys("k", 1).await, ["k"]);
}

async fn a_put_with_a_ttl_starts_it_anew(memory: Memories) {
    memory.apply(&put_for(TTL, "k", "a")).await;
    memory.clock.advance(TTL - ONE_MS);
    memory.apply(&put_for(TTL, "k", "b")).await;
    memory.clock.advance(TTL - ONE_MS);
    assert_eq!(memory.get("k").await.unwrap().value, b"b");
}

async fn a_put_without_a_ttl_keeps_the_item(memory: Memories) {
    memory.apply(&put_for(TTL, "k", "a")).await;
    memory.apply(&put("k", "b")).await;
    memory.clock.advance(TTL * 1_000);
    let item = memory.get("k").await.unwrap();
    assert_eq!(
        (item.value.as_slice(), item.expires_at),
        (b"b".as_slice(), None)
    );
}

async fn the_shortest_and_the_longest_ttl_are_taken(memory: Memories) {
    memory.apply(&put_for(ONE_MS, "short", "a")).await;
    memory.apply(&put_for(TTL_MAX, "long", "a")).await;
    memory.clock.advance(ONE_MS);
    assert_eq!(memory.keys("", 10).await, ["long"]);
}

async fn an_expired_item_is_absent_for_compare_and_set(memory: Memories) {
    let version = memory.apply(&put_for(TTL, "k", "a")).await.version;
    memory.clock.advance(TTL);
    let stale = put_if(Expected::Version(version), "k", "b");
    let error = memory.try_apply(&stale).await.unwrap_err();
    assert_eq!(error.context_value("version"), Some("absent"));
    let ack = memory.apply(&put_if(Expected::Absent, "k", "b")).await;
    assert!(!ack.existed && ack.version > version);
    let item = memory.get("k").await.unwrap();
    assert_eq!(item.expires_at, None, "the old expiry must not stay");
}

async fn an_expired_item_is_absent_for_delete(memory: Memories) {
    memory.apply(&put_for(TTL, "k", "a")).await;
    memory.clock.advance(TTL);
    let nothing = MemoryAck {
        version: 0,
        existed: false,
    };
    assert_eq!(memory.apply(&delete("k")).await, nothing);
}

async fn created_at_begins_anew_after_expiry(memory: Memories) {
    memory.apply(&put_for(TTL, "k", "a")).await;
    memory.clock.advance(TTL);
    let ack = memory.apply(&put("k", "b")).await;
    assert!(!ack.existed);
    let item = memory.get("k").await.unwrap();
    assert_eq!(item.created_at, memory.clock.now());
}

async fn versions_grow_across_expiry(memory: Memories) {
    let before = memory.apply(&put_for(TTL, "k", "a")).await.version;
    memory.clock.advance(TTL * 2);
    memory.apply(&put("another", "x")).await;
    assert!(memory.apply(&put("k", "a")).await.version > before);
}
