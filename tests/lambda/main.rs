//! Jobs on Lambda, from outside: the real binary as host and as function, before ministack.
//!
//! ministack runs the bootstrap as a process. It is a script of two lines that starts the binary under test, whose debug
//! build would make an archive of hundreds of megabytes. Where ministack differs from AWS: a function without free
//! concurrency drops an asynchronous event soon, AWS keeps trying for its age; the host sees the same, silence.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, like the tests"
)]

#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the whole host")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use stuga_aws::{AccessKeys, Aws, AwsConfig, FunctionCode};
use stuga_core::{SystemClock, TenantId};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, Redis, served, unique};

use support::{Server, Site, expect, new_memory};

/// How often a test looks for what must come before it gives up.
const LOOKS_MAX: u32 = 6_000;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

/// A host whose jobs run on Lambda, and the function.
struct World {
    server: &'static Ministack,
    site: Site,
    bucket: String,
    function: String,
    config: Value,
}

impl World {
    /// `jobs` goes into the settings of jobs, `lambda` is where the host finds Lambda.
    async fn new(jobs: Value, lambda: Option<String>) -> Self {
        let host = lambda.map_or(Value::Null, |at| json!({"endpoints": {"lambda": at}}));
        Self::with(json!({"jobs": jobs}), host).await
    }

    /// `all` goes into the settings of the host and of the function, `host` into those of the host alone.
    async fn with(all: Value, host: Value) -> Self {
        let server = Ministack::shared().await;
        let (bucket, function) = (unique("jobs"), unique("stuga"));
        let made = reqwest::Client::new()
            .put(format!("{}/{bucket}", server.endpoint()))
            .send()
            .await
            .unwrap();
        assert!(made.status().is_success(), "{made:?}");
        let mut config = json!({
            "region": server.region(),
            "endpoints": {"all": server.endpoint()},
            "jobs": {
                "function": function,
                "bucket": bucket,
                "agents": ["fixture-echo"],
                "start": 60_000,
                "scratch": ["memory", "files", "sessions", "records", "model", "search", "secrets", "a2a"],
            },
            "files": {"bucket": bucket, "path_style": true},
        });
        merge(&mut config, all);
        let world = Self {
            server,
            site: Site::new(),
            bucket,
            function,
            config,
        };
        world.provision().await;
        let mut config = world.config.clone();
        merge(&mut config, host);
        world.site.set("STUGA_AWS", &config.to_string());
        world.site.set("AWS_ACCESS_KEY_ID", "test");
        world.site.set("AWS_SECRET_ACCESS_KEY", "test");
        world
    }

    /// Makes the function: compiled code is at hand, as on a function that has run before.
    async fn provision(&self) {
        let disk = self.disk();
        fs::create_dir_all(&disk).unwrap();
        let cache = self.site.path().join("data/cache");
        let copied = Command::new("cp").arg("-r").arg(cache).arg(&disk).status();
        assert!(copied.unwrap().success());
        let script = format!(
            "#!/bin/sh\necho $$ > {0}/process\nexec {1} lambda --data-dir {0}\n",
            disk.display(),
            support::binary().canonicalize().unwrap().display(),
        );
        fs::write(disk.join("bootstrap"), script).unwrap();
        let python = Ministack::install().unwrap().program("python");
        let zipped = Command::new(python)
            .args(["-m", "zipfile", "-c", "function.zip", "bootstrap"])
            .current_dir(&disk)
            .status();
        assert!(zipped.unwrap().success());
        let config: AwsConfig = serde_json::from_value(self.config.clone()).unwrap();
        let keys = AccessKeys {
            id: "test".to_owned(),
            secret: "test".into(),
            session_token: None,
        };
        let aws = Aws::open_with_keys(config, Arc::new(SystemClock), keys).unwrap();
        let environment = BTreeMap::from([("STUGA_AWS".to_owned(), self.config.to_string())]);
        let code = FunctionCode {
            zip: fs::read(disk.join("function.zip")).unwrap(),
            role: "arn:aws:iam::000000000000:role/stuga".to_owned(),
            memory_mib: 1_024,
            timeout_seconds: 300,
            environment,
        };
        let tenant = TenantId::new("acme").unwrap();
        aws.provision_function(&tenant, code).await.unwrap();
    }

    /// The function's own disk.
    fn disk(&self) -> PathBuf {
        self.site.path().join("function")
    }

    async fn ask(&self, path: &str) -> String {
        let url = format!("{}{path}", self.server.endpoint());
        let answer = reqwest::get(url).await.unwrap();
        answer.text().await.unwrap()
    }

    /// The slips of all attempts.
    async fn slips(&self) -> Vec<Value> {
        let list = format!("/{}?list-type=2&prefix=_jobs/acme/attempts/", self.bucket);
        let list = self.ask(&list).await;
        let mut slips = Vec::new();
        for part in list.split("<Key>").skip(1) {
            let key = part.split('<').next().unwrap();
            let text = self.ask(&format!("/{}/{key}", self.bucket)).await;
            slips.push(serde_json::from_str(&text).unwrap());
        }
        slips
    }
}

/// Puts `more` into settings, member by member.
fn merge(settings: &mut Value, more: Value) {
    match more {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                merge(&mut settings[name], value);
            }
        }
        value => *settings = value,
    }
}

async fn submit(server: &Server, key: &str, input: Value) -> String {
    let answer = expect(server.echo("acme", key, "submit", input), 200).await;
    answer["output"]["id"].as_str().unwrap().to_owned()
}

/// Looks at a job until it is in that state.
async fn until(server: &Server, key: &str, id: &str, state: &str) -> Value {
    let path = format!("/v1/tenants/acme/jobs/{id}");
    let mut shown = Value::Null;
    for _ in 0..LOOKS_MAX {
        shown = expect(server.get(&path).bearer_auth(key), 200).await;
        if shown["state"] == state {
            return shown;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("the job is not {state} but {shown}")
}

#[tokio::test]
async fn a_job_submitted_through_the_api_runs_in_the_function_and_its_result_comes_back() {
    let world = World::new(json!({}), None).await;
    let server = world.server.describe();
    served(
        "attempts of jobs",
        &format!("{server} (Lambda, our own bootstrap)"),
    );
    let key = world.site.key("acme");
    let server = world.site.start();
    let id = submit(&server, &key, json!({"kind": "flaky", "input": 1})).await;
    let shown = until(&server, &key, &id, "succeeded").await;
    assert_eq!(
        (&shown["attempt"], &shown["output"]),
        (&json!(1), &json!(1))
    );
    let slips = world.slips().await;
    assert_eq!(slips.len(), 1, "{slips:?}");
    assert_eq!(slips[0]["phase"], "ended");
    assert_eq!(slips[0]["ended"]["succeeded"], "1");
    assert!(world.disk().join("process").exists(), "the bootstrap ran");
    // What a job writes is its function's, and what it reports is the host's.
    let note = json!({"kind": "note", "input": {"key": "k", "text": "hej"}});
    let id = submit(&server, &key, note).await;
    let shown = until(&server, &key, &id, "succeeded").await;
    assert_eq!(shown["percent"], 50, "{shown}");
}

#[tokio::test]
async fn what_fails_in_the_function_is_tried_again_or_dead_as_everywhere() {
    let world = World::new(json!({}), None).await;
    let key = world.site.key("acme");
    let server = world.site.start();
    let flaky = json!({"kind": "flaky", "input": 3, "attempts": 3});
    let flaky = submit(&server, &key, flaky).await;
    let crash = json!({"kind": "crash", "input": {"text": "bang"}, "attempts": 1});
    let crash = submit(&server, &key, crash).await;
    let spin = json!({"kind": "spin", "input": {}, "attempts": 1, "deadline_ms": 3_000});
    let spin = submit(&server, &key, spin).await;
    let shown = until(&server, &key, &flaky, "succeeded").await;
    assert_eq!(
        (&shown["attempt"], &shown["output"]),
        (&json!(3), &json!(3))
    );
    let shown = until(&server, &key, &crash, "dead").await;
    assert_eq!(shown["failure"]["kind"], "internal", "{shown}");
    let shown = until(&server, &key, &spin, "dead").await;
    assert_eq!(shown["failure"]["kind"], "timeout", "{shown}");
    let slips = world.slips().await;
    assert_eq!(slips.len(), 5, "each attempt has its own: {slips:?}");
    assert!(
        slips.iter().all(|slip| slip["phase"] == "ended"),
        "{slips:?}"
    );
}

#[tokio::test]
async fn a_throttled_function_delays_a_job_and_fails_none() {
    let server = Ministack::shared().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    proxy.set(Fault::Status {
        code: 429,
        retry_after: None,
        body: r#"{"__type":"TooManyRequestsException","message":"Rate exceeded"}"#.to_owned(),
    });
    let lambda = format!("http://{}", proxy.address());
    let world = World::new(json!({"start": 1_000}), Some(lambda)).await;
    let key = world.site.key("acme");
    let host = world.site.start();
    let id = submit(&host, &key, json!({"kind": "flaky", "input": 1})).await;
    let shown = until(&host, &key, &id, "succeeded").await;
    assert_eq!(shown["attempt"], 1, "no attempt was used up");
    host.log(|line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("it runs here"))
    });
    assert_eq!(world.slips().await[0]["phase"], "withdrawn");

    // Lambda takes the invocation and never begins: no concurrency is left to the function.
    proxy.heal();
    let path = format!("/2017-10-31/functions/{}/concurrency", world.function);
    let none = reqwest::Client::new()
        .put(format!("{}{path}", server.endpoint()))
        .body(r#"{"ReservedConcurrentExecutions": 0}"#)
        .send();
    assert!(none.await.unwrap().status().is_success());
    let id = submit(&host, &key, json!({"kind": "flaky", "input": 1})).await;
    let shown = until(&host, &key, &id, "succeeded").await;
    assert_eq!(shown["attempt"], 1);
    host.log(|line| {
        let causes = line["error"].as_str().unwrap_or_default();
        causes.contains("did not begin the attempt in time")
    });
}

#[tokio::test]
async fn a_function_that_dies_is_noticed_by_its_silence() {
    let world = World::new(json!({"silence": 8_000}), None).await;
    let key = world.site.key("acme");
    let server = world.site.start();
    let spin = submit(
        &server,
        &key,
        json!({"kind": "spin", "input": {}, "attempts": 1}),
    )
    .await;
    let mut begun = false;
    for _ in 0..LOOKS_MAX {
        let slips = world.slips().await;
        begun = slips.iter().any(|slip| slip["phase"] == "running");
        if begun {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    assert!(begun, "the attempt did not begin");
    let process = fs::read_to_string(world.disk().join("process")).unwrap();
    let killed = Command::new("kill")
        .args(["-KILL", process.trim()])
        .status();
    assert!(killed.unwrap().success());
    let shown = until(&server, &key, &spin, "dead").await;
    let failure = shown["failure"]["message"].as_str().unwrap();
    assert!(failure.contains("stopped without a word"), "{shown}");
}

#[tokio::test]
async fn a_host_that_comes_back_takes_the_end_of_what_went_on_without_it() {
    let world = World::new(json!({}), None).await;
    fs::write(
        world.site.path().join("stuga.yaml"),
        "runtime: {job_lease: 1s}\n",
    )
    .unwrap();
    let key = world.site.key("acme");
    let server = world.site.start();
    let spin = json!({"kind": "spin", "input": {}, "attempts": 1, "deadline_ms": 4_000});
    let id = submit(&server, &key, spin).await;
    let mut before = Vec::new();
    for _ in 0..LOOKS_MAX {
        before = world.slips().await;
        if before.iter().any(|slip| slip["phase"] == "running") {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    assert_eq!(before.len(), 1);
    server.kill();
    let server = world.site.start();
    let shown = until(&server, &key, &id, "dead").await;
    assert_eq!(shown["failure"]["kind"], "timeout", "{shown}");
    assert_eq!(shown["attempt"], 1);
    let after = world.slips().await;
    assert_eq!(
        after.len(),
        1,
        "the attempt was not given a second time: {after:?}"
    );
    assert_eq!(after[0]["phase"], "ended");
}

#[tokio::test]
async fn an_attempt_runs_here_while_a_write_of_its_tenant_waits_and_in_the_function_when_it_is_there()
 {
    let redis = Redis::shared().await;
    let way = FaultProxy::start(redis.address()).await.unwrap();
    let id = new_memory(Ministack::shared().await).await;
    let all = json!({"memory": {"memory_id": id, "redis": redis.url()}});
    let host = json!({"memory": {"redis": format!("redis://{}", way.address())}});
    let world = World::with(all, host).await;
    fs::write(
        world.site.path().join("stuga.yaml"),
        "failover:
  breaker: {consecutive_failures: 3, open_for: 200ms, open_for_max: 500ms, calm_after: 0s, probes: 1}
  replay: {hold_down: 100ms}
  health: {suspect_every: 100ms}
",
    )
    .unwrap();
    let key = world.site.key("acme");
    let server = world.site.start();
    let call = async |skill: &str, input: Value| {
        let answer = expect(server.echo("acme", &key, skill, input), 200).await;
        let used = &answer["receipt"]["capabilities"][0];
        (answer["output"]["text"].clone(), used.clone())
    };
    let note = |key: &str| json!({"kind": "note", "input": {"key": key, "text": "noted"}});

    way.set(Fault::Refuse);
    way.in_force().await;
    let put = json!({"key": "waits", "text": "for the cloud"});
    let (_, used) = call("put", put).await;
    assert_eq!(used["pending"], 1, "{used}");
    let id = submit(&server, &key, note("here")).await;
    until(&server, &key, &id, "succeeded").await;
    server.log(|line| {
        line["message"] == "an attempt runs here: the cloud does not know all that the tenant wrote"
    });
    assert_eq!(world.slips().await, [] as [Value; 0]);

    way.heal();
    let mut by = Value::Null;
    for _ in 0..LOOKS_MAX {
        by = call("get", json!({"key": "waits"})).await.1["backend"].clone();
        if by == "cloud" {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    assert_eq!(by, "cloud");
    let id = submit(&server, &key, note("there")).await;
    until(&server, &key, &id, "succeeded").await;
    let slips = world.slips().await;
    assert_eq!((slips.len(), &slips[0]["phase"]), (1, &json!("ended")));
    // Both attempts wrote where everybody reads.
    for noted in ["here", "there"] {
        let (text, used) = call("get", json!({"key": noted})).await;
        assert_eq!((text, &used["backend"]), (json!("noted"), &json!("cloud")));
    }
}
