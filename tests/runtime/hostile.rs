//! Guests that mean harm: each is stopped, and the next call works.

use std::time::Duration;

use serde_json::{Value, json};
use stuga_runtime::{Agent, InvokeError};

use crate::{World, call, call_in, ctx};

/// The agent, and the world that its data lies in.
async fn hostile() -> (Agent, World) {
    let world = World::new();
    let agent = world.deploy("fixture-hostile", |_| ()).await.unwrap();
    (agent, world)
}

async fn still_answers(agent: &Agent) {
    assert_eq!(call(agent, "fine", json!({})).await.unwrap(), json!({}));
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_deadline() {
    let (agent, _world) = hostile().await;
    let error = call_in(&agent, ctx(Duration::from_millis(50)), "loop", json!({}))
        .await
        .unwrap_err();
    assert!(matches!(error, InvokeError::Deadline), "{error}");
    assert_eq!(agent.stats().discarded, 1);
    still_answers(&agent).await;
}

#[tokio::test]
async fn an_endless_loop_lets_others_run_on_the_same_thread() {
    let (agent, _world) = hostile().await;
    let looping = call_in(&agent, ctx(Duration::from_millis(300)), "loop", json!({}));
    let other = async {
        let before = tokio::time::Instant::now();
        still_answers(&agent).await;
        before
    };
    let (looping, _) = tokio::join!(looping, other);
    assert!(matches!(looping.unwrap_err(), InvokeError::Deadline));
}

#[tokio::test]
async fn a_guest_that_waits_on_a_listener_ends_at_the_deadline() {
    let agent = World::new().deploy("fixture-echo", |_| ()).await.unwrap();
    let (parts, _reader) = tokio::sync::mpsc::channel(1);
    let request = stuga_runtime::Request {
        skill: "emit".into(),
        input: json!({"n": 5}).to_string(),
        session: None,
    };
    let error = agent
        .invoke(ctx(Duration::from_millis(50)), request, Some(parts))
        .await
        .unwrap_err();
    assert!(matches!(error, InvokeError::Deadline), "{error}");
}

#[tokio::test]
async fn a_memory_bomb_stops_at_its_limit() {
    let (agent, _world) = hostile().await;
    let error = call(&agent, "memory-bomb", json!({})).await.unwrap_err();
    let InvokeError::Trapped { reason } = &error else {
        panic!("{error}")
    };
    assert!(reason.contains("33554432 bytes of memory"), "{reason}");
    still_answers(&agent).await;
}

#[tokio::test]
async fn deep_recursion_uses_up_its_own_stack_only() {
    let (agent, _world) = hostile().await;
    let error = call(&agent, "recurse", json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::Trapped { .. }), "{error}");
    still_answers(&agent).await;
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_with_its_size() {
    let (agent, _world) = hostile().await;
    let error = call(&agent, "huge", json!({"n": 2 << 20}))
        .await
        .unwrap_err();
    assert!(
        matches!(error, InvokeError::TooLarge { bytes, limit } if bytes > limit && limit == 1 << 20),
        "{error}"
    );
    still_answers(&agent).await;
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_refused() {
    let (agent, _world) = hostile().await;
    let error = call(&agent, "bad-json", json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::NotJson { .. }), "{error}");
    still_answers(&agent).await;
}

#[tokio::test]
async fn a_flood_of_log_lines_does_not_stop_the_call() {
    let (agent, _world) = hostile().await;
    call(&agent, "log-flood", json!({"n": 50_000}))
        .await
        .unwrap();
    call(&agent, "long-log", json!({"n": 100_000}))
        .await
        .unwrap();
}

#[tokio::test]
async fn parts_that_are_too_long_or_no_json_are_invalid() {
    let (agent, _world) = hostile().await;
    for (skill, input) in [
        ("big-emit", json!({"n": 300_000})),
        ("emit-no-json", json!({})),
    ] {
        let error = call(&agent, skill, input).await.unwrap_err();
        let InvokeError::Agent(error) = error else {
            panic!("{error}")
        };
        assert_eq!(error.kind(), stuga_core::ErrorKind::Invalid, "{error}");
    }
}

#[tokio::test]
async fn too_many_random_bytes_trap() {
    let (agent, _world) = hostile().await;
    let error = call(&agent, "big-random", json!({"n": 1 << 20}))
        .await
        .unwrap_err();
    let InvokeError::Trapped { reason } = &error else {
        panic!("{error}")
    };
    assert!(reason.contains("65536"), "{reason}");
    still_answers(&agent).await;
}

#[tokio::test]
async fn a_panic_costs_one_instance() {
    let agent = World::new().deploy("fixture-echo", |_| ()).await.unwrap();
    let error = call(&agent, "panic", json!({"text": "oh no"}))
        .await
        .unwrap_err();
    assert!(matches!(error, InvokeError::Trapped { .. }), "{error}");
    assert_eq!(call(&agent, "calls", json!({})).await.unwrap()["value"], 1);
}

#[tokio::test]
async fn paths_that_leave_the_tenant_are_invalid() {
    let (agent, _world) = hostile().await;
    let long = "x".repeat(10_000);
    let bad = [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "a\u{0}b",
        "a\\b",
        ".",
        "",
        "a//b",
        long.as_str(),
    ];
    let tried = call(&agent, "files", json!({ "paths": bad }))
        .await
        .unwrap();
    let attempts = tried["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), bad.len());
    for attempt in attempts {
        assert_eq!(attempt["error"], Value::from("invalid"), "{attempt}");
    }
    let fine = call(&agent, "files", json!({"paths": ["fine.txt"]}))
        .await
        .unwrap();
    assert_eq!(fine["attempts"][0]["error"], Value::Null);
}
