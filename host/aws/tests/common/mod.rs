//! What the tests of all capabilities share: AWS as a test server plays it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and no test uses everything"
)]

pub(crate) mod bedrock;

use std::sync::Arc;

use stuga_aws::{AccessKeys, Aws, AwsConfig, Endpoints};
use stuga_core::testkit::ManualClock;
use stuga_core::{Clock, Timestamp};

/// Keys that test servers take.
pub(crate) fn keys() -> AccessKeys {
    AccessKeys {
        id: "test".to_owned(),
        secret: "test".into(),
        session_token: None,
    }
}

/// A configuration with every service at `endpoint` and nothing on AWS yet.
pub(crate) fn config(endpoint: &str) -> AwsConfig {
    AwsConfig {
        region: "eu-north-1".to_owned(),
        endpoints: Endpoints {
            all: Some(endpoint.to_owned()),
            ..Endpoints::default()
        },
        ..AwsConfig::default()
    }
}

/// AWS by this configuration and clock.
pub(crate) fn open(config: AwsConfig, clock: &Arc<ManualClock>) -> Aws {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    Aws::open_with_keys(config, clock, keys()).unwrap()
}

/// A clock at the moment of all tests.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)))
}
