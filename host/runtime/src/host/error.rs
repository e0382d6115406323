//! The one conversion of errors between host and guest.

use stuga_core::{Error, ErrorKind};
use tracing::error;

use crate::bindings::stuga::agent::types::{Error as WitError, ErrorDetail, Host};
use crate::redact::Revealed;
use crate::state::HostState;

/// The operation that an agent's own errors name.
const AGENT: &str = "agent.invoke";
/// Longest message of an agent's own error that is kept, in bytes.
const MESSAGE_MAX_BYTES: usize = 8 << 10;
/// Most facts of an agent's own error that are kept.
const CONTEXT_MAX_ENTRIES: usize = 32;

impl Host for HostState {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<WitError> {
        let tape = self.call.as_ref().and_then(|call| call.ctx.tape.as_ref());
        if tape.is_some_and(|tape| tape.differs()) {
            return Err(wasmtime::Error::msg(
                "it asks for something else than it did when it was recorded",
            ));
        }
        Ok(to_guest(&error))
    }
}

fn to_guest(error: &Error) -> WitError {
    if error.kind() == ErrorKind::Internal {
        error!(
            operation = error.operation(),
            error = error.message(),
            causes = error.causes(),
            "a host call failed"
        );
    }
    let detail = ErrorDetail {
        message: match error.operation() {
            // Another agent's own words, which came through a message: once more they stay as they are.
            AGENT => error.message().to_owned(),
            _ => error.to_string(),
        },
        retry_after_ms: error
            .retry_after()
            .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        context: error
            .context()
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect(),
    };
    match error.kind() {
        ErrorKind::NotFound => WitError::NotFound(detail),
        ErrorKind::Invalid => WitError::Invalid(detail),
        ErrorKind::Denied => WitError::Denied(detail),
        ErrorKind::Conflict => WitError::Conflict(detail),
        ErrorKind::QuotaExceeded => WitError::QuotaExceeded(detail),
        ErrorKind::RateLimited => WitError::RateLimited(detail),
        ErrorKind::Timeout => WitError::Timeout(detail),
        ErrorKind::Unavailable => WitError::Unavailable(detail),
        ErrorKind::Internal => WitError::Internal(detail),
    }
}

/// What an agent answered as its own error, cut to bounds and without what was revealed to it.
pub(crate) fn from_guest(error: WitError, revealed: &Revealed) -> Error {
    let (kind, detail) = match error {
        WitError::NotFound(detail) => (ErrorKind::NotFound, detail),
        WitError::Invalid(detail) => (ErrorKind::Invalid, detail),
        WitError::Denied(detail) => (ErrorKind::Denied, detail),
        WitError::Conflict(detail) => (ErrorKind::Conflict, detail),
        WitError::QuotaExceeded(detail) => (ErrorKind::QuotaExceeded, detail),
        WitError::RateLimited(detail) => (ErrorKind::RateLimited, detail),
        WitError::Timeout(detail) => (ErrorKind::Timeout, detail),
        WitError::Unavailable(detail) => (ErrorKind::Unavailable, detail),
        WitError::Internal(detail) => (ErrorKind::Internal, detail),
    };
    let mut message = detail.message;
    revealed.clean(&mut message, MESSAGE_MAX_BYTES);
    let mut error = Error::new(kind, AGENT, message);
    for (mut name, mut value) in detail.context.into_iter().take(CONTEXT_MAX_ENTRIES) {
        revealed.clean(&mut name, MESSAGE_MAX_BYTES);
        revealed.clean(&mut value, MESSAGE_MAX_BYTES);
        error = error.with_context(name, value);
    }
    match detail.retry_after_ms {
        Some(after) => error.with_retry_after(std::time::Duration::from_millis(after)),
        None => error,
    }
}
