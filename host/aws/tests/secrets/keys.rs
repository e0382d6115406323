//! The keys of a host's own secrets under KMS: the contract of key services, before ministack, and what an outage and a
//! withdrawn key shut.
//!
//! ministack differs from AWS in what concerns these tests: what it wraps is not authenticated, so a changed key opens as
//! another one, and it does not mind under which key a thing was wrapped. It does check the encryption context.

use std::sync::Arc;
use std::time::Duration;

use stuga_aws::{Aws, AwsConfig, KmsConfig, Pattern};
use stuga_core::keys::{KeyUse, KeyWrap, MadeKey};
use stuga_core::testkit::{Fixture, prove};
use stuga_core::{Error, ErrorKind, Result, TenantId};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, unique};
use tokio::time::Instant;

use super::common::{clock, config, open};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// A host whose KMS is at `kms`. Those of one `stem` have the same keys.
fn host(endpoint: &str, kms: &str, stem: &str) -> Aws {
    host_with(endpoint, kms, stem, 1)
}

fn host_with(endpoint: &str, kms: &str, stem: &str, max_attempts: u32) -> Aws {
    let key = Pattern::new(&format!("alias/{stem}-{{tenant}}")).unwrap();
    let mut settings = AwsConfig {
        kms: Some(KmsConfig { key }),
        max_attempts,
        ..config(endpoint)
    };
    settings.endpoints.kms = Some(kms.to_owned());
    open(settings, &clock())
}

/// The tenants' KMS keys, made as an operator makes them.
async fn provisioned(endpoint: &str) -> String {
    let stem = unique("local");
    let aws = host(endpoint, endpoint, &stem);
    for name in ["acme", "acme-2"] {
        let made = aws.provision(&tenant(name)).await.unwrap();
        assert_eq!(made.len(), 1, "{made:?}");
        assert_eq!(made[0].section, "kms");
    }
    stem
}

fn used(tenant: &TenantId) -> KeyUse<'_> {
    KeyUse {
        operation: "secrets.reveal",
        tenant,
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

async fn opened(keys: &dyn KeyWrap, made: &MadeKey) -> Result<bool> {
    let opened = keys.open(used(&tenant("acme")), &made.wrapped).await?;
    Ok(opened.reveal() == made.plain.reveal())
}

async fn renewed(keys: &dyn KeyWrap, made: &MadeKey) -> Result<()> {
    keys.renew(used(&tenant("acme")), &made.wrapped).await
}

fn answer(code: u16, kind: &str) -> Fault {
    Fault::Status {
        code,
        retry_after: None,
        body: format!(r#"{{"__type": "{kind}", "message": "no"}}"#),
    }
}

fn is_unavailable(error: &Error, fix: &str) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains(fix), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_under_kms_keep_the_contract_of_key_services_on_ministack() {
    let server = Ministack::shared().await;
    println!("suite of key services: served by ministack");
    let endpoint = server.endpoint();
    let stem = provisioned(&endpoint).await;
    prove(stuga_core::testkit::keys::cases(), || {
        let keys = host(&endpoint, &endpoint, &stem).key_wrap().unwrap();
        Fixture::new(keys, clock())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_kms_shuts_only_what_this_process_has_not_opened() {
    let server = Ministack::shared().await;
    let endpoint = server.endpoint();
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let through = format!("http://{}", proxy.address());
    let stem = provisioned(&endpoint).await;
    let keys = || host(&endpoint, &through, &stem).key_wrap().unwrap();

    let running = keys();
    let made = running.make(used(&tenant("acme"))).await.unwrap();
    let opened_before = keys();
    assert!(opened(&*opened_before, &made).await.unwrap());
    for outage in [Fault::Refuse, answer(500, "KMSInternalException")] {
        proxy.set(outage);
        proxy.in_force().await;
        for keys in [&running, &opened_before] {
            renewed(&**keys, &made).await.unwrap_err();
            assert!(opened(&**keys, &made).await.unwrap(), "a renewal shut it");
        }
        let begun = keys();
        let shut = opened(&*begun, &made).await.unwrap_err();
        is_unavailable(&shut, "stays shut until KMS answers");
        let refused = begun.make(used(&tenant("acme"))).await.unwrap_err();
        is_unavailable(&refused, "stuga check aws");
        proxy.heal();
        proxy.in_force().await;
        assert!(opened(&*begun, &made).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_withdrawn_is_forgotten_at_the_next_renewal() {
    let server = Ministack::shared().await;
    let endpoint = server.endpoint();
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let through = format!("http://{}", proxy.address());
    let stem = provisioned(&endpoint).await;
    // A second attempt for the connections that a change of the fault cuts.
    let aws = host_with(&endpoint, &through, &stem, 3);
    let keys: Arc<dyn KeyWrap> = aws.key_wrap().unwrap();
    let made = keys.make(used(&tenant("acme"))).await.unwrap();
    for withdrawn in ["DisabledException", "AccessDeniedException"] {
        assert!(opened(&*keys, &made).await.unwrap());
        proxy.set(answer(400, withdrawn));
        let refused = renewed(&*keys, &made).await.unwrap_err();
        is_unavailable(&refused, "aws.kms.key");
        let shut = opened(&*keys, &made).await.unwrap_err();
        is_unavailable(&shut, "aws.kms.key");
        proxy.heal();
        renewed(&*keys, &made).await.unwrap();
    }
    // What is answered by nobody who knows keys says nothing about them.
    proxy.set(answer(404, "not KMS"));
    renewed(&*keys, &made).await.unwrap_err();
    assert!(opened(&*keys, &made).await.unwrap());
}
