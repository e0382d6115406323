//! Addresses from which contents can be fetched without a host.

use std::time::Duration;

use stuga_core::ErrorKind;
use stuga_test_servers::get;

use super::stage::{Stage, acme, write};

/// Fetches an address as anybody could.
fn fetch(address: &str) -> (u16, String) {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    get(host.parse().unwrap(), &format!("/{path}")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_fetched_by_its_address_and_not_by_another() {
    let stage = Stage::seaweedfs().await;
    let host = stage.host();
    let files = host.files().unwrap();
    let old = write(&*files, "a/möte.md", "old").await.info.unwrap();
    write(&*files, "a/möte.md", "new").await;
    let hour = Duration::from_secs(3_600);
    let now = host
        .download(&acme(), "a/möte.md", None, hour)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(fetch(now.address()), (200, "new".to_owned()));
    let earlier = host
        .download(&acme(), "a/möte.md", Some(old.version), hour)
        .await;
    let earlier = earlier.unwrap().unwrap();
    assert_eq!(fetch(earlier.address()), (200, "old".to_owned()));
    assert_eq!(earlier.info, old);
    // The signature is of this object alone.
    let [one, other] = [&now, &earlier].map(|d| d.address().split_once('?').unwrap());
    assert_eq!(fetch(&format!("{}?{}", one.0, other.1)).0, 403);
    assert!(!format!("{now:?}").contains("Signature"), "{now:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_absent_has_no_address_and_none_is_good_for_ever() {
    let stage = Stage::ministack().await;
    let host = stage.host();
    let second = Duration::from_secs(1);
    assert!(
        host.download(&acme(), "f", None, second)
            .await
            .unwrap()
            .is_none()
    );
    for lifetime in [Duration::ZERO, Duration::from_secs(3_601)] {
        let refused = host
            .download(&acme(), "f", None, lifetime)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}
