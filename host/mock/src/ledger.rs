//! What the cloud's side has still to be told: what this host did while the cloud was away, of all capabilities.
//!
//! The cloud's side is a replica: it does everything that this host does, in the same order and at the same time by its
//! clock, so that versions, times and cursors are the same on both sides and a guest may meet one after the other. That is
//! why the order is one for all capabilities, and why whatever waits is done before the cloud serves the next call. The
//! durable journal, with an order for each key, is the facade's matter.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use stuga_core::{CapabilityName, Clock, Error, Result, Timestamp};
use tokio::time::Instant;

/// Most things that wait for the cloud.
const WAITING_MAX: usize = 10_000;

type Doing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// What waits, in the order in which this host did it.
pub(crate) struct Ledger {
    /// Held while both sides are called, so that they see everything in the same order.
    pub(crate) order: tokio::sync::Mutex<()>,
    waiting: Mutex<VecDeque<Arc<Entry>>>,
    clock: Arc<dyn Clock>,
    cloud_clock: Arc<CloudClock>,
}

struct Entry {
    capability: CapabilityName,
    operation: &'static str,
    /// Whether a guest wrote it; the rest is what this host does itself, such as running a job.
    is_write: bool,
    at: Timestamp,
    /// Does it on the cloud's side, until the deadline of whoever waits for that.
    replay: Box<dyn Fn(Instant) -> Doing + Send + Sync>,
}

impl Ledger {
    /// An empty one of a host that lives by `clock`; the cloud's side has to live by [`Ledger::cloud_clock`].
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            order: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            clock: Arc::clone(clock),
            cloud_clock: Arc::new(CloudClock {
                clock: Arc::clone(clock),
                replaying: Mutex::default(),
            }),
        }
    }

    /// The clock of the cloud's side.
    pub(crate) fn cloud_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.cloud_clock) as _
    }

    /// How many writes of guests wait.
    pub(crate) fn pending(&self, capability: CapabilityName) -> usize {
        let waiting = self.lock();
        let pending = waiting.iter().filter(|e| e.is_write);
        pending.filter(|e| e.capability == capability).count()
    }

    /// Keeps a write of a guest for the cloud.
    ///
    /// # Errors
    /// `QuotaExceeded` when too much waits.
    pub(crate) fn keep_write<F>(
        &self,
        capability: CapabilityName,
        operation: &'static str,
        replay: F,
    ) -> Result<()>
    where
        F: Fn(Instant) -> Doing + Send + Sync + 'static,
    {
        self.keep(capability, operation, true, replay)
    }

    fn keep<F>(
        &self,
        capability: CapabilityName,
        operation: &'static str,
        is_write: bool,
        replay: F,
    ) -> Result<()>
    where
        F: Fn(Instant) -> Doing + Send + Sync + 'static,
    {
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX {
            let message = "too many writes wait for the cloud";
            return Err(
                Error::quota_exceeded(operation, message).with_context("limit", WAITING_MAX)
            );
        }
        waiting.push_back(Arc::new(Entry {
            capability,
            operation,
            is_write,
            at: self.clock.now(),
            replay: Box::new(replay),
        }));
        Ok(())
    }

    /// Has the cloud do what waits for it, in order. What it refuses stays at the head of the line, and this host goes on
    /// serving. [`Ledger::order`] is held by the caller.
    ///
    /// # Errors
    /// `Unavailable` when something still waits.
    pub(crate) async fn drain(&self, deadline: Instant) -> Result<()> {
        loop {
            let Some(entry) = self.lock().front().cloned() else {
                return Ok(());
            };
            let done = {
                let _then = self.cloud_clock.replay(entry.at);
                (entry.replay)(deadline).await
            };
            done.map_err(|error| {
                Error::unavailable(entry.operation, "a write still waits for the cloud")
                    .with_source(error)
            })?;
            self.lock().pop_front();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time on the cloud's side: that of the world, but while something is replayed the time at which it was done here.
struct CloudClock {
    clock: Arc<dyn Clock>,
    replaying: Mutex<Option<Timestamp>>,
}

impl CloudClock {
    fn replay(&self, at: Timestamp) -> Replaying<'_> {
        self.set(Some(at));
        Replaying(self)
    }

    fn set(&self, at: Option<Timestamp>) {
        *self
            .replaying
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = at;
    }
}

impl Clock for CloudClock {
    fn now(&self) -> Timestamp {
        let replaying = *self
            .replaying
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        replaying.unwrap_or_else(|| self.clock.now())
    }
}

/// Ends with the replay, also when its caller goes away in the middle.
struct Replaying<'c>(&'c CloudClock);

impl Drop for Replaying<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

/// A part of both sides that no guest reaches: what takes jobs and messages out, what sets secrets.
pub(crate) struct Replicas<S: ?Sized> {
    pub(crate) capability: CapabilityName,
    pub(crate) local: Arc<S>,
    pub(crate) cloud: Option<Arc<S>>,
    pub(crate) ledger: Arc<Ledger>,
}

impl<S: ?Sized + Send + Sync + 'static> Replicas<S> {
    /// Does it on this host, and on the cloud's side before that serves again.
    pub(crate) async fn together<T, F, Fut>(&self, operation: &'static str, does: F) -> Result<T>
    where
        F: Fn(Arc<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let Some(cloud) = &self.cloud else {
            return does(Arc::clone(&self.local)).await;
        };
        let _in_order = self.ledger.order.lock().await;
        let done = does(Arc::clone(&self.local)).await?;
        let cloud = Arc::clone(cloud);
        self.ledger
            .keep(self.capability, operation, false, move |_| {
                let doing = does(Arc::clone(&cloud));
                Box::pin(async move { doing.await.map(drop) })
            })?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stuga_core::testkit::ManualClock;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_done_in_order_and_at_its_own_time_and_what_fails_stays() {
        let manual = Arc::new(ManualClock::at(Timestamp::from_millis(1_000)));
        let ledger = Ledger::new(&(Arc::clone(&manual) as Arc<dyn Clock>));
        let (cloud, seen) = (ledger.cloud_clock(), Arc::new(Mutex::new(Vec::new())));
        let fails = Arc::new(Mutex::new(true));
        for name in ["a", "b"] {
            let (cloud, seen) = (Arc::clone(&cloud), Arc::clone(&seen));
            let fails = Arc::clone(&fails);
            let note = move |_: Instant| -> Doing {
                let entry = (name, cloud.now().as_millis());
                let failed = name == "b" && *fails.lock().unwrap();
                seen.lock().unwrap().push(entry);
                Box::pin(async move {
                    match failed {
                        true => Err(Error::internal("x", "no")),
                        false => Ok(()),
                    }
                })
            };
            ledger
                .keep_write(CapabilityName::Memory, "memory.put", note)
                .unwrap();
            manual.advance(Duration::from_secs(1));
        }
        assert_eq!(ledger.pending(CapabilityName::Memory), 2);
        assert_eq!(ledger.pending(CapabilityName::Files), 0);
        let soon = Instant::now() + Duration::from_secs(1);
        assert!(ledger.drain(soon).await.is_err());
        assert_eq!(ledger.pending(CapabilityName::Memory), 1);
        *fails.lock().unwrap() = false;
        ledger.drain(soon).await.unwrap();
        let expected = [("a", 1_000), ("b", 2_000), ("b", 2_000)];
        assert_eq!(*seen.lock().unwrap(), expected);
        assert_eq!(cloud.now().as_millis(), 3_000);
    }
}
