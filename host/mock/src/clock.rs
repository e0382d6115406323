//! Time in a scenario: where it begins, moved on by the calls that say so, and by waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stuga_core::{Clock, Timestamp};
use tokio::time::Instant;

/// The clock that backends and invocations live by. Tokio's time is paused while a scenario runs: it moves when
/// everybody waits, at once, and this clock moves with it.
#[derive(Debug)]
pub(crate) struct ScenarioClock {
    start: Timestamp,
    begun: Instant,
    moved_ms: AtomicU64,
}

impl ScenarioClock {
    pub(crate) fn at(start: Timestamp) -> Self {
        Self {
            start,
            begun: Instant::now(),
            moved_ms: AtomicU64::new(0),
        }
    }

    /// Moves the clock on.
    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ScenarioClock {
    fn now(&self) -> Timestamp {
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::SeqCst));
        self.start
            .saturating_add(moved)
            .saturating_add(self.begun.elapsed())
    }
}
