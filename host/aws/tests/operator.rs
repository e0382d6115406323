//! What the operator has of AWS: probes that say what works and what to do, and events.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{clock, config, open};
use stuga_aws::{
    A2aConfig, AwsConfig, EventKind, EventsConfig, HostEvent, Pattern, Probed, SecretsConfig, State,
};
use stuga_core::secrets::SecretStore;
use stuga_core::{TenantId, Timestamp};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, unique};

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn settings(endpoint: &str) -> AwsConfig {
    let files = serde_json::json!({ "bucket": unique("no-such-bucket"), "path_style": true });
    AwsConfig {
        files: Some(serde_json::from_value(files).unwrap()),
        a2a: Some(A2aConfig {
            queue_prefix: Pattern::new("stuga_{tenant}_").unwrap(),
            bucket: Some(unique("no-such-mail")),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_say_what_works_and_what_the_operator_does_about_the_rest() {
    let server = Ministack::shared().await;
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
    for probed in probed(through()).await {
        assert!(probed.fix.unwrap().contains("aws.endpoints"));
    }
    proxy.set(Fault::Status {
        code: 403,
        retry_after: None,
        body: r#"{"__type": "AccessDeniedException", "message": "no"}"#.to_owned(),
    });
    let found = probed(through()).await;
    let secrets = found.iter().find(|p| p.section == "secrets").unwrap();
    let fix = secrets.fix.as_deref().unwrap();
    assert!(fix.contains("allow secretsmanager:ListSecrets"), "{fix}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_calls_run_with_the_tenants_role_or_not_at_all() {
    let server = Ministack::shared().await;
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

fn event(number: u64) -> HostEvent {
    HostEvent {
        kind: EventKind::Failover,
        tenant: Some(tenant()),
        at: Timestamp::from_millis(1_700_000_000_000 + number),
        detail: serde_json::json!({ "capability": "files" }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_published_in_batches_and_those_that_are_lost_are_counted() {
    let server = Ministack::shared().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let through = AwsConfig {
        max_attempts: 1,
        ..settings(&format!("http://{}", proxy.address()))
    };
    let aws = open(through, &clock());
    let publisher = aws.events().unwrap();
    (0..25).for_each(|number| publisher.publish(event(number)));
    let counts = publisher.clone();
    let seen = tokio::spawn(async move {
        while counts.published() < 25 {
            tokio::task::yield_now().await;
        }
        counts.dropped()
    });
    assert_eq!(seen.await.unwrap(), 0);
    proxy.set(Fault::Refuse);
    publisher.publish(event(25));
    let too_large = HostEvent {
        detail: serde_json::json!("x".repeat(20 << 10)),
        ..event(26)
    };
    publisher.publish(too_large);
    while publisher.dropped() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(publisher.published(), 25);
    proxy.heal();
    publisher.publish(event(27));
    let clone = publisher.clone();
    publisher.close().await;
    assert_eq!(clone.published(), 26, "what waited was sent before the end");
    clone.publish(event(28));
    assert_eq!(clone.dropped(), 3, "nobody sends it any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_planned_provisioned_once_and_deprovisioned_alone() {
    let server = Ministack::shared().await;
    let stem = unique("tenants");
    let bucket = format!("{stem}-{{tenant}}");
    let files = serde_json::json!({ "bucket": bucket, "path_style": true });
    let secrets = serde_json::json!({
        "kms_key": format!("alias/{stem}-{{tenant}}"),
        "prefix": format!("{stem}/{{tenant}}/"),
    });
    let settings = AwsConfig {
        files: Some(serde_json::from_value(files).unwrap()),
        secrets: Some(serde_json::from_value(secrets).unwrap()),
        // Mailboxes have a test of their own.
        a2a: None,
        ..settings(&server.endpoint())
    };
    let aws = open(settings.clone(), &clock());
    let missing = |plan: &[stuga_aws::Planned]| {
        let missing = plan.iter().filter(|line| line.state == State::Missing);
        missing.map(|line| line.what.clone()).collect::<Vec<_>>()
    };
    let plan = aws.plan(&tenant()).await.unwrap();
    assert_eq!(missing(&plan).len(), 4, "{plan:#?}");
    assert_eq!(
        aws.plan(&tenant()).await.unwrap(),
        plan,
        "a plan changes nothing"
    );

    let made = aws.provision(&tenant()).await.unwrap();
    assert_eq!(
        made.iter().filter(|line| line.state == State::Made).count(),
        4
    );
    let again = aws.provision(&tenant()).await.unwrap();
    assert!(
        again.iter().all(|line| line.state == State::There),
        "{again:#?}"
    );
    let found = probed(settings).await;
    assert!(found.iter().all(|p| p.problem.is_none()), "{found:#?}");

    // A neighbour whose name begins alike keeps what it has.
    let neighbour = TenantId::new("acme-2").unwrap();
    aws.provision(&neighbour).await.unwrap();
    let store = aws.secrets().unwrap();
    let id = stuga_core::testkit::ctx("acme", "scribe")
        .next_write_id()
        .unwrap();
    let value = || stuga_core::secrets::SecretValue::new(b"x".to_vec()).unwrap();
    for whose in [&tenant(), &neighbour] {
        store.set(whose, id, "token", &value()).await.unwrap();
    }
    aws.deprovision(&tenant()).await.unwrap();
    assert!(store.list(&tenant()).await.unwrap().is_empty());
    assert_eq!(store.list(&neighbour).await.unwrap().len(), 1);
    assert_eq!(missing(&aws.plan(&tenant()).await.unwrap()).len(), 4);
    assert!(missing(&aws.plan(&neighbour).await.unwrap()).is_empty());
    aws.deprovision(&tenant()).await.unwrap();
}
