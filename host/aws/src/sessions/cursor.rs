//! Where a listing of sessions or events reads on: behind which place, which other backends do not know. A listing that began
//! here begins anew there.

use stuga_core::Result;
use stuga_core::cursor::{self, Listing};

/// Hexadecimal digits of a score.
const SCORE_DIGITS: usize = 16;
/// Longest name of a member.
const NAME_MAX_BYTES: usize = 128;

/// Where a member of an index stands. Two sides may have given the same score without seeing each other; then the names say
/// the order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) score: u64,
    pub(super) name: String,
}

/// The cursor behind a place. `what` tells the listing from every other.
pub(super) fn encode(listing: Listing, what: &str, place: &Place) -> String {
    let prefix = prefix(what);
    let Place { score, name } = place;
    cursor::encode(listing, &prefix, &format!("{prefix}{score:016x}{name}"))
}

/// Behind which place to read on.
///
/// # Errors
/// `Invalid` when the text is no cursor of this listing.
pub(super) fn decode(
    operation: &'static str,
    listing: Listing,
    what: &str,
    cursor: &str,
) -> Result<Place> {
    let prefix = prefix(what);
    let longest = prefix.len() + SCORE_DIGITS + NAME_MAX_BYTES;
    let last = cursor::decode(operation, listing, &prefix, cursor, longest)?;
    let place = || {
        let (score, name) = last.strip_prefix(&prefix)?.split_at_checked(SCORE_DIGITS)?;
        Some(Place {
            score: u64::from_str_radix(score, 16).ok()?,
            name: (!name.is_empty()).then(|| name.to_owned())?,
        })
    };
    place().ok_or_else(|| cursor::malformed(operation))
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
        let place = Place {
            score: u64::MAX,
            name: "0001#ab".to_owned(),
        };
        let cursor = encode(Listing::Events, "astrid s up", &place);
        let decode = |listing, what, cursor: &str| decode("sessions.events", listing, what, cursor);
        assert_eq!(
            decode(Listing::Events, "astrid s up", &cursor).unwrap(),
            place
        );
        assert!(decode(Listing::Sessions, "astrid s up", &cursor).is_err());
        assert!(decode(Listing::Events, "astrid s down", &cursor).is_err());
        for bad in [
            "",
            "zz",
            "65",
            &cursor[..cursor.len() - 2 * place.name.len()],
            &cursor.repeat(9),
        ] {
            assert!(
                decode(Listing::Events, "astrid s up", bad).is_err(),
                "{bad}"
            );
        }
    }
}
