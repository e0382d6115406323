//! The only failure answer: RFC 9457 `application/problem+json`. The last conversion, from failures to statuses.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use stuga_core::{Error, ErrorKind, InvocationId, RequestId};
use stuga_runtime::InvokeError;
use utoipa::ToSchema;

use crate::host::{Failure, Misfit};

/// Media type of a problem.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// What all problem types begin with.
const TYPE_PREFIX: &str = "urn:stuga:problem:";

/// Why a request was not answered. `type` is stable; `detail` is for people.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Which problem, `urn:stuga:problem:...`.
    #[serde(rename = "type", serialize_with = "prefixed")]
    #[schema(value_type = String, example = "urn:stuga:problem:unknown-skill")]
    slug: &'static str,
    /// The problem in a few words, the same for every occurrence.
    title: &'static str,
    /// HTTP status code.
    #[serde(serialize_with = "code")]
    #[schema(value_type = u16, example = 404)]
    status: StatusCode,
    /// This occurrence: what is wrong and what to do.
    detail: String,
    /// The request as it stands in the host's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    request_id: Option<RequestId>,
    /// The invocation, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    invocation_id: Option<InvocationId>,
    /// Where the input does not fit its schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Misfit>,
    /// Facts, such as a limit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    context: BTreeMap<String, String>,
    /// When trying again may help.
    #[serde(skip)]
    retry_after: Option<Duration>,
    /// Whether the same request would fail in the same way for good, so that its answer is kept for its key.
    #[serde(skip)]
    is_final: bool,
}

fn prefixed<S: serde::Serializer>(slug: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{TYPE_PREFIX}{slug}"))
}

fn code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of that type.
    pub(crate) fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            slug,
            title,
            status,
            detail: detail.into(),
            request_id: None,
            invocation_id: None,
            errors: Vec::new(),
            context: BTreeMap::new(),
            retry_after: None,
            is_final: false,
        }
    }

    /// The host's own fault, about which nothing is told outside.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The host failed",
            "the host's log says more; give the request id to the operator",
        )
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request cannot be read",
            detail,
        )
    }

    pub(crate) fn too_large(limit: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
            format!("the body may have at most {limit} bytes"),
        )
        .with("limit", limit)
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.context.insert(name.to_owned(), value.to_string());
        self
    }

    fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    fn settled(mut self) -> Self {
        self.is_final = true;
        self
    }

    /// Names the invocation that this problem ended.
    pub(crate) fn of(mut self, invocation: InvocationId) -> Self {
        self.invocation_id = Some(invocation);
        self
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// When trying again may help.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether it is the last word on the invocation.
    pub(crate) fn is_final(&self) -> bool {
        self.is_final
    }

    /// The body.
    pub(crate) fn render(mut self, request: &RequestId) -> Bytes {
        self.request_id = Some(request.clone());
        // Serializing strings and numbers into memory cannot fail.
        serde_json::to_vec(&self)
            .map(Bytes::from)
            .unwrap_or_default()
    }
}

/// Leaves the body to the outermost layer, which knows the request id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"stuga\""),
            );
        }
        if let Some(wait) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds(wait));
        }
        response.extensions_mut().insert(Box::new(self));
        response
    }
}

/// A wait as the header has it: whole seconds, at least one.
pub(crate) fn seconds(wait: Duration) -> HeaderValue {
    let rounded_up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(rounded_up.max(1))
}

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
                let mut problem = Self::new(
                    S::UNPROCESSABLE_ENTITY,
                    "input-does-not-fit",
                    "The input does not fit the skill's schema",
                    detail,
                );
                problem.errors = errors;
                problem
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
            Failure::Keeping(error) => {
                tracing::error!(%error, causes = error.causes(), "an idempotency key cannot be kept");
                match error.kind() {
                    ErrorKind::Invalid => Self::bad_request(error.message().to_owned()),
                    ErrorKind::Internal => Self::internal(),
                    _ => Self::new(
                        S::SERVICE_UNAVAILABLE,
                        "unavailable",
                        "The host cannot keep the Idempotency-Key now",
                        detail,
                    )
                    .after(error.retry_after().or(Some(Duration::from_secs(1)))),
                }
            }
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
        problem.is_final = !error.kind().is_temporary() && error.kind() != ErrorKind::Internal;
        problem.after(wait)
    }
}

/// The answer for a path that is not there.
pub(crate) async fn no_such_path() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-path",
        "There is no such path",
        "the paths stand in /openapi.json and, for people, in /docs",
    )
}

/// The answer for a method that a path does not have.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "The path does not have this method",
        "the methods stand in /openapi.json",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_wait_is_never_rounded_down_to_nothing() {
        assert_eq!(seconds(Duration::from_millis(1)), HeaderValue::from(1));
        assert_eq!(seconds(Duration::from_millis(1_500)), HeaderValue::from(2));
        assert_eq!(seconds(Duration::ZERO), HeaderValue::from(1));
    }
}
