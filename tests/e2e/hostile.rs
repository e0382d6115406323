//! Guests that mean harm, through HTTP: each is stopped, and the next call works.

use serde_json::{Value, json};

use crate::support::{Server, Site, expect, problem};

async fn fine(server: &Server, key: &str) {
    expect(server.hostile("acme", key, "fine", json!({})), 200).await;
}

#[tokio::test]
async fn an_endless_loop_is_stopped_at_the_deadline() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let calls = (0..4).map(|_| {
        problem(
            server.hostile("acme", &key, "loop", json!({})),
            504,
            "deadline",
        )
    });
    let others =
        (0..4).map(|_| expect(server.echo("acme", &key, "echo", json!({"text": "x"})), 200));
    futures::join!(
        futures::future::join_all(calls),
        futures::future::join_all(others)
    );
    fine(&server, &key).await;
}

#[tokio::test]
async fn memory_and_stack_run_out_for_the_guest_alone() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    for skill in ["memory-bomb", "recurse"] {
        problem(
            server.hostile("acme", &key, skill, json!({})),
            502,
            "agent-trapped",
        )
        .await;
        fine(&server, &key).await;
    }
    problem(
        server.echo("acme", &key, "panic", json!({"text": "secret"})),
        502,
        "agent-trapped",
    )
    .await;
    let line = server.log(|line| line.to_string().contains("asked to panic: secret"));
    assert!(
        line.to_string().contains("lib.rs:"),
        "the log says where it panicked: {line}"
    );
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_no_json_is_not_passed_on() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    problem(
        server.hostile("acme", &key, "huge", json!({"n": 200 << 10})),
        502,
        "answer-too-large",
    )
    .await;
    problem(
        server.hostile("acme", &key, "bad-json", json!({})),
        502,
        "answer-not-json",
    )
    .await;
    fine(&server, &key).await;
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_off() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    expect(
        server.hostile("acme", &key, "log-flood", json!({"n": 20_000})),
        200,
    )
    .await;
    let dropped = server
        .log(|line| line.to_string().contains("dropped") || line.to_string().contains("allowance"));
    assert_eq!(dropped["span"]["agent"], "fixture-hostile", "{dropped}");
    fine(&server, &key).await;
}

#[tokio::test]
async fn paths_never_leave_the_tenants_directory() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let long = "a/".repeat(5_000);
    let paths = [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "a\0b",
        &long,
        "..",
        "",
        "a\\..\\b",
        "a//b",
        "./a",
    ];
    let answer = expect(
        server.hostile("acme", &key, "files", json!({"paths": paths})),
        200,
    )
    .await;
    for attempt in answer["output"]["attempts"].as_array().unwrap() {
        assert_eq!(attempt["error"], "invalid", "{attempt}");
    }
    let ok = expect(
        server.hostile("acme", &key, "files", json!({"paths": ["a/b.txt"]})),
        200,
    )
    .await;
    assert_eq!(ok["output"]["attempts"][0]["error"], Value::Null);
    assert!(!site.path().join("x").exists() && !site.path().join("data/x").exists());
}
