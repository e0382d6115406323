//! The composition root: the one file that names a backend.

use std::sync::Arc;

use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::invocation::InvocationStore;
use stuga_core::jobs::queue::JobQueue;
use stuga_core::secrets::SecretStore;
use stuga_core::{Clock, Result, TenantId};
pub(crate) use stuga_local::KeyAtRest;
use stuga_local::{Keep, Local, LocalConfig, ModelLimits, Quotas};
use stuga_resilience::Capabilities;

use crate::cloud::Cloud;
use crate::config::Config;
use crate::host::Elsewhere;
use crate::models;
use crate::tenants::{self, Limits, Retention};

/// Everything that keeps data, opened.
pub struct Backends {
    local: Local,
    capabilities: Capabilities,
    invocations: Arc<dyn InvocationStore>,
    cloud: Cloud,
    has_key_service: bool,
}

impl Backends {
    /// Opens the embedded backends in the data directory.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be opened, `Invalid` when a model cannot be made ready.
    pub fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
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
        let local = Local::open_wrapped(&config.data_dir, clock, behaviour, &models, key_wrap)?;
        let mut capabilities = Capabilities::local(local.backends());
        cloud.serve(&mut capabilities, &models.embedder);
        Ok(Self {
            cloud,
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

    /// The mailboxes as their runner empties them.
    pub fn mail_queue(&self) -> Arc<dyn MailQueue> {
        self.cloud.mail_queue().unwrap_or_else(|| self.local.mail())
    }

    /// The mailboxes as the operator sees them.
    pub fn mail_desk(&self) -> Arc<dyn MailDesk> {
        self.cloud.mail_desk().unwrap_or_else(|| self.local.mail())
    }

    /// What the operator manages secrets with.
    pub fn secrets(&self) -> Arc<dyn SecretStore> {
        match self.cloud.secrets() {
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
            },
        );
        let limits = ModelLimits {
            completions: model.completions,
            tokens_per_minute: model.tokens_per_minute,
        };
        self.local.set_model_limits(tenant, limits);
        self.cloud.set_model_limits(tenant, limits);
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
