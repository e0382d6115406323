//! Capabilities as a component uses them: through the generated bindings, the host's binding and the local backend.

use std::time::Duration;

use serde_json::{Value, json};
use stuga_core::ErrorKind;
use stuga_runtime::{Agent, InvokeError, Request};
use stuga_tests::large::Large;
use stuga_tests::openai::{Fault, OpenAi};
use tokio::sync::mpsc;

use crate::{World, call, ctx};

async fn echo() -> (Agent, World) {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    (agent, world)
}

async fn ok(agent: &Agent, skill: &str, input: Value) -> Value {
    call(agent, skill, input).await.unwrap()
}

async fn refused(agent: &Agent, skill: &str, input: Value) -> stuga_core::Error {
    match call(agent, skill, input).await.unwrap_err() {
        InvokeError::Agent(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_item_is_put_listed_and_got() {
    let (agent, _world) = echo().await;
    for key in ["a/2", "a/1", "b"] {
        ok(&agent, "put", json!({"key": key, "text": "hej"})).await;
    }
    let listed = ok(&agent, "list", json!({"key": "a/"})).await;
    assert_eq!(listed, json!({"keys": ["a/1", "a/2"]}));
    let found = ok(&agent, "get", json!({"key": "b"})).await;
    assert_eq!(found["text"], "hej");
    let absent = ok(&agent, "get", json!({"key": "c"})).await;
    assert_eq!(absent["text"], Value::Null);
    let error = refused(&agent, "put", json!({"key": "a\nb", "text": ""})).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_file_is_put_at_its_expected_version_read_in_parts_and_brought_back() {
    let (agent, _world) = echo().await;
    let put = |text: &str, expected: u64| json!({"path": "a", "text": text, "expected": expected});
    let first = ok(&agent, "put-file", put("the old text", 0)).await["value"].clone();
    let conflict = refused(&agent, "put-file", put("x", 0)).await;
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    assert_eq!(
        conflict.context_value("version"),
        Some(first.to_string().as_str())
    );
    ok(
        &agent,
        "put-file",
        put("the new text", first.as_u64().unwrap()),
    )
    .await;

    let part = json!({"path": "a", "version": first, "offset": 4, "len": 3});
    assert_eq!(ok(&agent, "read-file", part).await["text"], "old");
    let part = json!({"path": "a", "offset": 4, "len": 3});
    assert_eq!(ok(&agent, "read-file", part).await["text"], "new");

    ok(
        &agent,
        "restore-file",
        json!({"path": "a", "version": first}),
    )
    .await;
    let found = ok(&agent, "get-file", json!({"path": "a"})).await;
    assert_eq!(found["text"], "the old text");
    let versions = ok(&agent, "file-versions", json!({"path": "a"})).await;
    assert_eq!(versions["values"].as_array().map(Vec::len), Some(3));
    ok(&agent, "purge-file", json!({"path": "a"})).await;
    let versions = ok(&agent, "file-versions", json!({"path": "a"})).await;
    assert_eq!(versions["values"], json!([]));
}

#[tokio::test]
async fn a_content_larger_than_the_guests_memory_is_uploaded_part_by_part() {
    let (agent, world) = echo().await;
    // The guest may have 32 MiB.
    let file = Large::of(40 << 20);
    file.passes("large", async |skill, input| ok(&agent, skill, input).await)
        .await;
    drop(world);
}

#[tokio::test]
async fn a_conversation_is_kept_in_order_until_it_is_closed() {
    let (agent, _world) = echo().await;
    let say = |text: &str| json!({"actor": "astrid", "session": "s", "text": text});
    let session = json!({"actor": "astrid", "session": "s"});
    for text in ["hej", "hur mår du", "bra"] {
        ok(&agent, "say", say(text)).await;
    }
    let said = ok(&agent, "said", session.clone()).await;
    assert_eq!(said, json!({"texts": ["hej", "hur mår du", "bra"]}));
    ok(&agent, "close-session", session).await;
    let error = refused(&agent, "say", say("sent")).await;
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn what_was_said_is_recalled_by_meaning_over_all_sessions_of_an_actor() {
    let (agent, _world) = echo().await;
    for (actor, session, text) in [
        (
            "astrid",
            "may",
            "the stove smokes when the wind is from the north",
        ),
        ("astrid", "june", "the boat has been painted"),
        ("bo", "may", "the stove is new"),
    ] {
        let input = json!({"actor": actor, "session": session, "text": text});
        ok(&agent, "say", input).await;
    }
    let query = json!({"actor": "astrid", "query": "what about the stove", "k": 5});
    let found = ok(&agent, "recall-said", query).await;
    let texts = found["texts"].as_array().unwrap();
    assert_eq!(texts[0], "the stove smokes when the wind is from the north");
    assert!(
        texts.iter().all(|text| text != "the stove is new"),
        "{texts:?}"
    );
    let query = json!({"actor": "astrid", "query": "", "k": 5});
    let error = refused(&agent, "recall-said", query).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.message().contains("the query has 0 bytes"),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_was_learned_is_recalled_by_meaning_within_its_namespace() {
    let (agent, _world) = echo().await;
    for (namespace, id, text) in [
        ("/users/astrid", "colour", "her favourite colour is blue"),
        ("/users/astrid", "town", "she lives in Uppsala"),
        ("/users/bo", "colour", "his favourite colour is red"),
    ] {
        ok(
            &agent,
            "learn",
            json!({"namespace": namespace, "id": id, "text": text}),
        )
        .await;
    }
    let query = json!({"under": "/users/astrid", "query": "which colour", "k": 5});
    let found = ok(&agent, "recall", query).await;
    let texts = found["texts"].as_array().unwrap();
    assert_eq!(texts[0], "her favourite colour is blue");
    assert!(
        texts
            .iter()
            .all(|text| text != "his favourite colour is red"),
        "{texts:?}"
    );
}

async fn parroting() -> (OpenAi, Agent, World) {
    let server = OpenAi::start();
    let world = World::before(&server.models());
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    (server, agent, world)
}

#[tokio::test]
async fn a_model_answers_a_component_and_the_receipt_counts_its_tokens() {
    let (_server, agent, _world) = parroting().await;
    let input = json!({"question": "one two three", "max_tokens": 2});
    let request = Request {
        skill: "ask".into(),
        input: input.to_string(),
        session: None,
    };
    let reply = agent.invoke(ctx(Duration::from_secs(20)), request, None);
    let reply = reply.await.unwrap();
    let answer: Value = serde_json::from_str(&reply.output).unwrap();
    assert_eq!(
        (&answer["text"], &answer["reason"]),
        (&json!("one two"), &json!("Length"))
    );
    let [used] = reply.receipt.capabilities.as_slice() else {
        unreachable!("one capability was used: {:?}", reply.receipt)
    };
    // Four words of instruction and three of question.
    let tokens = used.tokens.unwrap();
    assert_eq!((tokens.prompt_tokens, tokens.completion_tokens), (7, 2));

    let near = ok(&agent, "near", json!({"a": "stuga", "b": "stugan"})).await;
    assert!(near["cosine"].as_f64().unwrap() > 0.4, "{near}");
    let input = json!({"question": "hej", "model": "eagle"});
    let error = refused(&agent, "ask", input).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("loud-parrot"), "{error}");
}

#[tokio::test]
async fn a_model_streams_to_a_component_and_stops_when_it_is_given_up() {
    let (server, agent, _world) = parroting().await;
    let (sender, mut parts) = mpsc::channel(16);
    let request = Request {
        skill: "stream".into(),
        input: json!({"question": "one two three"}).to_string(),
        session: None,
    };
    let reply = agent.invoke(ctx(Duration::from_secs(20)), request, Some(sender));
    let reply = reply.await.unwrap();
    let mut seen = Vec::new();
    while let Some(part) = parts.recv().await {
        seen.push(part);
    }
    assert_eq!(seen, ["\"one\"", "\" two\"", "\" three\""]);
    assert!(reply.output.contains("one two three"), "{}", reply.output);
    assert_eq!(
        reply.receipt.capabilities[0]
            .tokens
            .unwrap()
            .completion_tokens,
        3
    );

    server.fault(Fault::Chatter);
    let input = json!({"question": "hej", "pieces": 3});
    assert_eq!(ok(&agent, "stream", input).await["text"], "x x x ");
    server.until_abandoned(1).await;
    // The invocation's deadline ends it as well.
    let endless = agent.invoke(
        ctx(Duration::from_millis(300)),
        Request {
            skill: "stream".into(),
            input: json!({"question": "hej"}).to_string(),
            session: None,
        },
        None,
    );
    endless.await.unwrap_err();
    server.until_abandoned(2).await;
}

#[tokio::test]
async fn a_component_holds_so_many_completions_and_no_more() {
    let (_server, agent, _world) = parroting().await;
    let input = json!({"question": "hej", "held": 4});
    let error = refused(&agent, "stream", input).await;
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(error.context_value("limit"), Some("4"));
    let input = json!({"question": "hej", "held": 3});
    assert_eq!(ok(&agent, "stream", input).await["text"], "hej");
}

#[tokio::test]
async fn without_a_model_a_component_hears_which_setting_is_missing() {
    let (agent, _world) = echo().await;
    let error = refused(&agent, "ask", json!({"question": "hej"})).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("model.endpoint"), "{error}");
    assert_eq!(error.context_value("setting"), Some("model.endpoint"));
}

#[tokio::test]
async fn documents_are_found_by_words_by_nearness_and_through_filters() {
    let (agent, _world) = echo().await;
    for (id, tag, text) in [
        ("cabin", "north", "Mötet om den röda stugan vid sjön"),
        ("budget", "south", "Kvartalets budget och prognos"),
        ("mill", "south", "Kvarnen vid bäcken maler havre"),
    ] {
        let input = json!({"index": "notes", "id": id, "tag": tag, "text": text});
        ok(&agent, "index", input).await;
    }
    let hybrid = json!({"index": "notes", "words": "möten", "near": "en röd stuga"});
    let found = ok(&agent, "search", hybrid).await;
    assert_eq!(found["ids"][0], "cabin");
    assert_eq!(
        found["highlights"],
        json!(["Mötet om den röda stugan vid sjön"])
    );
    assert_eq!(found["degraded"], Value::Null);
    let filtered = json!({"index": "notes", "not_tag": "north"});
    let found = ok(&agent, "search", filtered).await;
    assert_eq!(found["ids"], json!(["budget", "mill"]));
    assert_eq!(found["tags"], json!(["south 2"]));

    let wrong = json!({"index": "notes", "sort_by": "colour"});
    let error = refused(&agent, "search", wrong).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .message()
            .contains("no field \"colour\"; it has meaning, tag, text"),
        "{error}"
    );
    let nowhere = refused(&agent, "search", json!({"index": "elsewhere"})).await;
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    assert!(nowhere.message().contains("create it first"), "{nowhere}");
}
