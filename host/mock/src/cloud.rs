//! The states of the matrix: how the cloud behaves, with a real breaker before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use stuga_core::BreakerState;
use stuga_resilience::{Breaker, BreakerSettings, Permit};

/// In which state of the breakers a scenario is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No cloud is configured and no breaker stands in the path, as in an embedded host.
    Local,
    /// The cloud is well: it serves every call.
    Closed,
    /// The cloud is down and the breaker has noticed: this host serves every call.
    Open,
    /// Every call is a probe; every second of them fails and is served by this host.
    HalfOpen,
    /// The cloud comes and goes for a few calls each, and the breaker follows it.
    Flapping,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Local,
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::Flapping,
    ];

    /// The state in kebab-case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Flapping => "flapping",
        }
    }
}

/// For how many calls the cloud stays up and then down while it flaps.
const FLAPS_EVERY: u64 = 3;

/// The cloud's health as one capability meets it.
pub(crate) struct Cloud {
    state: State,
    breaker: Breaker,
    calls: AtomicU64,
}

impl Cloud {
    pub(crate) fn new(state: State) -> Self {
        let settings = match state {
            // Stays open for longer than any scenario lasts.
            State::Open => BreakerSettings {
                consecutive_failures: 1,
                open_for: Duration::from_secs(3_600),
                open_for_max: Duration::from_secs(3_600),
                ..BreakerSettings::default()
            },
            State::HalfOpen => BreakerSettings {
                probes: u32::MAX,
                ..BreakerSettings::default()
            },
            // Asks again at the next call: time stands still while calls are made.
            State::Flapping => BreakerSettings {
                consecutive_failures: 2,
                open_for: Duration::ZERO,
                probes: 1,
                ..BreakerSettings::default()
            },
            State::Local | State::Closed => BreakerSettings::default(),
        };
        let breaker = Breaker::new(settings, Box::new(|| 0.5));
        if state == State::Open
            && let Ok(permit) = breaker.try_acquire()
        {
            permit.failed();
        }
        Self {
            state,
            breaker,
            calls: AtomicU64::new(0),
        }
    }

    /// The breaker's state before a call.
    pub(crate) fn state(&self) -> BreakerState {
        if self.state == State::HalfOpen && self.breaker.state() != BreakerState::HalfOpen {
            // What brings a breaker back to its probes without waiting.
            self.breaker.isolate();
            self.breaker.release();
        }
        self.breaker.state()
    }

    /// The right to call the cloud.
    pub(crate) fn try_acquire(&self) -> Option<Permit<'_>> {
        self.breaker.try_acquire().ok()
    }

    /// Whether the cloud answers the next call.
    pub(crate) fn is_up(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.state {
            State::Local | State::Closed => true,
            State::Open => false,
            State::HalfOpen => call.is_multiple_of(2),
            State::Flapping => (call / FLAPS_EVERY).is_multiple_of(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: State, calls: usize) -> Vec<(BreakerState, bool)> {
        let cloud = Cloud::new(state);
        let one = || {
            let before = cloud.state();
            let Some(permit) = cloud.try_acquire() else {
                return (before, false);
            };
            let up = cloud.is_up();
            if up {
                permit.succeeded();
            } else {
                permit.failed();
            }
            (before, up)
        };
        (0..calls).map(|_| one()).collect()
    }

    #[test]
    fn each_state_shows_the_breaker_that_it_names() {
        assert!(
            seen(State::Closed, 9)
                .iter()
                .all(|s| *s == (BreakerState::Closed, true))
        );
        assert!(
            seen(State::Open, 9)
                .iter()
                .all(|s| *s == (BreakerState::Open, false))
        );
        let probes = seen(State::HalfOpen, 4);
        assert!(
            probes
                .iter()
                .all(|(state, _)| *state == BreakerState::HalfOpen)
        );
        assert_eq!(probes.iter().filter(|(_, up)| *up).count(), 2);
        let flaps = seen(State::Flapping, 20);
        for state in [BreakerState::Closed, BreakerState::Open] {
            assert!(flaps.iter().any(|(s, _)| *s == state), "{flaps:?}");
        }
        assert!(flaps.iter().any(|(_, up)| *up) && flaps.iter().any(|(_, up)| !*up));
    }
}
