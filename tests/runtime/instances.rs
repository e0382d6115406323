//! What an instance keeps between calls, when it goes, and how calls share them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stuga_core::ErrorKind;
use stuga_runtime::{InstanceMode, InvokeError, Request};

use crate::{World, call, ctx};

#[tokio::test]
async fn a_warm_instance_serves_one_call_after_another() {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    for expected in 1..=3 {
        assert_eq!(
            call(&agent, "calls", json!({})).await.unwrap()["value"],
            expected
        );
    }
    assert_eq!(agent.stats().created, 1);
}

#[tokio::test]
async fn a_fresh_instance_knows_nothing_of_the_call_before() {
    let world = World::new();
    let agent = world
        .deploy("fixture-echo", |s| s.instance = InstanceMode::Fresh)
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(call(&agent, "calls", json!({})).await.unwrap()["value"], 1);
    }
    assert_eq!(agent.stats().warm, 0);
}

#[tokio::test]
async fn an_instance_is_replaced_after_its_invocations() {
    let world = World::new();
    let agent = world
        .deploy("fixture-echo", |s| s.max_invocations = 2)
        .await
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(
            call(&agent, "calls", json!({})).await.unwrap()["value"]
                .as_u64()
                .unwrap(),
        );
    }
    assert_eq!(seen, [1, 2, 1, 2, 1]);
    assert_eq!(agent.stats().recycled, 2);
}

#[tokio::test(start_paused = true)]
async fn instances_that_rest_too_long_go_but_for_one() {
    let world = World::new();
    let agent = Arc::new(
        world
            .deploy("fixture-echo", |s| s.idle = Duration::from_secs(10))
            .await
            .unwrap(),
    );
    // Two calls at once: the first is held open by a listener that does not read.
    let (parts, mut reader) = tokio::sync::mpsc::channel(1);
    let held = tokio::spawn({
        let agent = Arc::clone(&agent);
        async move {
            let request = Request {
                skill: "emit".into(),
                input: json!({"n": 3}).to_string(),
                session: None,
            };
            agent
                .invoke(ctx(Duration::from_secs(60)), request, Some(parts))
                .await
        }
    });
    while agent.stats().busy == 0 || reader.is_empty() {
        tokio::task::yield_now().await;
    }
    call(&agent, "calls", json!({})).await.unwrap();
    while reader.recv().await.is_some() {}
    held.await.unwrap().unwrap();
    assert_eq!(agent.stats().warm, 2);

    agent.trim();
    assert_eq!(agent.stats().warm, 2, "they have not rested long enough");
    tokio::time::advance(Duration::from_secs(11)).await;
    agent.trim();
    assert_eq!(agent.stats().warm, 1);
}

#[tokio::test]
async fn parts_come_in_order_and_before_the_answer() {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    let (sender, mut parts) = tokio::sync::mpsc::channel::<String>(1);
    let request = Request {
        skill: "emit".into(),
        input: json!({"n": 20}).to_string(),
        session: None,
    };
    let reading = async {
        let mut seen = Vec::new();
        while let Some(part) = parts.recv().await {
            let part: serde_json::Value = serde_json::from_str(&part).unwrap();
            seen.push(part["value"].as_u64().unwrap());
        }
        seen
    };
    let (reply, seen) = tokio::join!(
        agent.invoke(ctx(Duration::from_secs(20)), request, Some(sender)),
        reading
    );
    assert_eq!(reply.unwrap().output, r#"{"value":20}"#);
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_waiting_line_says_when_to_come_back() {
    let world = World::new();
    let agent = Arc::new(
        world
            .deploy("fixture-echo", |s| {
                s.max_instances = 1;
                s.limits.waiting = 0;
            })
            .await
            .unwrap(),
    );
    let (parts, mut reader) = tokio::sync::mpsc::channel(1);
    let held = tokio::spawn({
        let agent = Arc::clone(&agent);
        async move {
            let request = Request {
                skill: "emit".into(),
                input: json!({"n": 3}).to_string(),
                session: None,
            };
            agent
                .invoke(ctx(Duration::from_secs(60)), request, Some(parts))
                .await
        }
    });
    while reader.is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = call(&agent, "echo", json!({"text": "a"}))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, InvokeError::Busy { retry_after } if retry_after > Duration::ZERO),
        "{refused}"
    );
    while reader.recv().await.is_some() {}
    held.await.unwrap().unwrap();
    call(&agent, "echo", json!({"text": "a"})).await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_dropped_costs_its_instance_only() {
    let world = World::new();
    let agent = world
        .deploy("fixture-echo", |s| s.max_instances = 1)
        .await
        .unwrap();
    let (parts, reader) = tokio::sync::mpsc::channel(1);
    let request = Request {
        skill: "emit".into(),
        input: json!({"n": 3}).to_string(),
        session: None,
    };
    let mut call_to_drop =
        Box::pin(agent.invoke(ctx(Duration::from_secs(60)), request, Some(parts)));
    // The call gets its turns until it has emitted a part and waits for room for the next.
    std::future::poll_fn(|cx| {
        assert!(call_to_drop.as_mut().poll(cx).is_pending());
        if reader.len() == 1 {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
    drop(call_to_drop);
    assert_eq!(agent.stats().discarded, 1);
    assert_eq!(call(&agent, "calls", json!({})).await.unwrap()["value"], 1);
}

#[tokio::test]
async fn an_agents_error_comes_out_with_its_kind_and_keeps_the_instance() {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    let input = json!({"kind": "quota-exceeded", "retry_after_ms": 250});
    let error = match call(&agent, "fail", input).await.unwrap_err() {
        InvokeError::Agent(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(error.retry_after(), Some(Duration::from_millis(250)));
    assert_eq!(error.context_value("asked"), Some("quota-exceeded"));
    assert_eq!(agent.stats().discarded, 0);
}

#[tokio::test]
async fn the_receipt_says_what_was_used() {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    let request = Request {
        skill: "put".into(),
        input: json!({"key": "a", "text": "b"}).to_string(),
        session: None,
    };
    let reply = agent
        .invoke(ctx(Duration::from_secs(20)), request, None)
        .await
        .unwrap();
    let [used] = reply.receipt.capabilities.as_slice() else {
        panic!("{:?}", reply.receipt)
    };
    assert_eq!((used.writes, used.reads, used.pending), (1, 0, 0));
    assert!(used.breaker.is_none());
    assert_eq!(&*reply.receipt.component, agent.plugin().digest());
    assert!(reply.receipt.cost.memory_bytes > 0);
}
