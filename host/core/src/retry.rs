//! When a thing that failed is tried again: attempts, exponential backoff with full jitter, and the end of trying.
//!
//! Pure: the time comes from the caller and so does the randomness. Jobs and the mailbox use the same policy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Most attempts of one thing.
pub const ATTEMPTS_MAX: u32 = 100;
/// Longest backoff between two attempts.
pub const BACKOFF_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How often a thing is tried and how long to wait in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included: 1 to [`ATTEMPTS_MAX`].
    pub attempts: u32,
    /// Longest wait after the first failure; it doubles with each one that follows. At least 1 ms.
    pub base: Duration,
    /// Where the doubling ends: `base` to [`BACKOFF_MAX`].
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// Five attempts, waiting up to 1, 2, 4 and 8 seconds.
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(10 * 60),
        }
    }
}

/// What follows a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Next {
    /// Try again after that long.
    Retry(Duration),
    /// The attempts are used up: it becomes a dead letter.
    GiveUp,
}

impl RetryPolicy {
    /// One attempt and no other.
    pub const ONCE: Self = Self {
        attempts: 1,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(1),
    };

    /// Checks that each value lies within its bounds.
    ///
    /// # Errors
    /// `Invalid`, naming the value.
    pub fn check(&self, operation: &'static str) -> Result<()> {
        if !(1..=ATTEMPTS_MAX).contains(&self.attempts) {
            return Err(Error::invalid(
                operation,
                format!(
                    "{} attempts; 1 to {ATTEMPTS_MAX} can be made",
                    self.attempts
                ),
            )
            .with_context("limit", ATTEMPTS_MAX));
        }
        if self.base.as_millis() == 0 || self.cap < self.base || self.cap > BACKOFF_MAX {
            return Err(Error::invalid(
                operation,
                "the backoff is not at least 1 ms, growing to a cap that is no shorter and at most 7 days",
            ));
        }
        Ok(())
    }

    /// The longest wait after so many failures: `base`, doubled with each failure after the first, at most `cap`.
    pub fn longest_wait(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// What follows the `failures`th failure in a row. `roll` is a random number, all values equally likely: the wait is
    /// that share of the longest one ("full jitter"), so that things which failed together do not come back together.
    pub fn after(&self, failures: u32, roll: u64) -> Next {
        if failures >= self.attempts {
            return Next::GiveUp;
        }
        let longest = self.longest_wait(failures).as_millis();
        let wait = longest.saturating_mul(u128::from(roll)) >> u64::BITS;
        Next::Retry(Duration::from_millis(
            u64::try_from(wait).unwrap_or(u64::MAX),
        ))
    }
}

/// The roll of the next of several things that failed together, after `roll` of the one before: far from it, and in the long run
/// all values equally likely. A Weyl sequence, which steps by an odd number near 2^64 over the golden ratio.
pub fn next_roll(roll: u64) -> u64 {
    roll.wrapping_add(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: 6,
        base: Duration::from_millis(100),
        cap: Duration::from_millis(500),
    };

    #[test]
    fn the_longest_wait_doubles_up_to_the_cap() {
        let waits = [1, 2, 3, 4, 5].map(|n| POLICY.longest_wait(n).as_millis());
        assert_eq!(waits, [100, 200, 400, 500, 500]);
        assert_eq!(POLICY.longest_wait(u32::MAX), POLICY.cap);
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        assert!(matches!(POLICY.after(5, 0), Next::Retry(_)));
        assert_eq!(POLICY.after(6, 0), Next::GiveUp);
        assert_eq!(RetryPolicy::ONCE.after(1, u64::MAX), Next::GiveUp);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(RetryPolicy::default().check("x").is_ok());
        assert!(RetryPolicy::ONCE.check("x").is_ok());
        let bad = [
            RetryPolicy {
                attempts: 0,
                ..POLICY
            },
            RetryPolicy {
                attempts: ATTEMPTS_MAX + 1,
                ..POLICY
            },
            RetryPolicy {
                base: Duration::ZERO,
                ..POLICY
            },
            RetryPolicy {
                cap: Duration::from_millis(99),
                ..POLICY
            },
            RetryPolicy {
                cap: Duration::MAX,
                ..POLICY
            },
        ];
        for policy in bad {
            assert!(policy.check("x").is_err(), "{policy:?}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_never_exceeds_the_longest(failures in 1_u32..6, roll: u64) {
            let Next::Retry(wait) = POLICY.after(failures, roll) else {
                panic!("attempts are left")
            };
            prop_assert!(wait <= POLICY.longest_wait(failures));
        }
    }
}
