//! Probes say what works and what to do about the rest, and tell a monitor of an outage and of nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use stuga_aws::{Aws, AwsConfig, JobsConfig, ModelConfig, Pattern, Probed};
use stuga_core::{CapabilityName, ErrorKind};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, Redis, served, unique};
use tokio::time::Instant;

use crate::common::bedrock::{Bedrock, PARROT};
use crate::common::{clock, config, open};
use crate::{probed, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_say_what_works_and_what_the_operator_does_about_the_rest() {
    let server = Ministack::shared().await;
    served("probes", &server.describe());
    let found = probed(settings(&server.endpoint())).await;
    let seen: Vec<(&str, &str, bool)> = found
        .iter()
        .map(|p| (p.section, p.action, p.problem.is_none()))
        .collect();
    let expected = [
        ("identity", "sts:GetCallerIdentity", true),
        ("files", "s3:ListBucket", false),
        ("files", "s3:GetBucketVersioning", false),
        ("a2a", "sqs:ListQueues", true),
        ("a2a", "s3:ListBucket", false),
        ("secrets", "secretsmanager:ListSecrets", true),
        ("secrets", "kms:DescribeKey", false),
        ("events", "events:DescribeEventBus", true),
    ];
    assert_eq!(seen, expected);
    let broken = found.iter().filter(|p| p.problem.is_some());
    for probed in broken {
        let fix = probed.fix.as_deref().unwrap();
        assert!(fix.contains("stuga tenant provision"), "{probed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_away_or_refuses_is_told_with_its_permission() {
    let server = Ministack::shared().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let through = || AwsConfig {
        files: None,
        max_attempts: 1,
        ..settings(&format!("http://{}", proxy.address()))
    };
    proxy.set(Fault::Refuse);
    proxy.in_force().await;
    for probed in probed(through()).await {
        assert!(probed.fix.unwrap().contains("aws.endpoints"));
    }
    proxy.set(Fault::Status {
        code: 403,
        retry_after: None,
        body: r#"{"__type": "AccessDeniedException", "message": "no"}"#.to_owned(),
    });
    proxy.in_force().await;
    let found = probed(through()).await;
    let secrets = found.iter().find(|p| p.section == "secrets").unwrap();
    let fix = secrets.fix.as_deref().unwrap();
    assert!(fix.contains("allow secretsmanager:ListSecrets"), "{fix}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_calls_run_with_the_tenants_role_or_not_at_all() {
    let server = Ministack::shared().await;
    served("tenants' roles", &format!("{} (STS)", server.describe()));
    let sts = FaultProxy::start(server.address()).await.unwrap();
    let with_role = || {
        let mut settings = AwsConfig {
            files: None,
            events: None,
            max_attempts: 1,
            role_arn: Some(Pattern::new("arn:aws:iam::000000000000:role/stuga-{tenant}").unwrap()),
            ..settings(&server.endpoint())
        };
        settings.endpoints.sts = Some(format!("http://{}", sts.address()));
        settings
    };
    let works = |found: &[Probed], section: &str| {
        found
            .iter()
            .any(|p| p.section == section && p.problem.is_none())
    };
    let found = probed(with_role()).await;
    assert!(
        works(&found, "identity") && works(&found, "a2a"),
        "{found:#?}"
    );
    assert!(sts.traffic().connections > 0, "no role was assumed");
    sts.set(Fault::Status {
        code: 403,
        retry_after: None,
        body: "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>".to_owned(),
    });
    for probed in probed(with_role()).await {
        let fix = probed.fix.as_deref().unwrap_or_default();
        assert!(fix.contains("aws.role_arn"), "{probed:?}");
    }
}

/// A host whose capabilities are on AWS but for search, each with what it needs.
fn everything(cloud: &str, cache: &str, bedrock: &str, bucket: &str) -> AwsConfig {
    let files = serde_json::json!({ "bucket": bucket, "path_style": true });
    let memory = serde_json::json!({ "name": "probed_{tenant}", "redis": cache });
    let jobs = serde_json::json!({ "function": "none-{tenant}", "bucket": bucket });
    let mut settings = AwsConfig {
        files: Some(serde_json::from_value(files).unwrap()),
        memory: Some(serde_json::from_value(memory).unwrap()),
        jobs: Some(serde_json::from_value::<JobsConfig>(jobs).unwrap()),
        model: Some(models(&[("parrot", PARROT)])),
        // A connection that was kept and is reset costs one.
        max_attempts: 2,
        ..settings(cloud)
    };
    settings.a2a.as_mut().unwrap().bucket = Some(bucket.to_owned());
    settings.endpoints.bedrock = Some(bedrock.to_owned());
    settings
}

fn models(known: &[(&str, &str)]) -> ModelConfig {
    let models = known
        .iter()
        .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()));
    ModelConfig {
        name: known[0].0.to_owned(),
        models: BTreeMap::from_iter(models),
        timeout: Duration::from_secs(60),
        embeddings: None,
    }
}

/// What each capability's monitor is told.
async fn monitored(aws: &Aws, patience: Duration) -> BTreeMap<&'static str, Option<ErrorKind>> {
    let mut told = BTreeMap::new();
    for capability in CapabilityName::ALL {
        let found = aws.probe(capability, Instant::now() + patience).await;
        told.insert(capability.as_str(), found.err().map(|error| error.kind()));
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_learns_of_an_outage_and_of_nothing_else() {
    const PATIENCE: Duration = Duration::from_secs(60);
    let (server, redis) = (Ministack::shared().await, Redis::shared().await);
    let cloud = FaultProxy::start(server.address()).await.unwrap();
    let cache = FaultProxy::start(redis.address()).await.unwrap();
    let bedrock = Bedrock::start().await;
    let model = FaultProxy::start(bedrock.address()).await.unwrap();
    let urls = [
        format!("http://{}", cloud.address()),
        format!("redis://{}", cache.address()),
        format!("http://{}", model.address()),
    ];
    let bucket = unique("probed");
    let aws = open(everything(&urls[0], &urls[1], &urls[2], &bucket), &clock());
    // The bucket is the one thing here that all tenants share; queues, key, function and memory of the tenant are missing.
    let missing = aws
        .probe(CapabilityName::Files, Instant::now() + PATIENCE)
        .await;
    let missing = missing.unwrap_err();
    assert!(missing.message().contains(&bucket), "{missing}");
    let made = reqwest::Client::new()
        .put(format!("{}/{bucket}", server.endpoint()))
        .send();
    assert!(made.await.unwrap().status().is_success());
    let fine: BTreeMap<_, _> = CapabilityName::ALL.map(|c| (c.as_str(), None)).into();
    assert_eq!(monitored(&aws, PATIENCE).await, fine);
    let without = |kind: ErrorKind, served: &[&str]| {
        let told = fine
            .keys()
            .map(|name| (*name, (!served.contains(name)).then_some(kind)));
        told.collect::<BTreeMap<_, _>>()
    };

    cloud.set(Fault::Refuse);
    cloud.in_force().await;
    let away = without(ErrorKind::Unavailable, &["model", "search"]);
    assert_eq!(monitored(&aws, PATIENCE).await, away);
    cloud.set(Fault::Status {
        code: 503,
        retry_after: None,
        body: String::new(),
    });
    cloud.in_force().await;
    assert_eq!(monitored(&aws, PATIENCE).await, away);
    cloud.set(Fault::BlackHole);
    let silent = without(ErrorKind::Timeout, &["model", "search"]);
    assert_eq!(monitored(&aws, Duration::from_millis(50)).await, silent);
    // A permission that the host's role lacks says that the service is there.
    cloud.set(Fault::Status {
        code: 403,
        retry_after: None,
        body: r#"{"__type": "AccessDeniedException", "message": "no"}"#.to_owned(),
    });
    assert_eq!(monitored(&aws, PATIENCE).await, fine);
    // One whose credentials are not accepted is an outage.
    cloud.set(Fault::Status {
        code: 403,
        retry_after: None,
        body: r#"{"__type": "ExpiredTokenException", "message": "no"}"#.to_owned(),
    });
    let told = monitored(&aws, PATIENCE).await;
    assert_eq!(told["secrets"], Some(ErrorKind::Unavailable), "{told:?}");

    cloud.heal();
    cache.set(Fault::Refuse);
    cache.in_force().await;
    let served = ["files", "search", "jobs", "model", "a2a", "secrets"];
    assert_eq!(
        monitored(&aws, PATIENCE).await,
        without(ErrorKind::Unavailable, &served)
    );
    cache.heal();
    cache.in_force().await;
    model.set(Fault::Refuse);
    model.in_force().await;
    let told = monitored(&aws, PATIENCE).await;
    assert_eq!(told["model"], Some(ErrorKind::Unavailable), "{told:?}");
    assert_eq!(told["memory"], None, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_asked_what_none_of_them_takes_and_an_unknown_one_is_told() {
    let bedrock = Bedrock::start().await;
    let embeddings = serde_json::json!({
        "model_id": "amazon.titan-embed-text-v2:0",
        "dimension": 256,
    });
    let settings = AwsConfig {
        model: Some(ModelConfig {
            embeddings: Some(serde_json::from_value(embeddings).unwrap()),
            ..models(&[("parrot", PARROT), ("unknown", "birds.dodo-v1:0")])
        }),
        ..config(&bedrock.endpoint())
    };
    let found = probed(settings).await;
    let model = |what: &str| found.iter().find(|p| p.what.contains(what)).unwrap();
    assert_eq!(
        model("parrot").action,
        "bedrock:InvokeModelWithResponseStream"
    );
    assert!(model("parrot").problem.is_none(), "{found:#?}");
    assert_eq!(model("titan").action, "bedrock:InvokeModel");
    assert!(model("titan").problem.is_none(), "{found:#?}");
    let fix = model("unknown").fix.as_deref().unwrap();
    assert!(fix.contains("stuga.yaml"), "{fix}");
}
