//! Which side served the calls of an invocation, for the receipt of a run in the matrix.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use stuga_core::receipt::CapabilityUse;
use stuga_core::{Backend, BreakerState, CapabilityName, InvocationId};

/// What the paths noted of the invocations that run.
#[derive(Default)]
pub(crate) struct Served(Mutex<BTreeMap<(InvocationId, CapabilityName), Note>>);

struct Note {
    backend: Backend,
    breaker: BreakerState,
    pending: u32,
    stale: bool,
}

impl Served {
    pub(crate) fn note(
        &self,
        invocation: InvocationId,
        capability: CapabilityName,
        backend: Backend,
        breaker: BreakerState,
        pending: usize,
        stale: bool,
    ) {
        let whose = (invocation, capability);
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = stale || notes.get(&whose).is_some_and(|note| note.stale);
        let pending = u32::try_from(pending).unwrap_or(u32::MAX);
        let note = Note {
            backend,
            breaker,
            pending,
            stale,
        };
        notes.insert(whose, note);
    }

    /// Puts what was noted of an invocation into the uses of its receipt and forgets it. The local copies are as young as
    /// the last write, so that stale means zero milliseconds old.
    pub(crate) fn complete(&self, invocation: InvocationId, uses: &mut [CapabilityUse]) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for used in uses {
            if let Some(note) = notes.get(&(invocation, used.capability)) {
                used.backend = note.backend;
                used.breaker = Some(note.breaker);
                used.pending = note.pending;
                used.staleness_ms = note.stale.then_some(0);
            }
        }
        notes.retain(|(other, _), _| *other != invocation);
    }
}
