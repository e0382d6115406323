//! Agents that write to each other: neighbours, strangers with and without leave, circles, and agents that come later.

use serde_json::{Value, json};

use crate::support::{Server, Site, expect, problem};

const ECHO: &str = "fixture-echo";

/// Lets the echo agent of acme write to globex, on both sides or on one.
fn allow(site: &Site, to: bool, from: bool) {
    if to {
        site.edit_tenant("acme", |text| text + "a2a:\n  to: [globex]\n");
    }
    if from {
        site.edit_tenant("globex", |text| {
            text + "a2a:\n  from: [acme/fixture-echo]\n"
        });
    }
}

fn letter(to: &str, skill: &str, input: Value) -> Value {
    json!({ "to": to, "skill": skill, "input": input })
}

/// What an agent has noted of a sender's messages, once there are so many.
async fn noted(
    server: &Server,
    tenant: &str,
    key: &str,
    sender: &str,
    count: usize,
) -> Vec<String> {
    let input = json!({ "key": format!("from/{sender}") });
    for _ in 0..3_000 {
        let found = expect(server.echo(tenant, key, "get", input.clone()), 200).await;
        let text = found["output"]["text"].as_str().unwrap_or_default();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the messages did not come");
}

#[tokio::test]
async fn neighbours_talk_and_the_answer_says_who_was_asked_by_whom() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let sent = letter(ECHO, "note-message", json!({"text": "hej"}));
    let answer = expect(server.echo("acme", &key, "send", sent), 200).await;
    let text = answer["output"]["text"].as_str().unwrap();
    assert!(text.ends_with(" from fixture-echo: hej"), "{text}");
    assert_eq!(answer["receipt"]["capabilities"][0]["capability"], "a2a");
    let sent = letter("fixture-hostile", "fine", json!({}));
    expect(server.echo("acme", &key, "send", sent), 200).await;
    // What goes wrong names the thing and the fix.
    for (to, skill, input, says) in [
        (
            "fixture-ech",
            "echo",
            json!({}),
            "did you mean \\\"fixture-echo\\\"?",
        ),
        (ECHO, "ekko", json!({}), "there is no skill"),
        (ECHO, "echo", json!({"text": 5}), "is not of type"),
        ("Echo", "echo", json!({}), "`agent` or `tenant/agent`"),
        (ECHO, "fail", json!({"kind": "conflict"}), "conflict"),
    ] {
        let call = server.echo("acme", &key, "send", letter(to, skill, input));
        let answer = call.send().await.unwrap();
        assert!(answer.status().as_u16() >= 400);
        let text = answer.text().await.unwrap();
        assert!(text.contains(says), "{to} {skill}: {text}");
    }
}

#[tokio::test]
async fn strangers_talk_only_when_both_tenants_say_so() {
    let far = "globex/fixture-echo";
    let mut refusals = Vec::new();
    for (to, from) in [(false, false), (true, false), (false, true), (true, true)] {
        let site = Site::new();
        allow(&site, to, from);
        let (acme, globex) = (site.key("acme"), site.key("globex"));
        let server = site.start();
        for skill in ["send", "post"] {
            let said = letter(far, "note-message", json!({"text": skill}));
            let call = server.echo("acme", &acme, skill, said);
            if to && from {
                expect(call, 200).await;
            } else {
                let refused = problem(call, 403, "denied").await;
                refusals.push((skill, refused["detail"].clone()));
                // Whether there is such a tenant or agent makes no difference.
                for nowhere in ["initech/fixture-echo", "globex/nobody"] {
                    let said = letter(nowhere, "note-message", json!({"text": "x"}));
                    let other =
                        problem(server.echo("acme", &acme, skill, said), 403, "denied").await;
                    let alike = other["detail"].as_str().unwrap().replace(nowhere, far);
                    assert_eq!(refused["detail"], alike);
                }
            }
        }
        if to && from {
            let lines = noted(&server, "globex", &globex, "acme/fixture-echo", 2).await;
            assert_eq!(lines, ["send sent", "post posted"]);
            // Leave in one direction is none in the other.
            let back = letter("acme/fixture-echo", "note-message", json!({"text": "x"}));
            problem(server.echo("globex", &globex, "send", back), 403, "denied").await;
        }
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 6, "and says it alike: {refusals:?}");
}

#[tokio::test]
async fn agents_that_call_each_other_in_a_circle_come_to_an_end() {
    let site = Site::new();
    site.edit_tenant("acme", |text| {
        text.replace("concurrent_calls: 8", "concurrent_calls: 40")
            .replace("max_instances: 4", "max_instances: 20")
    });
    let key = site.key("acme");
    let server = site.start();
    let ended = expect(server.echo("acme", &key, "circle", json!({})), 507).await;
    let text = ended.to_string();
    assert!(
        text.contains("\"a2a.send: the message is 17 deep") && text.contains("in a circle"),
        "{text}"
    );
    expect(server.echo("acme", &key, "echo", json!({"text": "x"})), 200).await;
}

#[tokio::test]
async fn a_sender_does_not_wait_longer_than_it_said() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let mut sent = letter("fixture-hostile", "loop", json!({}));
    sent["deadline_ms"] = json!(100);
    let late = expect(server.echo("acme", &key, "send", sent), 504).await;
    assert!(
        late.to_string().contains("did not answer in time"),
        "{late}"
    );
}

#[tokio::test]
async fn posts_come_in_order_also_to_an_agent_that_comes_later_and_after_a_kill() {
    let site = Site::new();
    site.write_tenant(
        "late",
        "id: late\nplugins:\n  - name: fixture-echo\n    version: 99.0.0\n    grants: [memory, files, sessions, records, search, jobs, model, a2a, secrets]\na2a:\n  from: [acme]\n",
    );
    site.edit_tenant("acme", |text| text + "a2a:\n  to: [late/fixture-echo]\n");
    let (acme, late) = (site.key("acme"), site.key("late"));
    let server = site.start();
    let mut expected = Vec::new();
    for n in 0..10 {
        let said = letter(
            "late/fixture-echo",
            "note-message",
            json!({"text": n.to_string()}),
        );
        expect(server.echo("acme", &acme, "post", said), 200).await;
        expected.push(format!("{n} posted"));
    }
    // Nobody is there yet, and the server dies.
    server.kill();
    let listed = site.stuga(&["messages", "list", "late", "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["messages"].as_array().map(Vec::len), Some(10));
    let server = site.start();
    site.edit_tenant("late", |text| text.replace("    version: 99.0.0\n", ""));
    server.log(|line| line["message"] == "agent ready" && line["tenant"] == "late");
    server.log(|line| line["message"] == "files changed, reloaded");
    let lines = noted(&server, "late", &late, "acme/fixture-echo", 10).await;
    assert_eq!(lines, expected, "each once, in order");
}

#[tokio::test]
async fn a_message_that_cannot_be_taken_is_set_aside_and_the_operator_decides() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let wrong = letter(ECHO, "echo", json!({"text": 5}));
    let posted = expect(server.echo("acme", &key, "post", wrong), 200).await;
    let id = posted["output"]["text"].as_str().unwrap();
    server.log(|line| {
        line["message"]
            .as_str()
            .is_some_and(|m| m.starts_with("a message is dead"))
    });
    // It holds back nobody.
    let right = letter(ECHO, "note-message", json!({"text": "next"}));
    expect(server.echo("acme", &key, "post", right), 200).await;
    noted(&server, "acme", &key, ECHO, 1).await;
    let shown = site.stuga(&["messages", "show", "acme", id]);
    assert!(
        shown.contains("state: dead") && shown.contains("is not of type"),
        "{shown}"
    );
    let table = site.stuga(&["messages", "list", "acme/fixture-echo", "--state", "dead"]);
    assert!(table.contains(id), "{table}");
    site.stuga(&["messages", "requeue", "acme", id]);
    server.log(|line| {
        line["message"]
            .as_str()
            .is_some_and(|m| m.starts_with("a message is dead"))
    });
    site.stuga(&["messages", "drop", "acme", id]);
    let gone = site.try_stuga(&["messages", "requeue", "acme", id]);
    let error = String::from_utf8(gone.stderr).unwrap();
    assert!(error.contains("there is no message"), "{error}");
    let unknown = site.try_stuga(&["messages", "list", "acme/fixture-ech"]);
    let error = String::from_utf8(unknown.stderr).unwrap();
    assert!(error.contains("did you mean \"fixture-echo\"?"), "{error}");
}
