//! Sessions of AgentCore and of this host, each taking over what the other acknowledged: the suites of the testkit between the
//! two sides that a host really has. Each side alone proves in its own crate that it takes over from its like.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use stuga_aws::{AccessKeys, Aws};
use stuga_core::embed::HashedEmbedder;
use stuga_core::testkit::standby::{self, Sides};
use stuga_core::testkit::{Fixture, ManualClock, prove};
use stuga_core::{Clock, Timestamp};
use stuga_local::{Local, LocalConfig, Models};
use stuga_test_servers::{Ministack, Redis};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::new_memory;

/// A moment that Redis's clock, which is the machine's, does not reach: the fixture's clock alone says versions.
fn later() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let millis = u64::try_from(since.as_millis()).unwrap();
    Timestamp::from_millis(millis).saturating_add(Duration::from_secs(24 * 3_600))
}

async fn cloud(clock: &Arc<ManualClock>) -> Aws {
    let (ministack, redis) = (Ministack::shared().await, Redis::shared().await);
    let config = json!({
        "region": ministack.region(),
        "endpoints": {"all": ministack.endpoint()},
        "memory": {"memory_id": new_memory(ministack).await, "redis": redis.url()},
    });
    let keys = AccessKeys {
        id: "test".to_owned(),
        secret: "test".into(),
        session_token: None,
    };
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Aws::open_with_keys(serde_json::from_value(config).unwrap(), clock, keys).unwrap()
}

/// The suite between the two, the cloud as the one that acknowledges or as the one that takes over.
async fn prove_sides(cloud_first: bool) {
    prove(standby::sessions::cases(), || {
        let clock = Arc::new(ManualClock::at(later()));
        let cloud = block_in_place(|| Handle::current().block_on(cloud(&clock)));
        let cloud = cloud.sessions(Arc::new(HashedEmbedder)).unwrap();
        let directory = TempDir::new().unwrap();
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let local = Local::open_with(
            directory.path(),
            time,
            LocalConfig::default(),
            &Models::default(),
        );
        let here = local.unwrap().sessions();
        let sides = match cloud_first {
            true => Sides::new(cloud as _, Arc::clone(&here) as _, here as _),
            false => Sides::new(here as _, Arc::clone(&cloud) as _, cloud as _),
        };
        Fixture::new(Arc::new(sides), clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_this_host_follow_those_of_agentcore() {
    prove_sides(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_agentcore_catch_up_with_those_of_this_host() {
    prove_sides(false).await;
}
