//! `GET .../agents`: what a tenant can call.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use serde::Serialize;
use stuga_core::{AgentName, RequestId};
use stuga_runtime::{AgentStats, Skill};
use utoipa::ToSchema;

use super::error::{Document, Problem};
use super::{App, auth};
use crate::host::RunningTenant;

/// The agents of a tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgentList {
    /// Those that can be called.
    agents: Vec<AgentInfo>,
    /// Names of those that should run and could not be readied; the operator's log says why.
    #[schema(value_type = Vec<String>)]
    failed: Vec<AgentName>,
}

/// One agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgentInfo {
    /// Its name in paths.
    #[schema(value_type = String)]
    name: AgentName,
    /// Its version.
    version: String,
    /// What it is.
    summary: String,
    /// SHA-256 of its component.
    component: String,
    /// What it is granted.
    #[schema(value_type = Vec<String>)]
    grants: Vec<stuga_core::CapabilityName>,
    /// What it can do.
    #[schema(value_type = Vec<Object>)]
    skills: Vec<Skill>,
    /// What its instances are doing.
    #[schema(value_type = Object)]
    instances: AgentStats,
}

/// Lists the tenant's agents with their skills and schemas.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/agents",
    tag = "agents",
    params(("tenant" = String, Path, description = "The tenant that the key was made for")),
    responses(
        (status = 200, description = "The agents", body = AgentList),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Path(tenant): Path<String>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Json<AgentList>, Problem> {
    let tenant = auth::authorize(&app, &request, &headers, &tenant)?;
    Ok(Json(describe(&tenant)))
}

fn describe(tenant: &RunningTenant) -> AgentList {
    let agents = tenant.agents().values().map(|running| {
        let plugin = running.agent().plugin();
        let manifest = plugin.manifest();
        AgentInfo {
            name: running.name().clone(),
            version: manifest.version.clone(),
            summary: manifest.summary.clone(),
            component: plugin.digest().to_owned(),
            grants: running.grants().iter().collect(),
            skills: manifest.skills.clone(),
            instances: running.agent().stats(),
        }
    });
    AgentList {
        agents: agents.collect(),
        failed: tenant.failed().keys().cloned().collect(),
    }
}
