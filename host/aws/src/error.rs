//! What AWS says, as kinds of [`Error`]. The only place that knows its codes.
//!
//! Guests see what happened and what the operator can do, never AWS's own words, which may name accounts and resources of
//! others; those stay in the source, for the log. One exception: what a model says of a guest's own request.

mod codes;
mod failure;

use std::error::Error as _;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::event_stream::RawMessage;
use stuga_core::{Error, ErrorKind, Result};

use crate::action::Action;
use codes::Meaning;
use failure::{Failure, causes, shown};

/// When to try again after throttling that does not say.
const THROTTLED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Operations of an operator who asks what works.
const ASKING: [&str; 2] = [crate::health::OPERATION, crate::provision::OPERATION];
/// Longest wait that AWS can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Under what name an error says what is wrong with the cloud, in one of the words below.
pub(crate) const CLOUD: &str = "cloud";
/// The role may not do it.
pub(crate) const FORBIDDEN: &str = "forbidden";
/// Credentials are missing or not accepted.
pub(crate) const CREDENTIALS: &str = "credentials";
/// Something that provisioning makes is not there.
pub(crate) const MISSING: &str = "missing";
/// What was asked for is not there.
pub(crate) const ABSENT: &str = "absent";
/// What is kept there is not what was stored.
pub(crate) const DAMAGED: &str = "damaged";
/// There is no way to the service.
pub(crate) const UNREACHABLE: &str = "unreachable";

/// What a service answered, as far as it matters to an error.
pub(crate) trait Reply: std::fmt::Debug + 'static {
    /// The status code; none in the middle of a stream.
    fn status(&self) -> Option<u16> {
        None
    }

    /// A header.
    fn header(&self, _: &str) -> Option<&str> {
        None
    }
}

impl Reply for HttpResponse {
    fn status(&self) -> Option<u16> {
        Some(self.status().as_u16())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)
    }
}

impl Reply for RawMessage {}

/// The error of `operation` (such as `files.put`), which called AWS.
///
/// Throttling beyond the SDK's own retries, credentials that are not accepted, permissions that are missing, and what was
/// never provisioned are `Unavailable`: the operator's to mend, and meanwhile another backend shall serve. They are logged
/// here, with the fix.
pub(crate) fn classify<E: Action, R: Reply>(
    operation: &'static str,
    error: SdkError<E, R>,
) -> Error {
    let (meaning, failure) = read(&error);
    if meaning == Meaning::Busy {
        let after = error.raw_response().and_then(retry_after);
        let after = after.unwrap_or(THROTTLED_RETRY_AFTER);
        return told(operation, meaning, &failure)
            .with_retry_after(after)
            .with_source(failure);
    }
    match meaning {
        // Who asks what is there and what is missing is told anyway.
        _ if is_asking(operation) => {}
        Meaning::Forbidden | Meaning::Credentials | Meaning::Missing | Meaning::Limited => {
            tracing::warn!(operation, action = E::IAM, %failure, fix = meaning.fix(), "AWS needs the operator");
        }
        Meaning::Wrong => {
            tracing::error!(operation, action = E::IAM, %failure, "AWS refuses a request of this host");
        }
        _ => {}
    }
    told(operation, meaning, &failure).with_source(failure)
}

/// Whether it is an operator who asks what works, or a monitor: whoever asks is told, and the log need not be.
pub(crate) fn is_asking(operation: &str) -> bool {
    ASKING.contains(&operation)
}

/// An absent thing as none.
pub(crate) fn absent<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error of a write that may have taken effect before `error` came: `Timeout` in place of `Unavailable`, which says that
/// nothing was done.
pub(crate) fn may_have_landed(operation: &'static str, error: Error) -> Error {
    if error.kind() != ErrorKind::Unavailable {
        return error;
    }
    let lost = Error::timeout(
        operation,
        "the cloud did not confirm the write; it may have been made",
    );
    match error.retry_after() {
        Some(after) => lost.with_retry_after(after),
        None => lost,
    }
    .with_source(error)
}

/// Whether a request was certainly not sent, as there was no connection to send it on.
pub(crate) fn is_unsent(error: &ConnectorError) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(client) = cause.downcast_ref::<hyper_util::client::legacy::Error>() {
            return client.is_connect();
        }
        next = cause.source();
    }
    false
}

/// What AWS keeps is not what this host stores.
pub(crate) fn damaged(operation: &'static str) -> Error {
    Error::internal(operation, Meaning::Damaged.message())
}

/// The call's time was up before AWS had answered.
pub(crate) fn deadline_passed(operation: &'static str) -> Error {
    Error::timeout(operation, "the invocation's deadline has passed")
}

fn read<E: Action, R: Reply>(error: &SdkError<E, R>) -> (Meaning, Failure) {
    let without_answer = |meaning| (meaning, Failure::of(E::IAM, causes(error)));
    match error {
        SdkError::TimeoutError(_) => without_answer(Meaning::Late),
        SdkError::ConstructionFailure(_) => without_answer(match caused_by_credentials(error) {
            true => Meaning::Credentials,
            false => Meaning::Wrong,
        }),
        SdkError::DispatchFailure(failure) => without_answer(match failure.as_connector_error() {
            _ if caused_by_credentials(error) => Meaning::Credentials,
            Some(error) => of_connector(error),
            None => Meaning::Unreachable,
        }),
        SdkError::ResponseError(answer) => {
            // Never the answer itself: it may hold what a guest stored.
            let status = answer.raw().status();
            let failure = Failure::of(E::IAM, "the answer was cut or is not of its protocol");
            let meaning = match status {
                Some(status @ (403 | 429 | 503)) => codes::of_status(status),
                _ => Meaning::Down,
            };
            (meaning, failure.with_status(status))
        }
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status();
            let meta = answer.err().meta();
            let failure =
                Failure::answered(E::IAM, answer.err().reason(), meta).with_status(status);
            (
                codes::of(E::SERVICE, answer.err().reason(), status),
                failure,
            )
        }
        // The enum is open: what a later SDK adds is an outage until it is known here.
        _ => without_answer(Meaning::Down),
    }
}

fn of_connector(error: &ConnectorError) -> Meaning {
    if is_unsent(error) {
        // Also when it was the connection that took too long.
        Meaning::Unreachable
    } else if error.is_timeout() {
        Meaning::Late
    } else if error.is_user() {
        Meaning::Wrong
    } else {
        Meaning::Unreachable
    }
}

/// Whether no credentials could be had, wherever in the chain that is said.
fn caused_by_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<CredentialsError>() {
            return true;
        }
        next = cause.source();
    }
    false
}

fn told(operation: &'static str, meaning: Meaning, failure: &Failure) -> Error {
    let error = of_kind(operation, meaning, failure);
    match meaning {
        Meaning::Forbidden => error.with_context(CLOUD, FORBIDDEN),
        Meaning::Credentials => error.with_context(CLOUD, CREDENTIALS),
        Meaning::Missing => error.with_context(CLOUD, MISSING),
        Meaning::Absent => error.with_context(CLOUD, ABSENT),
        Meaning::Damaged => error.with_context(CLOUD, DAMAGED),
        Meaning::Unreachable => error.with_context(CLOUD, UNREACHABLE),
        _ => error,
    }
}

fn of_kind(operation: &'static str, meaning: Meaning, failure: &Failure) -> Error {
    let message = meaning.message();
    match meaning {
        Meaning::Absent => Error::not_found(operation, message),
        Meaning::Taken => Error::conflict(operation, message),
        Meaning::Late => Error::timeout(operation, message),
        Meaning::Refused => {
            Error::invalid(operation, format!("{message}: {}", shown(failure.words())))
        }
        Meaning::Wrong | Meaning::Damaged => Error::internal(operation, message),
        Meaning::Busy
        | Meaning::Down
        | Meaning::Unreachable
        | Meaning::Credentials
        | Meaning::Forbidden
        | Meaning::Missing
        | Meaning::Limited => Error::unavailable(operation, message),
    }
}

/// How long the service asks to wait, when it says so in seconds.
fn retry_after(reply: &impl Reply) -> Option<Duration> {
    let seconds: u64 = reply.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests;
