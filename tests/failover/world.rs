//! A cloud that can be cut off, and hosts that use it.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, OpenSearch, Redis, unique};
use stuga_tests::openai::OpenAi;

use crate::disk::Disk;
use crate::support::{Server, Site, expect, new_memory};

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

/// The model that this host has besides the cloud's.
pub(crate) const LOCAL_MODEL: &str = "parrot";
/// The cloud's model, and Bedrock's id of it. ministack answers the same to every one.
pub(crate) const CLOUD_MODEL: &str = "writer";
pub(crate) const MODEL_ID: &str = "anthropic.claude-3-haiku-20240307-v1:0";

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
    /// Where a test searches in the cloud as well.
    search: Option<Searched>,
    /// Where a test asks the cloud's models as well.
    models: Option<Models>,
}

/// The model that hosts have themselves, and a proxy before those of the cloud alone.
struct Models {
    parrot: OpenAi,
    way: FaultProxy,
}

/// A domain of OpenSearch, a proxy before it, and what its indices begin with.
struct Searched {
    domain: &'static OpenSearch,
    way: FaultProxy,
    prefix: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Ministack::shared().await, Redis::shared().await).await
    }

    async fn on(ministack: &'static Ministack, redis: &'static Redis) -> Self {
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
            search: None,
            models: None,
        }
    }

    /// The same with documents.
    pub(crate) async fn with_search() -> Self {
        let domain = OpenSearch::shared().await;
        let mut world = Self::new().await;
        world.search = Some(Searched {
            way: FaultProxy::start(domain.address()).await.unwrap(),
            prefix: format!("{}_{{tenant}}_", unique("failover")),
            domain,
        });
        world
    }

    /// The same with models, there and here, on a Redis of its own: hosts of other tests would tell that they gave the models up.
    pub(crate) async fn with_models() -> Self {
        let own = Box::leak(Box::new(Redis::start().unwrap()));
        let mut world = Self::on(Ministack::shared().await, own).await;
        world.models = Some(Models {
            parrot: OpenAi::start(),
            way: FaultProxy::start(world.ministack.address()).await.unwrap(),
        });
        world
    }

    /// The way to the cloud's models alone.
    pub(crate) fn to_models(&self) -> &FaultProxy {
        &self.models.as_ref().unwrap().way
    }

    /// The model that hosts have themselves.
    pub(crate) fn parrot(&self) -> &OpenAi {
        &self.models.as_ref().unwrap().parrot
    }

    /// Where the cloud answers without a proxy.
    pub(crate) fn cloud(&self) -> SocketAddr {
        self.ministack.address()
    }

    /// The same with messages and secrets, on a ministack of its own: it does one thing at a time, and keys take it long.
    pub(crate) async fn with_messages_and_secrets() -> Self {
        let own = Box::leak(Box::new(Ministack::start().unwrap()));
        let mut world = Self::on(own, Redis::shared().await).await;
        world.apart = Some(unique("apart"));
        let site = world.site(
            &json!({"all": world.ministack.endpoint()}),
            &world.redis.url(),
            None,
        );
        for tenant in TENANTS {
            site.stuga(&["tenant", "provision", tenant, "--apply"]);
        }
        world
    }

    /// Cuts the cloud off for hosts behind the proxies.
    pub(crate) async fn cut(&self) {
        self.becomes(&Fault::Refuse);
        join_all(self.ways().map(FaultProxy::in_force)).await;
    }

    /// Has the network to all of it behave like that.
    pub(crate) fn becomes(&self, fault: &Fault) {
        self.ways().for_each(|way| way.set(fault.clone()));
    }

    pub(crate) fn heal(&self) {
        self.ways().for_each(FaultProxy::heal);
    }

    fn ways(&self) -> impl Iterator<Item = &FaultProxy> {
        let search = self.search.as_ref().map(|search| &search.way);
        let models = self.models.as_ref().map(|models| &models.way);
        self.ways.iter().chain(search).chain(models)
    }

    /// A host behind the proxies.
    pub(crate) fn host(&self) -> Host {
        Host::start(self.site_behind())
    }

    /// The same with other settings, and other files of its tenants.
    pub(crate) fn host_with(&self, settings: &str, edit: impl Fn(String) -> String) -> Host {
        let site = self.site_behind();
        let settings = settings.to_owned() + &self.local_model();
        fs::write(site.path().join("stuga.yaml"), settings).unwrap();
        for tenant in TENANTS {
            site.edit_tenant(tenant, &edit);
        }
        Host::start(site)
    }

    fn site_behind(&self) -> Site {
        let [aws, redis] = &self.ways;
        let (search, models) = (self.search.as_ref(), self.models.as_ref());
        let mut endpoints = json!({"all": format!("http://{}", aws.address())});
        if let Some(models) = models {
            endpoints["bedrock"] = json!(format!("http://{}", models.way.address()));
        }
        self.site(
            &endpoints,
            &format!("redis://{}", redis.address()),
            search.map(|search| format!("http://{}", search.way.address())),
        )
    }

    /// Another host, which the proxies do not touch.
    pub(crate) fn other_host(&self) -> Host {
        let search = self.search.as_ref();
        Host::start(self.site(
            &json!({"all": self.ministack.endpoint()}),
            &self.redis.url(),
            search.map(|search| search.domain.endpoint()),
        ))
    }

    /// A host behind the proxies with its data on a small disk.
    pub(crate) fn host_on_a_disk(&self) -> Host {
        let site = self.site_behind();
        let disk = Disk::under(&site.path().join("data"));
        let mut host = Host::start(site);
        host.disk = Some(disk);
        host
    }

    /// What a host's settings say of the model that it has itself, if it has one.
    fn local_model(&self) -> String {
        let local = |models: &Models| {
            let url = models.parrot.url();
            format!("model: {{endpoint: '{url}', name: {LOCAL_MODEL}}}\n")
        };
        self.models.as_ref().map(local).unwrap_or_default()
    }

    fn site(&self, endpoints: &Value, redis: &str, search: Option<String>) -> Site {
        let site = Site::new();
        let mut config = json!({
            "region": self.ministack.region(),
            "endpoints": endpoints,
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
        if let (Some(Searched { prefix, .. }), Some(endpoint)) = (&self.search, search) {
            config["search"] = json!({
                "endpoint": endpoint,
                "signed": false,
                "index_prefix": prefix,
                "replicas": 0,
            });
        }
        if self.models.is_some() {
            config["model"] = json!({"name": CLOUD_MODEL, "models": {CLOUD_MODEL: MODEL_ID}});
        }
        site.set("STUGA_AWS", &config.to_string());
        site.set("AWS_ACCESS_KEY_ID", "test");
        site.set("AWS_SECRET_ACCESS_KEY", "test");
        site.set("USER", "mona");
        let settings = SETTINGS.to_owned() + &self.local_model();
        fs::write(site.path().join("stuga.yaml"), settings).unwrap();
        for tenant in TENANTS {
            site.edit_tenant(tenant, |text| {
                text.replace("deadline: 2s", "deadline: 20s")
                    .replace("    config:", "    secrets: [token]\n    config:")
            });
        }
        site
    }
}

/// A running host with a key of each tenant.
pub(crate) struct Host {
    /// Where its data lies, if not with all other. Goes first: no directory is removed that something is mounted on.
    pub(crate) disk: Option<Disk>,
    pub(crate) site: Site,
    pub(crate) server: Server,
    keys: [(&'static str, String); 2],
}

impl Host {
    fn start(site: Site) -> Self {
        let keys = TENANTS.map(|tenant| (tenant, site.key(tenant)));
        let server = site.start();
        Self {
            disk: None,
            site,
            server,
            keys,
        }
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
