//! What the operator has of AWS: probes that say what works and what to do, provisioning, and events.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod events;
mod probes;
mod provision;

use common::{clock, config, open};
use stuga_aws::{A2aConfig, AwsConfig, EventsConfig, Pattern, Probed, SecretsConfig};
use stuga_core::TenantId;
use stuga_test_servers::unique;

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn settings(endpoint: &str) -> AwsConfig {
    let files = serde_json::json!({ "bucket": unique("no-such-bucket"), "path_style": true });
    AwsConfig {
        files: Some(serde_json::from_value(files).unwrap()),
        a2a: Some(A2aConfig {
            bucket: Some(unique("no-such-bucket")),
            ..A2aConfig::default()
        }),
        secrets: Some(SecretsConfig {
            kms_key: Pattern::new("alias/none-{tenant}").unwrap(),
            ..serde_json::from_str(r#"{"kms_key": "x"}"#).unwrap()
        }),
        events: Some(EventsConfig::default()),
        ..config(endpoint)
    }
}

async fn probed(settings: AwsConfig) -> Vec<Probed> {
    let aws = open(settings, &clock());
    let probes = aws.probes(&tenant()).unwrap();
    futures::future::join_all(probes.into_iter().map(|probe| probe.run())).await
}
