//! What stays the same when an invocation is repeated: its time, its random numbers and its effects.

use std::time::Duration;

use serde_json::json;
use stuga_core::Timestamp;

use crate::{World, call_in, context};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_repeated_invocation_sees_the_same_time_and_draws_the_same_numbers() {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    let accepted = Timestamp::from_millis(1_763_800_000_123);
    let first = stuga_core::testkit::ctx("tenant", "agent").invocation;
    let other = stuga_core::testkit::ctx("tenant", "agent").invocation;
    let mut drawn = Vec::new();
    for invocation in [first, first, other] {
        let ctx = context(invocation, accepted, LONG);
        assert_eq!(
            call_in(&agent, ctx, "now", json!({})).await.unwrap()["value"],
            accepted.as_millis()
        );
        let ctx = context(invocation, accepted, LONG);
        drawn.push(
            call_in(&agent, ctx, "random", json!({})).await.unwrap()["value"]
                .as_u64()
                .unwrap(),
        );
    }
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[0], drawn[2]);
}

#[tokio::test]
async fn a_repeated_write_has_one_effect_and_one_answer() {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    let invocation = stuga_core::testkit::ctx("tenant", "agent").invocation;
    let put = json!({"key": "a", "text": "one"});
    let mut versions = Vec::new();
    for _ in 0..3 {
        let ctx = context(invocation, Timestamp::from_millis(1), LONG);
        versions.push(
            call_in(&agent, ctx, "put", put.clone()).await.unwrap()["value"]
                .as_u64()
                .unwrap(),
        );
    }
    assert_eq!(versions[0], versions[1]);
    assert_eq!(versions[0], versions[2]);
    let ctx = context(
        stuga_core::testkit::ctx("tenant", "agent").invocation,
        Timestamp::from_millis(1),
        LONG,
    );
    let found = call_in(&agent, ctx, "get", json!({"key": "a"}))
        .await
        .unwrap();
    assert_eq!(found["version"].as_u64(), Some(versions[0]));
}
