//! One cheap question for each service that is configured: can it be reached, with these credentials, and is there what
//! a tenant needs. Nothing is changed, and nothing of a tenant's data is read.
//!
//! `stuga check aws` shows what they answer to an operator; a breaker may ask them without traffic.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_sdk_kms::operation::describe_key::DescribeKeyOutput;
use aws_sdk_s3::types::BucketVersioningStatus;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use stuga_core::{Error, Result, TenantId};
use tokio::time::Instant;

use crate::Aws;
use crate::action::{Action, Service};
use crate::call::call_until;
use crate::error::{self, CLOUD};

pub(crate) const OPERATION: &str = "aws.probe";
/// Longest wait for the answer of one probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A question that was not asked yet.
pub struct Probe {
    /// For what: a section of the configuration, or `identity`.
    pub section: &'static str,
    /// Whom.
    pub service: Service,
    /// What must be allowed; `sts:GetCallerIdentity` always is.
    pub action: &'static str,
    ask: Pin<Box<dyn Future<Output = Result<()>> + Send>>,
}

/// What a probe found.
#[derive(Debug)]
pub struct Probed {
    /// For what.
    pub section: &'static str,
    /// Whom.
    pub service: Service,
    /// What must be allowed.
    pub action: &'static str,
    /// None when it works.
    pub problem: Option<Error>,
    /// What the operator does about it; none when it works.
    pub fix: Option<String>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("section", &self.section)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe that calls AWS and judges the answer.
    fn new<T, E, F>(
        section: &'static str,
        send: F,
        judge: impl FnOnce(T) -> Result<()> + Send + 'static,
    ) -> Self
    where
        E: Action,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
        T: Send + 'static,
    {
        let ask = async move {
            let deadline = Instant::now() + PROBE_TIMEOUT;
            judge(call_until(deadline, OPERATION, send).await?)
        };
        Self {
            section,
            service: E::SERVICE,
            action: E::IAM,
            ask: Box::pin(ask),
        }
    }

    /// Asks.
    pub async fn run(self) -> Probed {
        let problem = self.ask.await.err();
        Probed {
            fix: problem.as_ref().map(|error| fix(error, self.action)),
            section: self.section,
            service: self.service,
            action: self.action,
            problem,
        }
    }
}

impl Aws {
    /// The probes of everything that is configured, with the credentials of `tenant`. Nothing is asked yet.
    ///
    /// # Errors
    /// `Unavailable` when a section is incomplete.
    pub fn probes(&self, tenant: &TenantId) -> Result<Vec<Probe>> {
        let (config, scope) = (&self.shared.config, self.shared.scope(tenant));
        let clients = self.shared.clients.of(tenant);
        let identity = clients.sts().get_caller_identity().send();
        let mut probes = vec![Probe::new("identity", identity, |_| Ok(()))];
        if config.files.is_some() {
            let (s3, bucket) = (clients.s3(), scope.bucket()?);
            let head = s3.head_bucket().bucket(&bucket).send();
            probes.push(Probe::new("files", head, |_| Ok(())));
            let versioning = s3.get_bucket_versioning().bucket(bucket).send();
            probes.push(Probe::new("files", versioning, |answer| {
                match answer.status {
                    Some(BucketVersioningStatus::Enabled) => Ok(()),
                    _ => Err(missing(
                        "the bucket keeps no versions; switch its versioning on",
                    )),
                }
            }));
        }
        if config.memory.is_some() {
            let memory = clients.agentcore_control().get_memory();
            let memory = memory.memory_id(scope.memory_id()?).send();
            probes.push(Probe::new("memory", memory, |_| Ok(())));
        }
        if let Some(domain) = config.search.as_ref().and_then(|s| s.domain.as_ref()) {
            let domain = clients
                .opensearch_control()
                .describe_domain()
                .domain_name(domain);
            probes.push(Probe::new("search", domain.send(), |_| Ok(())));
        }
        if config.jobs.is_some() {
            let function = clients.lambda().get_function_configuration();
            let function = function.function_name(scope.function()?).send();
            probes.push(Probe::new("jobs", function, |_| Ok(())));
        }
        if config.a2a.is_some() {
            let queues = clients.sqs().list_queues().max_results(1);
            let queues = queues.queue_name_prefix(scope.tenant_queues()?).send();
            probes.push(Probe::new("a2a", queues, |_| Ok(())));
        }
        if config.secrets.is_some() {
            let name = FilterNameStringType::Name;
            let filter = Filter::builder().key(name).values(scope.secrets()?).build();
            let secrets = clients.secrets().list_secrets().max_results(1);
            let secrets = secrets.filters(filter).send();
            probes.push(Probe::new("secrets", secrets, |_| Ok(())));
            let key = clients.kms().describe_key().key_id(scope.secrets_key()?);
            probes.push(Probe::new("secrets", key.send(), is_enabled));
        }
        if config.kms.is_some() {
            let key = clients.kms().describe_key().key_id(scope.local_key()?);
            probes.push(Probe::new("kms", key.send(), is_enabled));
        }
        if let Some(events) = &config.events {
            let host = self.shared.clients.host();
            let bus = host.events().describe_event_bus().name(&events.bus).send();
            probes.push(Probe::new("events", bus, |_| Ok(())));
        }
        Ok(probes)
    }
}

fn is_enabled(answer: DescribeKeyOutput) -> Result<()> {
    match answer.key_metadata {
        Some(key) if key.enabled => Ok(()),
        _ => Err(missing("the KMS key is switched off; enable it")),
    }
}

fn missing(what: &'static str) -> Error {
    Error::unavailable(OPERATION, what).with_context(CLOUD, error::MISSING)
}

fn fix(error: &Error, action: &str) -> String {
    match error.context_value(CLOUD) {
        Some(error::FORBIDDEN) => {
            format!("allow {action} to the role that the tenant's calls assume")
        }
        Some(error::CREDENTIALS) => {
            "give the host valid credentials; check `aws.role_arn` and the role's trust policy"
                .to_owned()
        }
        Some(error::MISSING | error::ABSENT) => {
            "run `stuga tenant provision TENANT --plan`, or correct the name in stuga.yaml"
                .to_owned()
        }
        Some(error::UNREACHABLE) => {
            "check `aws.region`, `aws.endpoints` and the way to the service".to_owned()
        }
        _ => "see what AWS says, and try again".to_owned(),
    }
}
