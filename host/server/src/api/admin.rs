//! `/v1/admin/...`: what operators see and do. Opened by the admin key alone; every change is in the audit log.

pub(super) mod breakers;
pub(super) mod journal;
pub(super) mod tenants;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use stuga_core::{CapabilityName, Error, ErrorKind, RequestId, TenantId};

use super::error::Problem;
use super::{App, auth, body};
use crate::fallback::{Fallback, Operator};
use crate::tenants::keys;

use breakers::Changed;

/// How a client says who acts; nobody checks it.
const OPERATOR: &str = "x-stuga-operator";
/// Longest name of an operator in bytes.
const OPERATOR_MAX_BYTES: usize = 64;
/// Largest body in bytes.
const BODY_MAX_BYTES: u64 = 16 << 10;

/// A request with the admin key. Who takes one answers no other request.
///
/// # Errors
/// 401 without a key that is valid, 403 with a tenant's.
pub(crate) struct Admitted {
    app: App,
    request: RequestId,
    /// Who acts.
    by: Operator,
}

impl FromRequestParts<App> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let request = parts.extensions.get::<RequestId>();
        let request = request.cloned().ok_or_else(Problem::internal)?;
        Ok(Self {
            by: authorize(app, &request, &parts.headers)?,
            app: app.clone(),
            request,
        })
    }
}

impl Admitted {
    fn fallback(&self) -> &Arc<Fallback> {
        self.app.host.backends().fallback()
    }

    /// A tenant that this host knows, or has entries of.
    ///
    /// # Errors
    /// 404 when it does not.
    async fn tenant(&self, name: &str) -> Result<TenantId, Problem> {
        let unknown = || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "unknown-tenant",
                "There is no such tenant",
                format!(
                    "this host has no tenant {name:?}; `stuga tenant list` shows those there are"
                ),
            )
        };
        let tenant = TenantId::new(name).map_err(|_| unknown())?;
        let is_running = self.app.host.current().tenant(name).is_some();
        if is_running {
            return Ok(tenant);
        }
        // Its file may be gone, and what it wrote may still wait.
        let waiting = self.fallback().waiting_tenants().await;
        let waiting = waiting.map_err(|error| self.problem(&error))?;
        match waiting.contains(&tenant) {
            true => Ok(tenant),
            false => Err(unknown()),
        }
    }

    /// What became of a change.
    fn changed(&self, done: stuga_core::Result<bool>) -> Result<Json<Changed>, Problem> {
        let changed = done.map_err(|error| self.problem(&error))?;
        Ok(Json(Changed { changed }))
    }

    /// Why something could not be done. An operator may know the causes.
    fn problem(&self, error: &Error) -> Problem {
        let request = &self.request;
        let told =
            |status, slug, title| Problem::new(status, slug, title, error.message().to_owned());
        match error.kind() {
            ErrorKind::Invalid => Problem::bad_request(error.message().to_owned()),
            ErrorKind::NotFound => {
                told(StatusCode::NOT_FOUND, "not-found", "There is no such thing")
            }
            ErrorKind::Conflict | ErrorKind::QuotaExceeded => told(
                StatusCode::CONFLICT,
                "conflict",
                "It cannot be done as things stand",
            ),
            ErrorKind::Internal => {
                tracing::error!(%request, %error, causes = error.causes(), "an operator's request failed");
                Problem::internal()
            }
            _ => {
                tracing::warn!(%request, %error, causes = error.causes(), "an operator's request failed");
                told(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "The host cannot do it now",
                )
            }
        }
    }
}

/// Who acts, when the request has the admin key.
fn authorize(app: &App, request: &RequestId, headers: &HeaderMap) -> Result<Operator, Problem> {
    let (host, key) = (&app.host, auth::bearer(headers));
    let key = key.ok_or_else(|| auth::unauthorized("send `Authorization: Bearer KEY`, once"))?;
    if host.admin().verify(key, host.pepper()) {
        let name = headers.get(OPERATOR).and_then(|name| name.to_str().ok());
        let name = name.filter(|name| {
            let shown = |c: char| c.is_ascii_graphic() || c == ' ';
            (1..=OPERATOR_MAX_BYTES).contains(&name.len()) && name.chars().all(shown)
        });
        return Ok(Operator {
            key: host.admin().id().to_owned(),
            name: name.map(str::to_owned),
        });
    }
    let id = keys::id_of(key);
    let current = host.current();
    let known = id.and_then(|id| current.key(id));
    if let Some((tenant, hash)) = known
        && host.pepper().verify(key, hash)
    {
        tracing::warn!(target: "audit", event = "tenant-on-admin", %request, tenant = %tenant.id(), key = id, "a tenant's key was used on /v1/admin");
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "admin-only",
            "The key opens nothing here",
            "use the admin key: `admin.key` in the server's data directory",
        ));
    }
    tracing::info!(target: "audit", event = "admin-refused", %request, key = id, "a key that is not the admin key was used on /v1/admin");
    Err(auth::unauthorized(
        "the key is not the admin key of this host",
    ))
}

/// The capability of that name.
///
/// # Errors
/// 404 with those there are.
fn capability(name: &str) -> Result<CapabilityName, Problem> {
    CapabilityName::from_name(name).ok_or_else(|| {
        let there = CapabilityName::ALL.map(CapabilityName::as_str).join(", ");
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown-capability",
            "There is no such capability",
            format!("{name:?} is no capability; there is {there}"),
        )
    })
}

/// Reads the body, which may be left out when nothing in it is needed.
///
/// # Errors
/// 400 with the position of what is wrong, 413 when it is too large.
async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let bytes = body::read(headers, body, BODY_MAX_BYTES).await?;
    let text: &[u8] = match bytes.is_empty() {
        true => b"{}",
        false => &bytes,
    };
    serde_json::from_slice(text)
        .map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))
}
