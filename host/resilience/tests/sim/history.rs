//! What clients did, as they saw it.

use crate::store::Place;

/// One operation of a client, with its repetitions.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its invocation, which tells it from all others.
    pub(crate) number: u64,
    /// Which host it was sent to.
    pub(crate) host: usize,
    pub(crate) place: Place,
    pub(crate) what: What,
    /// Its place in time, and that of its end; none when the client never heard of one.
    pub(crate) began: u64,
    pub(crate) ended: Option<u64>,
    /// Whether any of its attempts came to no end.
    pub(crate) interrupted: bool,
    /// Whether its answer said that it is less than it could be.
    pub(crate) degraded: bool,
}

/// What was done.
#[derive(Debug)]
pub(crate) enum What {
    Put {
        /// What was expected to stand there, of a compare-and-set.
        expected: Option<u64>,
        /// The version that was acknowledged.
        version: Option<u64>,
    },
    Delete,
    /// The number of the operation whose value was found, with the version.
    Get(Option<(u64, u64)>),
}

impl Operation {
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether it had ended before `other` began.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.ended.is_some_and(|ended| ended < other.began)
    }
}

/// The value that an operation puts: it says where it belongs and who wrote it.
pub(crate) fn value(place: &Place, number: u64) -> Vec<u8> {
    format!("{}/{}/{}#{number}", place.0, place.1, place.2).into_bytes()
}

/// Who wrote a value; none when it belongs to another place.
pub(crate) fn writer(place: &Place, value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let (_, number) = text.rsplit_once('#')?;
    let number = number.parse().ok()?;
    (self::value(place, number) == value).then_some(number)
}
