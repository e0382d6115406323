//! The outermost layer: gives every request its id, every problem its body, and counts the answers. What a gateway says of a
//! request is believed here or removed.
//!
//! It opens no span: the one that marks the lines of a call is opened with the call, once, with all it has to say.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use stuga_core::RequestId;
use tokio::time::Instant;
use uuid::Uuid;

use super::App;
use super::error::{PROBLEM_JSON, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let gateway = app.gateway.as_ref();
    let id = gateway
        .and_then(|gateway| gateway.admit(request.headers_mut()))
        .or_else(|| RequestId::from_client(request.headers().get(&REQUEST_ID)?.to_str().ok()?))
        .unwrap_or_else(|| RequestId::from_uuid(Uuid::now_v7()));
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;

    if let Some(problem) = problem_of(&mut response) {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, PROBLEM_JSON);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(problem.render(&id));
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let (status, took) = (response.status().as_u16(), begun.elapsed());
    app.host.metrics().request(status, took);
    if status == 500 {
        tracing::error!(request = %id, status, "request failed by the host's own fault");
    } else {
        tracing::debug!(request = %id, status, took_us = took.as_micros(), "request answered");
    }
    response
}

/// The problem that a response stands for: the one a handler left, or one for a refusal of the framework's own, such as
/// a path that is not UTF-8.
fn problem_of(response: &mut Response) -> Option<Problem> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    let plain = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
    (failed && plain).then(|| Problem::of_status(status))
}
