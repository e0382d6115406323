//! The clients of a tenant: made when they are first used, with the tenant's own credentials, and dropped when long unused.
//!
//! All of them share one pool of connections. A client signs with the time of the machine and not of [`stuga_core::Clock`]: AWS
//! refuses signatures of another time.

mod credentials;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use moka::sync::Cache;
use stuga_core::TenantId;

use crate::call::attempts::Attempts;
use crate::config::{AwsConfig, Endpoints};
use credentials::{HostChain, TenantRole};

pub use credentials::AccessKeys;

/// Most tenants whose clients are kept; those longest unused go first and are made again when needed.
const TENANT_CLIENTS_MAX: u64 = 1_024;
/// How long the clients of a tenant are kept while nobody uses them.
const TENANT_CLIENTS_IDLE: Duration = Duration::from_secs(3_600);

/// The clients of all tenants.
pub(crate) struct Clients {
    config: Arc<AwsConfig>,
    base: SdkConfig,
    host: Arc<TenantClients>,
    tenants: Cache<TenantId, Arc<TenantClients>>,
}

impl Clients {
    /// Prepares clients. Nothing is read and nobody is asked before the first request.
    pub(crate) fn new(config: Arc<AwsConfig>, keys: Option<AccessKeys>) -> Self {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .pool_max_idle_per_host(config.idle_connections)
            .build_https();
        let region = Region::new(config.region.clone());
        let credentials = match keys {
            Some(keys) => keys.into_provider(),
            None => SharedCredentialsProvider::new(HostChain::new(region.clone(), http.clone())),
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.connect_timeout)
            .operation_attempt_timeout(config.attempt_timeout)
            .build();
        let base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region)
            .http_client(http)
            .credentials_provider(credentials)
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(RetryConfig::standard().with_max_attempts(config.max_attempts))
            .timeout_config(timeouts)
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .build();
        let host = Arc::new(TenantClients::new(base.clone(), &config, "host"));
        let tenants = Cache::builder()
            .max_capacity(TENANT_CLIENTS_MAX)
            .time_to_idle(TENANT_CLIENTS_IDLE)
            .build();
        Self {
            config,
            base,
            host,
            tenants,
        }
    }

    /// The clients of a tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<TenantClients> {
        self.tenants.get_with_by_ref(tenant, || {
            let sdk = match &self.config.role_arn {
                Some(role) => self.assuming(role.of(tenant), tenant),
                None => self.base.clone(),
            };
            Arc::new(TenantClients::new(sdk, &self.config, tenant.as_str()))
        })
    }

    /// The clients with the host's own credentials, for what belongs to no tenant.
    pub(crate) fn host(&self) -> &Arc<TenantClients> {
        &self.host
    }

    fn assuming(&self, role: String, tenant: &TenantId) -> SdkConfig {
        let mut sts = self.base.clone().into_builder();
        sts.set_endpoint_url(endpoint(&self.config.endpoints, |e| &e.sts));
        let external_id = self.config.external_id.clone();
        let role = TenantRole::new(sts.build(), role, external_id, tenant);
        self.base
            .clone()
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(role))
            .identity_cache(IdentityCache::lazy().build())
            .build()
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// The address of one service; none for AWS's own.
fn endpoint(endpoints: &Endpoints, of: impl Fn(&Endpoints) -> &Option<String>) -> Option<String> {
    of(endpoints).clone().or_else(|| endpoints.all.clone())
}

macro_rules! tenant_clients {
    ($($(#[$doc:meta])* $name:ident: $sdk:ident at $endpoint:ident $(, |$builder:ident, $config:ident| $more:expr)?;)*) => {
        /// One client of each service, with one tenant's credentials.
        pub(crate) struct TenantClients {
            sdk: SdkConfig,
            config: Arc<AwsConfig>,
            owner: String,
            $($name: OnceLock<$sdk::Client>,)*
        }

        impl TenantClients {
            fn new(sdk: SdkConfig, config: &Arc<AwsConfig>, owner: &str) -> Self {
                Self {
                    sdk,
                    config: Arc::clone(config),
                    owner: owner.to_owned(),
                    $($name: OnceLock::new(),)*
                }
            }

            $(
                $(#[$doc])*
                pub(crate) fn $name(&self) -> &$sdk::Client {
                    self.$name.get_or_init(|| {
                        let mut builder = $sdk::config::Builder::from(&self.sdk)
                            .interceptor(Attempts)
                            .retry_partition(self.budget(stringify!($name)));
                        if let Some(url) = endpoint(&self.config.endpoints, |e| &e.$endpoint) {
                            builder = builder.endpoint_url(url);
                        }
                        $(
                            let ($builder, $config) = (builder, &self.config);
                            let builder = $more;
                        )?
                        $sdk::Client::from_conf(builder.build())
                    })
                }
            )*
        }
    };
}

tenant_clients! {
    /// Objects.
    s3: aws_sdk_s3 at s3, |builder, config| {
        builder.force_path_style(config.files.as_ref().is_some_and(|files| files.path_style))
    };
    /// Queues.
    sqs: aws_sdk_sqs at sqs;
    /// Secrets.
    secrets: aws_sdk_secretsmanager at secrets;
    /// Keys.
    kms: aws_sdk_kms at kms;
    /// Who one is.
    sts: aws_sdk_sts at sts;
    /// Functions.
    lambda: aws_sdk_lambda at lambda;
    /// Models. Nothing is repeated, and how long a silent model is waited for is decided by who asks.
    bedrock: aws_sdk_bedrockruntime at bedrock, |builder, config| {
        builder
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(config.connect_timeout)
                    .build(),
            )
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
    };
    /// Sessions, events and records.
    agentcore: aws_sdk_bedrockagentcore at agentcore;
    /// Where those are kept.
    agentcore_control: aws_sdk_bedrockagentcorecontrol at agentcore_control;
    /// Events of the host.
    events: aws_sdk_eventbridge at events;
    /// Domains of OpenSearch. Their data is reached with [`TenantClients::sdk`].
    opensearch_control: aws_sdk_opensearch at opensearch;
}

impl TenantClients {
    /// Region and credentials, for clients that are not of the SDK.
    pub(crate) fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// A budget of repetitions that no other tenant and no other service can use up.
    fn budget(&self, service: &'static str) -> RetryPartition {
        let bucket = TokenBucket::builder()
            .capacity(self.config.retry_budget)
            .build();
        RetryPartition::custom(format!("{}/{service}", self.owner))
            .token_bucket(bucket)
            .build()
    }
}

impl fmt::Debug for TenantClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantClients")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
