//! Which failure becomes which problem: the last conversion, from the host's words to statuses.

use std::time::Duration;

use axum::http::StatusCode;
use stuga_core::{Error, ErrorKind};
use stuga_runtime::InvokeError;

use super::error::Problem;
use crate::host::Failure;

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        use StatusCode as S;
        let detail = failure.to_string();
        match failure {
            Failure::UnknownAgent { .. } => Self::new(
                S::NOT_FOUND,
                "unknown-agent",
                "There is no such agent",
                detail,
            ),
            Failure::NotReady { .. } => Self::new(
                S::SERVICE_UNAVAILABLE,
                "agent-not-ready",
                "The agent could not be readied",
                detail,
            ),
            Failure::UnknownSkill { .. } => Self::new(
                S::NOT_FOUND,
                "unknown-skill",
                "There is no such skill",
                detail,
            ),
            Failure::Unreadable(_) => Self::bad_request(detail),
            Failure::Misfits { errors, more } => {
                let more = if more {
                    ", of which the first are listed"
                } else {
                    ""
                };
                let detail = format!(
                    "the input does not fit the skill's schema in the places listed in `errors`{more}"
                );
                Self::new(
                    S::UNPROCESSABLE_ENTITY,
                    "input-does-not-fit",
                    "The input does not fit the skill's schema",
                    detail,
                )
                .with_errors(errors)
            }
            Failure::TooMany { limit, retry_after } => Self::new(
                S::TOO_MANY_REQUESTS,
                "too-many-calls",
                "Too many calls at once",
                detail,
            )
            .with("limit", limit)
            .after(Some(retry_after)),
            Failure::TooFast {
                per_second,
                retry_after,
            } => Self::new(
                S::TOO_MANY_REQUESTS,
                "too-fast",
                "Too many calls in a second",
                detail,
            )
            .with("limit", per_second)
            .after(Some(retry_after)),
            Failure::KeyMismatch => Self::new(
                S::CONFLICT,
                "idempotency-mismatch",
                "The Idempotency-Key was used with another request",
                detail,
            ),
            Failure::KeyInProgress => Self::new(
                S::CONFLICT,
                "idempotency-in-progress",
                "The first request with this key is still running",
                detail,
            )
            .after(Some(Duration::from_secs(1))),
            Failure::Keeping(error) => match error.kind() {
                ErrorKind::Invalid => Self::bad_request(error.message().to_owned()),
                ErrorKind::Internal => Self::internal(),
                _ => Self::new(
                    S::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "The host cannot keep the Idempotency-Key now",
                    detail,
                )
                .after(error.retry_after().or(Some(Duration::from_secs(1)))),
            },
            Failure::Invoke(error) => Self::from_invoke(error, detail),
        }
    }
}

impl Problem {
    fn from_invoke(error: InvokeError, detail: String) -> Self {
        use StatusCode as S;
        match error {
            InvokeError::Agent(error) => Self::from_agent(&error),
            InvokeError::Trapped { .. } => Self::new(
                S::BAD_GATEWAY,
                "agent-trapped",
                "The agent stopped abnormally",
                detail,
            ),
            InvokeError::Deadline => Self::new(
                S::GATEWAY_TIMEOUT,
                "deadline",
                "The call was stopped at its deadline",
                detail,
            ),
            InvokeError::Busy { retry_after } => Self::new(
                S::TOO_MANY_REQUESTS,
                "busy",
                "All instances of the agent are busy",
                detail,
            )
            .after(Some(retry_after)),
            InvokeError::TooLarge { limit, .. } => Self::new(
                S::BAD_GATEWAY,
                "answer-too-large",
                "The agent's answer is too large",
                detail,
            )
            .with("limit", limit)
            .settled(),
            InvokeError::NotJson { .. } => Self::new(
                S::BAD_GATEWAY,
                "answer-not-json",
                "The agent's answer is not JSON",
                detail,
            )
            .settled(),
            InvokeError::Internal(_) => Self::internal(),
        }
    }

    /// An error that the agent answered. Its message and context are the agent's own words for its caller.
    fn from_agent(error: &Error) -> Self {
        use StatusCode as S;
        let (status, slug, title) = match error.kind() {
            ErrorKind::NotFound => (S::NOT_FOUND, "not-found", "The agent did not find it"),
            ErrorKind::Invalid => (
                S::UNPROCESSABLE_ENTITY,
                "invalid",
                "The agent refuses the input",
            ),
            ErrorKind::Denied => (S::FORBIDDEN, "denied", "The agent may not do this"),
            ErrorKind::Conflict => (
                S::CONFLICT,
                "conflict",
                "The thing is not in the expected state",
            ),
            ErrorKind::QuotaExceeded => (
                S::INSUFFICIENT_STORAGE,
                "quota-exceeded",
                "A limit on what is stored is reached",
            ),
            ErrorKind::RateLimited => (
                S::TOO_MANY_REQUESTS,
                "rate-limited",
                "Too many calls in too short a time",
            ),
            ErrorKind::Timeout => (
                S::GATEWAY_TIMEOUT,
                "timeout",
                "A backend of the agent did not answer in time",
            ),
            ErrorKind::Unavailable => (
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "A backend of the agent is not available",
            ),
            ErrorKind::Internal => (
                S::INTERNAL_SERVER_ERROR,
                "agent-internal",
                "The agent failed",
            ),
        };
        let mut problem = Self::new(status, slug, title, error.message());
        for (name, value) in error.context() {
            problem = problem.with(name, value);
        }
        let wait = error
            .retry_after()
            .or_else(|| (error.kind() == ErrorKind::RateLimited).then_some(Duration::from_secs(1)));
        if !error.kind().is_temporary() && error.kind() != ErrorKind::Internal {
            problem = problem.settled();
        }
        problem.after(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stuga_core::RequestId;

    fn agent(kind: ErrorKind) -> Problem {
        Failure::Invoke(InvokeError::Agent(
            Error::new(kind, "x", "why").with_context("path", "/a"),
        ))
        .into()
    }

    #[test]
    fn only_what_would_fail_again_is_final() {
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::Invalid,
            ErrorKind::Denied,
            ErrorKind::Conflict,
            ErrorKind::QuotaExceeded,
        ] {
            assert!(agent(kind).is_final(), "{kind}");
        }
        for kind in [
            ErrorKind::RateLimited,
            ErrorKind::Timeout,
            ErrorKind::Unavailable,
            ErrorKind::Internal,
        ] {
            assert!(!agent(kind).is_final(), "{kind}");
        }
        let trapped = InvokeError::Trapped {
            reason: "unreachable".into(),
        };
        assert!(!Problem::from(Failure::Invoke(trapped)).is_final());
    }

    #[test]
    fn a_problem_tells_the_agents_words_and_no_internals() {
        let id = RequestId::from_client("r-1").unwrap();
        let body: serde_json::Value =
            serde_json::from_slice(&agent(ErrorKind::Invalid).render(&id)).unwrap();
        assert_eq!(body["type"], "urn:stuga:problem:invalid");
        assert_eq!(
            (&body["status"], &body["detail"], &body["request_id"]),
            (&422.into(), &"why".into(), &"r-1".into())
        );
        assert_eq!(body["context"]["path"], "/a");
        for secret in [
            Failure::Invoke(InvokeError::Internal(Error::internal(
                "x",
                "/secret/path failed",
            ))),
            Failure::Invoke(InvokeError::Trapped {
                reason: "/secret/path".into(),
            }),
            Failure::Keeping(Error::internal("x", "/secret/path failed")),
        ] {
            let body = Problem::from(secret).render(&id);
            assert!(
                !String::from_utf8_lossy(&body).contains("secret"),
                "{body:?}"
            );
        }
    }
}
