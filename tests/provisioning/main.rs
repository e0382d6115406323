//! The operator's commands about AWS, from outside: the real binary before ministack, OpenSearch and Redis.
//!
//! No AWS is here to refuse a permission: ministack checks no policies. What a refusal becomes is shown with the probes
//! (`stuga-aws`, test `operator`).

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

use serde_json::{Value, json};
use stuga_test_servers::{Ministack, OpenSearch, Redis, unique};

use support::Site;

/// A host with two tenants whose capabilities are on AWS.
struct World {
    site: Site,
}

impl World {
    async fn new() -> Self {
        let server = Ministack::shared().await;
        let stem = unique("op");
        // AgentCore's names take no dash, and OpenSearch's prefixes are short.
        let short = stem.replace('-', "_");
        let short = &short[short.len().saturating_sub(12)..];
        let config = json!({
            "region": server.region(),
            "endpoints": {"all": server.endpoint()},
            "files": {"bucket": format!("{stem}-files"), "path_style": true},
            "a2a": {"queue_prefix": format!("{stem}_{{tenant}}_"), "bucket": format!("{stem}-mail")},
            "memory": {"name": format!("m{short}_{{tenant}}"), "redis": Redis::shared().await.url()},
            "search": {
                "endpoint": OpenSearch::shared().await.endpoint(),
                "signed": false,
                "replicas": 0,
                "index_prefix": format!("{stem}_{{tenant}}_"),
            },
            "secrets": {
                "kms_key": format!("alias/{stem}-{{tenant}}"),
                "prefix": format!("{stem}/{{tenant}}/"),
            },
            "model": {"name": "writer", "models": {"writer": "eu.anthropic.claude-sonnet-4"}},
            "events": {"bus": "default"},
        });
        let site = Site::empty();
        for tenant in ["acme", "acme-2"] {
            site.write_tenant(tenant, &format!("id: {tenant}\n"));
        }
        site.set("STUGA_AWS", &config.to_string());
        site.set("AWS_ACCESS_KEY_ID", "test");
        site.set("AWS_SECRET_ACCESS_KEY", "test");
        Self { site }
    }

    /// What a command answers as JSON, and whether it succeeded.
    fn ask(&self, args: &[&str]) -> (Value, bool) {
        let output = self.site.try_stuga(&[args, &["--output", "json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // What went wrong comes after what was found.
        let answers = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let answer = answers.map(Result::unwrap).last();
        let answer = answer.unwrap_or_else(|| panic!("{args:?} answers nothing: {said}"));
        (answer, output.status.success())
    }

    /// How many lines of a plan are in that state.
    fn count(&self, args: &[&str], state: &str) -> usize {
        let (lines, done) = self.ask(args);
        assert!(done, "{args:?}: {lines}");
        let lines = lines.as_array().unwrap();
        lines.iter().filter(|line| line["state"] == state).count()
    }

    /// The sections of a tenant in which something does not work.
    fn broken(&self, tenant: &str) -> Vec<String> {
        let (found, works) = self.ask(&["check", "aws", tenant]);
        let found = found.as_array().unwrap();
        let broken = found.iter().filter(|probed| probed["works"] == false);
        let broken: Vec<_> = broken
            .map(|probed| {
                assert!(probed["fix"].is_string(), "{probed}");
                probed["section"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(works, broken.is_empty(), "the exit code says so: {found:?}");
        broken
    }
}

#[tokio::test]
async fn a_tenant_is_checked_provisioned_once_and_taken_away_alone() {
    println!("operator's commands: ministack, OpenSearch and Redis");
    let world = World::new().await;
    let missing = [
        "files", "files", "memory", "memory", "search", "a2a", "secrets",
    ];
    assert_eq!(world.broken("acme"), missing);

    let plan = ["tenant", "provision", "acme", "--plan"];
    let apply = ["tenant", "provision", "acme", "--apply"];
    let planned = world.count(&plan, "missing");
    assert_eq!(planned, 9, "{:#?}", world.ask(&plan).0);
    assert_eq!(
        world.count(&plan, "missing"),
        planned,
        "a plan changes nothing"
    );
    assert_eq!(world.count(&apply, "made"), planned);
    assert_eq!(world.count(&apply, "made"), 0);
    assert!(
        world.broken("acme").is_empty(),
        "{:#?}",
        world.ask(&["check", "aws", "acme"]).0
    );
    let again = world.site.try_stuga(&apply);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("nothing to do"), "{said}");

    // The neighbour shares the buckets and has all else of its own.
    let neighbour = ["tenant", "provision", "acme-2", "--apply"];
    assert_eq!(world.count(&neighbour, "made"), 4);
    let (refused, done) = world.ask(&["tenant", "deprovision", "acme"]);
    assert!(
        !done && refused.to_string().contains("--confirm acme"),
        "{refused}"
    );
    let (refused, done) = world.ask(&["tenant", "deprovision", "acme", "--confirm", "acme-2"]);
    assert!(
        !done && refused.to_string().contains("nothing was removed"),
        "{refused}"
    );
    assert!(world.broken("acme").is_empty(), "nothing was removed");
    let confirmed = ["tenant", "deprovision", "acme", "--confirm", "acme"];
    assert_eq!(world.count(&confirmed, "shared"), 5);
    assert_eq!(
        world.broken("acme"),
        ["memory", "memory", "search", "secrets"]
    );
    assert!(world.broken("acme-2").is_empty());
    assert_eq!(world.count(&plan, "missing"), 4);
    assert_eq!(
        world.count(&confirmed, "shared"),
        5,
        "repeated, it finds nothing"
    );
}

#[tokio::test]
async fn a_bucket_that_is_open_to_the_public_is_closed_by_the_next_apply() {
    let server = Ministack::shared().await;
    let bucket = unique("op-open");
    let site = Site::empty();
    site.write_tenant("acme", "id: acme\n");
    let config = json!({
        "region": server.region(),
        "endpoints": {"all": server.endpoint()},
        "files": {"bucket": bucket, "path_style": true},
    });
    site.set("STUGA_AWS", &config.to_string());
    site.set("AWS_ACCESS_KEY_ID", "test");
    site.set("AWS_SECRET_ACCESS_KEY", "test");
    let world = World { site };
    let plan = ["tenant", "provision", "acme", "--plan"];
    let apply = ["tenant", "provision", "acme", "--apply"];
    world.ask(&apply);
    assert_eq!(world.count(&plan, "missing"), 0);

    // As it is when closing it failed after it was made, and when somebody opened it a bit.
    let url = format!("{}/{bucket}?publicAccessBlock", server.endpoint());
    let client = reqwest::Client::new();
    let ajar = "<PublicAccessBlockConfiguration>
        <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>
        <BlockPublicPolicy>false</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>
        </PublicAccessBlockConfiguration>";
    for open in [client.delete(&url), client.put(&url).body(ajar)] {
        assert!(open.send().await.unwrap().status().is_success());
        assert_eq!(world.count(&plan, "missing"), 1);
        assert_eq!(world.count(&apply, "made"), 1);
        assert_eq!(world.count(&plan, "missing"), 0);
        let closed = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert_eq!(closed.matches(">true<").count(), 4, "{closed}");
    }
}

#[tokio::test]
async fn without_aws_the_commands_say_what_to_write() {
    let site = Site::empty();
    site.write_tenant("acme", "id: acme\n");
    for args in [
        vec!["check", "aws", "acme"],
        vec!["tenant", "provision", "acme", "--plan"],
    ] {
        let output = site.try_stuga(&args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("`aws:`"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_is_loaded_is_told_to_eventbridge() {
    let server = Ministack::shared().await;
    let config = json!({
        "region": server.region(),
        "endpoints": {"all": server.endpoint()},
        "events": {"bus": "default"},
    });
    let site = Site::new();
    site.set("STUGA_AWS", &config.to_string());
    site.set("AWS_ACCESS_KEY_ID", "test");
    site.set("AWS_SECRET_ACCESS_KEY", "test");
    let host = site.start();
    let told = async || {
        let text = host.get("/metrics").send().await.unwrap().text().await;
        let text = text.unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("stuga_events_published_total"));
        line.unwrap()
            .split(' ')
            .next_back()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(
        told().await,
        0,
        "that agents are there after a start is no news"
    );
    site.stuga(&["plugin", "unload", "acme", "fixture-hostile"]);
    host.log(|line| {
        line["message"] == "reloaded" || line["message"].to_string().contains("reload")
    });
    let guest = support::guest("fixture-hostile");
    site.stuga(&["plugin", "load", "acme", guest.to_str().unwrap()]);
    host.log(|line| line["message"] == "agent ready" && line["agent"] == "fixture-hostile");
    while told().await < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(told().await, 1);
}
