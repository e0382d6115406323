//! `POST .../invoke`: the way of a call from the request to the agent and back.

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use stuga_core::{InvocationId, RequestId, Timestamp};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::answer::Answered;
use super::error::{Document, Problem};
use super::idempotency::{self, Begun};
use super::{App, auth, body, stream};
use crate::host::{Call, Permit, RunningAgent, RunningTenant, new_invocation};

/// Largest body that is checked on the thread that serves requests: a few milliseconds' work.
const CHECKED_INLINE_MAX_BYTES: usize = 256 << 10;

/// Calls one skill of an agent.
///
/// Checks come in this order: key, tenant, limits of calls, agent, body, skill, input, `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/agents/{agent}/invoke",
    tag = "agents",
    params(
        ("tenant" = String, Path, description = "The tenant that the key was made for"),
        ("agent" = String, Path, description = "One of its agents"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters. The same key and body give the same answer for 24 hours, and no effect happens twice. Such a call runs to its end even when the client goes away"),
        ("Accept" = Option<String>, Header, description = "`text/event-stream` streams: `accepted`, any number of `part`, then `result` or `error`"),
        ("x-request-id" = Option<String>, Header, description = "The request's name in logs and answers; made by the server when absent"),
    ),
    request_body = InvokeRequest,
    responses(
        (status = 200, description = "The skill's output", body = InvokeResponse),
        (status = 400, description = "The request cannot be read", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant, or the agent was denied something", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "No such agent or skill, or the agent did not find something", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "The Idempotency-Key is in use or was used with another request, or a conflict in the agent", body = Document, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Document, content_type = "application/problem+json"),
        (status = 422, description = "The input does not fit the skill's schema (`errors` says where), or the agent refuses it", body = Document, content_type = "application/problem+json"),
        (status = 429, description = "Too many calls; see Retry-After", body = Document, content_type = "application/problem+json"),
        (status = 502, description = "The agent stopped abnormally or its answer is too large or no JSON", body = Document, content_type = "application/problem+json"),
        (status = 503, description = "A backend is not available", body = Document, content_type = "application/problem+json"),
        (status = 504, description = "The call was stopped at its deadline", body = Document, content_type = "application/problem+json"),
        (status = 507, description = "A storage limit of the tenant is reached", body = Document, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn invoke(
    State(app): State<App>,
    Path((tenant, agent)): Path<(String, String)>,
    Extension(request): Extension<RequestId>,
    http: Request,
) -> Result<Response, Problem> {
    // Taken apart here: the extractor of headers alone would copy them.
    let (Parts { headers, .. }, body) = http.into_parts();
    let tenant = auth::authorize(&app, &request, &headers, &tenant)?;
    let permit = app.host.admit(&tenant)?;
    let agent = Arc::clone(tenant.agent(&agent)?);
    let bytes = body::read(&headers, body, tenant.tenant().limits.request_bytes).await?;
    let order = prepare(&agent, bytes).await?;
    let attempt = Attempt {
        app,
        tenant,
        agent,
        order,
        request,
        permit,
    };

    let key = idempotency::key(&headers)?;
    let streamed = wants_stream(&headers);
    let Some(key) = key else {
        let (id, accepted_at) = attempt.fresh();
        if streamed {
            return Ok(stream::cancelled_with_client(attempt, id, accepted_at));
        }
        return Ok(attempt
            .run(id, accepted_at, false, None)
            .await
            .into_response());
    };
    match idempotency::begin(&attempt, &key).await? {
        Begun::Kept(invocation, answered) if streamed => Ok(stream::kept(invocation, answered)),
        Begun::Kept(_, answered) => Ok(answered.into_response()),
        Begun::Run(run) if streamed => Ok(stream::kept_running(run, attempt)),
        Begun::Run(run) => {
            let answered = run.spawn(attempt, None).await;
            Ok(answered.map_or_else(
                |_| Problem::internal().into_response(),
                Answered::into_response,
            ))
        }
    }
}

/// What a client wants done, checked.
pub(crate) struct Order {
    pub(crate) skill: String,
    /// JSON text that fits the skill's schema.
    pub(crate) input: String,
    pub(crate) session: Option<String>,
}

/// Parses and checks a body: a small one here, a large one where it holds up nobody else.
async fn prepare(agent: &Arc<RunningAgent>, bytes: Bytes) -> Result<Order, Problem> {
    if bytes.len() <= CHECKED_INLINE_MAX_BYTES {
        return order(agent, &bytes);
    }
    let agent = Arc::clone(agent);
    let prepared = tokio::task::spawn_blocking(move || order(&agent, &bytes)).await;
    prepared.unwrap_or_else(|_| Err(Problem::internal()))
}

fn order(agent: &RunningAgent, bytes: &[u8]) -> Result<Order, Problem> {
    let body = body::parse(bytes)?;
    agent.check(&body.skill, body.input.get())?;
    Ok(Order {
        skill: body.skill.into_owned(),
        input: body.input.get().to_owned(),
        session: body.session.map(|session| session.into_owned()),
    })
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    accept.split(',').any(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "text/event-stream")
    })
}

/// A call that passed all checks and has its place.
pub(crate) struct Attempt {
    pub(crate) app: App,
    pub(crate) tenant: Arc<RunningTenant>,
    pub(crate) agent: Arc<RunningAgent>,
    pub(crate) order: Order,
    pub(crate) request: RequestId,
    permit: Permit,
}

impl Attempt {
    /// The id and time of an invocation that was not tried before.
    pub(crate) fn fresh(&self) -> (InvocationId, Timestamp) {
        (new_invocation(), self.app.host.clock().now())
    }

    /// Runs it; `repeatable` says whether it may run again under its id. Dropping the future stops the agent and notes the
    /// invocation as cancelled.
    pub(crate) async fn run(
        self,
        id: InvocationId,
        accepted_at: Timestamp,
        repeatable: bool,
        parts: Option<mpsc::Sender<String>>,
    ) -> Answered {
        let recent = self.tenant.recents().begin(
            id,
            self.agent.name().clone(),
            &self.order.skill,
            accepted_at,
        );
        let call = Call {
            tenant: self.tenant,
            agent: self.agent,
            skill: self.order.skill,
            input: self.order.input,
            session: self.order.session,
            request: self.request.clone(),
            invocation: id,
            accepted_at,
            repeatable,
            message: None,
            deadline: None,
            parts,
        };
        let answered = Answered::new(id, &self.request, self.app.host.invoke(call).await);
        recent.end(answered.status.as_u16(), answered.body.clone());
        drop(self.permit);
        answered
    }
}

/// What to call and with what.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body for OpenAPI; it is parsed without copies as `InvokeBody`"
)]
pub(crate) struct InvokeRequest {
    /// One of the agent's skills.
    #[schema(example = "summarize")]
    skill: String,
    /// What fits the skill's input schema.
    #[schema(value_type = Object)]
    input: serde_json::Value,
    /// Groups calls that belong together; at most 256 bytes.
    session: Option<String>,
}

/// What the skill answered and how the answer was made.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the answer for OpenAPI; it is written without copies"
)]
pub(crate) struct InvokeResponse {
    /// The invocation, to look it up.
    #[schema(format = "uuid")]
    invocation_id: String,
    /// What fits the skill's output schema.
    #[schema(value_type = Object)]
    output: serde_json::Value,
    /// Which backends were used, the component, and what it took.
    #[schema(value_type = Object)]
    receipt: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_by_its_media_type_alone() {
        let mut headers = HeaderMap::new();
        assert!(!wants_stream(&headers));
        for (accept, expected) in [
            ("text/event-stream", true),
            ("application/json, text/event-stream;q=0.5", true),
            ("text/event-streams", false),
            ("*/*", false),
        ] {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_stream(&headers), expected, "{accept}");
        }
    }
}
