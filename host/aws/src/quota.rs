//! What a tenant may store in the cloud. AWS counts for no tenant, so this host does, as well as it can: ADR 0041.

pub(crate) mod meter;

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use stuga_core::TenantId;

use meter::Held;

/// How much a tenant may store with AWS. A write that would exceed one is `QuotaExceeded`; one that shrinks is always allowed.
/// Several hosts together may exceed one by what they write between two counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloudQuotas {
    /// Bytes of all files and their earlier versions.
    pub files_bytes: u64,
    /// Paths that were written to, those of deleted files among them.
    pub files_count: u64,
    /// Documents in search.
    pub search_documents: u64,
    /// Bytes of them.
    pub search_bytes: u64,
    /// Messages in the mailboxes of the tenant's agents that wait, are held or are dead.
    pub mailbox_messages: u64,
}

impl Default for CloudQuotas {
    /// As much as there is room for. Then nothing is counted.
    fn default() -> Self {
        Self {
            files_bytes: u64::MAX,
            files_count: u64::MAX,
            search_documents: u64::MAX,
            search_bytes: u64::MAX,
            mailbox_messages: u64::MAX,
        }
    }
}

impl CloudQuotas {
    pub(crate) fn files(&self) -> Held {
        Held {
            count: self.files_count,
            bytes: self.files_bytes,
        }
    }

    pub(crate) fn search(&self) -> Held {
        Held {
            count: self.search_documents,
            bytes: self.search_bytes,
        }
    }

    pub(crate) fn mailbox(&self) -> Held {
        Held {
            count: self.mailbox_messages,
            bytes: u64::MAX,
        }
    }
}

/// What the server set for each tenant.
#[derive(Default)]
pub(crate) struct Quotas(RwLock<HashMap<TenantId, CloudQuotas>>);

impl Quotas {
    /// Sets it for a tenant, from its next write on.
    pub(crate) fn set(&self, tenant: &TenantId, quotas: CloudQuotas) {
        let mut set = self.0.write().unwrap_or_else(PoisonError::into_inner);
        set.insert(tenant.clone(), quotas);
    }

    /// What holds for a tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> CloudQuotas {
        let set = self.0.read().unwrap_or_else(PoisonError::into_inner);
        set.get(tenant).copied().unwrap_or_default()
    }
}
