//! Requests that are signed, as every real domain wants them.

use std::sync::Arc;

use stuga_aws::{AccessKeys, Aws, AwsConfig};
use stuga_core::embed::HashedEmbedder;
use stuga_core::search::Search;
use stuga_test_servers::{OpenSearch, unique};

use crate::gate::{Fate, Gate};
use crate::{apply, change, clock, create, put};

const SECRET: &str = "never-to-be-seen";

/// The signature itself is the business of the client; which service and region it is for, and with whose key, is ours.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_for_the_service_with_the_hosts_key() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    for (serverless, service) in [(false, "es"), (true, "aoss")] {
        gate.set(|_, _| Fate::Pass);
        let search = serde_json::json!({
            "endpoint": gate.endpoint(),
            "serverless": serverless,
            "index_prefix": format!("{}_{{tenant}}_", unique("s")),
            "replicas": 0,
        });
        let config = AwsConfig {
            region: "eu-north-1".to_owned(),
            search: Some(serde_json::from_value(search).unwrap()),
            ..AwsConfig::default()
        };
        let keys = AccessKeys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: SECRET.to_owned().into(),
            session_token: None,
        };
        let aws = Aws::open_with_keys(config, clock(), keys).unwrap();
        let host: Arc<dyn Search> = aws.search(Arc::new(HashedEmbedder)).unwrap();
        apply(&host, &create()).await.unwrap();
        apply(&host, &change(vec![put("a", Vec::new())]))
            .await
            .unwrap();
        let seen = gate.seen();
        assert!(seen.len() > 4);
        for request in seen {
            let signature = request.authorization.as_deref().unwrap();
            assert!(
                signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
                "{signature}"
            );
            let scope = format!("/eu-north-1/{service}/aws4_request");
            assert!(signature.contains(&scope), "{signature}");
            assert!(!format!("{request:?}").contains(SECRET));
        }
    }
}
