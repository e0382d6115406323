//! The only failure answer: RFC 9457 `application/problem+json`. What becomes which is decided in `refusal`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use stuga_core::{InvocationId, RequestId};
use utoipa::ToSchema;

use crate::host::Misfit;

/// Media type of a problem.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// What all problem types begin with.
const TYPE_PREFIX: &str = "urn:stuga:problem:";

/// Why a request was not answered: a document that handlers return in place of an answer.
#[derive(Clone, Debug)]
pub struct Problem(Box<Document>);

/// Why a request was not answered. `type` is stable; `detail` is for people.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
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
        Self(Box::new(Document {
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
        }))
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

    /// A problem of which only the status is known.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let title = status
            .canonical_reason()
            .unwrap_or("The request was refused");
        Self::new(
            status,
            "refused",
            title,
            "the request does not have the form that /openapi.json describes",
        )
    }

    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.0.context.insert(name.to_owned(), value.to_string());
        self
    }

    pub(super) fn with_errors(mut self, errors: Vec<Misfit>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(super) fn after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub(super) fn settled(mut self) -> Self {
        self.0.is_final = true;
        self
    }

    /// Names the invocation that this problem ended.
    pub(crate) fn of(mut self, invocation: InvocationId) -> Self {
        self.0.invocation_id = Some(invocation);
        self
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// When trying again may help.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether it is the last word on the invocation.
    pub(crate) fn is_final(&self) -> bool {
        self.0.is_final
    }

    /// The body.
    pub(crate) fn render(mut self, request: &RequestId) -> Bytes {
        self.0.request_id = Some(request.clone());
        // Serializing strings and numbers into memory cannot fail.
        serde_json::to_vec(&self.0)
            .map(Bytes::from)
            .unwrap_or_default()
    }
}

/// Leaves the body to the outermost layer, which knows the request id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        if self.0.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"stuga\""),
            );
        }
        if let Some(wait) = self.0.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds(wait));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A wait as the header has it: whole seconds, at least one.
pub(crate) fn seconds(wait: Duration) -> HeaderValue {
    let rounded_up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(rounded_up.max(1))
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

    #[test]
    fn a_wait_is_never_rounded_down_to_nothing() {
        assert_eq!(seconds(Duration::from_millis(1)), HeaderValue::from(1));
        assert_eq!(seconds(Duration::from_millis(1_500)), HeaderValue::from(2));
        assert_eq!(seconds(Duration::ZERO), HeaderValue::from(1));
    }
}
