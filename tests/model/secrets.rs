//! The endpoint's key goes to the endpoint and nowhere else.

use std::time::Duration;

use stuga_local::{EndpointConfig, Models};
use stuga_tests::openai::{Fault, OpenAi};

use super::{World, ctx, say};

#[tokio::test]
async fn the_key_reaches_the_endpoint_and_no_error() {
    const KEY: &str = "sk-0123456789";
    let server = OpenAi::start();
    let world = World::with(&Models {
        endpoint: Some(EndpointConfig {
            api_key: Some(KEY.into()),
            ..server.endpoint()
        }),
        ..Models::default()
    });
    world.model.complete(&ctx(), &say("hej")).await.unwrap();
    let (headers, body) = server.requests().remove(0);
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert!(!body.to_string().contains(KEY));
    let echo = format!(r#"{{"error": {{"message": "wrong key {KEY} given"}}}}"#);
    for status in [400, 401, 429, 500] {
        server.fault(Fault::Status(status, echo.clone(), None));
        let refused = world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
        let all = format!("{refused} {refused:?} {}", refused.causes());
        assert!(!all.contains(KEY), "{status}: {all}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = OpenAi::start();
    let thief = OpenAi::start();
    let world = World::before(&server, Duration::from_secs(20));
    server.fault(Fault::Redirect(format!("{}/chat/completions", thief.url())));
    world.model.complete(&ctx(), &say("hej")).await.unwrap_err();
    assert!(thief.requests().is_empty());
}
