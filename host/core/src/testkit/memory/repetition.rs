//! Writes that come again under their id.

use std::sync::Arc;
use std::time::Duration;

use super::{Memories, ctx, delete, put, put_for, put_if};
use crate::ErrorKind;
use crate::memory::{Expected, Memory};
use crate::testkit::suite::{Case, cases};

/// How long an id is remembered at least.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn cases() -> Vec<Case<dyn Memory>> {
    cases![
        a_repeated_put_answers_the_same_and_changes_nothing,
        a_repeated_delete_answers_the_same_and_removes_nothing_new,
        a_repeated_put_does_not_start_its_ttl_anew,
        a_repeated_compare_and_set_does_not_conflict_with_itself,
        another_write_under_a_used_id_is_a_conflict,
        a_write_that_failed_may_come_again_under_its_id,
        writes_of_one_id_that_race_are_applied_once,
        an_id_is_remembered_for_a_day,
        the_same_number_in_another_invocation_is_another_write,
    ]
}

async fn a_repeated_put_answers_the_same_and_changes_nothing(memory: Memories) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put("k", "first");
    let ack = memory.backend.apply(&ctx, id, &write).await.unwrap();
    memory.apply(&put("k", "second")).await;
    let stands = memory.get("k").await;
    memory.clock.advance(Duration::from_secs(1));
    assert_eq!(memory.backend.apply(&ctx, id, &write).await.unwrap(), ack);
    assert_eq!(memory.get("k").await, stands);
}

async fn a_repeated_delete_answers_the_same_and_removes_nothing_new(memory: Memories) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    memory.apply(&put("k", "first")).await;
    let ack = memory.backend.apply(&ctx, id, &delete("k")).await.unwrap();
    assert!(ack.existed);
    memory.apply(&put("k", "second")).await;
    let again = memory.backend.apply(&ctx, id, &delete("k")).await.unwrap();
    assert_eq!(again, ack);
    assert_eq!(memory.get("k").await.unwrap().value, b"second");
}

async fn a_repeated_put_does_not_start_its_ttl_anew(memory: Memories) {
    let ttl = Duration::from_secs(10);
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put_for(ttl, "k", "a");
    memory.backend.apply(&ctx, id, &write).await.unwrap();
    memory.clock.advance(ttl - Duration::from_millis(1));
    memory.backend.apply(&ctx, id, &write).await.unwrap();
    memory.clock.advance(Duration::from_millis(1));
    assert_eq!(memory.get("k").await, None);
    memory.backend.apply(&ctx, id, &write).await.unwrap();
    assert_eq!(memory.get("k").await, None, "it came back");
}

async fn a_repeated_compare_and_set_does_not_conflict_with_itself(memory: Memories) {
    let version = memory.apply(&put("k", "a")).await.version;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put_if(Expected::Version(version), "k", "b");
    let ack = memory.backend.apply(&ctx, id, &write).await.unwrap();
    assert_eq!(memory.backend.apply(&ctx, id, &write).await.unwrap(), ack);
}

async fn another_write_under_a_used_id_is_a_conflict(memory: Memories) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let ttl = Duration::from_secs(1);
    memory
        .backend
        .apply(&ctx, id, &put("k", "a"))
        .await
        .unwrap();
    let before = memory.list_all(&ctx, "", 10).await;
    for other in [
        put("k", "b"),
        put("k", ""),
        put("l", "a"),
        put_for(ttl, "k", "a"),
        put_if(Expected::Absent, "k", "a"),
        put_if(Expected::Version(before[0].version), "k", "a"),
        delete("k"),
    ] {
        let result = memory.backend.apply(&ctx, id, &other).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict, "{other:?}");
    }
    assert_eq!(memory.list_all(&ctx, "", 10).await, before);
}

async fn a_write_that_failed_may_come_again_under_its_id(memory: Memories) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put_if(Expected::Absent, "k", "mine");
    memory.apply(&put("k", "theirs")).await;
    let refused = memory.backend.apply(&ctx, id, &write).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    memory.apply(&delete("k")).await;
    memory.backend.apply(&ctx, id, &write).await.unwrap();
    assert_eq!(memory.get("k").await.unwrap().value, b"mine");
}

async fn writes_of_one_id_that_race_are_applied_once(memory: Memories) {
    let ctx = Arc::new(ctx());
    let id = ctx.next_write_id().unwrap();
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (backend, ctx) = (Arc::clone(&memory.backend), Arc::clone(&ctx));
            tokio::spawn(async move { backend.apply(&ctx, id, &put("k", "a")).await.unwrap() })
        })
        .collect();
    let mut acks = Vec::new();
    for racer in racers {
        acks.push(racer.await.unwrap());
    }
    assert!(
        acks.iter().all(|ack| *ack == acks[0] && !ack.existed),
        "{acks:?}"
    );
    assert_eq!(memory.get("k").await.unwrap().version, acks[0].version);
}

async fn an_id_is_remembered_for_a_day(memory: Memories) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put("k", "a");
    let ack = memory.backend.apply(&ctx, id, &write).await.unwrap();
    memory.clock.advance(REMEMBERED - Duration::from_millis(1));
    memory.apply(&delete("k")).await;
    assert_eq!(memory.backend.apply(&ctx, id, &write).await.unwrap(), ack);
    assert_eq!(memory.get("k").await, None);
}

async fn the_same_number_in_another_invocation_is_another_write(memory: Memories) {
    let first = memory.apply(&put("k", "a")).await;
    let second = memory.apply(&put("k", "a")).await;
    assert!(second.existed && second.version > first.version);
}
