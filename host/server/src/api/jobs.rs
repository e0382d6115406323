//! `.../jobs`: what a tenant's agents left for later. Listed, shown, cancelled, queued again.

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stuga_core::jobs::State as JobState;
use stuga_core::{AgentName, Error, ErrorKind, RequestId};
use utoipa::{IntoParams, ToSchema};

use super::error::{Document, Problem};
use super::{App, auth};
use crate::host::{Desk, JobOf, RunningTenant};

/// Jobs on a page when the request does not say.
const LIMIT: u32 = 100;

/// Which jobs.
#[derive(Deserialize, IntoParams)]
pub(crate) struct ListQuery {
    /// Of this agent alone.
    agent: Option<String>,
    /// Of this state alone: `waiting`, `running`, `succeeded`, `dead` or `cancelled`.
    state: Option<String>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 1000 [default: 100].
    limit: Option<u32>,
}

/// Whose job.
#[derive(Deserialize, IntoParams)]
pub(crate) struct AgentQuery {
    /// Of this agent; all are looked through when it is not given.
    agent: Option<String>,
}

/// One page of jobs: agent by agent, of each the one submitted last first.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    jobs: Vec<JobOf>,
    /// Give this as `cursor` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A job with what went in and what came out.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobDetail {
    #[serde(flatten)]
    job: JobOf,
    /// What it was submitted with.
    #[schema(value_type = Object)]
    input: Box<RawValue>,
    /// What it answered, once it has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    output: Option<Box<RawValue>>,
}

/// What became of a cancellation.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cancelled {
    /// Whether the job had not ended before.
    was_open: bool,
}

/// Lists the jobs of the tenant's agents.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/jobs",
    tag = "jobs",
    params(("tenant" = String, Path, description = "The tenant that the key was made for"), ListQuery),
    responses(
        (status = 200, description = "The jobs", body = JobList),
        (status = 400, description = "A parameter is wrong", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Path(tenant): Path<String>,
    Query(query): Query<ListQuery>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Json<JobList>, Problem> {
    let tenant = auth::authorize(&app, &request, &headers, &tenant)?;
    let state = query.state.as_deref().map(state_of).transpose()?;
    let desk = desk(&app, &tenant, query.agent.as_deref())?;
    let limit = query.limit.unwrap_or(LIMIT);
    let listed = desk.list(state, query.cursor.as_deref(), limit).await;
    let (jobs, next_cursor) = listed.map_err(|error| problem(&request, &error))?;
    Ok(Json(JobList { jobs, next_cursor }))
}

/// Shows a job.
#[utoipa::path(
    get,
    path = "/v1/tenants/{tenant}/jobs/{id}",
    tag = "jobs",
    params(("tenant" = String, Path, description = "The tenant that the key was made for"), ("id" = String, Path, description = "The job"), AgentQuery),
    responses(
        (status = 200, description = "The job", body = JobDetail),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such job, or no longer", body = Document, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn show(
    State(app): State<App>,
    Path((tenant, id)): Path<(String, String)>,
    Query(query): Query<AgentQuery>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Json<JobDetail>, Problem> {
    let tenant = auth::authorize(&app, &request, &headers, &tenant)?;
    let shown = desk(&app, &tenant, query.agent.as_deref())?.show(&id).await;
    let (job, input, output) = shown.map_err(|error| problem(&request, &error))?;
    Ok(Json(JobDetail {
        job,
        input: raw(input)?,
        output: output.map(raw).transpose()?,
    }))
}

/// Cancels a job, also one that runs. Cancelling one that has ended changes nothing.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/jobs/{id}/cancel",
    tag = "jobs",
    params(("tenant" = String, Path, description = "The tenant that the key was made for"), ("id" = String, Path, description = "The job"), AgentQuery),
    responses(
        (status = 200, description = "It has ended", body = Cancelled),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such job, or no longer", body = Document, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    Path((tenant, id)): Path<(String, String)>,
    Query(query): Query<AgentQuery>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Json<Cancelled>, Problem> {
    let tenant = auth::authorize(&app, &request, &headers, &tenant)?;
    let cancelled = desk(&app, &tenant, query.agent.as_deref())?
        .cancel(&id)
        .await;
    let was_open = cancelled.map_err(|error| problem(&request, &error))?;
    Ok(Json(Cancelled { was_open }))
}

/// Queues a dead job again, with all its attempts.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/jobs/{id}/requeue",
    tag = "jobs",
    params(("tenant" = String, Path, description = "The tenant that the key was made for"), ("id" = String, Path, description = "The job"), AgentQuery),
    responses(
        (status = 204, description = "It waits again"),
        (status = 401, description = "No valid key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A key of another tenant", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such job, or no longer", body = Document, content_type = "application/problem+json"),
        (status = 409, description = "The job is not dead", body = Document, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn requeue(
    State(app): State<App>,
    Path((tenant, id)): Path<(String, String)>,
    Query(query): Query<AgentQuery>,
    Extension(request): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let tenant = auth::authorize(&app, &request, &headers, &tenant)?;
    let requeued = desk(&app, &tenant, query.agent.as_deref())?
        .requeue(&id)
        .await;
    requeued.map_err(|error| problem(&request, &error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The desk of one agent, or of all that the tenant's file names: those that cannot be readied have jobs as well.
fn desk(app: &App, tenant: &RunningTenant, agent: Option<&str>) -> Result<Desk, Problem> {
    let agents = match agent {
        Some(name) => {
            let name = AgentName::new(name).map_err(|e| Problem::bad_request(e.message()))?;
            vec![name]
        }
        None => tenant
            .tenant()
            .plugins
            .iter()
            .map(|p| p.name.clone())
            .collect(),
    };
    let jobs = app.host.backends().capabilities().jobs;
    let now = app.host.clock().now();
    Ok(Desk::new(jobs, tenant.id().clone(), agents, now))
}

fn state_of(name: &str) -> Result<JobState, Problem> {
    JobState::from_name(name).ok_or_else(|| {
        let names = JobState::ALL.map(JobState::as_str).join(", ");
        Problem::bad_request(format!("the state is not one of {names}"))
    })
}

fn raw(json: String) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(json).map_err(|_| Problem::internal())
}

/// What the store of jobs refused, as a problem. Messages of the first kinds are for clients.
fn problem(request: &RequestId, error: &Error) -> Problem {
    let detail = error.message().to_owned();
    match error.kind() {
        ErrorKind::NotFound => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-job",
            "There is no such job",
            detail,
        ),
        ErrorKind::Invalid => Problem::bad_request(detail),
        ErrorKind::Conflict => Problem::new(
            StatusCode::CONFLICT,
            "job-state",
            "The job is not in the expected state",
            detail,
        ),
        ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::Timeout => {
            tracing::warn!(%request, %error, causes = error.causes(), "jobs are not available");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The host cannot do this now",
                "try again",
            )
            .after(
                error
                    .retry_after()
                    .or(Some(std::time::Duration::from_secs(1))),
            )
        }
        _ => {
            tracing::error!(%request, %error, causes = error.causes(), "jobs failed");
            Problem::internal()
        }
    }
}
