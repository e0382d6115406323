//! Where sessions and events stand in listings, and where a listing reads on: the same on every side, so that it goes on when
//! another side answers the next page.

use super::{Order, SESSION_ID_MAX_BYTES};
use crate::Result;
use crate::cursor::{self, Listing};

/// Hexadecimal digits of a number.
const NUMBER_DIGITS: usize = 16;
/// Longest id in a cursor: of a session, or of an event, which is shorter.
const ID_MAX_BYTES: usize = SESSION_ID_MAX_BYTES;

/// Where a session or an event stands. Two sides that did not see each other may have given the same number; then the ids say
/// the order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// What its beginning or its append was answered with.
    pub number: u64,
    /// The session's or the event's id.
    pub id: String,
}

/// A listing, as its cursors name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    listing: Listing,
    name: String,
}

impl Listed {
    /// The sessions of an actor.
    pub fn sessions(actor: &str) -> Self {
        Self {
            listing: Listing::Sessions,
            name: format!("{actor}:"),
        }
    }

    /// The events of a session.
    pub fn events(actor: &str, session: &str, order: Order) -> Self {
        let order = match order {
            Order::OldestFirst => "up",
            Order::NewestFirst => "down",
        };
        // No actor and no id holds a colon.
        Self {
            listing: Listing::Events,
            name: format!("{actor}:{session}:{order}:"),
        }
    }

    /// The cursor behind a place.
    pub fn encode(&self, place: &Place) -> String {
        let Self { listing, name } = self;
        let Place { number, id } = place;
        cursor::encode(*listing, name, &format!("{name}{number:016x}{id}"))
    }

    /// Behind which place to read on; none to begin.
    ///
    /// # Errors
    /// `Invalid` when the text is no cursor of this listing.
    pub fn decode(&self, operation: &'static str, cursor: Option<&str>) -> Result<Option<Place>> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let longest = self.name.len() + NUMBER_DIGITS + ID_MAX_BYTES;
        let last = cursor::decode(operation, self.listing, &self.name, cursor, longest)?;
        self.place(&last)
            .map(Some)
            .ok_or_else(|| cursor::malformed(operation))
    }

    fn place(&self, last: &str) -> Option<Place> {
        let (number, id) = last
            .strip_prefix(&self.name)?
            .split_at_checked(NUMBER_DIGITS)?;
        Some(Place {
            number: u64::from_str_radix(number, 16).ok()?,
            id: (!id.is_empty()).then(|| id.to_owned())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_and_only_in_its_own_listing() {
        let place = Place {
            number: u64::MAX,
            id: "w-0".to_owned(),
        };
        let listed = Listed::events("astrid", "s", Order::OldestFirst);
        let cursor = listed.encode(&place);
        let decode = |listed: &Listed, cursor: &str| listed.decode("sessions.events", Some(cursor));
        assert_eq!(decode(&listed, &cursor).unwrap(), Some(place.clone()));
        assert_eq!(listed.decode("sessions.events", None).unwrap(), None);
        for other in [
            Listed::events("astrid", "s", Order::NewestFirst),
            Listed::events("astrid", "t", Order::OldestFirst),
            Listed::sessions("astrid"),
        ] {
            assert!(decode(&other, &cursor).is_err(), "{other:?}");
        }
        for bad in [
            "",
            "zz",
            "65",
            &cursor[..cursor.len() - 2 * place.id.len()],
            &cursor.repeat(9),
        ] {
            assert!(decode(&listed, bad).is_err(), "{bad}");
        }
    }
}
