//! How long the cloud may take before this host answers itself.
//!
//! Of the time that a caller has left the cloud gets a share, so that a cloud which never answers still leaves time for
//! the local answer. After a failure the next calls wait little longer than calls took that succeeded: a cloud that is
//! away costs the full wait once, not once for each request.
//!
//! Where a call may be long because of what it carries, it is the silence that is bounded: see [`BudgetSettings::silence`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

/// How long the cloud may take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BudgetSettings {
    /// Longest wait for one call. [`Duration::MAX`] is as long as the caller waits, which then is all that the cloud deserves; such a
    /// call is waited for also when the breaker trips meanwhile.
    pub call: Duration,
    /// Longest wait for one call in which nothing is heard of the cloud, by [`stuga_core::pulse`]: no answer to a request and no
    /// piece of one. None where a call is one request and `call` says the same.
    pub silence: Option<Duration>,
    /// Longest wait for one call while the latest call failed, unless calls that succeeded took longer; see
    /// [`BudgetSettings::patience`].
    pub suspect: Duration,
    /// By how much longer than the slowest call of late a call may take while the latest call failed.
    pub patience: f64,
    /// Share of the caller's remaining time that the cloud may use, 0 to 1.
    pub share: f64,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(3),
            silence: None,
            suspect: Duration::from_millis(300),
            patience: 3.0,
            share: 0.6,
        }
    }
}

impl BudgetSettings {
    /// The cloud may take as long as the caller waits, also when the breaker trips meanwhile. For a cloud that lies on this machine,
    /// as in a mock host: there a slow answer says how busy the machine is, and what comes of a call must not depend on that.
    pub fn until_deadline() -> Self {
        Self {
            call: Duration::MAX,
            silence: None,
            suspect: Duration::MAX,
            patience: 1.0,
            share: 1.0,
        }
    }
}

/// How long one call may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Allowance {
    /// Until when it is waited for.
    pub(crate) until: Instant,
    /// Whether it is as long as the cloud deserves. What takes longer than a hurried caller can wait says nothing of the
    /// cloud.
    pub(crate) fair: bool,
    /// Whether it is given up when the breaker trips meanwhile.
    pub(crate) ends_with_trip: bool,
}

/// The budget of one capability.
pub(crate) struct Budget {
    settings: ArcSwap<BudgetSettings>,
    /// Microseconds of the slowest call of late that succeeded.
    slowest: AtomicU64,
}

impl Budget {
    pub(crate) fn new(settings: BudgetSettings) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            slowest: AtomicU64::new(0),
        }
    }

    /// Longest silence.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.settings.load().silence
    }

    /// Goes by other settings from the next call on.
    pub(crate) fn set(&self, settings: BudgetSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// How long a call may take whose caller waits until `deadline`.
    pub(crate) fn allow(&self, now: Instant, deadline: Instant, suspect: bool) -> Allowance {
        let settings = self.settings.load();
        let deserved = if suspect {
            let slowest = Duration::from_micros(self.slowest.load(Ordering::Relaxed));
            let patient = slowest.mul_f64(settings.patience.clamp(1.0, 100.0));
            patient.max(settings.suspect).min(settings.call)
        } else {
            settings.call
        };
        let left = deadline.saturating_duration_since(now);
        let share = left.mul_f64(settings.share.clamp(0.0, 1.0));
        Allowance {
            until: now + deserved.min(share),
            fair: share >= deserved || deserved == Duration::MAX,
            ends_with_trip: deserved != Duration::MAX,
        }
    }

    /// Learns how long a call took that the cloud answered. What was slow once is forgotten after some hundred calls.
    pub(crate) fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let slowest = self.slowest.load(Ordering::Relaxed);
        let slowest = took.max(slowest - slowest / 64);
        self.slowest.store(slowest, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_caller_keeps_time_for_the_local_answer_and_a_hurried_one_is_not_fair() {
        let budget = Budget::new(BudgetSettings::default());
        let now = Instant::now();
        let long = budget.allow(now, now + 30 * SECOND, false);
        assert_eq!((long.until - now, long.fair), (3 * SECOND, true));
        let short = budget.allow(now, now + SECOND, false);
        assert_eq!((short.until - now, short.fair), (SECOND * 6 / 10, false));
        let over = budget.allow(now, now, false);
        assert_eq!((over.until - now, over.fair), (Duration::ZERO, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_on_this_machine_may_take_all_the_time_of_a_caller_after_failures_too() {
        let budget = Budget::new(BudgetSettings::until_deadline());
        let now = Instant::now();
        for suspect in [false, true] {
            let allowed = budget.allow(now, now + 30 * SECOND, suspect);
            assert_eq!((allowed.until - now, allowed.fair), (30 * SECOND, true));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_a_call_waits_little_longer_than_calls_took() {
        let budget = Budget::new(BudgetSettings::default());
        let now = Instant::now();
        let wait = |budget: &Budget| budget.allow(now, now + 30 * SECOND, true).until - now;
        assert_eq!(wait(&budget), Duration::from_millis(300));
        budget.learn(Duration::from_millis(500));
        assert_eq!(wait(&budget), Duration::from_millis(1_500));
        budget.learn(20 * SECOND);
        assert_eq!(
            wait(&budget),
            3 * SECOND,
            "never longer than a call may take"
        );
        for _ in 0..1_000 {
            budget.learn(Duration::from_millis(5));
        }
        assert_eq!(wait(&budget), Duration::from_millis(300));
    }
}
