//! Events are published as they happen, and those that are lost are counted.

use stuga_aws::{AwsConfig, EventKind, HostEvent};
use stuga_core::Timestamp;
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, served};

use crate::common::{clock, open};
use crate::{settings, tenant};

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
    served("events", &format!("{} (EventBridge)", server.describe()));
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
    proxy.in_force().await;
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
    // Nothing is tried twice here.
    proxy.in_force().await;
    publisher.publish(event(27));
    let clone = publisher.clone();
    publisher.close().await;
    assert_eq!(clone.published(), 26, "what waited was sent before the end");
    clone.publish(event(28));
    assert_eq!(clone.dropped(), 3, "nobody sends it any more");
}
