//! The same answer as server-sent events: `accepted`, then each `part` that the agent emits, then `result` or `error`.
//!
//! A slow client slows the agent down through the bounded channel, up to the call's deadline.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use stuga_core::{InvocationId, Timestamp};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

use super::answer::Answered;
use super::error::Problem;
use super::idempotency::Run;
use super::invoke::Attempt;

/// Parts that wait for a slow client before the agent has to.
const PARTS_WAITING_MAX: usize = 16;
/// How often a silent stream shows that it is alive.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Streams a call that ends when its client goes away.
pub(crate) fn cancelled_with_client(
    attempt: Attempt,
    id: InvocationId,
    accepted_at: Timestamp,
) -> Response {
    let (parts, emitted) = mpsc::channel(PARTS_WAITING_MAX);
    let request = attempt.request.clone();
    let run = attempt
        .run(id, accepted_at, false, Some(parts))
        .instrument(Span::current());
    let run = AbortOnDropHandle::new(tokio::spawn(run));
    respond(id, emitted, async move {
        run.await.unwrap_or_else(|_| lost(id, &request))
    })
}

/// Streams a call with an idempotency key: it runs to its end whether its client stays or not.
pub(crate) fn kept_running(run: Run, attempt: Attempt) -> Response {
    let (parts, emitted) = mpsc::channel(PARTS_WAITING_MAX);
    let (id, request) = (run.invocation, attempt.request.clone());
    let run = run.spawn(attempt, Some(parts));
    respond(id, emitted, async move {
        run.await.unwrap_or_else(|_| lost(id, &request))
    })
}

/// Streams an answer that was kept; its parts were not.
pub(crate) fn kept(id: InvocationId, answered: Answered) -> Response {
    let (_, none) = mpsc::channel(1);
    let mut response = respond(id, none, async move { answered });
    response.headers_mut().insert(
        "idempotent-replayed",
        axum::http::HeaderValue::from_static("true"),
    );
    response
}

/// What a client gets when the task of its call died.
fn lost(id: InvocationId, request: &stuga_core::RequestId) -> Answered {
    Answered::problem(Problem::internal().of(id), request)
}

fn respond(
    id: InvocationId,
    emitted: mpsc::Receiver<String>,
    ended: impl Future<Output = Answered> + Send + 'static,
) -> Response {
    Sse::new(events(id, emitted, ended))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY))
        .into_response()
}

fn events(
    id: InvocationId,
    emitted: mpsc::Receiver<String>,
    ended: impl Future<Output = Answered> + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    let accepted = Event::default()
        .event("accepted")
        .data(format!("{{\"invocation_id\":\"{id}\"}}"));
    let parts = ReceiverStream::new(emitted).map(|part| Event::default().event("part").data(part));
    let last = stream::once(ended).map(|answered| {
        let name = if answered.status.is_success() {
            "result"
        } else {
            "error"
        };
        // Both renderings are JSON texts and so UTF-8.
        Event::default()
            .event(name)
            .data(String::from_utf8_lossy(&answered.body))
    });
    stream::once(async move { accepted })
        .chain(parts)
        .chain(last)
        .map(Ok)
}
