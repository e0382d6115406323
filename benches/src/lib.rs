//! What several benches need.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use stuga_aws::{AccessKeys, Aws};
use stuga_core::SystemClock;
use stuga_test_servers::{Ministack, Redis, SeaweedFs, unique};

/// AWS with files in a bucket of their own.
///
/// # Errors
/// When the bucket cannot be made.
pub fn files_on(seaweed: &SeaweedFs) -> Result<Aws> {
    let bucket = unique("bench");
    seaweed.make_bucket(&bucket)?;
    let (id, secret) = seaweed.keys();
    let config = json!({
        "region": "eu-north-1",
        "endpoints": {"s3": seaweed.endpoint()},
        // A busy machine's disk is slow now and then.
        "attempt_timeout": "60s",
        "files": {"bucket": bucket, "path_style": true},
    });
    open(config, id, secret)
}

/// AWS with memory, sessions and records in an AgentCore memory of their own.
///
/// # Errors
/// When the memory cannot be made.
pub async fn memory_on(ministack: &Ministack, redis: &Redis) -> Result<Aws> {
    // The name in the signature, which nobody checks, says which service is meant.
    let scope = format!(
        "test/20260101/{}/bedrock-agentcore/aws4_request",
        ministack.region()
    );
    let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let wanted = json!({
        "name": unique("bench").replace('-', "_"),
        "eventExpiryDuration": 365,
        "clientToken": unique("bench-memory-of-at-least-33-characters"),
    });
    let url = format!("{}/memories/create", ministack.endpoint());
    let asked = reqwest::Client::new()
        .post(url)
        .header("Authorization", signed);
    let answer = asked.body(wanted.to_string()).send().await?;
    let made: Value = serde_json::from_str(&answer.text().await?)?;
    let id = made.pointer("/memory/id").context("no memory was made")?;
    let config = json!({
        "region": ministack.region(),
        "endpoints": {"all": ministack.endpoint()},
        "memory": {"memory_id": id, "redis": redis.url()},
    });
    open(config, "test", "test")
}

fn open(config: Value, id: &str, secret: &str) -> Result<Aws> {
    let keys = AccessKeys {
        id: id.to_owned(),
        secret: secret.into(),
        session_token: None,
    };
    let config = serde_json::from_value(config)?;
    Aws::open_with_keys(config, Arc::new(SystemClock), keys).map_err(|e| anyhow!("{e}"))
}
