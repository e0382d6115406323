//! The right to ask the cloud once, and its refusal.

use std::time::Duration;

use stuga_core::BreakerState;
use tokio::time::Instant;

use super::Breaker;

/// Why a call may not go to the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotPermitted {
    /// The state that refused it.
    pub state: BreakerState,
    /// When to ask again; none while an operator isolates it.
    pub retry_after: Option<Duration>,
}

/// The right to make one call. Tell it what came of the call; dropped untold it counts as neither success nor failure.
#[must_use = "a permit that is dropped is a cancelled call"]
pub struct Permit<'b> {
    pub(super) breaker: &'b Breaker,
    pub(super) generation: u64,
    pub(super) began: Instant,
    pub(super) told: bool,
}

impl Permit<'_> {
    /// The service answered; that the answer was a caller's mistake changes nothing.
    pub fn succeeded(mut self) {
        self.tell(false);
    }

    /// The service did not answer, or said that it cannot.
    pub fn failed(mut self) {
        self.tell(true);
    }

    fn tell(&mut self, failed: bool) {
        self.told = true;
        self.breaker
            .learn(self.generation, self.began.elapsed(), failed);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.cancel(self.generation);
        }
    }
}
