//! What load balancers and Prometheus ask. Open to everybody who reaches the port; names no tenant.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;

/// Whether the server can take calls.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether it can.
    ready: bool,
    /// `ready` or `draining`.
    state: &'static str,
    /// Tenants that are loaded.
    tenants: usize,
    /// Agents that can be called.
    agents: usize,
    /// Agents that could not be readied.
    agents_failed: usize,
}

/// Says that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, description = "It is alive", body = String)))]
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Says whether calls can be taken: tenants are loaded, backends are open, and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses(
    (status = 200, description = "Calls are taken", body = Readiness),
    (status = 503, description = "The server is stopping", body = Readiness),
))]
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let totals = app.host.current().totals();
    let draining = app.host.is_draining();
    let status = if draining {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let readiness = Readiness {
        ready: !draining,
        state: if draining { "draining" } else { "ready" },
        tenants: totals.tenants,
        agents: totals.agents,
        agents_failed: totals.agents_failed,
    };
    (status, Json(readiness))
}

/// Metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "Prometheus text format", body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    app.host.metrics().events(app.host.told());
    let failover = app.host.backends().fallback().figures();
    let totals = app.host.current().totals();
    let text = app.host.metrics().render(&totals, &failover);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
