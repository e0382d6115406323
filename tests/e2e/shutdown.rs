//! Stopping without cutting anybody off.

use serde_json::{Value, json};

use crate::support::Site;

#[tokio::test]
async fn a_running_call_is_answered_before_the_server_ends() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    // The loop runs until its deadline of two seconds; its stream begins at once.
    let call = server
        .hostile("acme", &key, "loop", json!({}))
        .header("accept", "text/event-stream");
    let mut running = call.send().await.unwrap();
    running.chunk().await.unwrap().unwrap();
    server.terminate();
    server.log(|line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("stopping"))
    });
    let refused = server.get("/healthz").send().await;
    assert!(refused.is_err(), "no new connection is taken");
    let mut rest = Vec::new();
    while let Some(chunk) = running.chunk().await.unwrap() {
        rest.extend_from_slice(&chunk);
    }
    assert!(
        String::from_utf8(rest)
            .unwrap()
            .contains("urn:stuga:problem:deadline")
    );
    server.log(|line| line["message"] == "stopped");
    assert!(server.wait(), "the server ends with success");
}

#[tokio::test]
async fn a_keyed_call_whose_client_left_is_finished_before_the_server_ends() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let call = server
        .echo("acme", &key, "emit", json!({"n": 1_000}))
        .header("idempotency-key", "k");
    let mut stream = call
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    stream.chunk().await.unwrap().unwrap();
    drop(stream);
    server.terminate();
    assert!(server.wait());
    let server = site.start();
    let again = server
        .echo("acme", &key, "emit", json!({"n": 1_000}))
        .header("idempotency-key", "k")
        .send()
        .await
        .unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(
        again.json::<Value>().await.unwrap()["output"]["value"],
        1_000
    );
}
