//! The one error of an agent: what its host calls answer and what its skills may return.

use std::fmt;
use std::time::Duration;

/// Result of a host call or of a skill.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not succeed. There will never be a tenth kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The thing named does not exist.
    NotFound,
    /// The arguments are wrong; the same call fails again.
    Invalid,
    /// The tenant does not grant this, or a policy refused it.
    Denied,
    /// The thing is not in the state that the caller expected.
    Conflict,
    /// A limit on what is stored or queued is reached.
    QuotaExceeded,
    /// Too many calls in too short a time.
    RateLimited,
    /// The deadline passed first; a write may have happened.
    Timeout,
    /// No backend can serve this now.
    Unavailable,
    /// The fault lies with neither the caller nor the arguments: the host's, or the agent's own.
    Internal,
}

impl ErrorKind {
    /// All nine.
    pub const ALL: [Self; 9] = [
        Self::NotFound,
        Self::Invalid,
        Self::Denied,
        Self::Conflict,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The kind in kebab-case, as clients see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Conflict => "conflict",
            Self::QuotaExceeded => "quota-exceeded",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same call may succeed later without any change.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::RateLimited | Self::Timeout | Self::Unavailable)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong, for the caller of the agent. Message and context reach the client: no secrets, no stack traces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) context: Vec<(String, String)>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(
            #[doc = concat!("An error of kind [`ErrorKind::", stringify!($kind), "`].")]
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            }
        )*
    };
}

impl Error {
    /// An error of `kind`. The message is one line, lowercase, and names the thing and the fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            context: Vec::new(),
        }
    }

    constructors! {
        not_found => NotFound,
        invalid => Invalid,
        denied => Denied,
        conflict => Conflict,
        quota_exceeded => QuotaExceeded,
        rate_limited => RateLimited,
        timeout => Timeout,
        unavailable => Unavailable,
        internal => Internal,
    }

    /// Adds a named fact, such as `("path", "/items/3")`.
    #[must_use]
    pub fn with_context(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.context.push((name.into(), value.to_string()));
        self
    }

    /// Says when trying again may help; kept in whole milliseconds.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Why it failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// One line for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When trying again may help; none when that is not known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Named facts in the order in which they were added.
    pub fn context(&self) -> &[(String, String)] {
        &self.context
    }

    /// The first fact of that name.
    pub fn context_value(&self, name: &str) -> Option<&str> {
        self.context
            .iter()
            .find_map(|(n, value)| (n == name).then_some(value.as_str()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
