//! Breakers and drills: who is kept from the cloud.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use stuga_resilience::Isolation;
use utoipa::ToSchema;

use super::{Admitted, Problem, capability, read};
use crate::api::error::Document;
use crate::fallback::view::HostStatus;

/// Why all tenants, or one, are kept from the cloud.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Isolate {
    /// This tenant alone; all when it is not given.
    tenant: Option<String>,
    /// What for: at most 100 bytes on one line.
    #[serde(default)]
    why: String,
}

/// Which tenant is let back to the cloud.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// This tenant alone; the word on all tenants ends when it is not given.
    tenant: Option<String>,
}

/// A drill.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drill {
    /// Which tenant is kept from the cloud.
    tenant: String,
    /// Which of its capabilities.
    capability: String,
    /// For how long, in milliseconds: from a second to a day.
    for_ms: u64,
    /// What for: at most 100 bytes on one line.
    why: String,
}

/// What became of a change.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Changed {
    /// Whether anything was changed.
    pub(crate) changed: bool,
}

/// Shows every capability that lies in the cloud: its breaker, what was counted, what waits.
#[utoipa::path(
    get,
    path = "/v1/admin/breakers",
    tag = "admin",
    responses(
        (status = 200, description = "The capabilities", body = HostStatus),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn list(admitted: Admitted) -> Result<Json<HostStatus>, Problem> {
    /// Tenants that are asked for parked entries beside those whose entries wait.
    const ASKED_MAX: usize = 32;
    let snapshot = admitted.app.host.snapshot();
    let tenants = snapshot.tenants().map(|tenant| tenant.id().clone());
    let tenants: Vec<_> = tenants.take(ASKED_MAX).collect();
    let status = admitted.fallback().status(&tenants).await;
    status.map(Json).map_err(|error| admitted.problem(&error))
}

/// Keeps all tenants, or one, from the cloud until it is released.
#[utoipa::path(
    post,
    path = "/v1/admin/breakers/{capability}/isolate",
    tag = "admin",
    params(("capability" = String, Path, description = "The capability")),
    request_body = Isolate,
    responses(
        (status = 200, description = "This host answers from now on", body = Changed),
        (status = 400, description = "The reason is too long", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "The capability does not lie in the cloud, or there is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn isolate(
    Path(name): Path<String>,
    admitted: Admitted,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Changed>, Problem> {
    let capability = capability(&name)?;
    let Isolate { tenant, why } = read(&headers, body).await?;
    let (fallback, by) = (admitted.fallback(), &admitted.by);
    let done = match tenant {
        None => fallback.isolate(by, capability, &why).await,
        Some(tenant) => {
            let tenant = admitted.tenant(&tenant).await?;
            let isolated = fallback.isolate_tenant(by, &tenant, capability, None, &why);
            isolated.await.map(drop)
        }
    };
    admitted.changed(done.map(|()| true))
}

/// Lets all tenants, or one, back to the cloud: probes decide when it is asked again.
#[utoipa::path(
    post,
    path = "/v1/admin/breakers/{capability}/release",
    tag = "admin",
    params(("capability" = String, Path, description = "The capability")),
    request_body = Release,
    responses(
        (status = 200, description = "Whether there was anything to release", body = Changed),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "The capability does not lie in the cloud, or there is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn release(
    Path(name): Path<String>,
    admitted: Admitted,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Changed>, Problem> {
    let capability = capability(&name)?;
    let Release { tenant } = read(&headers, body).await?;
    let (fallback, by) = (admitted.fallback(), &admitted.by);
    let released = match tenant {
        None => fallback.release(by, capability).await,
        Some(tenant) => {
            let tenant = admitted.tenant(&tenant).await?;
            fallback.release_tenant(by, &tenant, capability).await
        }
    };
    admitted.changed(released)
}

/// Starts a drill: keeps a capability of one tenant from the cloud for a while. One that runs gets the new end and reason.
#[utoipa::path(
    post,
    path = "/v1/admin/drills",
    tag = "admin",
    request_body = Drill,
    responses(
        (status = 200, description = "The drill: tenant, capability, since, until, why"),
        (status = 400, description = "The time or the reason is out of bounds", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "The capability does not lie in the cloud, or there is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn start_drill(
    admitted: Admitted,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Isolation>, Problem> {
    let drill: Drill = read(&headers, body).await?;
    let capability = capability(&drill.capability)?;
    let tenant = admitted.tenant(&drill.tenant).await?;
    let lasts = Some(Duration::from_millis(drill.for_ms));
    let fallback = admitted.fallback();
    let started = fallback.isolate_tenant(&admitted.by, &tenant, capability, lasts, &drill.why);
    started
        .await
        .map(Json)
        .map_err(|error| admitted.problem(&error))
}

/// Ends a drill before its time.
#[utoipa::path(
    delete,
    path = "/v1/admin/drills/{tenant}/{capability}",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant"), ("capability" = String, Path, description = "The capability")),
    responses(
        (status = 200, description = "Whether there was one", body = Changed),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "The capability does not lie in the cloud, or there is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn stop_drill(
    Path((tenant, name)): Path<(String, String)>,
    admitted: Admitted,
) -> Result<Json<Changed>, Problem> {
    let capability = capability(&name)?;
    let tenant = admitted.tenant(&tenant).await?;
    let fallback = admitted.fallback();
    let released = fallback.release_tenant(&admitted.by, &tenant, capability);
    admitted.changed(released.await)
}
