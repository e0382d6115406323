//! The one error of every capability: what kind it is, what was tried, and what helps.
//!
//! `message` and `context` may reach guests and clients: they hold no internals and no secrets. The source chain is for
//! the host's own log and is never shown to them.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Result of a capability operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not succeed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The thing named does not exist.
    NotFound,
    /// The arguments are wrong; the same call fails again.
    Invalid,
    /// Not granted, or refused by a policy.
    Denied,
    /// The thing is not in the expected state.
    Conflict,
    /// A limit on what is stored or queued is reached.
    QuotaExceeded,
    /// Too many calls in too short a time.
    RateLimited,
    /// The deadline passed first; a write may have landed.
    Timeout,
    /// The backend cannot be reached or cannot serve.
    Unavailable,
    /// The host's own fault.
    Internal,
}

impl ErrorKind {
    /// The kind in kebab-case, as it stands in `type` of a problem and in logs.
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

    /// Whether the backend, not the caller, is the cause, so that the error counts against its breaker.
    pub const fn is_outage(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable)
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

/// An error of a capability or of the host.
///
/// `Display` is the operation and the message on one line, without the source, which [`StdError::source`] hands out.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    message: Cow<'static, str>,
    context: Vec<(Cow<'static, str>, String)>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(
            #[doc = concat!("An error of kind `", stringify!($kind), "`; see [`Error::new`].")]
            pub fn $name(operation: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
                Self::new(ErrorKind::$kind, operation, message)
            }
        )*
    };
}

impl Error {
    /// An error of `kind` in `operation` (such as `memory.put`). The message is one line, lowercase, without a final
    /// period; it names the thing and the fix and is safe to show to clients.
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            message: message.into(),
            context: Vec::new(),
            retry_after: None,
            source: None,
        }))
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

    /// Adds a fact, such as `("limit", "1048576")`.
    #[must_use]
    pub fn with_context(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
    ) -> Self {
        self.0.context.push((name.into(), value.to_string()));
        self
    }

    /// Keeps what caused the error, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Why it failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done, such as `memory.put`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// One line for the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Facts for the caller, in the order in which they were added.
    pub fn context(&self) -> &[(Cow<'static, str>, String)] {
        &self.0.context
    }

    /// The first fact of that name.
    pub fn context_value(&self, name: &str) -> Option<&str> {
        self.0
            .context
            .iter()
            .find_map(|(n, value)| (*n == name).then_some(value.as_str()))
    }

    /// When trying again may help; none when that is not known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The chain of causes on one line, for the host's log only; empty without a source.
    pub fn causes(&self) -> String {
        let mut text = String::new();
        let mut next = self.source();
        while let Some(cause) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            operation,
            message,
            context,
            retry_after,
            source,
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("operation", operation)
            .field("message", message)
            .field("context", context)
            .field("retry_after", retry_after)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_keeps_the_source_for_the_log() {
        let error = Error::unavailable("memory.put", "the store cannot be written")
            .with_source(std::io::Error::other("disk /secret/path failed"));
        assert_eq!(error.to_string(), "memory.put: the store cannot be written");
        assert_eq!(error.causes(), "disk /secret/path failed");
    }

    #[test]
    fn only_errors_of_the_backend_count_against_it() {
        use ErrorKind::*;
        for caller in [
            NotFound,
            Invalid,
            Denied,
            Conflict,
            QuotaExceeded,
            RateLimited,
            Internal,
        ] {
            assert!(!caller.is_outage(), "{caller}");
        }
        assert!(Timeout.is_outage() && Unavailable.is_outage());
    }
}
