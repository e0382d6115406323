//! How many entries go at a time, and how many in a second, of all tenants together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// What all entries of a replay share.
pub(super) struct Pace {
    /// Places are given in the order in which they are asked for, so that many keys of one tenant do not hold back others.
    places: Semaphore,
    apart: Duration,
    /// When the next entry may begin.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most `keys` at a time and `per_second` in a second, both at least 1.
    pub(super) fn new(keys: usize, per_second: u32) -> Self {
        Self {
            places: Semaphore::new(keys.clamp(1, Semaphore::MAX_PERMITS)),
            apart: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// Waits for a place. Dropped, it is free.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.places.acquire().await.ok()
    }

    /// Waits until an entry may begin.
    pub(super) async fn turn(&self) {
        let begins = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begins = next.map_or(now, |next| next.max(now));
            *next = Some(begins + self.apart);
            begins
        };
        sleep_until(begins).await;
    }
}
