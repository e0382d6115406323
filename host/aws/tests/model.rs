//! Models on Bedrock: the contract before a double with a parrot, the wire before ministack, and what a failing model becomes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::bedrock::{Bedrock, LOUD_PARROT, PARROT, Trouble};
use common::{clock, config, open};
use stuga_aws::{Aws, AwsConfig, EmbeddingConfig, ModelConfig};
use stuga_core::ErrorKind;
use stuga_core::TenantId;
use stuga_core::embed::{DIMENSION, HashedEmbedder, dot};
use stuga_core::model::{Message, Model, ModelLimits, Options, Request, Role};
use stuga_core::testkit::model::parrot;
use stuga_core::testkit::{Fixture, ctx, prove};
use stuga_test_servers::{Ministack, served};
use tokio::time::Instant;

fn settings(endpoint: &str, embeddings: Option<&str>) -> AwsConfig {
    let models = [(parrot::NAME, PARROT), (parrot::OTHER_NAME, LOUD_PARROT)];
    let models = models.map(|(name, id)| (name.to_owned(), id.to_owned()));
    let model = ModelConfig {
        name: parrot::NAME.to_owned(),
        models: BTreeMap::from(models),
        timeout: Duration::from_secs(60),
        embeddings: embeddings.map(|id| EmbeddingConfig {
            model_id: id.to_owned(),
            dimension: DIMENSION,
        }),
    };
    AwsConfig {
        model: Some(model),
        ..config(endpoint)
    }
}

fn aws(endpoint: &str) -> Aws {
    open(settings(endpoint, None), &clock())
}

fn model(endpoint: &str) -> Arc<dyn Model> {
    aws(endpoint).model(Arc::new(HashedEmbedder)).unwrap()
}

fn say(text: &str) -> Request {
    Request {
        messages: vec![Message {
            role: Role::User,
            content: text.to_owned(),
        }],
        options: Options::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_keep_their_contract_before_a_double_of_bedrock() {
    for id in ["amazon.titan-embed-text-v2:0", "eu.cohere.embed-v4:0"] {
        let double = Bedrock::start().await;
        served(
            &format!("contract of models, vectors as {id}"),
            "a double of Bedrock of our own",
        );
        prove(stuga_core::testkit::model::cases(), || {
            let clock = clock();
            let aws = open(settings(&double.endpoint(), Some(id)), &clock);
            let embedder = aws.embedder().unwrap().unwrap();
            Fixture::new(aws.model(embedder).unwrap(), clock)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ministack_streams_an_answer_with_its_reason_and_usage() {
    let server = Ministack::shared().await;
    served(
        "streams of models",
        &format!("{} (Bedrock)", server.describe()),
    );
    let model = model(&server.endpoint());
    let ctx = ctx("acme", "scribe");
    let mut completion = model.start(&ctx, &say("hej")).await.unwrap();
    let mut text = String::new();
    while let Some(piece) = completion.next(&ctx).await.unwrap() {
        text.push_str(&piece);
    }
    assert!(!text.is_empty());
    let ending = completion.ending().unwrap();
    assert_eq!(ending.model, parrot::NAME);
    assert!(ending.usage.unwrap().completion_tokens > 0, "{ending:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_refuses_is_classified_and_asked_once() {
    let double = Bedrock::start().await;
    let model = model(&double.endpoint());
    for (status, code, kind) in [
        (400, "ValidationException", ErrorKind::Invalid),
        (403, "AccessDeniedException", ErrorKind::Unavailable),
        (404, "ResourceNotFoundException", ErrorKind::Unavailable),
        (408, "ModelTimeoutException", ErrorKind::Timeout),
        (429, "ThrottlingException", ErrorKind::Unavailable),
        (500, "InternalServerException", ErrorKind::Unavailable),
    ] {
        double.set(Trouble::Refused(status, code));
        let refused = model.complete(&ctx("acme", "scribe"), &say("hej")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), kind, "{code}: {}", refused.causes());
        assert!(!refused.message().contains(PARROT), "{refused}");
    }
    double.set(Trouble::None);
    let answer = model.complete(&ctx("acme", "scribe"), &say("hej")).await;
    assert_eq!(answer.unwrap().text, "hej");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_an_outage_after_its_pieces() {
    let double = Bedrock::start().await;
    let model = model(&double.endpoint());
    for trouble in [
        Trouble::Cut,
        Trouble::InTheMiddle("throttlingException"),
        Trouble::InTheMiddle("modelStreamErrorException"),
    ] {
        double.set(trouble.clone());
        let ctx = ctx("acme", "scribe");
        let mut completion = model.start(&ctx, &say("a b c d")).await.unwrap();
        for piece in ["a", " b"] {
            assert_eq!(completion.next(&ctx).await.unwrap().as_deref(), Some(piece));
        }
        let broken = completion.next(&ctx).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::Unavailable, "{trouble:?}");
        assert!(completion.next(&ctx).await.is_err(), "after an error");
        assert_eq!(completion.ending(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_heard_of_a_model_is_told_and_the_time_that_it_reads_is_excused() {
    let double = Bedrock::start().await;
    let model = model(&double.endpoint());
    let ctx = ctx("acme", "scribe");
    let before = ctx.pulse.last();
    let mut completion = model.start(&ctx, &say("a b c")).await.unwrap();
    let begun = ctx.pulse.last();
    assert!(begun > before);
    while completion.next(&ctx).await.unwrap().is_some() {}
    assert!(ctx.pulse.last() > begun);
    // Some 40,000 tokens are not read in no time.
    let long = "x".repeat(160 << 10);
    let asked = Instant::now();
    model.start(&ctx, &say(&long)).await.unwrap();
    assert!(ctx.pulse.last() >= asked + Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_has_its_own_limit_of_completions() {
    let double = Bedrock::start().await;
    let aws = aws(&double.endpoint());
    let model = aws.model(Arc::new(HashedEmbedder)).unwrap();
    let limits = ModelLimits {
        completions: 1,
        tokens_per_minute: None,
    };
    aws.set_model_limits(&TenantId::new("acme").unwrap(), limits);
    let ctx = ctx("acme", "scribe");
    let open = model.start(&ctx, &say("a b")).await.unwrap();
    let refused = model.start(&ctx, &say("a b")).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    drop(open);
    model.start(&ctx, &say("a b")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spaces_are_near_to_nothing_and_other_dimensions_are_an_outage() {
    let double = Bedrock::start().await;
    let id = "amazon.titan-embed-text-v2:0";
    let mut settings = settings(&double.endpoint(), Some(id));
    let embedder = open(settings.clone(), &clock())
        .embedder()
        .unwrap()
        .unwrap();
    let vectors = embedder.embed(&["stuga", " ", "stuga"]).await.unwrap();
    let like = |a: usize, b: usize| dot(vectors.get(a).unwrap(), vectors.get(b).unwrap());
    assert!(like(0, 2) > 0.999 && like(0, 1) == 0.0);
    let model = settings.model.as_mut().unwrap();
    model.embeddings.as_mut().unwrap().dimension = 9;
    let other = open(settings, &clock()).embedder().unwrap().unwrap();
    assert_ne!(other.model(), embedder.model());
    let refused = other.embed(&["stuga"]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}
