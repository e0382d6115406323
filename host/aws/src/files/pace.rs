//! How long S3 may be silent because of what it was asked for. Whoever waits for an answer of files gives up a cloud of which
//! nothing is heard ([`stuga_core::pulse`]); a content that is on its way, or is copied, is not that.

use std::time::Duration;

/// Bytes that at least arrive at S3 in a second. A request is heard of when it is answered, and what is on its way cannot
/// be seen from here: it lies in buffers.
const SENT_PER_SECOND: u64 = 1 << 20;
/// Bytes that S3 at least copies in a second.
const COPIED_PER_SECOND: u64 = 16 << 20;
/// How long S3 puts together the parts of an object.
pub(super) const COMPLETING: Duration = Duration::from_secs(10);

/// How long `bytes` take to be sent.
pub(super) fn sending(bytes: usize) -> Duration {
    time(bytes as u64, SENT_PER_SECOND)
}

/// How long `bytes` take to be copied.
pub(super) fn copying(bytes: u64) -> Duration {
    time(bytes, COPIED_PER_SECOND)
}

fn time(bytes: u64, per_second: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1_000) / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_content_excuses_nothing_and_a_large_one_its_time() {
        assert_eq!(sending(1_000), Duration::ZERO);
        assert_eq!(sending(8 << 20), Duration::from_secs(8));
        assert_eq!(copying(64 << 20), Duration::from_secs(4));
        assert!(copying(u64::MAX) > COMPLETING);
    }
}
