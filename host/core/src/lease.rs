//! Leases: who holds a thing that is being done, and until when.
//!
//! Whoever takes a job or a message out of a queue holds it under a lease and prolongs it from time to time. A holder
//! that dies stops doing so; when its lease runs out the thing is done again, and what the dead holder still says
//! about it is not heard, because the token is another one by then.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ErrorKind;

/// How often one attempt may be lost with its holder before it counts as failed. Bounds what a thing that takes its host
/// down with it can do.
pub const LOSSES_MAX: u32 = 3;
/// Longest message of a failure that is kept, in bytes; what is over is cut.
pub const FAILURE_MESSAGE_MAX_BYTES: usize = 2 << 10;

/// Which holder. Made by the host from random bits, a new one for each time that something is taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(Uuid);

impl LeaseToken {
    /// A token of these random bits.
    pub const fn from_uuid(bits: Uuid) -> Self {
        Self(bits)
    }

    /// The token's bits.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// It is what proves a holder, so logs do not show it.
impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken(..)")
    }
}

/// A lease that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// By whom.
    pub token: LeaseToken,
    /// For how long, counted from now by the backend's clock.
    pub time: Duration,
}

/// Whether a holder still holds what it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// It does.
    Yes,
    /// It does not: the lease ran out and somebody else may have taken it, or it was cancelled or removed.
    No,
}

/// Why an attempt did not succeed, as it is kept and shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of error.
    pub kind: ErrorKind,
    /// One line.
    pub message: String,
    /// Whether another attempt makes sense at all.
    pub is_final: bool,
}

impl Failure {
    /// A failure with its message cut to [`FAILURE_MESSAGE_MAX_BYTES`].
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(FAILURE_MESSAGE_MAX_BYTES));
        Self {
            kind,
            message,
            is_final: false,
        }
    }

    /// The same, after which nothing is tried again.
    #[must_use]
    pub fn finally(mut self) -> Self {
        self.is_final = true;
        self
    }
}
