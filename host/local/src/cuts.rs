//! Which stores were not whole when this process opened them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stuga_core::{TenantId, Timestamp};

/// Most tenants of whom it is known; of more it stands in the log alone.
const TENANTS_MAX: usize = 1_024;

/// What was cut off the end of a store's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// When it was found.
    pub at: Timestamp,
    /// How much it was: of a write that a crash cut off, or of what the disk has lost.
    pub bytes: u64,
}

/// The latest cut of each tenant.
#[derive(Default)]
pub(crate) struct Cuts(Mutex<BTreeMap<TenantId, Cut>>);

impl Cuts {
    pub(crate) fn note(&self, tenant: &TenantId, cut: Cut) {
        let mut cuts = self.lock();
        if cuts.len() < TENANTS_MAX || cuts.contains_key(tenant) {
            cuts.insert(tenant.clone(), cut);
        }
    }

    pub(crate) fn of(&self, tenant: &TenantId) -> Option<Cut> {
        self.lock().get(tenant).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, Cut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
