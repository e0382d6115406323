//! A cloud that can be cut off, and hosts that use it.

use std::fs;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, Redis, unique};

use crate::support::{Server, Site, expect};

/// How often a test looks for what must come before it gives up.
pub(crate) const LOOKS_MAX: u32 = 2_400;
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

const TENANTS: [&str; 2] = ["acme", "globex"];

/// Failover that tests need not wait for long. An outage here refuses at once, so the cloud has time when it is only slow.
const SETTINGS: &str = "failover:
  breaker: {consecutive_failures: 3, slow_call: 6s, open_for: 200ms, open_for_max: 500ms, calm_after: 0s, probes: 1}
  budget: {call: 6s, suspect: 3s}
  replay: {hold_down: 100ms, look_every: 1s}
  health: {every: 500ms, suspect_every: 100ms, timeout: 5s}
";

/// Memory, sessions, records and files of its own in the cloud.
pub(crate) struct World {
    ministack: &'static Ministack,
    redis: &'static Redis,
    /// Before the services of AWS, and before Redis.
    ways: [FaultProxy; 2],
    memory: String,
    bucket: String,
    /// Of messages and secrets, where a test has them in the cloud as well.
    apart: Option<String>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Ministack::shared().await).await
    }

    async fn on(ministack: &'static Ministack) -> Self {
        let redis = Redis::shared().await;
        let bucket = unique("failover");
        let made = Client::new().put(format!("{}/{bucket}", ministack.endpoint()));
        assert!(made.send().await.unwrap().status().is_success());
        Self {
            ways: [
                FaultProxy::start(ministack.address()).await.unwrap(),
                FaultProxy::start(redis.address()).await.unwrap(),
            ],
            memory: new_memory(ministack).await,
            ministack,
            redis,
            bucket,
            apart: None,
        }
    }

    /// The same with messages and secrets, on a ministack of its own: it does one thing at a time, and keys take it long.
    pub(crate) async fn with_messages_and_secrets() -> Self {
        let own = Box::leak(Box::new(Ministack::start().unwrap()));
        let mut world = Self::on(own).await;
        world.apart = Some(unique("apart"));
        let site = world.site(&world.ministack.endpoint(), &world.redis.url());
        for tenant in TENANTS {
            site.stuga(&["tenant", "provision", tenant, "--apply"]);
        }
        world
    }

    /// Cuts the cloud off for hosts behind the proxies.
    pub(crate) fn cut(&self) {
        for way in &self.ways {
            way.set(Fault::Refuse);
        }
    }

    pub(crate) fn heal(&self) {
        for way in &self.ways {
            way.heal();
        }
    }

    /// A host behind the proxies.
    pub(crate) fn host(&self) -> Host {
        let [aws, redis] = &self.ways;
        self.host_at(
            &format!("http://{}", aws.address()),
            &format!("redis://{}", redis.address()),
        )
    }

    /// Another host, which the proxies do not touch.
    pub(crate) fn other_host(&self) -> Host {
        self.host_at(&self.ministack.endpoint(), &self.redis.url())
    }

    fn host_at(&self, aws: &str, redis: &str) -> Host {
        Host::start(self.site(aws, redis))
    }

    fn site(&self, aws: &str, redis: &str) -> Site {
        let site = Site::new();
        let mut config = json!({
            "region": self.ministack.region(),
            "endpoints": {"all": aws},
            "connect_timeout": "500ms",
            // What bounds a call of the host is its budget.
            "attempt_timeout": "60s",
            "max_attempts": 1,
            "memory": {"memory_id": self.memory, "redis": redis},
            "files": {"bucket": self.bucket, "path_style": true},
        });
        if let Some(name) = &self.apart {
            let prefix = format!("{name}_{{tenant}}_");
            config["a2a"] = json!({"queue_prefix": prefix, "bucket": self.bucket});
            config["secrets"] = json!({
                "prefix": format!("{name}/{{tenant}}/"),
                "kms_key": format!("alias/{name}-{{tenant}}"),
                "cache_ttl": "1s",
            });
        }
        site.set("STUGA_AWS", &config.to_string());
        site.set("AWS_ACCESS_KEY_ID", "test");
        site.set("AWS_SECRET_ACCESS_KEY", "test");
        site.set("USER", "mona");
        fs::write(site.path().join("stuga.yaml"), SETTINGS).unwrap();
        for tenant in TENANTS {
            site.edit_tenant(tenant, |text| {
                text.replace("deadline: 2s", "deadline: 20s")
                    .replace("    config:", "    secrets: [token]\n    config:")
            });
        }
        site
    }
}

/// The id of a new AgentCore memory.
pub(crate) async fn new_memory(ministack: &Ministack) -> String {
    let name = unique("memory").replace('-', "_");
    let made = Client::new()
        .post(format!("{}/memories/create", ministack.endpoint()))
        // ministack checks no signature; it reads there which service is meant.
        .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-north-1/bedrock-agentcore/aws4_request, SignedHeaders=host, Signature=0")
        .body(json!({"name": name, "eventExpiryDuration": 365}).to_string());
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let id = made["memory"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// A running host with a key of each tenant.
pub(crate) struct Host {
    pub(crate) site: Site,
    pub(crate) server: Server,
    keys: [(&'static str, String); 2],
}

impl Host {
    fn start(site: Site) -> Self {
        let keys = TENANTS.map(|tenant| (tenant, site.key(tenant)));
        let server = site.start();
        Self { site, server, keys }
    }

    pub(crate) fn key(&self, tenant: &str) -> &str {
        let found = self.keys.iter().find(|(name, _)| *name == tenant);
        &found.unwrap().1
    }

    /// Calls a skill, which must answer; its output and what the receipt says of the capability.
    pub(crate) async fn call(
        &self,
        tenant: &str,
        skill: &str,
        input: Value,
        capability: &str,
    ) -> (Value, Value) {
        let call = self.server.echo(tenant, self.key(tenant), skill, input);
        let answer = expect(call, 200).await;
        let used = answer["receipt"]["capabilities"].as_array().unwrap();
        let used = used.iter().find(|used| used["capability"] == capability);
        let used = used.unwrap_or_else(|| panic!("no {capability} in {answer}"));
        (answer["output"].clone(), used.clone())
    }

    pub(crate) async fn put(&self, tenant: &str, key: &str, text: &str) -> Value {
        let input = json!({"key": key, "text": text});
        self.call(tenant, "put", input, "memory").await.1
    }

    pub(crate) async fn get(&self, tenant: &str, key: &str) -> (Value, Value) {
        let (output, used) = self
            .call(tenant, "get", json!({"key": key}), "memory")
            .await;
        (output["text"].clone(), used)
    }

    pub(crate) async fn put_file(&self, tenant: &str, path: &str, text: &str) -> Value {
        let input = json!({"path": path, "text": text});
        self.call(tenant, "put-file", input, "files").await.1
    }

    pub(crate) async fn get_file(&self, tenant: &str, path: &str) -> (Value, Value) {
        let (output, used) = self
            .call(tenant, "get-file", json!({"path": path}), "files")
            .await;
        (output["text"].clone(), used)
    }

    /// A request of the operator.
    pub(crate) fn admin(&self, path: &str) -> RequestBuilder {
        let key = self.admin_key();
        let path = format!("/v1/admin/{path}");
        self.server.get(&path).bearer_auth(key)
    }

    pub(crate) fn admin_key(&self) -> String {
        let text = fs::read_to_string(self.site.path().join("data/admin.key")).unwrap();
        text.trim().to_owned()
    }

    /// What the host says of a capability of a tenant.
    pub(crate) async fn explained(&self, tenant: &str, capability: &str) -> Value {
        let explained = expect(self.admin(&format!("tenants/{tenant}/explain")), 200).await;
        let all = explained["capabilities"].as_array().unwrap();
        let found = all.iter().find(|one| one["capability"] == capability);
        found.unwrap_or_else(|| panic!("{explained}")).clone()
    }

    /// Waits until the host says that of a capability of a tenant.
    pub(crate) async fn until(
        &self,
        tenant: &str,
        capability: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut said = Value::Null;
        for _ in 0..LOOKS_MAX {
            said = self.explained(tenant, capability).await;
            if is_so(&said) {
                return said;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("it did not come to that: {said}")
    }

    /// Runs a command that prints JSON and must succeed.
    pub(crate) fn command(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.extend(["--output", "json"]);
        serde_json::from_str(&self.site.stuga(&args)).unwrap()
    }

    /// Runs a command that must fail, and what it says.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = self.site.try_stuga(args);
        assert!(!output.status.success(), "{args:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}
