//! Server-sent events.

use serde_json::{Value, json};

use crate::support::{Server, Site, expect, header};

/// The events of a stream: names and JSON data.
async fn events(
    server: &Server,
    key: &str,
    skill: &str,
    input: Value,
    idempotency: Option<&str>,
) -> Vec<(String, Value)> {
    let mut call = server
        .echo("acme", key, skill, input)
        .header("accept", "text/event-stream");
    if let Some(idempotency) = idempotency {
        call = call.header("idempotency-key", idempotency);
    }
    let response = call.send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            header(&response, "content-type").as_str()
        ),
        (200, "text/event-stream")
    );
    let text = response.text().await.unwrap();
    let event = |block: &str| {
        let name = block
            .lines()
            .find_map(|line| line.strip_prefix("event: "))?
            .to_owned();
        let data: Vec<&str> = block
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect();
        Some((name, serde_json::from_str(&data.join("\n")).unwrap()))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[tokio::test]
async fn parts_come_in_order_and_the_result_comes_last() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    // More parts than wait in the channel, so that the agent is slowed down and none is lost.
    let events = events(&server, &key, "emit", json!({"n": 100}), None).await;
    assert_eq!(events.len(), 102);
    assert_eq!(events[0].0, "accepted");
    for (n, (name, data)) in events[1..101].iter().enumerate() {
        assert_eq!((name.as_str(), &data["value"]), ("part", &json!(n + 1)));
    }
    let (name, result) = &events[101];
    assert_eq!(
        (name.as_str(), &result["output"]["value"]),
        ("result", &json!(100))
    );
    assert_eq!(result["invocation_id"], events[0].1["invocation_id"]);
}

#[tokio::test]
async fn a_failure_after_the_start_is_an_event_and_one_before_it_a_status() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let events = events(&server, &key, "fail", json!({"kind": "conflict"}), None).await;
    assert_eq!(
        (events[1].0.as_str(), &events[1].1["type"]),
        ("error", &json!("urn:stuga:problem:conflict"))
    );
    let refused = server
        .echo("acme", &key, "emit", json!({"n": "x"}))
        .header("accept", "text/event-stream");
    expect(refused, 422).await;
}

#[tokio::test]
async fn a_kept_answer_streams_as_the_same_result() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let first = events(&server, &key, "emit", json!({"n": 3}), Some("k-1")).await;
    let again = events(&server, &key, "emit", json!({"n": 3}), Some("k-1")).await;
    assert_eq!((first.len(), again.len()), (5, 2));
    assert_eq!(first.last(), again.last());
}

#[tokio::test]
async fn a_client_that_goes_away_stops_the_agent() {
    let site = Site::new();
    let key = site.key("acme");
    site.edit_tenant("acme", |text| {
        text.replace("deadline: 2s", "deadline: 10m")
            .replace("concurrent_calls: 8", "concurrent_calls: 1")
    });
    let server = site.start();
    let call = server
        .hostile("acme", &key, "loop", json!({}))
        .header("accept", "text/event-stream");
    let mut stream = call.send().await.unwrap();
    let chunk = stream.chunk().await.unwrap().unwrap();
    let text = String::from_utf8(chunk.to_vec()).unwrap();
    let accepted: Value = serde_json::from_str(
        text.lines()
            .find_map(|line| line.strip_prefix("data: "))
            .unwrap(),
    )
    .unwrap();
    let path = format!(
        "/v1/tenants/acme/invocations/{}",
        accepted["invocation_id"].as_str().unwrap()
    );
    // The call runs beside the stream, so it may begin a moment after it was accepted.
    let running = loop {
        let found = server.get(&path).bearer_auth(&key).send().await.unwrap();
        if found.status() != 404 {
            break found.json::<Value>().await.unwrap();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(running["state"], "running");
    drop(stream);
    // The only place is free again long before the deadline.
    loop {
        let state = expect(server.get(&path).bearer_auth(&key), 200).await["state"].clone();
        if state == "cancelled" {
            break;
        }
        assert_eq!(state, "running");
        tokio::task::yield_now().await;
    }
    expect(server.echo("acme", &key, "echo", json!({"text": "x"})), 200).await;
}
