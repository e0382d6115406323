//! Models: from `stuga.yaml` to an agent's answer and its receipt.

use std::fs;

use serde_json::json;
use stuga_tests::openai::{Fault, OpenAi};

use crate::support::{Site, expect, problem};

const KEY: &str = "sk-0123456789";

/// A site whose host has this model.
fn site(model: &OpenAi) -> Site {
    let site = Site::new();
    fs::write(site.path().join("model.key"), format!("{KEY}\n")).unwrap();
    configure(
        &site,
        &format!(
            "model:\n  endpoint: {}\n  name: parrot\n  also: [loud-parrot]\n  api_key_file: model.key\n",
            model.url()
        ),
    );
    site
}

fn configure(site: &Site, text: &str) {
    fs::write(site.path().join("stuga.yaml"), text).unwrap();
}

#[tokio::test]
async fn a_configured_model_answers_and_the_receipt_counts_its_tokens() {
    let model = OpenAi::start();
    let site = site(&model);
    let key = site.key("acme");
    let server = site.start();
    let ask = |input| server.echo("acme", &key, "ask", input);
    let answer = expect(ask(json!({"question": "hej på dig"})), 200).await;
    assert_eq!(answer["output"]["text"], "hej på dig");
    let used = &answer["receipt"]["capabilities"][0];
    assert_eq!(
        (&used["capability"], &used["backend"]),
        (&json!("model"), &json!("local"))
    );
    assert_eq!(
        used["tokens"],
        json!({"prompt_tokens": 7, "completion_tokens": 3})
    );
    let (headers, _) = model.requests().remove(0);
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));

    let loud = json!({"question": "hej", "model": "loud-parrot"});
    assert_eq!(expect(ask(loud), 200).await["output"]["text"], "HEJ");
    let other = json!({"question": "hej", "model": "eagle"});
    let refused = problem(ask(other), 422, "invalid").await;
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("choose parrot, loud-parrot"),
        "{refused}"
    );

    let said = format!(r#"{{"error": {{"message": "key {KEY} is overdrawn"}}}}"#);
    model.fault(Fault::Status(500, said, None));
    let away = expect(ask(json!({"question": "hej"})), 503).await;
    assert!(
        !away.to_string().contains(KEY) && !away.to_string().contains("overdrawn"),
        "{away}"
    );
}

#[tokio::test]
async fn a_tenants_share_of_the_model_is_in_its_file() {
    let model = OpenAi::start();
    let site = site(&model);
    site.edit_tenant("acme", |text| {
        format!("{text}  model: {{tokens_per_minute: 5}}\n")
    });
    let keys = ["acme", "globex"].map(|tenant| (tenant, site.key(tenant)));
    let server = site.start();
    for (tenant, key) in &keys {
        let input = json!({"question": "hej"});
        expect(server.echo(tenant, key, "ask", input.clone()), 200).await;
        let second = server.echo(tenant, key, "ask", input);
        if *tenant == "globex" {
            expect(second, 200).await;
            continue;
        }
        let refused = expect(second, 429).await;
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("model_tokens_per_minute"), "{refused}");
    }
}

#[tokio::test]
async fn without_a_model_the_answer_names_the_setting() {
    let site = Site::new();
    let key = site.key("acme");
    let server = site.start();
    let input = json!({"question": "hej"});
    let refused = expect(server.echo("acme", &key, "ask", input), 503).await;
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("model.endpoint"),
        "{refused}"
    );
    let near = server.echo("acme", &key, "near", json!({"a": "stuga", "b": "stugan"}));
    let near = expect(near, 200).await;
    assert_eq!(near["output"]["model"], "hashed-ngram-1");
}

#[tokio::test]
async fn a_model_that_is_configured_wrongly_is_named_at_the_start() {
    let site = Site::new();
    for (text, told) in [
        (
            "model: {endpoint: 'http://h/v1', nmae: a}\n",
            "did you mean \"name\"?",
        ),
        (
            "model: {endpoint: 'http://h/v1', name: a, api_key_env: NO_SUCH_KEY}\n",
            "NO_SUCH_KEY",
        ),
        (
            "model: {embeddings: {kind: folder, path: nowhere}}\n",
            "sentence-transformer",
        ),
    ] {
        configure(&site, text);
        let output = site.try_stuga(&["serve", "--listen", "127.0.0.1:0"]);
        assert!(!output.status.success(), "{text}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(told), "{text}: {said}");
    }
}
