//! `GET .../invocations/{id}/recording`: what an invocation was given, asked of the host, and answered.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use stuga_core::{InvocationId, RequestId};

use super::error::{Document, Problem};
use super::{App, auth};

/// Hands out the recording of one of the tenant's latest invocations, for `stuga record`.
///
/// There is one when the tenant's file has `record`. It holds neither values of secrets nor the fields that `record.redact`
/// names.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/invocations/{id}/recording",
    tag = "agents",
    params(
        ("tenant" = String, Path, description = "The tenant that the key was made for"),
        ("id" = String, Path, description = "The invocation"),
    ),
    responses(
        (status = 200, description = "The recording", body = Object),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "Invocations are not recorded, or this one is not kept", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "This invocation could not be recorded safely", body = Document, content_type = "application/problem+json"),
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
    let Some(record) = &tenant.tenant().record else {
        return Err(missing(
            "the tenant's invocations are not recorded; its operator adds `record: {keep: 50}` to the tenant's file, and calls from then on are",
        ));
    };
    let id: Option<InvocationId> = id.parse().ok();
    let kept = id.and_then(|id| tenant.recordings().find(id));
    let recording = match kept {
        Some(Ok(recording)) => recording,
        Some(Err(reason)) => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "not-recorded",
                "The invocation has no recording",
                format!("this invocation has no recording: {reason}"),
            ));
        }
        None => {
            return Err(missing(format!(
                "there is no recording of this invocation; the latest {} that reached an agent are kept until the host stops",
                record.keep
            )));
        }
    };
    tracing::info!(target: "audit", event = "recording-read", %request, tenant = %tenant.id(), invocation = ?id, "a recording was handed out");
    let mut response = Response::new(Body::from(recording));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn missing(detail: impl Into<String>) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown-recording",
        "There is no such recording",
        detail,
    )
}
