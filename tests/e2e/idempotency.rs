//! `Idempotency-Key`, also across a crash.

use serde_json::{Value, json};

use crate::support::{Server, Site, expect, header, problem};

fn keyed(
    server: &Server,
    key: &str,
    idempotency: &str,
    skill: &str,
    input: Value,
) -> reqwest::RequestBuilder {
    server
        .echo("acme", key, skill, input)
        .header("idempotency-key", idempotency)
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_no_second_effect() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let put = json!({"key": "a", "text": "1"});
    let first = expect(keyed(&server, &key, "k-1", "put", put.clone()), 200).await;
    let again = keyed(&server, &key, "k-1", "put", put.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(header(&again, "idempotent-replayed"), "true");
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let found = expect(server.echo("acme", &key, "get", json!({"key": "a"})), 200).await;
    assert_eq!(
        found["output"]["version"], first["output"]["value"],
        "the second put was not made"
    );
    problem(
        keyed(
            &server,
            &key,
            "k-1",
            "put",
            json!({"key": "a", "text": "2"}),
        ),
        409,
        "idempotency-mismatch",
    )
    .await;
    let globex = site.key("globex");
    server.log(|line| line["message"] == "files changed, reloaded");
    let other = server
        .echo("globex", &globex, "put", json!({"key": "b", "text": "3"}))
        .header("idempotency-key", "k-1");
    assert_ne!(
        expect(other, 200).await["invocation_id"],
        first["invocation_id"],
        "another tenant's key is another key"
    );
}

#[tokio::test]
async fn final_errors_are_kept_and_temporary_ones_are_tried_again() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    for (kind, status, kept) in [
        ("conflict", 409, true),
        ("unavailable", 503, false),
        ("internal", 500, false),
    ] {
        let input = json!({"kind": kind});
        let first = expect(keyed(&server, &key, kind, "fail", input.clone()), status).await;
        let again = keyed(&server, &key, kind, "fail", input)
            .send()
            .await
            .unwrap();
        assert_eq!(
            header(&again, "idempotent-replayed") == "true",
            kept,
            "{kind}"
        );
        let again: Value = again.json().await.unwrap();
        assert_eq!(
            again["invocation_id"], first["invocation_id"],
            "a new try is the same invocation"
        );
    }
    problem(
        keyed(&server, &key, "a b", "echo", json!({"text": "x"})),
        400,
        "bad-request",
    )
    .await;
}

#[tokio::test]
async fn a_key_that_is_running_is_refused_until_it_has_ended() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let call = || {
        server
            .hostile("acme", &key, "loop", json!({}))
            .header("idempotency-key", "k")
    };
    let running = call()
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let refused = call().send().await.unwrap();
    assert_eq!(
        (
            refused.status().as_u16(),
            header(&refused, "retry-after").as_str()
        ),
        (409, "1")
    );
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["type"], "urn:stuga:problem:idempotency-in-progress");
    assert!(
        running
            .text()
            .await
            .unwrap()
            .contains("urn:stuga:problem:deadline")
    );
    problem(call(), 504, "deadline").await;
}

#[tokio::test]
async fn an_answer_survives_a_crash() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let random = expect(keyed(&server, &key, "k", "random", json!({})), 200).await;
    server.kill();
    let server = site.start();
    assert_eq!(
        expect(keyed(&server, &key, "k", "random", json!({})), 200).await,
        random
    );
    let path = format!(
        "/v1/tenants/acme/invocations/{}",
        random["invocation_id"].as_str().unwrap()
    );
    let found = expect(server.get(&path).bearer_auth(&key), 200).await;
    assert_eq!(
        (&found["state"], &found["answer"]),
        (&json!("succeeded"), &random)
    );
}

#[tokio::test]
async fn an_invocation_that_a_crash_cut_off_is_run_again_as_the_same_one() {
    let site = Site::new();
    let key = site.key("acme");
    site.edit_tenant("acme", |text| text.replace("deadline: 2s", "deadline: 10m"));
    let server = site.start();
    let loop_call = server
        .hostile("acme", &key, "loop", json!({}))
        .header("idempotency-key", "k");
    let mut stream = loop_call
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let first = stream.chunk().await.unwrap().unwrap();
    server.kill();
    site.edit_tenant("acme", |text| {
        text.replace("deadline: 10m", "deadline: 50ms")
    });
    let server = site.start();
    let again = server
        .hostile("acme", &key, "loop", json!({}))
        .header("idempotency-key", "k");
    let again = problem(again, 504, "deadline").await;
    let id = again["invocation_id"].as_str().unwrap();
    assert!(
        String::from_utf8_lossy(&first).contains(id),
        "the second attempt has the id of the first"
    );
}
