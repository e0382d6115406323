//! How versions grow: the same rule in every backend, so that one side can take over where another stopped.

use crate::Timestamp;

/// Versions that one millisecond has room for, as a power of two. With ten bits a version stays an exact number in
/// JavaScript (below 2^53) until the year 2248.
pub const VERSION_BITS: u32 = 10;

/// The version after `last`: larger than it, and larger than any that was given in an earlier millisecond by whoever
/// keeps this rule with a clock that agrees.
///
/// A backend that never saw the writes of another so still gives larger versions than that one did, as long as their
/// clocks do not differ by more than the time between the writes. A clock that is set back only makes versions grow by
/// one. The rule is that of a hybrid logical clock (Kulkarni and others, 2014) in one number.
pub const fn next_version(last: u64, now: Timestamp) -> u64 {
    let by_clock = first_version(now);
    let by_last = last.saturating_add(1);
    if by_clock > by_last {
        by_clock
    } else {
        by_last
    }
}

/// The lowest version that [`next_version`] gives at a moment by the clock alone.
pub const fn first_version(at: Timestamp) -> u64 {
    at.as_millis().saturating_mul(1 << VERSION_BITS)
}

/// The moment of the clock at which a version was given, or a later one when more were given than there is room for.
pub const fn version_time(version: u64) -> Timestamp {
    Timestamp::from_millis(version >> VERSION_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_the_clock_and_never_go_back_with_it() {
        let at = Timestamp::from_millis;
        let first = next_version(0, at(1_767_225_600_000));
        assert_eq!(first, 1_767_225_600_000 << 10);
        assert!(first < 1 << 53, "an exact number in JavaScript");
        assert_eq!(next_version(first, at(1_767_225_600_000)), first + 1);
        assert_eq!(next_version(first, at(5)), first + 1, "a clock set back");
        let later = next_version(first, at(1_767_225_600_001));
        assert!(later > first + 1, "{later}");
        assert_eq!(next_version(u64::MAX, at(u64::MAX)), u64::MAX);
        assert_eq!(first_version(at(1_767_225_600_000)), first);
        assert_eq!(version_time(first + 1_023), at(1_767_225_600_000));
    }
}
