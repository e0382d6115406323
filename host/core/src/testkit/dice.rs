//! Chance that can be repeated: everything random of a test's run comes from its seed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A die: SplitMix64 (Steele, Lea, Flood 2014), which is small, the same everywhere, and good enough to choose faults.
pub struct Dice(Mutex<u64>);

impl Dice {
    /// One whose throws follow from `seed` alone.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// A die of its own, so that one part of a run does not depend on how often another part throws.
    pub fn fork(&self) -> Self {
        Self::new(self.next())
    }

    /// Any number, all equally likely.
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `n` - 1.
    pub fn below(&self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// True so many times in a hundred.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time of `from` to `to` milliseconds.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    /// A place in a list of `len`.
    pub fn place(&self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// One of the things, of which there is at least one.
    pub fn pick<'t, T>(&self, things: &'t [T]) -> &'t T {
        &things[self.place(things.len())]
    }

    /// A number between 0 and 1.
    pub fn share(&self) -> f64 {
        self.below(1_000_000) as f64 / 1e6
    }
}
