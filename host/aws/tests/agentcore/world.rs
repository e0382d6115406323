//! An AgentCore memory and the hosts that use it.

use std::sync::Arc;

use aws_sdk_bedrockagentcorecontrol::config::{BehaviorVersion, Credentials, Region};
use stuga_aws::{AccessKeys, Aws, AwsConfig, Endpoints, MemoryConfig, Pattern, RedisAccess};
use stuga_core::testkit::ManualClock;
use stuga_core::{Clock, Timestamp};
use stuga_test_servers::{Ministack, Redis, unique};

/// An AgentCore memory of its own on the shared servers.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: AwsConfig,
}

impl World {
    /// A new, empty memory, with the Redis of this test binary.
    pub(crate) async fn new() -> Self {
        Self::with_redis(Redis::shared().await.url()).await
    }

    /// The same with another Redis.
    pub(crate) async fn with_redis(redis: String) -> Self {
        let ministack = Ministack::shared().await;
        let memory = new_memory(ministack).await;
        Self {
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000))),
            config: config(ministack, memory, redis),
        }
    }

    /// A host.
    pub(crate) fn host(&self) -> Aws {
        self.host_with(self.config.clone())
    }

    /// A host that is configured in another way.
    pub(crate) fn host_with(&self, config: AwsConfig) -> Aws {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let keys = AccessKeys {
            id: "test".to_owned(),
            secret: "test".into(),
            session_token: None,
        };
        Aws::open_with_keys(config, clock, keys).unwrap()
    }
}

/// The id of a new AgentCore memory.
pub(crate) async fn new_memory(ministack: &Ministack) -> String {
    let config = aws_sdk_bedrockagentcorecontrol::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(ministack.region()))
        .endpoint_url(ministack.endpoint())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    let client = aws_sdk_bedrockagentcorecontrol::Client::from_conf(config);
    let made = client
        .create_memory()
        .name(unique("m").replace('-', "_"))
        .event_expiry_duration(365)
        .send()
        .await
        .unwrap();
    made.memory().unwrap().id().to_owned()
}

fn config(ministack: &Ministack, memory: String, redis: String) -> AwsConfig {
    AwsConfig {
        region: ministack.region().to_owned(),
        endpoints: Endpoints {
            all: Some(ministack.endpoint()),
            ..Endpoints::default()
        },
        memory: Some(MemoryConfig {
            name: None,
            memory_id: Some(Pattern::new(&memory).unwrap()),
            redis,
            redis_access: RedisAccess::default(),
        }),
        ..AwsConfig::default()
    }
}
