//! Which side served the calls of an invocation, for the receipt of a run in the matrix.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use stuga_core::receipt::CapabilityUse;
use stuga_core::{Backend, BreakerState, CapabilityName};

/// What the paths noted since it was taken last.
#[derive(Default)]
pub(crate) struct Served(Mutex<BTreeMap<CapabilityName, Note>>);

struct Note {
    backend: Backend,
    breaker: BreakerState,
    pending: u32,
    stale: bool,
}

impl Served {
    pub(crate) fn note(
        &self,
        capability: CapabilityName,
        backend: Backend,
        breaker: BreakerState,
        pending: usize,
        stale: bool,
    ) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = stale || notes.get(&capability).is_some_and(|note| note.stale);
        let pending = u32::try_from(pending).unwrap_or(u32::MAX);
        let note = Note {
            backend,
            breaker,
            pending,
            stale,
        };
        notes.insert(capability, note);
    }

    /// Puts what was noted into the uses of a receipt and forgets it. The local copies are as young as the last write,
    /// so that stale means zero milliseconds old.
    pub(crate) fn complete(&self, uses: &mut [CapabilityUse]) {
        let notes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for used in uses {
            if let Some(note) = notes.get(&used.capability) {
                used.backend = note.backend;
                used.breaker = Some(note.breaker);
                used.pending = note.pending;
                used.staleness_ms = note.stale.then_some(0);
            }
        }
    }
}
