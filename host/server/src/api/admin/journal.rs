//! The journal of a tenant: what this host took in the cloud's place, and what became of it.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stuga_core::journal::{EntryInfo, EntryState, PAGE_MAX_ENTRIES};
use utoipa::{IntoParams, ToSchema};

use super::breakers::Changed;
use super::{Admitted, Problem};
use crate::api::error::Document;
use crate::fallback::view::JournalPage;

/// Entries of a page when the query does not say.
const LIMIT: u32 = 100;

/// Which entries.
#[derive(Deserialize, IntoParams)]
pub(crate) struct ListQuery {
    /// `waiting`, `parked` or `superseded`; `waiting` when it is not given.
    state: Option<String>,
    /// Beyond this place.
    after: Option<u64>,
    /// At most so many, 1 to 1000.
    limit: Option<u32>,
}

/// What is shown of an entry.
#[derive(Deserialize, IntoParams)]
pub(crate) struct ShowQuery {
    /// Also what was written and answered, which is the tenant's; it is noted who looked.
    #[serde(default)]
    content: bool,
}

/// An entry.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct EntryDetail {
    /// What is known of it.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub(crate) info: EntryInfo,
    /// What was written, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) write: Option<Value>,
    /// What was answered, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) answer: Option<Value>,
}

/// Lists entries of a tenant's journal, the oldest first.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants/{tenant}/journal",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant"), ListQuery),
    responses(
        (status = 200, description = "The entries", body = JournalPage),
        (status = 400, description = "A parameter is wrong", body = Document, content_type = "application/problem+json"),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn list(
    Path(tenant): Path<String>,
    Query(query): Query<ListQuery>,
    admitted: Admitted,
) -> Result<Json<JournalPage>, Problem> {
    let tenant = admitted.tenant(&tenant).await?;
    let state = query
        .state
        .as_deref()
        .unwrap_or(EntryState::Waiting.as_str());
    let state = EntryState::from_name(state)
        .ok_or_else(|| Problem::bad_request("`state` is one of waiting, parked, superseded"))?;
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=PAGE_MAX_ENTRIES).contains(&limit) {
        let message = format!("`limit` is from 1 to {PAGE_MAX_ENTRIES}");
        return Err(Problem::bad_request(message));
    }
    let after = query.after.unwrap_or_default();
    let fallback = admitted.fallback();
    let entries = fallback.entries(&tenant, state, after, limit).await;
    let entries = entries.map_err(|error| admitted.problem(&error))?;
    let is_full = u32::try_from(entries.len()).is_ok_and(|len| len >= limit);
    let next = entries.last().map(|last| last.seq).filter(|_| is_full);
    Ok(Json(JournalPage { entries, next }))
}

/// Shows an entry. Its content is shown when it is asked for, and that is noted.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants/{tenant}/journal/{seq}",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant"), ("seq" = u64, Path, description = "The entry's place"), ShowQuery),
    responses(
        (status = 200, description = "The entry", body = EntryDetail),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such tenant or entry, or no longer", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn show(
    Path((tenant, seq)): Path<(String, u64)>,
    Query(query): Query<ShowQuery>,
    admitted: Admitted,
) -> Result<Json<EntryDetail>, Problem> {
    let tenant = admitted.tenant(&tenant).await?;
    let fallback = admitted.fallback();
    let found = fallback
        .entry(&admitted.by, &tenant, seq, query.content)
        .await;
    let found = found.map_err(|error| admitted.problem(&error))?;
    let entry = found.ok_or_else(|| gone(seq))?;
    // What this version cannot read is not shown; the entry itself says so when it is replayed.
    let shown = |bytes: &[u8]| match query.content {
        true => serde_json::from_slice(bytes).ok(),
        false => None,
    };
    Ok(Json(EntryDetail {
        write: shown(&entry.write),
        answer: shown(&entry.ack),
        info: entry.info,
    }))
}

/// Puts a parked entry back to those that wait.
#[utoipa::path(
    post,
    path = "/v1/admin/tenants/{tenant}/journal/{seq}/retry",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant"), ("seq" = u64, Path, description = "The entry's place")),
    responses(
        (status = 200, description = "Whether it was parked", body = Changed),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn retry(
    Path((tenant, seq)): Path<(String, u64)>,
    admitted: Admitted,
) -> Result<Json<Changed>, Problem> {
    let tenant = admitted.tenant(&tenant).await?;
    let done = admitted.fallback().retry(&admitted.by, &tenant, seq).await;
    admitted.changed(done)
}

/// Removes a parked or superseded entry for good.
#[utoipa::path(
    delete,
    path = "/v1/admin/tenants/{tenant}/journal/{seq}",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant"), ("seq" = u64, Path, description = "The entry's place")),
    responses(
        (status = 200, description = "Whether it was there and could be removed", body = Changed),
        (status = 401, description = "No admin key", body = Document, content_type = "application/problem+json"),
        (status = 403, description = "A tenant's key", body = Document, content_type = "application/problem+json"),
        (status = 404, description = "There is no such tenant", body = Document, content_type = "application/problem+json"),
    ),
    security(("admin" = []))
)]
pub(crate) async fn discard(
    Path((tenant, seq)): Path<(String, u64)>,
    admitted: Admitted,
) -> Result<Json<Changed>, Problem> {
    let tenant = admitted.tenant(&tenant).await?;
    let done = admitted
        .fallback()
        .discard(&admitted.by, &tenant, seq)
        .await;
    admitted.changed(done)
}

fn gone(seq: u64) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown-entry",
        "There is no such entry",
        format!("the journal has no entry {seq}, or no longer: what the cloud took over is gone"),
    )
}
