//! The answer of an invocation as it goes out, is streamed, kept for a key, and looked up later.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use stuga_core::invocation::Answer;
use stuga_core::{InvocationId, RequestId};

use super::error::{PROBLEM_JSON, Problem, seconds};
use crate::host::{Completed, Failure};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// About how long an answer is besides the agent's output.
const FRAME_BYTES: usize = 512;

/// An answer, rendered once.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the same request would get the same answer for good.
    pub(crate) is_final: bool,
    /// Whether it was given before.
    pub(crate) replayed: bool,
}

impl Answered {
    /// Renders how an invocation ended.
    pub(crate) fn new(
        invocation: InvocationId,
        request: &RequestId,
        result: Result<Completed, Failure>,
    ) -> Self {
        match result {
            Ok(completed) => match render(invocation, &completed) {
                Ok(body) => Self {
                    status: StatusCode::OK,
                    body,
                    retry_after: None,
                    is_final: true,
                    replayed: false,
                },
                Err(error) => {
                    tracing::error!(%request, %invocation, %error, "a receipt cannot be written");
                    Self::problem(Problem::internal().of(invocation), request)
                }
            },
            Err(failure) => Self::problem(Problem::from(failure).of(invocation), request),
        }
    }

    /// Renders a problem.
    pub(crate) fn problem(problem: Problem, request: &RequestId) -> Self {
        Self {
            status: problem.status(),
            retry_after: problem.retry_after(),
            is_final: problem.is_final(),
            body: problem.render(request),
            replayed: false,
        }
    }

    /// An answer that was kept.
    pub(crate) fn kept(answer: Answer) -> Self {
        Self {
            status: StatusCode::from_u16(answer.status)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body: answer.body.into(),
            retry_after: None,
            is_final: true,
            replayed: true,
        }
    }

    /// The HTTP response.
    pub(crate) fn into_response(self) -> Response {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            if self.status.is_success() {
                JSON
            } else {
                PROBLEM_JSON
            },
        );
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds(wait));
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// `{"invocation_id","output","receipt"}` with the agent's JSON as it came; the runtime has checked that it is JSON.
fn render(invocation: InvocationId, completed: &Completed) -> serde_json::Result<Bytes> {
    let mut body = Vec::with_capacity(completed.output.len() + FRAME_BYTES);
    body.extend_from_slice(b"{\"invocation_id\":\"");
    body.extend_from_slice(
        invocation
            .as_uuid()
            .as_hyphenated()
            .encode_lower(&mut uuid::Uuid::encode_buffer())
            .as_bytes(),
    );
    body.extend_from_slice(b"\",\"output\":");
    body.extend_from_slice(completed.output.as_bytes());
    body.extend_from_slice(b",\"receipt\":");
    serde_json::to_writer(&mut body, &completed.receipt)?;
    body.push(b'}');
    Ok(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stuga_core::Receipt;
    use uuid::Uuid;

    #[test]
    fn the_output_stands_in_the_answer_as_the_agent_wrote_it() {
        let completed = Completed {
            output: "{\"a\" : 1.0}".into(),
            receipt: Receipt::default(),
        };
        let id = InvocationId::from_uuid(Uuid::from_u128(7));
        let body = render(id, &completed).unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("\"output\":{\"a\" : 1.0},"), "{text}");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["invocation_id"], id.to_string());
        assert!(value["receipt"]["cost"].is_object());
    }
}
