//! The composition root: the one file that names a backend.

use std::sync::Arc;

use stuga_core::invocation::InvocationStore;
use stuga_core::jobs::queue::JobQueue;
use stuga_core::{Clock, Result, TenantId};
use stuga_local::{Local, LocalConfig, ModelLimits, Quotas};
use stuga_resilience::Capabilities;

use crate::config::Config;
use crate::models;
use crate::tenants::Limits;

/// Everything that keeps data, opened.
pub struct Backends {
    local: Local,
    capabilities: Capabilities,
    invocations: Arc<dyn InvocationStore>,
}

impl Backends {
    /// Opens the embedded backends in the data directory.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be opened, `Invalid` when a model cannot be made ready.
    pub fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let models = models::open(&config.model)?;
        let local = Local::open_with(&config.data_dir, clock, LocalConfig::default(), &models)?;
        Ok(Self {
            capabilities: Capabilities::local(local.backends()),
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

    /// The jobs of all tenants, for their runner.
    pub fn job_queue(&self) -> Arc<dyn JobQueue> {
        self.local.job_queue()
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
                search_bytes: storage.search,
                search_documents: storage.search_documents,
            },
        );
        self.local.set_model_limits(
            tenant,
            ModelLimits {
                completions: model.completions,
                tokens_per_minute: model.tokens_per_minute,
            },
        );
    }

    /// Closes the backends after the writes that were accepted.
    pub async fn close(&self) {
        if let Err(error) = self.local.close().await {
            tracing::error!(%error, causes = error.causes(), "a store was not closed cleanly; nothing acknowledged is lost");
        }
    }
}
