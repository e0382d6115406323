//! What a tenant may take, counted on what an endpoint says.

use std::time::Duration;

use stuga_core::model::Model;
use stuga_core::testkit::ctx as ctx_of;
use stuga_core::{CapabilityName, ErrorKind};
use stuga_local::ModelLimits;
use stuga_resilience::Capabilities;
use stuga_tests::openai::{Fault, OpenAi};

use super::{World, ctx, say};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_tenants_completions_at_once_are_counted_and_its_neighbours_are_not() {
    let server = OpenAi::start();
    let world = World::before(&server, PATIENCE);
    let limits = ModelLimits {
        completions: 2,
        tokens_per_minute: None,
    };
    world.local.set_model_limits(&ctx().tenant, limits);
    let one = world.model.start(&ctx(), &say("a b")).await.unwrap();
    let mut two = world.model.start(&ctx(), &say("a b")).await.unwrap();
    let refused = world.model.complete(&ctx(), &say("a")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert!(refused.message().contains("model_completions"), "{refused}");
    let other = ctx_of("other", "scribe");
    world.model.complete(&other, &say("a")).await.unwrap();
    // One that has ended gives its place back before it is dropped, one that is dropped in the middle as well.
    while two.next(&ctx()).await.unwrap().is_some() {}
    world.model.complete(&ctx(), &say("a")).await.unwrap();
    drop((one, two));
}

#[tokio::test]
async fn a_tenants_tokens_are_counted_also_of_answers_that_were_given_up() {
    let server = OpenAi::start();
    let world = World::before(&server, PATIENCE);
    let limits = ModelLimits {
        completions: 4,
        tokens_per_minute: Some(6),
    };
    world.local.set_model_limits(&ctx().tenant, limits);
    // Three words asked and three answered.
    world.model.complete(&ctx(), &say("a b c")).await.unwrap();
    let refused = world.model.complete(&ctx(), &say("a")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    assert!(
        refused.message().contains("model_tokens_per_minute"),
        "{refused}"
    );
    world.clock.advance(Duration::from_secs(60));
    server.fault(Fault::Chatter);
    let mut completion = world.model.start(&ctx(), &say("a")).await.unwrap();
    for _ in 0..30 {
        completion.next(&ctx()).await.unwrap();
    }
    drop(completion);
    // Nobody counted these, so they are guessed by their bytes: 61 / 4.
    server.fault(Fault::None);
    let refused = world.model.complete(&ctx(), &say("a")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
}

#[tokio::test]
async fn tokens_are_in_the_receipt() {
    let server = OpenAi::start();
    let world = World::before(&server, PATIENCE);
    let capabilities = Capabilities::local(world.local.backends());
    let ctx = ctx();
    for text in ["a b c", "d e"] {
        let request = say(text);
        let complete = |model: std::sync::Arc<dyn Model>| {
            let (ctx, request) = (&ctx, &request);
            async move { model.complete(ctx, request).await }
        };
        let answer = capabilities
            .model
            .read(&ctx, "model.complete", &request, complete)
            .await
            .unwrap();
        capabilities.model.note_ending(&ctx, &answer.ending);
    }
    let uses = ctx.receipt.snapshot();
    let [used] = uses.as_slice() else {
        unreachable!("one capability was used: {uses:?}")
    };
    assert_eq!((used.capability, used.reads), (CapabilityName::Model, 2));
    let tokens = used.tokens.unwrap();
    assert_eq!((tokens.prompt_tokens, tokens.completion_tokens), (5, 5));
    let shown = serde_json::to_value(used).unwrap();
    assert_eq!(shown["tokens"]["completion_tokens"], 5);
}
