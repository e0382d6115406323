//! The breaker before a cloud service: one for each capability and region, shared by all tenants.
//!
//! It decides whether a call may go to the cloud and learns from what came of it. It knows nothing of capabilities,
//! retries or fallbacks. Time is tokio's, so that tests can pause it; randomness comes in from outside.

mod answers;
mod permit;
mod settings;
mod snapshot;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use stuga_core::BreakerState;
use tokio::sync::watch;
use tokio::time::Instant;

pub use permit::{NotPermitted, Permit};
pub use settings::BreakerSettings;
pub use snapshot::{Snapshot, Totals, Transition};
use window::{Counts, Window};

/// For how long another host's trouble makes this one look closer, unless its own calls succeed before.
const WARNED_FOR: Duration = Duration::from_secs(10);
/// So many failures in a row trip it while it is warned, if that is less than its settings say. More than one, as a single
/// failure happens on good days as well.
const WARNED_FAILURES: u32 = 2;

/// A number between 0 and 1, new at each call: the jitter of the open time.
pub type Jitter = Box<dyn Fn() -> f64 + Send + Sync>;

/// Hears of every change of state, in order and while it happens: must return at once.
pub type Observer = Box<dyn Fn(Transition) + Send + Sync>;

/// A circuit breaker.
pub struct Breaker {
    settings: ArcSwap<BreakerSettings>,
    jitter: Jitter,
    observer: Option<Observer>,
    /// The state, for those who wait for it.
    state: watch::Sender<BreakerState>,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    /// Grows with every change of state; a permit of another generation came too late to be told.
    generation: u64,
    window: Window,
    /// Failures since the last success.
    in_a_row: u32,
    /// Answers that broke off since one came to its end. Closing does not forget them: that answers begin is all that probes
    /// have shown.
    broken: u32,
    /// Until when another host's trouble makes it suspect.
    warned: Option<Instant>,
    /// Whether it may still end its open time for another host's recovery.
    may_hurry: bool,
    /// Trips since it was last closed for as long as `calm_after`.
    trips: u32,
    /// Since when it is in its state.
    since: Instant,
    totals: Totals,
}

#[derive(Clone, Copy)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { under_way: u32, succeeded: u32 },
    Isolated,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(settings: BreakerSettings, jitter: Jitter) -> Self {
        let now = Instant::now();
        let inner = Inner {
            state: State::Closed,
            generation: 0,
            window: Window::new(settings.window, now),
            in_a_row: 0,
            broken: 0,
            warned: None,
            may_hurry: false,
            trips: 0,
            since: now,
            totals: Totals::default(),
        };
        Self {
            settings: ArcSwap::from_pointee(settings),
            jitter,
            observer: None,
            state: watch::Sender::new(BreakerState::Closed),
            inner: Mutex::new(inner),
        }
    }

    /// The same, with somebody who hears of every change of state.
    #[must_use]
    pub fn observed(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What it goes by.
    pub fn settings(&self) -> Arc<BreakerSettings> {
        self.settings.load_full()
    }

    /// Goes by other settings from the next call on. Its state stays, and an open time that is under way keeps its end. A window
    /// of another length begins empty, and so does the count of probes.
    pub fn set(&self, settings: BreakerSettings) {
        let now = Instant::now();
        let mut inner = self.lock();
        if settings.window != self.settings.load().window {
            inner.window = Window::new(settings.window, now);
        }
        self.settings.store(Arc::new(settings));
        if let State::HalfOpen { .. } = inner.state {
            // Those under way count for nothing, as they were for another number.
            inner.state = half_open();
            inner.generation = inner.generation.wrapping_add(1);
        }
    }

    /// The state, to be waited for. Changes that follow each other quickly may be seen as one.
    pub fn watch(&self) -> watch::Receiver<BreakerState> {
        self.state.subscribe()
    }

    /// Waits until calls that are under way had better not be waited for: it tripped, or somebody isolates it.
    pub async fn tripped(&self) {
        let refuses = |state: &BreakerState| match state {
            BreakerState::Open => !self.settings.load().metrics_only,
            BreakerState::Isolated => true,
            BreakerState::Closed | BreakerState::HalfOpen => false,
        };
        if self.watch().wait_for(refuses).await.is_err() {
            std::future::pending().await
        }
    }

    /// Whether the latest call failed, or another host warned of it, so that the next call had better not wait long.
    pub fn is_suspect(&self) -> bool {
        let inner = self.lock();
        inner.in_a_row > 0
            || inner.is_warned(Instant::now())
            || matches!(inner.state, State::HalfOpen { .. })
    }

    /// Hears what became of another host's breaker before the same cloud.
    ///
    /// Open: while this one is closed it is suspect for a while, and fewer failures of its own trip it; the next success
    /// ends that. Closed: when this one has been open for as long as after a first trip, its open time is over, once for
    /// each trip. Anything else changes nothing, and nothing heard ever opens or closes it.
    pub fn hear(&self, other: BreakerState) {
        let now = Instant::now();
        let mut inner = self.lock();
        let has_waited = now - inner.since >= self.settings.load().open_for;
        let may_hurry = inner.may_hurry && has_waited;
        match (other, &mut inner.state) {
            (BreakerState::Open, State::Closed) => {
                inner.warned = now.checked_add(WARNED_FOR);
            }
            (BreakerState::Closed, State::Open { until }) if may_hurry => {
                *until = now.min(*until);
                inner.may_hurry = false;
            }
            _ => {}
        }
    }

    /// Asks for the right to make one call.
    ///
    /// # Errors
    /// [`NotPermitted`] while it is open or isolated, and while it is half open with all its probes under way.
    pub fn try_acquire(&self) -> Result<Permit<'_>, NotPermitted> {
        let now = Instant::now();
        let settings = self.settings.load();
        let mut inner = self.lock();
        if let State::Open { until } = inner.state
            && now >= until
        {
            self.become_(&mut inner, half_open(), now);
        }
        let refused = match &mut inner.state {
            State::Closed => None,
            State::Open { until } => Some(NotPermitted {
                state: BreakerState::Open,
                retry_after: Some(*until - now),
            }),
            State::HalfOpen {
                under_way,
                succeeded,
            } => {
                if under_way.saturating_add(*succeeded) < settings.probes.max(1) {
                    *under_way += 1;
                    None
                } else {
                    Some(NotPermitted {
                        state: BreakerState::HalfOpen,
                        retry_after: Some(settings.slow_call),
                    })
                }
            }
            State::Isolated => Some(NotPermitted {
                state: BreakerState::Isolated,
                retry_after: None,
            }),
        };
        if let Some(refused) = refused {
            inner.totals.not_permitted += 1;
            // Isolation is an operator's word, not the breaker's own opinion.
            if !settings.metrics_only || refused.state == BreakerState::Isolated {
                return Err(refused);
            }
        }
        Ok(Permit {
            breaker: self,
            generation: inner.generation,
            began: now,
            told: false,
        })
    }

    /// Refuses every call until [`Breaker::release`].
    pub fn isolate(&self) {
        let mut inner = self.lock();
        if !matches!(inner.state, State::Isolated) {
            self.become_(&mut inner, State::Isolated, Instant::now());
        }
    }

    /// Ends an isolation: probes decide whether it closes. Without an isolation nothing happens.
    pub fn release(&self) {
        let mut inner = self.lock();
        if matches!(inner.state, State::Isolated) {
            self.become_(&mut inner, half_open(), Instant::now());
        }
    }

    /// The state. An open time that is over shows at the next call that asks for a permit.
    pub fn state(&self) -> BreakerState {
        self.lock().state.name()
    }

    /// All that there is to see.
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let inner = self.lock();
        let Counts {
            calls,
            failures,
            slow,
        } = inner.window.counts(now);
        Snapshot {
            state: inner.state.name(),
            for_: now - inner.since,
            open_for: match inner.state {
                State::Open { until } => Some(until.saturating_duration_since(now)),
                _ => None,
            },
            calls,
            failures,
            slow,
            totals: inner.totals,
        }
    }

    /// Learns what came of a call.
    fn learn(&self, generation: u64, took: Duration, failed: bool) {
        let now = Instant::now();
        let settings = self.settings.load();
        let slow = took >= settings.slow_call;
        let mut inner = self.lock();
        let totals = &mut inner.totals;
        totals.successes += u64::from(!failed);
        totals.failures += u64::from(failed);
        totals.slow += u64::from(slow);
        if generation != inner.generation {
            inner.totals.late += 1;
            return;
        }
        match inner.state {
            State::Closed => {
                inner.window.add(now, failed, slow);
                if failed {
                    inner.in_a_row = inner.in_a_row.saturating_add(1);
                } else {
                    (inner.in_a_row, inner.warned) = (0, None);
                }
                if must_trip(&settings, &inner, now) {
                    self.trip(&mut inner, now);
                }
            }
            // A slow answer shows that the service has not recovered.
            State::HalfOpen { .. } if failed || slow => self.trip(&mut inner, now),
            State::HalfOpen {
                under_way,
                succeeded,
            } => {
                let succeeded = succeeded.saturating_add(1);
                if succeeded >= settings.probes.max(1) {
                    self.become_(&mut inner, State::Closed, now);
                } else {
                    inner.state = State::HalfOpen {
                        under_way: under_way.saturating_sub(1),
                        succeeded,
                    };
                }
            }
            State::Open { .. } | State::Isolated => inner.totals.late += 1,
        }
    }

    /// Takes a permit back whose call came to no end.
    fn cancel(&self, generation: u64) {
        let mut inner = self.lock();
        if generation == inner.generation
            && let State::HalfOpen { under_way, .. } = &mut inner.state
        {
            *under_way = under_way.saturating_sub(1);
        }
    }

    fn trip(&self, inner: &mut Inner, now: Instant) {
        let settings = self.settings.load();
        // Whoever was closed for long has recovered; a cloud that flaps has not.
        if matches!(inner.state, State::Closed) && now - inner.since >= settings.calm_after {
            inner.trips = 0;
        }
        inner.trips = inner.trips.saturating_add(1);
        inner.totals.trips += 1;
        let open_for = settings.open_time(inner.trips, (self.jitter)());
        // An open time beyond what the clock can name is as good as a day.
        let until = now
            .checked_add(open_for)
            .unwrap_or(now + Duration::from_secs(86_400));
        self.become_(inner, State::Open { until }, now);
    }

    fn become_(&self, inner: &mut Inner, state: State, now: Instant) {
        let transition = Transition {
            from: inner.state.name(),
            to: state.name(),
        };
        inner.state = state;
        inner.generation = inner.generation.wrapping_add(1);
        inner.since = now;
        inner.in_a_row = 0;
        inner.warned = None;
        inner.may_hurry = true;
        inner.window.clear();
        self.state.send_replace(transition.to);
        if let Some(observer) = &self.observer {
            observer(transition);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_warned(&self, now: Instant) -> bool {
        self.warned.is_some_and(|until| now < until)
    }
}

impl State {
    fn name(self) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
            Self::Isolated => BreakerState::Isolated,
        }
    }
}

fn must_trip(settings: &BreakerSettings, inner: &Inner, now: Instant) -> bool {
    let mut in_a_row = settings.consecutive_failures.max(1);
    if inner.is_warned(now) {
        in_a_row = in_a_row.min(WARNED_FAILURES);
    }
    if inner.in_a_row.max(inner.broken) >= in_a_row {
        return true;
    }
    let counts = inner.window.counts(now);
    let reached = |part: u32, rate: f64| f64::from(part) >= rate * f64::from(counts.calls);
    counts.calls >= settings.minimum_calls.max(1)
        && (reached(counts.failures, settings.failure_rate)
            || reached(counts.slow, settings.slow_rate))
}

fn half_open() -> State {
    State::HalfOpen {
        under_way: 0,
        succeeded: 0,
    }
}

#[cfg(test)]
mod tests;
