//! Writes of one path by one host take turns, so that they do not race each other for the manifest.
//!
//! This spares requests; what is right with several hosts is decided by the conditions of the writes alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use stuga_core::{CallCtx, Result};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::timeout_at;

use super::store::{Key, Store};
use crate::error::deadline_passed;

/// How many paths there must be before those that nobody writes any more are forgotten.
const FORGET_AT: usize = 1_024;

#[derive(Default)]
pub(super) struct Turns(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    paths: HashMap<(String, String), Weak<Turn<()>>>,
    forget_at: usize,
}

impl Turns {
    /// Waits for the turn to write `key`, at most until the call's deadline.
    pub(super) async fn take(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        store: &Store,
        key: &Key,
    ) -> Result<OwnedMutexGuard<()>> {
        let turn = self.of((store.bucket.clone(), key.as_str().to_owned()));
        timeout_at(ctx.deadline, turn.lock_owned())
            .await
            .map_err(|_| deadline_passed(operation))
    }

    fn of(&self, path: (String, String)) -> Arc<Turn<()>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.paths.len() >= waiting.forget_at {
            waiting.paths.retain(|_, turn| turn.strong_count() > 0);
            waiting.forget_at = waiting.paths.len().saturating_mul(2).max(FORGET_AT);
        }
        let known = waiting.paths.get(&path).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turn = Arc::new(Turn::new(()));
            waiting.paths.insert(path, Arc::downgrade(&turn));
            turn
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_nobody_writes_are_forgotten() {
        let turns = Turns::default();
        let held = turns.of(("b".to_owned(), "held".to_owned()));
        for n in 0..10 * FORGET_AT {
            turns.of(("b".to_owned(), n.to_string()));
        }
        assert!(turns.0.lock().unwrap().paths.len() <= 2 * FORGET_AT);
        assert!(Arc::ptr_eq(
            &held,
            &turns.of(("b".to_owned(), "held".to_owned()))
        ));
    }
}
