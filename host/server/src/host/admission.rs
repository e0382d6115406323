//! Who may call now: concurrent calls, calls per second, and one attempt at a time for an idempotency key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Failure;
use crate::tenants::Limits;

/// When a caller over the limit of concurrent calls should try again.
const CONCURRENT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The gate of one tenant. It outlives reloads as long as the limits stay.
pub struct Admission {
    concurrent: u32,
    calls: Arc<Semaphore>,
    per_second: Option<(std::num::NonZeroU32, DefaultDirectRateLimiter)>,
    /// Idempotency keys whose invocation is running: at most as many as there are concurrent calls.
    keyed: Mutex<HashSet<String>>,
}

/// The right to make one call, given back when dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            concurrent: limits.concurrent_calls,
            calls: Arc::new(Semaphore::new(limits.concurrent_calls as usize)),
            per_second: limits
                .calls_per_second
                .map(|rate| (rate, RateLimiter::direct(Quota::per_second(rate)))),
            keyed: Mutex::default(),
        }
    }

    /// Whether this gate holds `limits`.
    pub(super) fn fits(&self, limits: &Limits) -> bool {
        self.concurrent == limits.concurrent_calls
            && self.per_second.as_ref().map(|(rate, _)| *rate) == limits.calls_per_second
    }

    /// Lets a call in, or says when to try again.
    ///
    /// # Errors
    /// `TooFast` over the rate, `TooMany` when all places are taken.
    pub fn enter(&self) -> Result<Permit, Failure> {
        if let Some((per_second, limiter)) = &self.per_second {
            limiter.check().map_err(|early| Failure::TooFast {
                per_second: per_second.get(),
                retry_after: early.wait_time_from(DefaultClock::default().now()),
            })?;
        }
        let permit = Arc::clone(&self.calls)
            .try_acquire_owned()
            .map_err(|_| Failure::TooMany {
                limit: self.concurrent,
                retry_after: CONCURRENT_RETRY_AFTER,
            })?;
        Ok(Permit(permit))
    }

    /// Marks an idempotency key as running until the answer is dropped.
    ///
    /// # Errors
    /// `KeyInProgress` when it is running.
    pub fn begin_keyed(self: &Arc<Self>, key: &str) -> Result<Keyed, Failure> {
        let mut keyed = self.keyed.lock().unwrap_or_else(PoisonError::into_inner);
        if !keyed.insert(key.to_owned()) {
            return Err(Failure::KeyInProgress);
        }
        Ok(Keyed {
            admission: Arc::clone(self),
            key: key.to_owned(),
        })
    }
}

/// An idempotency key that is running.
pub struct Keyed {
    admission: Arc<Admission>,
    key: String,
}

impl Drop for Keyed {
    fn drop(&mut self) {
        self.admission
            .keyed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_permit_is_dropped() {
        let admission = Admission::new(&Limits {
            concurrent_calls: 1,
            ..Limits::default()
        });
        let permit = admission.enter().unwrap();
        assert!(matches!(
            admission.enter(),
            Err(Failure::TooMany { limit: 1, .. })
        ));
        drop(permit);
        assert!(admission.enter().is_ok());
    }

    #[test]
    fn over_the_rate_says_when_to_come_back() {
        let limits = Limits {
            calls_per_second: std::num::NonZeroU32::new(1),
            ..Limits::default()
        };
        let admission = Admission::new(&limits);
        assert!(admission.enter().is_ok());
        let Err(Failure::TooFast { retry_after, .. }) = admission.enter() else {
            panic!("the second call is too fast")
        };
        assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(1));
    }

    #[test]
    fn a_key_runs_once_at_a_time() {
        let admission = Arc::new(Admission::new(&Limits::default()));
        let running = admission.begin_keyed("k").unwrap();
        assert!(matches!(
            admission.begin_keyed("k"),
            Err(Failure::KeyInProgress)
        ));
        drop(running);
        assert!(admission.begin_keyed("k").is_ok());
    }
}
