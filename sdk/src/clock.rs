//! Time, as the host tells it.

use std::time::Duration;

use crate::backend::clock as backend;

/// The invocation's time: milliseconds since 1970-01-01 UTC when it was first accepted.
///
/// It stands still during an invocation and is the same when the invocation is repeated after a failure.
pub fn now() -> u64 {
    backend::now()
}

/// Time since this attempt began. It never goes back; use it to measure, not to store.
pub fn elapsed() -> Duration {
    Duration::from_nanos(backend::elapsed())
}
