//! Answers that come piece by piece: the call has succeeded with the first piece, and the breaker hears of the rest later.

use tokio::time::Instant;

use super::{Breaker, State, must_trip};

impl Breaker {
    /// Learns that an answer broke off whose call had succeeded with its beginning. `trips` is what [`Breaker::trips`] said when
    /// it began: what began before the latest trip tells nothing.
    ///
    /// It is a failure as that of a call. Beside that as many in a row as trip it by failures trip it also when calls and probes
    /// succeed between them, and after that the first one does, until [`Breaker::came_whole`].
    pub fn broke_off(&self, trips: u64) {
        let now = Instant::now();
        let settings = self.settings.load();
        let mut inner = self.lock();
        inner.totals.failures += 1;
        if trips != inner.totals.trips {
            inner.totals.late += 1;
            return;
        }
        match inner.state {
            State::Closed => {
                inner.window.add(now, true, false);
                inner.in_a_row = inner.in_a_row.saturating_add(1);
                inner.broken = inner.broken.saturating_add(1);
                if must_trip(&settings, &inner, now) {
                    self.trip(&mut inner, now);
                }
            }
            State::HalfOpen { .. } => {
                inner.broken = inner.broken.saturating_add(1);
                self.trip(&mut inner, now);
            }
            State::Open { .. } | State::Isolated => inner.totals.late += 1,
        }
    }

    /// Learns that an answer came to its end which began when it had tripped so often.
    pub fn came_whole(&self, trips: u64) {
        let mut inner = self.lock();
        if trips == inner.totals.trips {
            inner.broken = 0;
        }
    }

    /// How often it has tripped since it was made.
    pub fn trips(&self) -> u64 {
        self.lock().totals.trips
    }
}
