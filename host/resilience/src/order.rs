//! Writes of one key go one after the other on this host.
//!
//! The cloud and this host's copy so see them in the same order, and a replay never overtakes a write or is overtaken.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stuga_core::{AgentName, Error, Result, TenantId};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

/// Who writes which key. Two keys of one hash, which chance hardly ever makes, only wait for each other.
#[derive(Default)]
pub(crate) struct Order {
    hasher: RandomState,
    held: Mutex<HashMap<u64, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to write a key, until it is dropped.
pub(crate) struct Turn<'o> {
    order: &'o Order,
    hash: u64,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Order {
    /// Waits for the turn of a key. Turns are given in the order in which they are asked for.
    ///
    /// # Errors
    /// `Timeout` when it does not come before `deadline`.
    pub(crate) async fn turn(
        &self,
        operation: &'static str,
        (tenant, agent, key): (&TenantId, &AgentName, &str),
        deadline: Instant,
    ) -> Result<Turn<'_>> {
        let hash = self.hasher.hash_one((tenant, agent, key));
        let lock = Arc::clone(self.lock().entry(hash).or_default());
        // Made before the wait, so that a caller that goes away while it waits leaves no entry behind.
        let mut turn = Turn {
            order: self,
            hash,
            guard: None,
        };
        let guard = timeout_at(deadline, lock.lock_owned()).await.map_err(|_| {
            Error::timeout(
                operation,
                "other writes of this key took until the deadline",
            )
        })?;
        turn.guard = Some(guard);
        Ok(turn)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<tokio::sync::Mutex<()>>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut held = self.order.lock();
        self.guard = None;
        // The map's own handle is the last one: nobody waits. Nobody can begin to, as the map is locked.
        if held
            .get(&self.hash)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            held.remove(&self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn names() -> (TenantId, AgentName) {
        (
            TenantId::new("acme").unwrap(),
            AgentName::new("notes").unwrap(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_has_one_writer_others_do_not_wait_and_nothing_is_left() {
        let order = Order::default();
        let (tenant, agent) = names();
        let soon = Instant::now() + Duration::from_secs(1);
        let first = order.turn("x", (&tenant, &agent, "a"), soon).await.unwrap();
        let other = order.turn("x", (&tenant, &agent, "b"), soon).await.unwrap();
        let late = order.turn("x", (&tenant, &agent, "a"), soon).await;
        assert!(late.is_err(), "the key is being written");
        drop((first, late));
        let next = order
            .turn("x", (&tenant, &agent, "a"), soon + Duration::from_secs(1))
            .await;
        drop((next.unwrap(), other));
        assert!(order.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_the_order_in_which_they_are_asked_for_past_those_who_left() {
        let order = Order::default();
        let (tenant, agent) = names();
        let late = Instant::now() + Duration::from_secs(60);
        let turn = || order.turn("x", (&tenant, &agent, "a"), late);
        let first = turn().await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turn())).collect();
        for waits in &mut waiting {
            assert!(futures::poll!(waits).is_pending());
        }
        drop(waiting.remove(0));
        drop(first);
        let mut last = waiting.pop().unwrap();
        assert!(
            futures::poll!(&mut last).is_pending(),
            "not before its turn"
        );
        let second = waiting.pop().unwrap().await.unwrap();
        assert!(futures::poll!(&mut last).is_pending());
        drop(second);
        drop(last.await.unwrap());
        assert!(order.lock().is_empty());
    }
}
