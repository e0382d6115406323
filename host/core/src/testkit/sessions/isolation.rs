//! Tenants and agents that use the same actors and ids.

use super::{ACTOR, Houses, close, create, delete, say};
use crate::CallCtx;
use crate::ErrorKind;
use crate::sessions::{Order, SessionAck, Sessions};
use crate::testkit::ctx;
use crate::testkit::suite::{Case, cases};

/// Names chosen so that any way to glue tenant and agent together would make two of them equal.
const SCOPES: [(&str, &str); 4] = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "b-c")];

pub(super) fn cases() -> Vec<Case<dyn Sessions>> {
    cases![
        nobody_finds_what_another_began,
        nobody_changes_what_another_began,
        everybody_may_use_the_same_actor_and_id,
    ]
}

fn everybody() -> Vec<CallCtx> {
    SCOPES.map(|(tenant, agent)| ctx(tenant, agent)).into()
}

async fn nobody_finds_what_another_began(houses: Houses) {
    let all = everybody();
    for write in [create("s"), say("s", "secret")] {
        houses.try_apply_as(&all[0], &write).await.unwrap();
    }
    for other in &all[1..] {
        let session = houses.backend.get(other, ACTOR, "s").await.unwrap();
        assert_eq!(session, None);
        let page = houses.backend.list(other, ACTOR, None, 10).await.unwrap();
        assert!(page.entries.is_empty());
        let order = Order::OldestFirst;
        let events = houses.backend.events(other, ACTOR, "s", order, None, 10);
        assert_eq!(events.await.unwrap_err().kind(), ErrorKind::NotFound);
        let hits = houses.backend.recall(other, ACTOR, "secret", 10).await;
        assert!(hits.unwrap().is_empty());
    }
}

async fn nobody_changes_what_another_began(houses: Houses) {
    let all = everybody();
    for write in [create("s"), say("s", "mine")] {
        houses.try_apply_as(&all[0], &write).await.unwrap();
    }
    for other in &all[1..] {
        for write in [say("s", "intruder"), close("s")] {
            let error = houses.try_apply_as(other, &write).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        let ack = houses.try_apply_as(other, &delete("s")).await.unwrap();
        assert_eq!(ack, SessionAck::Deleted { existed: false });
    }
    let order = Order::OldestFirst;
    let events = houses.backend.events(&all[0], ACTOR, "s", order, None, 10);
    let said: Vec<_> = events.await.unwrap().entries;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].content, "mine");
}

async fn everybody_may_use_the_same_actor_and_id(houses: Houses) {
    for ctx in everybody() {
        let mark = format!("{} of {}", ctx.agent, ctx.tenant);
        for write in [create("s"), say("s", &mark)] {
            houses.try_apply_as(&ctx, &write).await.unwrap();
        }
    }
    for ctx in everybody() {
        let order = Order::NewestFirst;
        let events = houses.backend.events(&ctx, ACTOR, "s", order, None, 10);
        let said = events.await.unwrap().entries;
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].content, format!("{} of {}", ctx.agent, ctx.tenant));
    }
}
