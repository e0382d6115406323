//! Secrets in Secrets Manager: the contract, rotation in AWS, the cache, and what never leaves; and the keys of a host's own
//! secrets under KMS.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod keys;

use std::sync::Arc;
use std::time::Duration;

use common::{clock, config, open};
use stuga_aws::{AwsConfig, Pattern, SecretsConfig, SecretsManager};
use stuga_core::secrets::{Removal, SecretStore, SecretValue, Secrets};
use stuga_core::testkit::secrets::SecretsBackend;
use stuga_core::testkit::{Fixture, ctx, prove};
use stuga_core::{ErrorKind, TenantId};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, served, unique};

fn settings(endpoint: &str, prefix: &str) -> AwsConfig {
    let secrets = SecretsConfig {
        prefix: Pattern::new(&format!("{prefix}/{{tenant}}/")).unwrap(),
        kms_key: Pattern::new("alias/stuga-{tenant}").unwrap(),
        cache_ttl: Duration::from_secs(300),
    };
    AwsConfig {
        secrets: Some(secrets),
        ..config(endpoint)
    }
}

/// A host; those of one prefix have the same secrets.
fn host(endpoint: &str, prefix: &str) -> Arc<SecretsManager> {
    open(settings(endpoint, prefix), &clock())
        .secrets()
        .unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

async fn set(host: &SecretsManager, name: &str, text: &str) -> u64 {
    let id = ctx("acme", "scribe").next_write_id().unwrap();
    let value = SecretValue::new(text.into()).unwrap();
    host.set(&tenant(), id, name, &value).await.unwrap().version
}

async fn latest(host: &SecretsManager, name: &str) -> Option<(u64, String)> {
    let ctx = ctx("acme", "scribe");
    let version = host.find(&ctx, name, None).await.unwrap()?.version;
    let value = host.reveal(&ctx, name, version).await.unwrap().unwrap();
    Some((version, String::from_utf8(value.reveal().to_vec()).unwrap()))
}

/// Somebody in AWS who is not this host.
fn console(server: &Ministack) -> aws_sdk_secretsmanager::Client {
    let keys = aws_credential_types::Credentials::new("test", "test", None, None, "test");
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::latest())
        .region(aws_config::Region::new(server.region()))
        .endpoint_url(server.endpoint())
        .credentials_provider(keys);
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_keep_their_contract_on_ministack() {
    let server = Ministack::shared().await;
    served("contract of secrets", &server.describe());
    prove(stuga_core::testkit::secrets::cases(), || {
        let clock = clock();
        let aws = open(settings(&server.endpoint(), &unique("contract")), &clock);
        let backend: Arc<dyn SecretsBackend> = aws.secrets().unwrap();
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_was_rotated_in_aws_is_the_next_version_on_every_host() {
    let server = Ministack::shared().await;
    let prefix = unique("rotated");
    let first = host(&server.endpoint(), &prefix);
    assert_eq!(set(&first, "token", "one").await, 1);
    assert_eq!(latest(&first, "token").await.unwrap().1, "one");
    let put = console(server)
        .put_secret_value()
        .secret_id(format!("{prefix}/acme/token"))
        .secret_string("two");
    put.send().await.unwrap();

    // Hosts that have not read it yet see it at once, in the same number; who has read it, after the cache's time.
    let both = [
        host(&server.endpoint(), &prefix),
        host(&server.endpoint(), &prefix),
    ];
    let seen = futures::future::join_all(both.iter().map(|host| latest(host, "token"))).await;
    assert_eq!(seen, vec![Some((2, "two".to_owned())); 2]);
    assert_eq!(
        latest(&first, "token").await.unwrap(),
        (1, "one".to_owned())
    );
    // A change of its own forgets what it had read.
    assert_eq!(set(&first, "token", "three").await, 3);
    assert_eq!(
        latest(&first, "token").await.unwrap(),
        (3, "three".to_owned())
    );
    let ctx = ctx("acme", "scribe");
    let second = first.reveal(&ctx, "token", 2).await.unwrap().unwrap();
    assert_eq!(second.reveal(), b"two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_version_can_be_removed_and_the_one_before_is_valid_again_in_aws() {
    let server = Ministack::shared().await;
    let prefix = unique("removed");
    let host = host(&server.endpoint(), &prefix);
    set(&host, "token", "one").await;
    set(&host, "token", "two").await;
    let id = ctx("acme", "scribe").next_write_id().unwrap();
    let removed = host
        .remove(&tenant(), id, "token", Removal::Version(2))
        .await;
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(latest(&host, "token").await.unwrap(), (1, "one".to_owned()));
    let get = console(server)
        .get_secret_value()
        .secret_id(format!("{prefix}/acme/token"));
    let valid = get.send().await.unwrap();
    assert_eq!(valid.secret_binary().unwrap().as_ref(), b"one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_is_served_while_aws_is_away_and_the_rest_is_an_outage() {
    let server = Ministack::shared().await;
    let prefix = unique("outage");
    let direct = host(&server.endpoint(), &prefix);
    set(&direct, "known", "one").await;
    set(&direct, "unknown", "two").await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let host = host(&format!("http://{}", proxy.address()), &prefix);
    assert_eq!(latest(&host, "known").await.unwrap().1, "one");
    proxy.set(Fault::Refuse);
    proxy.in_force().await;
    assert_eq!(latest(&host, "known").await.unwrap().1, "one");
    let ctx = ctx("acme", "scribe");
    let refused = host.find(&ctx, "unknown", None).await.unwrap_err();
    assert_eq!(
        refused.kind(),
        ErrorKind::Unavailable,
        "{}",
        refused.causes()
    );
    proxy.heal();
    proxy.in_force().await;
    assert_eq!(latest(&host, "unknown").await.unwrap().1, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_of_one_secret_ask_once_and_bad_names_never_leave() {
    let server = Ministack::shared().await;
    let prefix = unique("flight");
    set(&host(&server.endpoint(), &prefix), "token", "one").await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let through = format!("http://{}", proxy.address());
    let reader = host(&through, &prefix);

    let ctx = ctx("acme", "scribe");
    for bad in ["../other/token", "_applied/x", "a/b", ""] {
        assert!(reader.find(&ctx, bad, None).await.is_err(), "{bad}");
        assert!(reader.reveal(&ctx, bad, 1).await.is_err(), "{bad}");
    }
    assert_eq!(proxy.traffic().connections, 0, "a request left");

    assert!(latest(&reader, "token").await.is_some());
    let one = proxy.traffic().bytes_to_server;
    let crowd = host(&through, &prefix);
    let all = futures::future::join_all((0..40).map(|_| latest(&crowd, "token"))).await;
    assert!(all.iter().all(Option::is_some));
    let many = proxy.traffic().bytes_to_server - one;
    assert!(
        many <= one * 2,
        "{many} bytes for 40 readers, {one} for one"
    );
}
