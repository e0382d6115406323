//! What the server set for each tenant: quotas, retention.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use stuga_core::TenantId;

/// A setting of each tenant. One entry for each tenant that the server names.
#[derive(Debug)]
pub(crate) struct PerTenant<T> {
    otherwise: T,
    set: RwLock<HashMap<TenantId, T>>,
}

impl<T: Copy> PerTenant<T> {
    /// A table in which everybody has `otherwise`.
    pub(crate) fn new(otherwise: T) -> Self {
        Self {
            otherwise,
            set: RwLock::default(),
        }
    }

    /// Sets it for a tenant, from its next batch of writes on.
    pub(crate) fn set(&self, tenant: &TenantId, value: T) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        set.insert(tenant.clone(), value);
    }

    /// What holds for a tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> T {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.get(tenant).copied().unwrap_or(self.otherwise)
    }
}
