//! Which tenant has which quotas.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use stuga_core::TenantId;

use crate::tally::Quotas;

/// Quotas as the server set them. One entry for each tenant that it names.
#[derive(Debug)]
pub(crate) struct QuotaTable {
    otherwise: Quotas,
    set: RwLock<HashMap<TenantId, Quotas>>,
}

impl QuotaTable {
    /// A table in which everybody has `otherwise`.
    pub(crate) fn new(otherwise: Quotas) -> Self {
        Self {
            otherwise,
            set: RwLock::default(),
        }
    }

    /// Sets a tenant's quotas, from its next batch of writes on.
    pub(crate) fn set(&self, tenant: &TenantId, quotas: Quotas) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        set.insert(tenant.clone(), quotas);
    }

    /// A tenant's quotas.
    pub(crate) fn of(&self, tenant: &TenantId) -> Quotas {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.get(tenant).copied().unwrap_or(self.otherwise)
    }
}
