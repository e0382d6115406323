//! One call over HTTP, and every way in which it can be refused.

use serde_json::json;

use crate::support::{Site, expect, header, problem};

#[tokio::test]
async fn an_answer_has_output_receipt_and_the_clients_request_id() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let request = server
        .echo("acme", &key, "echo", json!({"text": "hej å 🦊"}))
        .header("x-request-id", "mine-1");
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "x-request-id"), "mine-1");
    let answer: serde_json::Value = response.json().await.unwrap();
    assert_eq!(answer["output"], json!({"text": "hej å 🦊"}));
    assert_eq!(answer["receipt"]["agent_version"], "0.1.0");
    assert_eq!(answer["receipt"]["capabilities"], json!([]));

    let put = expect(
        server.echo("acme", &key, "put", json!({"key": "a", "text": "1"})),
        200,
    )
    .await;
    let used = &put["receipt"]["capabilities"][0];
    assert_eq!(
        (&used["capability"], &used["backend"], &used["writes"]),
        (&json!("memory"), &json!("local"), &json!(1))
    );

    let path = format!(
        "/v1/tenants/acme/invocations/{}",
        put["invocation_id"].as_str().unwrap()
    );
    let looked_up = expect(server.get(&path).bearer_auth(&key), 200).await;
    assert_eq!(
        (&looked_up["state"], &looked_up["skill"]),
        (&json!("succeeded"), &json!("put"))
    );
    assert_eq!(looked_up["answer"], put);
}

#[tokio::test]
async fn who_has_no_right_is_refused_without_learning_anything() {
    let site = Site::new();
    let (acme, globex) = (site.key("acme"), site.key("globex"));
    let server = site.start();
    let path = "/v1/tenants/acme/agents";
    let missing = server.get(path).send().await.unwrap();
    assert_eq!(
        (
            missing.status().as_u16(),
            header(&missing, "www-authenticate").as_str()
        ),
        (401, "Bearer realm=\"stuga\"")
    );
    let wrong_secret = format!(
        "{}{}",
        &acme[..acme.len() - 1],
        if acme.ends_with('0') { '1' } else { '0' }
    );
    for bad in ["x", "stuga_0123456789ab_00", &wrong_secret] {
        problem(server.get(path).bearer_auth(bad), 401, "unauthorized").await;
    }
    let mut there = problem(server.get(path).bearer_auth(&globex), 403, "foreign-tenant").await;
    let line = server.log(|line| line["target"] == "audit" && line["event"] == "foreign-tenant");
    assert_eq!(
        (&line["named"], &line["tenant"]),
        (&json!("acme"), &json!("globex"))
    );
    let mut not_there = problem(
        server.get("/v1/tenants/nobody/agents").bearer_auth(&globex),
        403,
        "foreign-tenant",
    )
    .await;
    there["request_id"].take();
    not_there["request_id"].take();
    assert_eq!(there, not_there, "whether a tenant exists must not show");
}

#[tokio::test]
async fn unknown_names_get_404_with_those_there_are() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let agent = problem(
        server.call("acme", "fixture-ecko", &key, "echo", json!({})),
        404,
        "unknown-agent",
    )
    .await;
    assert!(
        agent["detail"]
            .as_str()
            .unwrap()
            .contains("did you mean \"fixture-echo\""),
        "{agent}"
    );
    let skill = problem(
        server.echo("acme", &key, "ecco", json!({})),
        404,
        "unknown-skill",
    )
    .await;
    assert!(
        skill["detail"]
            .as_str()
            .unwrap()
            .contains("did you mean \"echo\""),
        "{skill}"
    );
    problem(server.get("/v1/nothing"), 404, "no-such-path").await;
    problem(
        server
            .get("/v1/tenants/acme/agents/fixture-echo/invoke")
            .bearer_auth(&key),
        405,
        "method-not-allowed",
    )
    .await;
    for id in ["x", "00000000-0000-7000-8000-000000000000"] {
        let path = format!("/v1/tenants/acme/invocations/{id}");
        problem(
            server.get(&path).bearer_auth(&key),
            404,
            "unknown-invocation",
        )
        .await;
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_taken_says_where_it_is_wrong() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let misfit = problem(
        server.echo("acme", &key, "put", json!({"key": 5, "text": "x"})),
        422,
        "input-does-not-fit",
    )
    .await;
    assert_eq!(misfit["errors"][0]["pointer"], "/key", "{misfit}");
    let path = "/v1/tenants/acme/agents/fixture-echo/invoke";
    for (body, expected) in [
        (&b"{\"skill\": \"echo\", "[..], "line 1 column"),
        (
            b"{\"skill\": \"echo\", \"input\": \"\xff\"}",
            "not UTF-8 at byte 28",
        ),
        (b"{\"skill\": \"echo\"}", "missing field `input`"),
        (b"", "line 1 column 0"),
    ] {
        let answer = problem(
            server.post(path).bearer_auth(&key).body(body),
            400,
            "bad-request",
        )
        .await;
        assert!(
            answer["detail"].as_str().unwrap().contains(expected),
            "{answer}"
        );
    }
    let deep = format!(
        "{{\"skill\":\"echo\",\"input\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    problem(
        server.post(path).bearer_auth(&key).body(deep),
        400,
        "bad-request",
    )
    .await;
    let large = server.echo("acme", &key, "echo", json!({"text": "x".repeat(300 << 10)}));
    let answer = problem(large, 413, "too-large").await;
    assert_eq!(answer["context"]["limit"], (256 << 10).to_string());
    let unannounced =
        futures::stream::iter((0..8).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 << 10])));
    let body = reqwest::Body::wrap_stream(unannounced);
    problem(
        server.post(path).bearer_auth(&key).body(body),
        413,
        "too-large",
    )
    .await;
}

#[tokio::test]
async fn the_agents_own_errors_become_statuses_with_its_words() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    for (kind, status, slug) in [
        ("not-found", 404, "not-found"),
        ("invalid", 422, "invalid"),
        ("denied", 403, "denied"),
        ("conflict", 409, "conflict"),
        ("quota-exceeded", 507, "quota-exceeded"),
        ("rate-limited", 429, "rate-limited"),
        ("timeout", 504, "timeout"),
        ("unavailable", 503, "unavailable"),
        ("internal", 500, "agent-internal"),
    ] {
        let answer = problem(
            server.echo("acme", &key, "fail", json!({"kind": kind})),
            status,
            slug,
        )
        .await;
        assert!(answer["invocation_id"].is_string(), "{answer}");
        if kind != "internal" {
            assert_eq!(
                (&answer["detail"], &answer["context"]["asked"]),
                (&json!("asked to fail"), &json!(kind)),
                "{answer}"
            );
        }
    }
    let limited = server.echo(
        "acme",
        &key,
        "fail",
        json!({"kind": "rate-limited", "retry_after_ms": 2_500}),
    );
    assert_eq!(header(&limited.send().await.unwrap(), "retry-after"), "3");
}

#[tokio::test]
async fn too_many_calls_get_429_with_a_time_to_come_back() {
    let site = Site::new();
    let (acme, globex) = (site.key("acme"), site.key("globex"));
    site.edit_tenant("acme", |text| {
        text.replace("concurrent_calls: 8", "concurrent_calls: 1")
    });
    site.edit_tenant("globex", |text| {
        text.replace("limits:\n", "limits:\n  calls_per_second: 1\n")
    });
    let server = site.start();
    // The first call streams and is answered with its head, so it holds the only place from then on.
    let running = server
        .hostile("acme", &acme, "loop", json!({}))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let refused = server
        .echo("acme", &acme, "echo", json!({"text": "x"}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            refused.status().as_u16(),
            header(&refused, "retry-after").as_str()
        ),
        (429, "1")
    );
    assert!(
        running
            .text()
            .await
            .unwrap()
            .contains("urn:stuga:problem:deadline")
    );
    expect(
        server.echo("acme", &acme, "echo", json!({"text": "x"})),
        200,
    )
    .await;

    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(
            server
                .echo("globex", &globex, "echo", json!({"text": "x"}))
                .send()
                .await
                .unwrap()
                .status()
                .as_u16(),
        );
    }
    assert!(
        statuses.starts_with(&[200]) && statuses.contains(&429),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn operators_and_machines_find_what_they_ask_for() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    assert_eq!(
        server
            .get("/healthz")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "ok\n"
    );
    let ready = expect(server.get("/readyz"), 200).await;
    assert_eq!(
        (&ready["ready"], &ready["tenants"], &ready["agents"]),
        (&json!(true), &json!(2), &json!(4))
    );
    expect(server.echo("acme", &key, "echo", json!({"text": "x"})), 200).await;
    let metrics = server
        .get("/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("stuga_invocations_total{outcome=\"ok\"} 1"),
        "{metrics}"
    );
    assert!(!metrics.contains("acme"), "no metric names a tenant");
    let api = expect(server.get("/openapi.json"), 200).await;
    assert!(
        api["paths"]["/v1/tenants/{tenant}/agents/{agent}/invoke"]["post"].is_object(),
        "{api}"
    );
    let docs = server.get("/docs/").send().await.unwrap();
    assert!(docs.status().is_success());
    let agents = expect(server.get("/v1/tenants/acme/agents").bearer_auth(&key), 200).await;
    assert_eq!(agents["agents"][0]["name"], "fixture-echo");
    assert!(agents["agents"][0]["skills"][0]["input_schema"].is_object());
}

#[tokio::test]
async fn config_reaches_the_agent_and_lines_of_a_call_are_marked() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let answer = expect(
        server.echo("acme", &key, "config", json!({"name": "greeting"})),
        200,
    )
    .await;
    assert_eq!(answer["output"], "hej");
    let call = server
        .echo("acme", &key, "log", json!({"text": "a line of the guest"}))
        .header("x-request-id", "r-7");
    let answer = expect(call, 200).await;
    let line = server.log(|line| line.to_string().contains("a line of the guest"));
    let span = &line["span"];
    assert_eq!(
        (&span["request"], &span["tenant"], &span["agent"]),
        (&json!("r-7"), &json!("acme"), &json!("fixture-echo")),
        "{line}"
    );
    assert_eq!(span["invocation"], answer["invocation_id"], "{line}");
}
