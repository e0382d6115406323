//! Identifiers. Each is checked when it is made, so that a value that exists can be used in a path or a key as it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// Longest name of a tenant, an agent or a skill, in bytes: the length of a DNS label, so that a name can become part
/// of an AWS resource name.
pub const NAME_MAX_BYTES: usize = 63;

/// Longest id of a request that a client may hand in, in bytes.
pub const REQUEST_ID_MAX_BYTES: usize = 128;

/// Whether `name` is 1 to [`NAME_MAX_BYTES`] bytes of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit.
pub fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    bytes.len() <= NAME_MAX_BYTES
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and keeps a name.
            ///
            /// # Errors
            /// `Invalid` when it is not 1 to 63 characters of `a-z`, `0-9` and inner `-`.
            pub fn new(name: &str) -> Result<Self> {
                if is_name(name) {
                    return Ok(Self(name.into()));
                }
                let shown: String = name.chars().take(NAME_MAX_BYTES).collect();
                Err(Error::invalid(
                    concat!($what, ".name"),
                    format!(concat!($what, " name {:?} is not 1 to 63 characters of a-z, 0-9 and inner -"), shown),
                ))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(s: &str) -> Result<Self> {
                Self::new(s)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(s: String) -> Result<Self> {
                Self::new(&s)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name_type!(
    /// A tenant. It enters with a credential and is never named by a guest.
    TenantId,
    "tenant"
);
name_type!(
    /// An agent of a tenant, named like its plugin.
    AgentName,
    "agent"
);

/// The id of a request as it stands in logs and errors: the client's own or one made by the server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Keeps a client's id when it is 1 to [`REQUEST_ID_MAX_BYTES`] visible ASCII characters; none otherwise.
    pub fn from_client(id: &str) -> Option<Self> {
        let fits = !id.is_empty()
            && id.len() <= REQUEST_ID_MAX_BYTES
            && id.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(id.into()))
    }

    /// Makes a request id from random or ordered bits.
    pub fn from_uuid(id: Uuid) -> Self {
        let mut buffer = Uuid::encode_buffer();
        Self((&*id.simple().encode_lower(&mut buffer)).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One invocation of an agent. A repetition of the same invocation after a failure has the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvocationId(Uuid);

impl InvocationId {
    /// Takes an id made by the host (UUID version 7).
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The id's bits.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvocationId({self})")
    }
}

impl FromStr for InvocationId {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Uuid::try_parse(s)
            .map(Self)
            .map_err(|_| Error::invalid("invocation.id", "invocation id is not a UUID"))
    }
}

/// One write of an invocation: known before its first attempt, the same in every repetition, so that a backend applies
/// it once however often it arrives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct WriteId {
    /// The invocation that wrote.
    pub invocation: InvocationId,
    /// Which of its writes this is, from 0.
    pub call: u32,
}

impl WriteId {
    /// The id as 34 to 43 characters of `a-z`, `0-9` and `-`: the name of what the write makes when nobody named it, the
    /// same on every backend.
    pub fn to_name(self) -> String {
        format!("{}-{}", self.invocation.as_uuid().as_simple(), self.call)
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.invocation, self.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_directory_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "A",
            "å",
            "-a",
            "a-",
            "a b",
            "a\0",
            &"a".repeat(64),
        ] {
            assert!(TenantId::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "meetmind", "svea-2", "0", &"a".repeat(63)] {
            assert_eq!(TenantId::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_name_is_checked_when_it_is_deserialized() {
        assert!(serde_json::from_str::<TenantId>("\"../x\"").is_err());
        assert_eq!(
            serde_json::from_str::<AgentName>("\"meetmind\"")
                .unwrap()
                .as_str(),
            "meetmind"
        );
    }

    #[test]
    fn a_request_id_with_a_line_break_is_not_taken() {
        assert!(RequestId::from_client("a\nb").is_none());
        assert!(RequestId::from_client(&"x".repeat(129)).is_none());
        assert_eq!(RequestId::from_client("req-1").unwrap().as_str(), "req-1");
    }
}
