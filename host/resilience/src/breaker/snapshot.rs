//! What there is to see of a breaker.

use std::time::Duration;

use stuga_core::BreakerState;

/// A change of a breaker's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// What it was.
    pub from: BreakerState,
    /// What it is.
    pub to: BreakerState,
}

/// What a breaker has seen since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were slow, failed or not.
    pub slow: u64,
    /// Calls that were not let through, or in `metrics_only` would not have been.
    pub not_permitted: u64,
    /// Results of calls that began before the last change of state, and so told nothing.
    pub late: u64,
    /// Times that it tripped.
    pub trips: u64,
}

/// What an operator sees of a breaker.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Snapshot {
    /// Its state.
    pub state: BreakerState,
    /// For how long it has been in it.
    pub for_: Duration,
    /// How long it stays open still; none in other states.
    pub open_for: Option<Duration>,
    /// Calls in the window.
    pub calls: u32,
    /// Failures in the window.
    pub failures: u32,
    /// Slow calls in the window.
    pub slow: u32,
    /// Since it was made.
    pub totals: Totals,
}
