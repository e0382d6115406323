//! What is not journaled: messages that this host delivers itself, and copies of secrets.

use std::fs;

use serde_json::{Value, json};

use crate::world::{Host, LOOK_EVERY, LOOKS_MAX, World};

/// Looks until a skill's answer is as it must be, and says what the receipt said of the capability then.
async fn until(
    host: &Host,
    (skill, input): (&str, Value),
    capability: &str,
    is_so: impl Fn(&Value, &Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    for _ in 0..LOOKS_MAX {
        let (output, used) = host.call("acme", skill, input.clone(), capability).await;
        if is_so(&output, &used) {
            return used;
        }
        last = output;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("{skill} answers {last}")
}

/// Waits until no message is on its way.
async fn settled(host: &Host) {
    for _ in 0..LOOKS_MAX {
        let listed = host.command(&["messages", "list", "acme"]);
        if listed["messages"] == json!([]) {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("there are messages still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_posted_without_sqs_is_delivered_here_and_once() {
    let world = World::with_messages_and_secrets().await;
    let host = world.host();
    let post = async |text: &str| {
        let input = json!({"to": "fixture-echo", "skill": "note-message", "input": {"text": text}});
        host.call("acme", "post", input, "a2a").await.1
    };
    let noted = ("get", json!({"key": "from/fixture-echo"}));
    assert_eq!(post("one").await["backend"], "cloud");
    until(&host, noted.clone(), "memory", |got, _| {
        got["text"] == "one posted\n"
    })
    .await;
    // One whose end is not noted yet is delivered again, much later, and what is behind it waits.
    settled(&host).await;
    world.cut().await;
    let used = post("two").await;
    assert_eq!(
        (&used["backend"], &used["pending"]),
        (&json!("local"), &json!(0))
    );
    let both = "one posted\ntwo posted\n";
    until(&host, noted.clone(), "memory", |got, _| got["text"] == both).await;
    world.heal();
    host.until("acme", "a2a", |said| said["reads"] == "cloud")
        .await;
    // Whoever takes it: a probe may be under way.
    post("three").await;
    let all = format!("{both}three posted\n");
    until(&host, noted, "memory", |got, _| got["text"] == *all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_was_read_before_is_read_without_aws_also_after_a_crash() {
    let world = World::with_messages_and_secrets().await;
    let mut host = world.host();
    fs::write(host.site.path().join("token.txt"), "a token").unwrap();
    let set = ["secret", "set", "acme", "token", "--file", "token.txt"];
    host.site.stuga(&set);
    let reveal = ("reveal", json!({"secret": "token"}));
    let (output, used) = host
        .call("acme", reveal.0, reveal.1.clone(), "secrets")
        .await;
    assert_eq!(
        (&output["text"], &used["backend"]),
        (&json!("a token"), &json!("cloud"))
    );
    world.cut().await;
    // What the process has read a moment ago it may keep for its own time.
    let local = |output: &Value, used: &Value| {
        assert_eq!(output["text"], "a token");
        used["backend"] == "local"
    };
    until(&host, reveal.clone(), "secrets", local).await;
    let site = host.site;
    host.server.kill();
    host.server = site.start();
    host.site = site;
    until(&host, reveal, "secrets", local).await;
    let refused = host.refused(&set);
    assert!(!refused.contains("a token"), "{refused}");
}
