//! Changes that a running server takes up without a restart.

use serde_json::json;

use crate::support::{Server, Site, expect, guest, problem};

fn reloaded(server: &Server) {
    server.log(|line| line["message"] == "files changed, reloaded");
}

#[tokio::test]
async fn keys_are_made_and_revoked_while_the_server_runs() {
    let site = Site::new();
    let server = site.start();
    let key = site.key("acme");
    reloaded(&server);
    expect(server.echo("acme", &key, "echo", json!({"text": "x"})), 200).await;
    let id = key.split('_').nth(1).unwrap();
    site.stuga(&["tenant", "key", "revoke", "acme", id]);
    reloaded(&server);
    problem(
        server.echo("acme", &key, "echo", json!({"text": "x"})),
        401,
        "unauthorized",
    )
    .await;
}

#[tokio::test]
async fn a_plugin_goes_and_comes_back_and_running_calls_end() {
    let site = Site::new();
    let (acme, globex) = (site.key("acme"), site.key("globex"));
    let server = site.start();
    let running = server
        .hostile("acme", &acme, "loop", json!({}))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    site.stuga(&["plugin", "unload", "acme", "fixture-hostile"]);
    reloaded(&server);
    problem(
        server.hostile("acme", &acme, "fine", json!({})),
        404,
        "unknown-agent",
    )
    .await;
    expect(server.hostile("globex", &globex, "fine", json!({})), 200).await;
    expect(
        server.echo("acme", &acme, "echo", json!({"text": "x"})),
        200,
    )
    .await;
    assert!(
        running
            .text()
            .await
            .unwrap()
            .contains("urn:stuga:problem:deadline"),
        "the call came to its own end"
    );
    site.stuga(&[
        "plugin",
        "load",
        "acme",
        guest("fixture-hostile").to_str().unwrap(),
    ]);
    reloaded(&server);
    expect(server.hostile("acme", &acme, "fine", json!({})), 200).await;
}

#[tokio::test]
async fn a_broken_tenant_file_changes_nothing_and_is_explained() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    site.edit_tenant("acme", |text| text.replace("limits:", "limts:"));
    let line = server.log(|line| line.to_string().contains("unknown key"));
    assert!(
        line["diagnostic"]
            .as_str()
            .unwrap()
            .contains("did you mean \\\"limits\\\"")
            || line["diagnostic"]
                .as_str()
                .unwrap()
                .contains("did you mean \"limits\""),
        "{line}"
    );
    reloaded(&server);
    expect(server.echo("acme", &key, "echo", json!({"text": "x"})), 200).await;
}

#[tokio::test]
async fn a_grant_that_is_taken_away_ends_the_agent_and_says_why() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    site.edit_tenant("acme", |text| {
        text.replace(
            "grants: [memory, files, sessions, records, model, jobs, search, secrets, a2a]",
            "grants: [memory, sessions, records, model, jobs, search, secrets, a2a]",
        )
    });
    let line = server.log(|line| line["message"] == "agent cannot be readied");
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.contains("stuga:agent/files"), "{line}");
    reloaded(&server);
    let call = server.echo("acme", &key, "echo", json!({"text": "x"}));
    problem(call, 503, "agent-not-ready").await;
    let ready = expect(server.get("/readyz"), 200).await;
    assert_eq!(
        (&ready["agents"], &ready["agents_failed"]),
        (&json!(3), &json!(1))
    );
}

#[tokio::test]
async fn a_new_tenant_is_there_without_a_restart() {
    let site = Site::new();
    let server = site.start();
    site.write_tenant(
        "initech",
        "id: initech\nplugins:\n  - name: fixture-echo\n    grants: [memory, files, sessions, records, model, jobs, search, secrets, a2a]\n",
    );
    reloaded(&server);
    let key = site.key("initech");
    reloaded(&server);
    expect(
        server.echo("initech", &key, "echo", json!({"text": "x"})),
        200,
    )
    .await;
}
