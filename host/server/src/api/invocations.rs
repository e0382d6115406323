//! `GET .../invocations/{id}`: how far an invocation is and what it answered.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use stuga_core::{AgentName, InvocationId, RequestId, Timestamp};
use utoipa::ToSchema;

use super::error::{Document, Problem};
use super::{App, auth};
use crate::host::State as Progress;

/// How far an invocation is.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvocationInfo<'b> {
    /// Which invocation.
    #[schema(value_type = String, format = "uuid")]
    invocation_id: InvocationId,
    /// `running`, `succeeded`, `failed`, or `cancelled` because its client went away.
    state: &'static str,
    /// Which agent, when it is still remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    agent: Option<AgentName>,
    /// Which skill, when it is still remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    skill: Option<String>,
    /// When it was accepted, in milliseconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    accepted_at: Option<Timestamp>,
    /// The status that it was answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The body that it was answered with; absent while it runs and when it was too large to remember.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    answer: Option<&'b RawValue>,
}

/// Looks up an invocation: one of the tenant's latest thousand, or one with an `Idempotency-Key` of the last 24 hours.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/invocations/{id}",
    tag = "agents",
    params(
        ("tenant" = String, Path, description = "The tenant that the key was made for"),
        ("id" = String, Path, description = "The invocation"),
    ),
    responses(
        (status = 200, description = "How far it is", body = InvocationInfo),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "The tenant has no such invocation, or no longer", body = Document, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn get(
    State(app): State<App>,
    Path((tenant, id)): Path<(String, String)>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = auth::authorize(&app, &request, &headers, &tenant)?;
    let id: InvocationId = id.parse().map_err(|_| unknown())?;
    if let Some(record) = tenant.recents().find(id) {
        let (state, status, body) = match &record.state {
            Progress::Running => ("running", None, None),
            Progress::Cancelled => ("cancelled", None, None),
            Progress::Ended { status, body } => (ended(*status), Some(*status), body.as_deref()),
        };
        let info = InvocationInfo {
            invocation_id: id,
            state,
            agent: Some(record.agent),
            skill: Some(record.skill),
            accepted_at: Some(record.accepted_at),
            status,
            answer: body.and_then(raw),
        };
        return respond(&info);
    }
    let kept = app
        .host
        .backends()
        .invocations()
        .find(tenant.id(), id)
        .await
        .map_err(|error| {
            tracing::error!(%request, %error, causes = error.causes(), "a kept answer cannot be read");
            Problem::internal()
        })?;
    let answer = kept.ok_or_else(unknown)?;
    respond(&InvocationInfo {
        invocation_id: id,
        state: ended(answer.status),
        agent: None,
        skill: None,
        accepted_at: None,
        status: Some(answer.status),
        answer: raw(&answer.body),
    })
}

fn ended(status: u16) -> &'static str {
    if (200..300).contains(&status) {
        "succeeded"
    } else {
        "failed"
    }
}

fn raw(body: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(body).ok()
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown-invocation",
        "There is no such invocation",
        "the tenant's latest 1000 are known, and for 24 hours those with an Idempotency-Key",
    )
}

fn respond(info: &InvocationInfo<'_>) -> Result<Response, Problem> {
    let body = serde_json::to_vec(info).map_err(|_| Problem::internal())?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(response)
}
