//! An endpoint that refuses, breaks off, is silent, or talks nonsense.

use std::time::Duration;

use stuga_core::ErrorKind;
use stuga_core::embed::Embedder;
use stuga_core::model::ANSWER_MAX_BYTES;
use stuga_local::EndpointEmbedder;
use stuga_tests::openai::{Fault, OpenAi};

use super::{World, ctx, ctx_until, say};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_refusal_becomes_an_error_of_the_kind_that_says_whose_fault_it_is() {
    let server = OpenAi::start();
    let world = World::before(&server, LONG);
    let words = r#"{"error": {"message": "this is why"}}"#;
    for (status, body, kind, told) in [
        (400, words, ErrorKind::Invalid, "this is why"),
        (429, words, ErrorKind::RateLimited, "too much to do"),
        (500, words, ErrorKind::Unavailable, "failed"),
        (503, "<html>", ErrorKind::Unavailable, "failed"),
        (401, words, ErrorKind::Unavailable, "model.api_key"),
        (404, words, ErrorKind::Unavailable, "model.name"),
        (302, "", ErrorKind::Unavailable, "somewhere else"),
    ] {
        server.fault(Fault::Status(status, body.to_owned(), None));
        let refused = world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{status}: {refused}");
        assert!(refused.message().contains(told), "{status}: {refused}");
        let shown = refused.message().contains("this is why");
        assert_eq!(shown, status == 400, "{status}: {refused}");
    }
    server.fault(Fault::None);
    let answer = world.model.complete(&ctx(), &say("hej")).await.unwrap();
    assert_eq!(answer.text, "hej");
    assert_eq!(server.requests().len(), 8, "nothing is tried again");
}

#[tokio::test]
async fn an_endpoint_that_asks_to_wait_is_heard() {
    let server = OpenAi::start();
    let world = World::before(&server, LONG);
    for (asked, told) in [(Some(7), 7), (Some(1_000_000), 3_600), (None, 1)] {
        server.fault(Fault::Status(429, String::new(), asked));
        let refused = world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(Duration::from_secs(told)));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let server = OpenAi::start();
    let world = World::before(&server, LONG);
    // The pieces came, but no word of why the answer ended.
    let half = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n";
    for fault in [Fault::Cut, Fault::Body(half.to_owned())] {
        server.fault(fault.clone());
        let refused = world.model.complete(&ctx(), &say("one two three")).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            refused.kind(),
            ErrorKind::Unavailable,
            "{fault:?}: {refused}"
        );
        assert!(
            refused.message().contains("broke off"),
            "{fault:?}: {refused}"
        );
    }
    server.fault(Fault::Cut);
    let ctx = ctx();
    let mut completion = world
        .model
        .start(&ctx, &say("one two three"))
        .await
        .unwrap();
    let mut pieces = Vec::new();
    let refused = loop {
        match completion.next(&ctx).await {
            Ok(piece) => pieces.push(piece.unwrap()),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        ["one", "one two"].contains(&pieces.concat().as_str()),
        "{pieces:?}"
    );
    assert_eq!(completion.ending(), None);
    let again = completion.next(&ctx).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_is_no_stream_of_the_protocol_is_an_outage() {
    let server = OpenAi::start();
    let world = World::before(&server, LONG);
    let huge = format!("data: {}\n\n", "x".repeat(300 << 10));
    for body in [
        "data: {nonsense\n\n",
        "data: [1, 2]\n\n",
        "data: {\"error\": {\"message\": \"sk-secret overload\"}}\n\n",
        "<html>hello</html>",
        &huge,
        "",
    ] {
        server.fault(Fault::Body(body.to_owned()));
        let refused = world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        assert!(!refused.message().contains("secret"), "{refused}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_at_its_limit() {
    let server = OpenAi::start();
    let world = World::before(&server, LONG);
    server.fault(Fault::Endless);
    let refused = world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let limit = ANSWER_MAX_BYTES.to_string();
    assert_eq!(refused.context_value("limit"), Some(limit.as_str()));
}

#[tokio::test]
async fn a_silent_endpoint_is_given_up_at_the_hosts_patience_or_the_callers_deadline() {
    let server = OpenAi::start();
    for fault in [Fault::Deaf, Fault::Silence] {
        server.fault(fault.clone());
        let world = World::before(&server, SHORT);
        let refused = world
            .model
            .complete(&ctx(), &say("a b c d"))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Timeout, "{fault:?}: {refused}");
        assert!(
            refused.message().contains("model.timeout"),
            "{fault:?}: {refused}"
        );
        let world = World::before(&server, LONG);
        let hurried = ctx_until(SHORT);
        let refused = world.model.complete(&hurried, &say("a b c d")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Timeout, "{fault:?}: {refused}");
        assert!(
            refused.message().contains("deadline"),
            "{fault:?}: {refused}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_run_is_unavailable() {
    let server = OpenAi::start();
    let world = World::before(&server, LONG);
    drop(server);
    tokio::task::yield_now().await;
    let refused = world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    assert!(!refused.message().contains("127.0.0.1"), "{refused}");
}

#[tokio::test]
async fn a_completion_that_is_dropped_stops_its_model() {
    let server = OpenAi::start();
    let world = World::before(&server, LONG);
    server.fault(Fault::Chatter);
    let ctx = ctx();
    let mut completion = world.model.start(&ctx, &say("hej")).await.unwrap();
    assert_eq!(completion.next(&ctx).await.unwrap().as_deref(), Some("x "));
    assert_eq!(server.abandoned(), 0);
    drop(completion);
    server.until_abandoned(1).await;
}

#[tokio::test]
async fn an_embedder_behind_an_endpoint_misbehaves_in_the_same_words() {
    let server = OpenAi::start();
    let mut config = server.endpoint();
    let embedder = EndpointEmbedder::new(&config, 512).unwrap();
    let vectors = embedder.embed(&["hej", "", "du"]).await.unwrap();
    assert!(vectors[1].iter().all(|number| *number == 0.0));
    for (fault, kind, told) in [
        (
            Fault::Status(429, String::new(), Some(3)),
            ErrorKind::RateLimited,
            "",
        ),
        (
            Fault::Status(500, String::new(), None),
            ErrorKind::Unavailable,
            "",
        ),
        (
            Fault::Status(501, String::new(), None),
            ErrorKind::Unavailable,
            "does not offer this",
        ),
        (
            Fault::Body("<html>".to_owned()),
            ErrorKind::Unavailable,
            "protocol",
        ),
        (Fault::Endless, ErrorKind::Unavailable, "protocol"),
    ] {
        server.fault(fault.clone());
        let refused = embedder.embed(&["hej"]).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{fault:?}: {refused}");
        assert!(refused.message().contains(told), "{fault:?}: {refused}");
    }
    server.fault(Fault::Deaf);
    config.patience = SHORT;
    let hurried = EndpointEmbedder::new(&config, 512).unwrap();
    let refused = hurried.embed(&["hej"]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    server.fault(Fault::None);
    config.patience = LONG;
    let narrow = EndpointEmbedder::new(&config, 384).unwrap();
    let refused = narrow.embed(&["hej"]).await.unwrap_err();
    assert!(refused.message().contains("dimension` to 512"), "{refused}");
}

#[tokio::test]
async fn without_an_endpoint_the_setting_is_named_and_embedding_works_all_the_same() {
    let world = World::with(&stuga_local::Models::default());
    let refused = world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("`model.endpoint`"), "{refused}");
    let made = world.model.embed(&ctx(), &["hej"]).await.unwrap();
    assert_eq!(made.model, stuga_core::embed::MODEL);
}
