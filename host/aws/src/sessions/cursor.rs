//! Where a listing of sessions or events reads on: after which version, which other backends do not know. A listing that began
//! here begins anew there.

use stuga_core::Result;
use stuga_core::cursor::{self, Listing};

/// Hexadecimal digits of a version.
const DIGITS: usize = 16;

/// The cursor after what has that version. `what` tells the listing from every other.
pub(super) fn encode(listing: Listing, what: &str, version: u64) -> String {
    let prefix = prefix(what);
    cursor::encode(listing, &prefix, &format!("{prefix}{version:016x}"))
}

/// After which version to read on.
///
/// # Errors
/// `Invalid` when the text is no cursor of this listing.
pub(super) fn decode(
    operation: &'static str,
    listing: Listing,
    what: &str,
    cursor: &str,
) -> Result<u64> {
    let prefix = prefix(what);
    let last = cursor::decode(operation, listing, &prefix, cursor, prefix.len() + DIGITS)?;
    let digits = last
        .strip_prefix(&prefix)
        .filter(|digits| digits.len() == DIGITS);
    let version = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    version.ok_or_else(|| cursor::malformed(operation))
}

/// Marked as ours, so that no cursor of a local listing is taken for one.
fn prefix(what: &str) -> String {
    format!("aws {what} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_and_only_in_its_own_listing() {
        let cursor = encode(Listing::Events, "astrid s up", u64::MAX);
        let decode = |listing, what, cursor: &str| decode("sessions.events", listing, what, cursor);
        assert_eq!(
            decode(Listing::Events, "astrid s up", &cursor).unwrap(),
            u64::MAX
        );
        assert!(decode(Listing::Sessions, "astrid s up", &cursor).is_err());
        assert!(decode(Listing::Events, "astrid s down", &cursor).is_err());
        for bad in [
            "",
            "zz",
            "65",
            &cursor[..cursor.len() - 2],
            &cursor.repeat(2),
        ] {
            assert!(
                decode(Listing::Events, "astrid s up", bad).is_err(),
                "{bad}"
            );
        }
    }
}
