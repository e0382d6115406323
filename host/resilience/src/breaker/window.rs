//! Counts of the calls of the last while, in a ring of buckets: bounded memory whatever the traffic.

use std::time::Duration;

use tokio::time::Instant;

/// Parts of the window. What falls out of it falls out in steps of this fraction.
const BUCKETS: usize = 10;

/// How many calls there were, and what came of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

/// A sliding window over time.
#[derive(Debug)]
pub(super) struct Window {
    bucket: Duration,
    began: Instant,
    /// Which step of time each bucket counts, and its counts.
    buckets: [(u128, Counts); BUCKETS],
}

impl Window {
    pub(super) fn new(length: Duration, now: Instant) -> Self {
        let bucket = length / BUCKETS as u32;
        Self {
            bucket: bucket.max(Duration::from_millis(1)),
            began: now,
            buckets: [(0, Counts::default()); BUCKETS],
        }
    }

    pub(super) fn clear(&mut self) {
        self.buckets = [(0, Counts::default()); BUCKETS];
    }

    pub(super) fn add(&mut self, now: Instant, failed: bool, slow: bool) {
        let step = self.step(now);
        let at = usize::try_from(step % BUCKETS as u128).unwrap_or(0);
        let Some((of, counts)) = self.buckets.get_mut(at) else {
            return;
        };
        if *of != step {
            (*of, *counts) = (step, Counts::default());
        }
        counts.calls = counts.calls.saturating_add(1);
        counts.failures = counts.failures.saturating_add(u32::from(failed));
        counts.slow = counts.slow.saturating_add(u32::from(slow));
    }

    pub(super) fn counts(&self, now: Instant) -> Counts {
        let step = self.step(now);
        let oldest = step.saturating_sub(BUCKETS as u128 - 1);
        let recent = self
            .buckets
            .iter()
            .filter(|(of, _)| (oldest..=step).contains(of));
        recent.fold(Counts::default(), |sum, (_, counts)| Counts {
            calls: sum.calls.saturating_add(counts.calls),
            failures: sum.failures.saturating_add(counts.failures),
            slow: sum.slow.saturating_add(counts.slow),
        })
    }

    fn step(&self, now: Instant) -> u128 {
        now.duration_since(self.began).as_nanos() / self.bucket.as_nanos().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_window_no_longer_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(Duration::from_secs(10), start);
        window.add(at(0), true, false);
        window.add(at(5), false, true);
        let both = Counts {
            calls: 2,
            failures: 1,
            slow: 1,
        };
        assert_eq!(window.counts(at(9)), both);
        let one = Counts {
            calls: 1,
            failures: 0,
            slow: 1,
        };
        assert_eq!(window.counts(at(10)), one);
        assert_eq!(window.counts(at(15)), Counts::default());
        assert_eq!(window.counts(at(10_000)), Counts::default());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_is_used_again_has_forgotten() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10), start);
        window.add(start, true, false);
        let later = start + Duration::from_secs(10);
        window.add(later, false, false);
        assert_eq!(window.counts(later).failures, 0);
        assert_eq!(window.counts(later).calls, 1);
    }
}
