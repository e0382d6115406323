//! An outage as it is seen through each kind of data that a guest has beside memory and files, and through its model.

use serde_json::{Value, json};

use crate::outage::is_back;
use crate::world::{CLOUD_MODEL, Host, LOCAL_MODEL, LOOK_EVERY, LOOKS_MAX, World};

/// A call that writes, and what the receipt must say of it: who took it, and how much of it waits.
async fn writes(host: &Host, (skill, input): (&str, Value), capability: &str, here: bool) {
    let (_, used) = host.call("acme", skill, input, capability).await;
    let backend = if here { "local" } else { "cloud" };
    assert_eq!(used["backend"], backend, "{used}");
    assert_eq!(used["pending"].as_u64().unwrap() > 0, here, "{used}");
}

/// What a call that reads answers, and who did.
async fn reads(host: &Host, (skill, input): (&str, Value), capability: &str) -> (Value, Value) {
    let (output, used) = host.call("acme", skill, input, capability).await;
    (output, used["backend"].clone())
}

fn say(session: &str, text: &str) -> (&'static str, Value) {
    let input = json!({"actor": "astrid", "session": session, "text": text});
    ("say", input)
}

fn said(session: &str) -> (&'static str, Value) {
    ("said", json!({"actor": "astrid", "session": session}))
}

fn learn(id: &str, text: &str) -> (&'static str, Value) {
    let input = json!({"namespace": "/users/astrid", "id": id, "text": text});
    ("learn", input)
}

fn recall(query: &str) -> (&'static str, Value) {
    ("recall", json!({"under": "/users", "query": query, "k": 1}))
}

fn index(id: &str, text: &str) -> (&'static str, Value) {
    let input = json!({"index": "notes", "id": id, "tag": "t", "text": text});
    ("index", input)
}

fn search(words: &str) -> (&'static str, Value) {
    ("search", json!({"index": "notes", "words": words}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_without_aws_is_heard_then_and_later_by_another_host() {
    const KIND: &str = "sessions";
    let world = World::new().await;
    let host = world.host();
    writes(&host, say("old", "before"), KIND, false).await;
    world.cut().await;
    // One that AWS knows and one that begins without it.
    writes(&host, say("old", "during"), KIND, true).await;
    for text in ["one", "two"] {
        writes(&host, say("new", text), KIND, true).await;
    }
    let (old, new) = (json!(["before", "during"]), json!(["one", "two"]));
    for (session, texts) in [("old", &old), ("new", &new)] {
        let (output, by) = reads(&host, said(session), KIND).await;
        assert_eq!((&output["texts"], by), (texts, json!("local")));
    }
    world.heal();
    let status = host.until("acme", KIND, is_back).await;
    assert_eq!(status["backlog"]["parked"], 0, "{status}");
    for there in [&host, &world.other_host()] {
        for (session, texts) in [("old", &old), ("new", &new)] {
            let (output, by) = reads(there, said(session), KIND).await;
            assert_eq!((&output["texts"], by), (texts, json!("cloud")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_learned_without_aws_is_recalled_then_and_later_by_another_host() {
    const KIND: &str = "records";
    const BOAT: &str = "the boat is painted green";
    let world = World::new().await;
    let host = world.host();
    for (id, text) in [("stove", "the stove smokes"), ("boat", "the boat is blue")] {
        writes(&host, learn(id, text), KIND, false).await;
    }
    world.cut().await;
    writes(&host, learn("boat", BOAT), KIND, true).await;
    writes(&host, learn("lake", "the lake is frozen"), KIND, true).await;
    let all = [
        ("what colour has the boat", BOAT),
        ("is the lake frozen", "the lake is frozen"),
        ("does the stove smoke", "the stove smokes"),
    ];
    for (query, text) in all {
        let (output, by) = reads(&host, recall(query), KIND).await;
        assert_eq!((&output["texts"], by), (&json!([text]), json!("local")));
    }
    world.heal();
    let status = host.until("acme", KIND, is_back).await;
    assert_eq!(status["backlog"]["parked"], 0, "{status}");
    for there in [&host, &world.other_host()] {
        for (query, text) in all {
            let (output, by) = reads(there, recall(query), KIND).await;
            assert_eq!((&output["texts"], by), (&json!([text]), json!("cloud")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_put_without_aws_are_found_then_and_later_by_another_host() {
    const KIND: &str = "search";
    let world = World::with_search().await;
    let host = world.host();
    writes(&host, index("old", "huset är blått"), KIND, false).await;
    writes(&host, index("changed", "huset är nytt"), KIND, false).await;
    world.cut().await;
    writes(&host, index("changed", "båten är ny"), KIND, true).await;
    writes(&host, index("new", "båten är grön"), KIND, true).await;
    let found = async |there: &Host, words: &str| {
        let (mut output, by) = reads(there, search(words), KIND).await;
        let ids = output["ids"].as_array_mut().unwrap();
        ids.sort_unstable_by_key(Value::to_string);
        (output["ids"].clone(), by)
    };
    let all = [
        ("huset", json!(["old"])),
        ("båten", json!(["changed", "new"])),
    ];
    for (words, ids) in &all {
        assert_eq!(found(&host, words).await, (ids.clone(), json!("local")));
    }
    world.heal();
    let status = host.until("acme", KIND, is_back).await;
    assert_eq!(status["backlog"]["parked"], 0, "{status}");
    for there in [&host, &world.other_host()] {
        for (words, ids) in &all {
            assert_eq!(found(there, words).await, (ids.clone(), json!("cloud")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_bedrock_the_model_of_this_host_answers_and_the_receipt_says_so() {
    let world = World::with_models().await;
    let host = world.host();
    let ask = async |skill: &str| {
        let input = json!({"question": "hej på dig"});
        let (output, used) = host.call("acme", skill, input, "model").await;
        (output, used)
    };
    let answered = |(output, used): &(Value, Value), model: &str, by: &str| {
        assert_eq!(
            (&output["model"], &used["backend"]),
            (&json!(model), &json!(by))
        );
        assert_ne!(used["tokens"]["completion_tokens"], 0, "{used}");
    };
    for skill in ["ask", "stream"] {
        answered(&ask(skill).await, CLOUD_MODEL, "cloud");
    }
    world.cut().await;
    // The very first question without it, and those that nobody asks it any more.
    for skill in ["ask", "stream", "ask", "stream"] {
        let answer = ask(skill).await;
        answered(&answer, LOCAL_MODEL, "local");
        assert_eq!(answer.0["text"], "hej på dig");
    }
    host.until("acme", "model", |said| said["breaker"] != "closed")
        .await;
    world.heal();
    for _ in 0..LOOKS_MAX {
        let answer = ask("ask").await;
        if answer.1["backend"] == "cloud" {
            return answered(&answer, CLOUD_MODEL, "cloud");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("the cloud's model does not answer again");
}
