//! Who answers a tenant, and why.

use axum::Json;
use axum::extract::Path;

use super::{Admitted, Problem};
use crate::api::error::Document;
use crate::fallback::view::Explanation;

/// Says who answers a tenant, why, since when, and what waits for the cloud.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants/{tenant}/explain",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "Its capabilities that lie in the cloud", body = Explanation),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn explain(
    Path(tenant): Path<String>,
    admitted: Admitted,
) -> Result<Json<Explanation>, Problem> {
    let tenant = admitted.tenant(&tenant).await?;
    let backends = admitted.app.host.backends();
    let cut = || backends.cut(&tenant);
    Ok(Json(backends.fallback().explain(&tenant, cut).await))
}
