//! The backends on AWS: the same capabilities as the local ones, by the official SDKs.
//!
//! This crate knows neither the local backends nor the breaker. Its rooms, from the outside in: [`Aws`] is opened from a
//! [`AwsConfig`]; each capability has its file; all of them send their requests through `call`, with the clients of the
//! call's tenant (`clients`), under names that `scope` alone makes; `error` alone says what AWS's errors mean, and `action`
//! lists every operation that is ever called.

mod a2a;
mod action;
mod adopted;
mod agentcore;
mod call;
mod clients;
mod config;
mod error;
mod events;
mod files;
mod health;
mod hosts;
mod jobs;
mod keys;
mod memory;
mod model;
mod objects;
mod provision;
mod quota;
mod records;
mod scope;
mod search;
mod secrets;
mod sessions;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use stuga_core::embed::Embedder;
use stuga_core::jobs::elsewhere::Executor;
use stuga_core::keys::KeyWrap;
use stuga_core::model::{Model, ModelLimits};
use stuga_core::{CallCtx, Clock, Error, Result, TenantId};

pub use a2a::SqsMail;
pub use action::{IAM_ACTIONS, Service};
pub use agentcore::tend::Tended;
pub use clients::AccessKeys;
pub use config::{
    A2aConfig, AwsConfig, EmbeddingConfig, Endpoints, EventsConfig, FilesConfig, JobsConfig,
    KmsConfig, MemoryConfig, ModelConfig, Pattern, RedisAccess, SearchConfig, SecretsConfig,
};
pub use events::{EVENTS_MAX, EventKind, EventPublisher, HostEvent};
pub use files::{Download, S3Files};
pub use health::{PROBE_TIMEOUT, Probe, Probed};
pub use hosts::{Hosts, WORD_MAX_BYTES};
pub use memory::AgentCoreMemory;
pub use model::BedrockEmbedder;
pub use provision::{Planned, State};
pub use quota::CloudQuotas;
pub use records::AgentCoreRecords;
pub use search::CloudSearch;
pub use secrets::SecretsManager;
pub use sessions::AgentCoreSessions;

pub use jobs::{FunctionCode, Work, serve as serve_jobs};

pub(crate) use shared::Shared;

/// AWS, as far as it is configured. Cheap to clone.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
    store: Arc<agentcore::ledger::Store>,
    domain: Arc<search::Domain>,
    files: Option<Arc<S3Files>>,
    mail: Arc<SqsMail>,
    jobs: Arc<jobs::LambdaJobs>,
}

impl Aws {
    /// Checks the configuration and prepares clients. Nothing is asked of AWS, and no credentials are needed, before the
    /// first request. What is kept with a time gets it from `clock`.
    ///
    /// # Errors
    /// `Invalid` naming the setting that is wrong.
    pub fn open(config: AwsConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(config, clock, None)
    }

    /// The same with the host's credentials given by hand.
    ///
    /// # Errors
    /// As [`Aws::open`].
    pub fn open_with_keys(
        config: AwsConfig,
        clock: Arc<dyn Clock>,
        keys: AccessKeys,
    ) -> Result<Self> {
        Self::open_with(config, clock, Some(keys))
    }

    fn open_with(
        config: AwsConfig,
        clock: Arc<dyn Clock>,
        keys: Option<AccessKeys>,
    ) -> Result<Self> {
        config.check()?;
        let shared = Arc::new(Shared::new(config, clock, keys));
        let files = shared.config.files.as_ref();
        let files = files.map(|_| Arc::new(S3Files::new(Arc::clone(&shared))));
        Ok(Self {
            store: Arc::new(agentcore::ledger::Store::open(Arc::clone(&shared))?),
            domain: Arc::new(search::Domain::new(Arc::clone(&shared))),
            files,
            mail: Arc::new(SqsMail::new(Arc::clone(&shared))),
            jobs: Arc::new(jobs::LambdaJobs::new(Arc::clone(&shared))),
            shared,
        })
    }

    /// Starts publishing events of the host on EventBridge, on the runtime that is running; none without `aws.events`.
    pub fn events(&self) -> Option<EventPublisher> {
        let config = self.shared.config.events.clone()?;
        Some(EventPublisher::start(Arc::clone(&self.shared), config))
    }

    /// What the hosts of this region tell each other, over the Redis of `aws.memory`; none without it.
    pub fn hosts(&self) -> Option<Hosts> {
        let memory = self.shared.config.memory.as_ref()?;
        let redis = memory.redis.clone();
        Some(Hosts::new(redis, &self.shared.config.region))
    }

    /// What makes vectors on Bedrock; none without `aws.model.embeddings`.
    ///
    /// # Errors
    /// `Invalid` when the model is none that is known here.
    pub fn embedder(&self) -> Result<Option<Arc<dyn Embedder>>> {
        let model = self.shared.config.model.as_ref();
        let Some(config) = model.and_then(|model| model.embeddings.as_ref()) else {
            return Ok(None);
        };
        let shared = Arc::clone(&self.shared);
        Ok(Some(Arc::new(BedrockEmbedder::new(shared, config)?)))
    }

    /// Models on Bedrock, with the host's embedder; none without `aws.model`.
    pub fn model(&self, embedder: Arc<dyn Embedder>) -> Option<Arc<dyn Model>> {
        let config = self.shared.config.model.clone()?;
        let shared = Arc::clone(&self.shared);
        Some(Arc::new(model::BedrockModel::new(shared, config, embedder)))
    }

    /// Sets what a tenant may take of the models, from its next completion on.
    pub fn set_model_limits(&self, tenant: &TenantId, limits: ModelLimits) {
        self.shared.model_limits.set(tenant, limits);
    }

    /// Sets what a tenant may store with AWS, from its next write on.
    pub fn set_quotas(&self, tenant: &TenantId, quotas: CloudQuotas) {
        self.shared.quotas.set(tenant, quotas);
    }

    /// Search on OpenSearch, with the host's embedder; none without `aws.search`.
    pub fn search(&self, embedder: Arc<dyn Embedder>) -> Option<Arc<CloudSearch>> {
        self.shared.config.search.as_ref()?;
        let (shared, domain) = (Arc::clone(&self.shared), Arc::clone(&self.domain));
        Some(Arc::new(CloudSearch::new(shared, domain, embedder)))
    }

    /// Secrets in Secrets Manager, as invocations read them and as the operator changes them; none without `aws.secrets`.
    pub fn secrets(&self) -> Option<Arc<SecretsManager>> {
        self.shared.config.secrets.as_ref()?;
        Some(Arc::new(SecretsManager::new(Arc::clone(&self.shared))))
    }

    /// What wraps the keys of this host's own stores; none without `aws.kms`. What one of them has opened another one has not.
    pub fn key_wrap(&self) -> Option<Arc<dyn KeyWrap>> {
        self.shared.config.kms.as_ref()?;
        Some(Arc::new(keys::KmsKeys::new(Arc::clone(&self.shared))))
    }

    /// Memory on AgentCore; none without `aws.memory`.
    pub fn memory(&self) -> Option<Arc<AgentCoreMemory>> {
        self.shared.config.memory.as_ref()?;
        let store = Arc::clone(&self.store);
        Some(Arc::new(AgentCoreMemory::new(store)))
    }

    /// Removes events of the call's agent that nobody needs any more, and writes items and records anew that AgentCore would
    /// remove for their age. To be called for each agent once a day or so, at least several times within the memory's
    /// `eventExpiryDuration`; repeated, cut off and on several hosts at a time it does no harm.
    ///
    /// AgentCore: `GetMemory`; `ListSessions`, `ListEvents` and `ListActors` for all there is; `DeleteEvent` and `CreateEvent`.
    ///
    /// # Errors
    /// `Timeout` at the call's deadline, and what was done till then stays done; `Unavailable` without `aws.memory`.
    pub async fn tend_memory(&self, ctx: &CallCtx) -> Result<Tended> {
        agentcore::tend::tend(&self.store, ctx).await
    }

    /// Sessions on AgentCore, recalled with the host's embedder; none without `aws.memory`.
    pub fn sessions(&self, embedder: Arc<dyn Embedder>) -> Option<Arc<AgentCoreSessions>> {
        self.shared.config.memory.as_ref()?;
        let store = Arc::clone(&self.store);
        Some(Arc::new(AgentCoreSessions::new(store, embedder)))
    }

    /// Records on AgentCore, recalled with the host's embedder; none without `aws.memory`.
    pub fn records(&self, embedder: Arc<dyn Embedder>) -> Option<Arc<AgentCoreRecords>> {
        self.shared.config.memory.as_ref()?;
        let store = Arc::clone(&self.store);
        Some(Arc::new(AgentCoreRecords::new(store, embedder)))
    }

    /// Files on S3; none without `aws.files`.
    pub fn files(&self) -> Option<Arc<S3Files>> {
        self.files.clone()
    }

    /// An address from which `version` of `path`, or the file that stands there, can be fetched from S3 for `lifetime` (up to an
    /// hour): for answers too large to pass through this host. None when there is no such file or version.
    ///
    /// # Errors
    /// As [`stuga_core::files::Files::get`]; `Invalid` for a lifetime of nothing or over an hour; `Unavailable` without `aws.files`.
    pub async fn download(
        &self,
        ctx: &CallCtx,
        path: &str,
        version: Option<u64>,
        lifetime: Duration,
    ) -> Result<Option<Download>> {
        let Some(files) = &self.files else {
            let without = "files are not on S3; fetch them with `read-range`";
            return Err(Error::unavailable("files.download", without));
        };
        files.download(ctx, path, version, lifetime).await
    }

    /// Waits until what calls left behind that ended early is removed: half a minute at most. For the end of a process.
    pub async fn settled(&self) {
        if let Some(files) = &self.files {
            files.settled().await;
        }
    }

    /// The mailboxes. What they took is theirs: all clones of this are one holder.
    pub fn mail(&self) -> Arc<SqsMail> {
        Arc::clone(&self.mail)
    }

    /// Where attempts of jobs run on Lambda; none when that is not configured.
    pub fn job_executor(&self) -> Option<Arc<dyn Executor>> {
        let jobs = self.shared.config.jobs.as_ref();
        jobs.map(|_| Arc::clone(&self.jobs) as _)
    }

    /// Makes a tenant's function for jobs, or gives the one that is there other code.
    ///
    /// # Errors
    /// `Unavailable` when jobs are not configured, or AWS refuses.
    pub async fn provision_function(&self, tenant: &TenantId, code: FunctionCode) -> Result<()> {
        self.jobs.provision(tenant, code).await
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}
