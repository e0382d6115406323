//! Chance that comes again with its seed.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use std::time::Duration;

/// A stream of chance. The same seed and name give the same stream.
pub struct Seeded(ChaCha8Rng);

impl Seeded {
    /// The stream `stream` of a seed; streams of one seed are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of a remainder is no matter for bounds this small.
        self.0.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// Whether something happens that does so `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time from `least` to `most`.
    pub fn time(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis();
        let span = u64::try_from(span).unwrap_or(u64::MAX);
        least + Duration::from_millis(self.below(span.saturating_add(1)))
    }

    /// One of the choices, each as often as its weight says; none when there is none.
    pub fn pick<'c, T>(&mut self, choices: &'c [(u64, T)]) -> Option<&'c T> {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            if left < *weight {
                return Some(choice);
            }
            left -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_and_another_stream_another() {
        let draw = |seed, stream| {
            let mut seeded = Seeded::new(seed, stream);
            (0..8).map(|_| seeded.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn a_choice_without_weight_is_never_taken() {
        let mut seeded = Seeded::new(1, 0);
        for _ in 0..100 {
            assert_eq!(seeded.pick(&[(0, 'a'), (3, 'b')]), Some(&'b'));
        }
        assert_eq!(seeded.pick::<char>(&[]), None);
    }
}
