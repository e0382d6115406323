//! Signs of life of whoever answers a call from afar.
//!
//! How long a call takes depends on what it carries; how long nothing at all is heard does not. A backend that sends its
//! requests over a network tells of each answer and each piece of one ([`Pulse::beat`]), and of what will take its time in
//! silence ([`Pulse::excuse`]). Whoever waits can then give up a peer that is dead without cutting off one that is at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// When something was heard last. Clones tell each other; cheap.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Heard>);

#[derive(Debug)]
struct Heard {
    began: Instant,
    /// Microseconds from `began`; only grows.
    last: AtomicU64,
}

impl Default for Pulse {
    /// One that begins with a beat.
    fn default() -> Self {
        Self(Arc::new(Heard {
            began: Instant::now(),
            last: AtomicU64::new(0),
        }))
    }
}

impl Pulse {
    /// Something was heard now.
    pub fn beat(&self) {
        self.excuse(Duration::ZERO);
    }

    /// Nothing needs to be heard for that long: what was asked for takes it. It counts as a beat at its end.
    pub fn excuse(&self, time: Duration) {
        let last = self.0.began.elapsed().saturating_add(time);
        let last = u64::try_from(last.as_micros()).unwrap_or(u64::MAX);
        self.0.last.fetch_max(last, Ordering::Relaxed);
    }

    /// When something was heard last, or will have been by what was excused.
    pub fn last(&self) -> Instant {
        let last = Duration::from_micros(self.0.last.load(Ordering::Relaxed));
        // Who excuses itself for ever is waited for no longer than the call may take.
        self.0.began.checked_add(last).unwrap_or(self.0.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn an_excuse_lasts_its_time_and_a_beat_within_it_does_not_end_it() {
        let pulse = Pulse::default();
        let began = Instant::now();
        assert_eq!(pulse.last(), began);
        tokio::time::advance(2 * SECOND).await;
        let other = pulse.clone();
        other.beat();
        assert_eq!(pulse.last(), began + 2 * SECOND);
        pulse.excuse(5 * SECOND);
        tokio::time::advance(SECOND).await;
        pulse.beat();
        assert_eq!(other.last(), began + 7 * SECOND);
        tokio::time::advance(9 * SECOND).await;
        pulse.beat();
        assert_eq!(other.last(), began + 12 * SECOND);
    }
}
