//! What AWS is for one test: resources of its own on the servers that all tests share, and hosts that use it.

use std::fs;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use stuga_test_servers::{Ministack, OpenSearch, Redis, SeaweedFs, served, unique};

use crate::support::{Server, Site, expect, new_memory};

/// The tenants of a site.
pub(crate) const TENANTS: [&str; 2] = ["acme", "globex"];
/// Their agent.
pub(crate) const ECHO: &str = "fixture-echo";
/// Bedrock's id of a model. ministack answers the same to every one.
const MODEL: &str = "anthropic.claude-3-haiku-20240307-v1:0";

/// Buckets, a memory, and names that nobody else uses.
pub(crate) struct Cloud {
    settings: Value,
    bucket: String,
    keys: (&'static str, &'static str),
}

impl Cloud {
    /// With everything that both tenants need. What belongs to infrastructure as code (buckets, the memory) is made by
    /// hand, the rest by `stuga tenant provision`.
    pub(crate) async fn new() -> Self {
        let (seaweed, ministack) = (SeaweedFs::shared().await, Ministack::shared().await);
        let (redis, domain) = (Redis::shared().await, OpenSearch::shared().await);
        let [bucket, mail, name] = ["files", "mail", "own"].map(unique);
        for bucket in [&bucket, &mail] {
            seaweed.make_bucket(bucket).unwrap();
        }
        let settings = json!({
            "region": ministack.region(),
            "endpoints": {"all": ministack.endpoint(), "s3": seaweed.endpoint()},
            // The servers share two cores with builds.
            "attempt_timeout": "60s",
            "files": {"bucket": bucket, "path_style": true},
            "memory": {"memory_id": new_memory(ministack).await, "redis": redis.url()},
            "search": {
                "endpoint": domain.endpoint(),
                "signed": false,
                "index_prefix": format!("{name}_{{tenant}}_"),
                "replicas": 0,
            },
            "a2a": {"queue_prefix": format!("{name}_{{tenant}}_"), "bucket": mail},
            "model": {"name": "writer", "models": {"writer": MODEL}},
            "secrets": {
                "prefix": format!("{name}/{{tenant}}/"),
                "kms_key": format!("alias/{name}-{{tenant}}"),
            },
        });
        let cloud = Self {
            settings,
            bucket,
            keys: seaweed.keys(),
        };
        let site = cloud.site();
        for tenant in TENANTS {
            site.stuga(&["tenant", "provision", tenant, "--apply"]);
        }
        let (seaweed, ministack) = (seaweed.describe(), ministack.describe());
        let redis = redis.describe();
        for (capabilities, server) in [
            ("files", seaweed.clone()),
            (
                "memory, sessions and records",
                format!("{ministack} (AgentCore) and {redis}"),
            ),
            ("search", domain.describe()),
            ("a2a", format!("{ministack} (SQS) and {seaweed}")),
            ("secrets", format!("{ministack} (Secrets Manager, KMS)")),
            ("model", format!("{ministack} (Bedrock)")),
        ] {
            served(&format!("whole host: {capabilities}"), &server);
        }
        cloud
    }

    /// A host that was never started, with a data directory of its own.
    pub(crate) fn site(&self) -> Site {
        let site = Site::new();
        for tenant in TENANTS {
            site.edit_tenant(tenant, |text| {
                let text = edited(&text, "deadline: 2s", "deadline: 10m");
                let text = edited(&text, "request_bytes: 256KiB", "request_bytes: 4MiB");
                let text = edited(&text, "answer_bytes: 128KiB", "answer_bytes: 4MiB");
                edited(&text, "    config:", "    secrets: [token]\n    config:")
            });
        }
        let settings = format!("aws: {}\n", self.settings);
        fs::write(site.path().join("stuga.yaml"), settings).unwrap();
        // SeaweedFS checks signatures, ministack none.
        let (id, secret) = self.keys;
        site.set("AWS_ACCESS_KEY_ID", id);
        site.set("AWS_SECRET_ACCESS_KEY", secret);
        site
    }

    /// A running host.
    pub(crate) fn host(&self) -> Host {
        Host::start(self.site())
    }

    /// The multipart uploads of files that were begun and not ended.
    pub(crate) async fn uploads(&self) -> Vec<String> {
        SeaweedFs::shared().await.uploads(&self.bucket).unwrap()
    }
}

/// The text with a part exchanged that must be there.
fn edited(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replacen(from, to, 1)
}

/// A running host with the keys of its tenants.
pub(crate) struct Host {
    pub(crate) site: Site,
    pub(crate) server: Server,
    keys: [String; TENANTS.len()],
}

impl Host {
    pub(crate) fn start(site: Site) -> Self {
        Self {
            keys: TENANTS.map(|tenant| site.key(tenant)),
            server: site.start(),
            site,
        }
    }

    /// A call of a skill of the echo agent.
    pub(crate) fn request(&self, tenant: &str, skill: &str, input: Value) -> RequestBuilder {
        let at = TENANTS.iter().position(|known| *known == tenant).unwrap();
        self.server.echo(tenant, &self.keys[at], skill, input)
    }

    /// The answer to a call that must succeed.
    pub(crate) async fn call(&self, tenant: &str, skill: &str, input: Value) -> Value {
        expect(self.request(tenant, skill, input), 200).await
    }
}

/// How often a test looks for what must come before it gives up, and how long between.
const LOOKS_MAX: u32 = 3_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until there is what is looked for.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..LOOKS_MAX {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("{what} did not come")
}
