//! What all capabilities ask of a write that another side has acknowledged.

use stuga_core::standby::Made;
use stuga_core::{Error, Result, Write};

/// Where a write can stand at most: what Redis and JavaScript order by is exact below. A clock gets there in the year 2248.
const STAMP_MAX: u64 = 1 << 53;

/// Where a write stands among all writes.
///
/// # Errors
/// `Invalid` for a place that no clock gives.
pub(crate) fn stamp_of<W: Write>(operation: &'static str, made: &Made<W::Ack>) -> Result<u64> {
    let stamp = made.stamp.max(W::version(&made.ack));
    if stamp < STAMP_MAX {
        return Ok(stamp);
    }
    let beyond = "the write's version is beyond what a clock gives; look at the clock of the host that made it";
    Err(Error::invalid(operation, beyond).with_context("limit", STAMP_MAX))
}

/// The answer belongs to another kind of write.
pub(crate) fn mismatched(operation: &'static str) -> Error {
    Error::invalid(operation, "what was answered is no answer to this write")
}

#[cfg(test)]
mod tests {
    use stuga_core::Timestamp;
    use stuga_core::memory::{MemoryAck, MemoryWrite};

    use super::*;

    #[test]
    fn a_place_that_no_clock_gives_is_refused() {
        let made = |stamp, version| Made {
            ack: MemoryAck {
                version,
                existed: false,
            },
            stamp,
            at: Timestamp::default(),
        };
        let stamp = |made| stamp_of::<MemoryWrite>("memory.put", &made);
        assert_eq!(stamp(made(3, 5)).unwrap(), 5);
        assert!(stamp(made(1 << 53, 5)).is_err());
        assert!(stamp(made(3, u64::MAX)).is_err());
    }
}
