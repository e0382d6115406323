//! The composition root: the one file that names a backend.

use std::path::Path;
use std::sync::Arc;

use stuga_core::invocation::InvocationStore;
use stuga_core::{Clock, Result, TenantId};
use stuga_local::{Local, LocalConfig, Quotas};
use stuga_resilience::Capabilities;

use crate::tenants::Storage;

/// Everything that keeps data, opened.
pub struct Backends {
    local: Local,
    capabilities: Capabilities,
    invocations: Arc<dyn InvocationStore>,
}

impl Backends {
    /// Opens the embedded backends in a data directory.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be opened.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let local = Local::open(data_dir, clock, LocalConfig::default())?;
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

    /// Sets what a tenant may store.
    pub fn set_quotas(&self, tenant: &TenantId, storage: &Storage) {
        self.local.set_quotas(
            tenant,
            Quotas {
                memory_bytes: storage.memory,
                memory_items: storage.memory_items,
                files_bytes: storage.files,
                files_count: storage.files_count,
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
