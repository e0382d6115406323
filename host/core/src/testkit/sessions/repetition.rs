//! Writes that come again under their id.

use std::time::Duration;

use super::{ACTOR, Houses, close, create, create_for, ctx, delete, say};
use crate::ErrorKind;
use crate::sessions::{SessionWrite, Sessions};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Sessions>> {
    cases![
        a_repeated_create_answers_the_same_session,
        a_repeated_append_makes_no_second_event,
        a_repeated_close_or_delete_answers_the_same,
        another_write_under_a_used_id_is_a_conflict,
        a_write_that_failed_may_come_again_under_its_id,
    ]
}

async fn a_repeated_create_answers_the_same_session(houses: Houses) {
    let ttl = Some(Duration::from_secs(10));
    let unnamed = SessionWrite::Create {
        actor: ACTOR.to_owned(),
        id: None,
        ttl,
        metadata: Vec::new(),
    };
    for write in [create_for(ttl, ACTOR, "s"), unnamed] {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let ack = houses.backend.apply(&ctx, id, &write).await.unwrap();
        houses.clock.advance(Duration::from_secs(1));
        let again = houses.backend.apply(&ctx, id, &write).await.unwrap();
        assert_eq!(again, ack);
    }
    assert_eq!(houses.ids(10).await.len(), 2);
}

async fn a_repeated_append_makes_no_second_event(houses: Houses) {
    houses.apply(&create("s")).await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = say("s", "once");
    let ack = houses.backend.apply(&ctx, id, &write).await.unwrap();
    houses.clock.advance(Duration::from_secs(1));
    houses.apply(&say("s", "then")).await;
    let again = houses.backend.apply(&ctx, id, &write).await.unwrap();
    assert_eq!(again, ack);
    assert_eq!(houses.said("s").await, ["once", "then"]);
    houses.apply(&say("s", "once")).await;
    assert_eq!(houses.said("s").await, ["once", "then", "once"]);
}

async fn a_repeated_close_or_delete_answers_the_same(houses: Houses) {
    houses.apply(&create("s")).await;
    for write in [close("s"), delete("s")] {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let ack = houses.backend.apply(&ctx, id, &write).await.unwrap();
        let again = houses.backend.apply(&ctx, id, &write).await.unwrap();
        assert_eq!(again, ack);
    }
}

async fn another_write_under_a_used_id_is_a_conflict(houses: Houses) {
    houses.apply(&create("s")).await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = say("s", "once");
    houses.backend.apply(&ctx, id, &write).await.unwrap();
    for other in [
        say("s", "twice"),
        say("t", "once"),
        create("once"),
        close("s"),
        delete("s"),
    ] {
        let result = houses.backend.apply(&ctx, id, &other).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict, "{other:?}");
    }
    assert_eq!(houses.said("s").await, ["once"]);
    assert_eq!(houses.get("s").await.unwrap().closed_at, None);
}

async fn a_write_that_failed_may_come_again_under_its_id(houses: Houses) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = say("s", "hej");
    let refused = houses.backend.apply(&ctx, id, &write).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    houses.apply(&create("s")).await;
    houses.backend.apply(&ctx, id, &write).await.unwrap();
    assert_eq!(houses.said("s").await, ["hej"]);
}
