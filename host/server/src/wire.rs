//! The composition root: the one file that names a backend.

use std::sync::Arc;

use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::embed::Embedder;
use stuga_core::invocation::InvocationStore;
use stuga_core::jobs::queue::JobQueue;
use stuga_core::secrets::SecretStore;
use stuga_core::{CallCtx, CapabilityName, Clock, Result, TenantId};
pub(crate) use stuga_local::KeyAtRest;
use stuga_local::{Cut, Keep, Local, LocalConfig, ModelLimits, Quotas};
use stuga_resilience::Capabilities;

use crate::cloud::{Announcer, Cloud};
use crate::config::Config;
use crate::fallback::Fallback;
use crate::host::Elsewhere;
use crate::mailboxes::TwoDesks;
use crate::models;
use crate::tenants::{self, Limits, Retention};

/// Everything that keeps data, opened.
pub struct Backends {
    local: Local,
    capabilities: Capabilities,
    invocations: Arc<dyn InvocationStore>,
    cloud: Cloud,
    has_key_service: bool,
    fallback: Arc<Fallback>,
}

impl Backends {
    /// Opens the embedded backends in the data directory, and AWS before them where it is configured.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be opened, `Invalid` when a model cannot be made ready.
    pub fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(config, clock, Cloud::stand_before)
    }

    /// The same for a process whose disk does not last: nothing is taken in the place of AWS.
    ///
    /// # Errors
    /// As [`Backends::open`].
    #[cfg(feature = "aws")]
    pub(crate) fn open_far(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(config, clock, |cloud, capabilities, embedder, _, _| {
            cloud.replace(capabilities, embedder);
        })
    }

    fn open_with(
        config: &Config,
        clock: Arc<dyn Clock>,
        serve: impl FnOnce(&Cloud, &mut Capabilities, &Arc<dyn Embedder>, &Local, &mut Fallback),
    ) -> Result<Self> {
        let cloud = Cloud::open(&config.aws, Arc::clone(&clock))?;
        let mut models = models::open(&config.model)?;
        if let Some(embedder) = cloud.embedder()? {
            models.embedder = embedder;
        }
        let behaviour = LocalConfig {
            master_key_file: config.master_key_file.clone(),
            ..LocalConfig::default()
        };
        let key_wrap = cloud.key_wrap();
        let has_key_service = key_wrap.is_some();
        let local = Local::open_wrapped(
            &config.data_dir,
            Arc::clone(&clock),
            behaviour,
            &models,
            key_wrap,
        )?;
        let mut capabilities = Capabilities::local(local.backends());
        let settings = config.failover.clone();
        let mut fallback = Fallback::new(settings, local.journal(), clock, &config.data_dir);
        let announcer = cloud.announcer().clone();
        fallback.herald().passes_to(Box::new(move |news| {
            announcer.publish(news.what, news.tenant.as_ref(), news.at, news.detail);
        }));
        serve(
            &cloud,
            &mut capabilities,
            &models.embedder,
            &local,
            &mut fallback,
        );
        Ok(Self {
            cloud,
            fallback: Arc::new(fallback),
            capabilities,
            has_key_service,
            invocations: local.invocations(),
            local,
        })
    }

    /// What guests reach.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    /// What remembers idempotency keys.
    pub fn invocations(&self) -> &dyn InvocationStore {
        &*self.invocations
    }

    /// What this host does in the cloud's place.
    pub fn fallback(&self) -> &Arc<Fallback> {
        &self.fallback
    }

    /// The mailboxes as their runner empties them: those in the cloud, if they lie there, and this host's own, which have
    /// what was posted while the cloud was away.
    pub fn mail_queues(&self) -> Vec<Arc<dyn MailQueue>> {
        let cloud = self.cloud.mail_queue();
        let own = self.local.mail() as Arc<dyn MailQueue>;
        cloud.into_iter().chain([own]).collect()
    }

    /// The mailboxes as the operator sees them.
    pub fn mail_desk(&self) -> Arc<dyn MailDesk> {
        let local = self.local.mail();
        match self.cloud.mail_desk() {
            Some(cloud) => Arc::new(TwoDesks { local, cloud }),
            None => local,
        }
    }

    /// What the operator manages a tenant's secrets with: the store that its agents read, by what its file says.
    pub fn secrets(&self, failover: &tenants::Failover) -> Arc<dyn SecretStore> {
        let here = failover.local.contains(&CapabilityName::Secrets);
        match self.cloud.secrets(&self.local).filter(|_| !here) {
            Some(secrets) => secrets,
            None => self.local.secrets(),
        }
    }

    /// The jobs of all tenants, for their runner.
    pub fn job_queue(&self) -> Arc<dyn JobQueue> {
        self.local.job_queue()
    }

    /// Where attempts of jobs run outside of this process; none when they all run here.
    pub(crate) fn jobs_elsewhere(&self) -> Option<Elsewhere> {
        self.cloud.jobs()
    }

    /// AWS.
    #[cfg(feature = "aws")]
    pub(crate) fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// What tells outside what happens here.
    pub(crate) fn announcer(&self) -> &Announcer {
        self.cloud.announcer()
    }

    /// Whether there is memory that must be renewed.
    pub(crate) fn renews(&self) -> bool {
        self.cloud.renews()
    }

    /// Renews what the call's agent keeps in the cloud.
    ///
    /// # Errors
    /// As the cloud answers; what was done until then stays done.
    pub(crate) async fn renew(&self, ctx: &CallCtx) -> Result<()> {
        self.cloud.renew(ctx).await
    }

    /// Sets what a tenant may store and what it may take of the models.
    pub fn set_limits(&self, tenant: &TenantId, limits: &Limits) {
        let (storage, model) = (&limits.storage, &limits.model);
        self.local.set_quotas(
            tenant,
            Quotas {
                memory_bytes: storage.memory,
                memory_items: storage.memory_items,
                files_bytes: storage.files,
                files_count: storage.files_count,
                jobs: storage.jobs_count,
                jobs_bytes: storage.jobs,
                search_documents: storage.search_documents,
                search_bytes: storage.search,
                mailbox_messages: storage.mailbox_messages,
                mailbox_bytes: storage.mailbox,
                journal_entries: storage.journal_entries,
                journal_bytes: storage.journal,
            },
        );
        let limits = ModelLimits {
            completions: model.completions,
            tokens_per_minute: model.tokens_per_minute,
        };
        self.local.set_model_limits(tenant, limits);
        self.cloud.set_model_limits(tenant, limits);
        self.cloud.set_storage_limits(tenant, storage);
    }

    /// Sets what a tenant's file says of the cloud.
    pub fn set_failover(&self, tenant: &TenantId, failover: &tenants::Failover) {
        self.fallback.set_tenant(tenant, failover);
    }

    /// Sets what is kept of a tenant's data.
    pub fn set_retention(&self, tenant: &TenantId, retention: &Retention) {
        let keep = |keep: &tenants::Keep| Keep {
            age: keep.age,
            count: keep.count,
            bytes: keep.bytes,
        };
        self.local.set_retention(
            tenant,
            stuga_local::Retention {
                memory: keep(&retention.memory),
                sessions: keep(&retention.sessions),
                records: keep(&retention.records),
            },
        );
    }

    /// Removes what a tenant's data has beyond its time; true when more is left to another sweep.
    ///
    /// # Errors
    /// When the tenant's store cannot be written.
    pub async fn sweep(&self, tenant: &TenantId) -> Result<bool> {
        self.local.sweep(tenant).await
    }

    /// What was cut off a tenant's store when this host opened it; none when it was whole.
    pub(crate) fn cut(&self, tenant: &TenantId) -> Option<Cut> {
        self.local.cut(tenant)
    }

    /// Whether a key service wraps the keys of this host's own stores.
    pub(crate) fn has_key_service(&self) -> bool {
        self.has_key_service
    }

    /// Asks the key service whether a tenant's key still opens, and says how the key lies on the disk.
    ///
    /// # Errors
    /// When the service does not open it now.
    pub(crate) async fn renew_key(&self, tenant: &TenantId) -> Result<KeyAtRest> {
        self.local.secrets().renew_key(tenant).await
    }

    /// Closes the backends after the writes that were accepted.
    pub async fn close(&self) {
        self.cloud.settled().await;
        if let Err(error) = self.local.close().await {
            tracing::error!(%error, causes = error.causes(), "a store was not closed cleanly; nothing acknowledged is lost");
        }
    }
}
