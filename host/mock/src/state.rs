//! The states of the matrix: the breaker that a scenario begins with, and how the cloud behind it behaves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use stuga_core::{Error, Result};
use stuga_resilience::{Breaker, BreakerSettings};

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
    /// Every call to the cloud is a probe, and it is there at every second call of the agent.
    HalfOpen,
    /// The cloud is well and an operator keeps everybody from it: this host serves every call.
    Isolated,
    /// The cloud comes and goes for a few calls each, and the breaker follows it.
    Flapping,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Local,
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::Isolated,
        Self::Flapping,
    ];

    /// The state in kebab-case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Isolated => "isolated",
            Self::Flapping => "flapping",
        }
    }

    /// A breaker that stands so.
    pub(crate) fn breaker(self) -> Breaker {
        let base = BreakerSettings {
            // How busy the machine is must not decide how a scenario ends.
            slow_call: FOR_GOOD,
            ..BreakerSettings::default()
        };
        let settings = match self {
            Self::Open => BreakerSettings {
                consecutive_failures: 1,
                open_for: FOR_GOOD,
                open_for_max: FOR_GOOD,
                ..base
            },
            // Half open again at the next call, as time stands still while calls are made, and never closed.
            Self::HalfOpen => BreakerSettings {
                open_for: Duration::ZERO,
                probes: u32::MAX,
                ..base
            },
            Self::Flapping => BreakerSettings {
                consecutive_failures: 2,
                open_for: Duration::ZERO,
                probes: 1,
                ..base
            },
            Self::Local | Self::Closed | Self::Isolated => base,
        };
        let breaker = Breaker::new(settings, Box::new(|| 0.5));
        match self {
            Self::Open => {
                if let Ok(permit) = breaker.try_acquire() {
                    permit.failed();
                }
            }
            Self::HalfOpen => {
                breaker.isolate();
                breaker.release();
            }
            Self::Isolated => breaker.isolate(),
            Self::Local | Self::Closed | Self::Flapping => {}
        }
        breaker
    }
}

/// Longer than any scenario lasts.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 86_400);
/// For how many calls of the agent the cloud stays there, and then away, while it flaps.
const FLAPS_EVERY: u64 = 3;

/// How one capability's cloud is, call by call of the agent.
pub(crate) struct Health {
    state: State,
    /// Calls of the agent that were begun.
    calls: AtomicU64,
    /// Set once it is back for good.
    is_back: AtomicBool,
}

impl Health {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state,
            calls: AtomicU64::new(0),
            is_back: AtomicBool::new(false),
        }
    }

    /// Goes on to the agent's next call.
    pub(crate) fn next_call(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    /// From now on it is there.
    pub(crate) fn come_back(&self) {
        self.is_back.store(true, Ordering::SeqCst);
    }

    /// Whether it serves during the agent's present call.
    pub(crate) fn is_up(&self) -> bool {
        if self.is_back.load(Ordering::SeqCst) {
            return true;
        }
        match self.state {
            State::Local | State::Closed | State::Isolated => true,
            State::Open => false,
            State::HalfOpen => self.call().is_multiple_of(2),
            State::Flapping => (self.call() / FLAPS_EVERY).is_multiple_of(2),
        }
    }

    /// Whether it goes away during the agent's present call: what it is told then is done, and nobody hears of it.
    pub(crate) fn loses_answers(&self) -> bool {
        self.state == State::Flapping && !self.is_up() && self.call().is_multiple_of(FLAPS_EVERY)
    }

    /// Fails unless it serves.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        if self.is_up() {
            return Ok(());
        }
        let message = "the cloud is down in this state of the matrix";
        Err(Error::unavailable(operation, message))
    }

    /// The number of the present call, from 0.
    fn call(&self) -> u64 {
        self.calls.load(Ordering::SeqCst).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::BreakerState;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_state_begins_with_the_breaker_that_it_names() {
        let expected = [
            (State::Local, BreakerState::Closed, true),
            (State::Closed, BreakerState::Closed, true),
            (State::Open, BreakerState::Open, false),
            (State::HalfOpen, BreakerState::HalfOpen, true),
            (State::Isolated, BreakerState::Isolated, false),
            (State::Flapping, BreakerState::Closed, true),
        ];
        assert_eq!(expected.map(|(state, ..)| state), State::ALL);
        for (state, breaker, lets_through) in expected {
            let made = state.breaker();
            assert_eq!(made.state(), breaker, "{state:?}");
            assert_eq!(made.try_acquire().is_ok(), lets_through, "{state:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_half_open_breaker_is_half_open_again_after_a_failure_and_after_a_success() {
        let breaker = State::HalfOpen.breaker();
        for failed in [true, false, true, true, false] {
            let permit = breaker.try_acquire().unwrap();
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            if failed {
                permit.failed();
            } else {
                permit.succeeded();
            }
        }
    }

    #[test]
    fn a_cloud_that_flaps_loses_one_answer_each_time_it_goes_and_comes_back_for_good() {
        let health = Health::new(State::Flapping);
        let seen: Vec<_> = (0..8)
            .map(|_| {
                health.next_call();
                (health.is_up(), health.loses_answers())
            })
            .collect();
        let (up, away, down) = ((true, false), (false, true), (false, false));
        assert_eq!(seen, [up, up, up, away, down, down, up, up]);
        health.next_call();
        health.next_call();
        assert!(health.loses_answers());
        health.come_back();
        assert!(health.is_up() && !health.loses_answers());
    }
}
