//! Who is calling: from `Authorization: Bearer`, or the word of a gateway, to a tenant. The tenant enters here and nowhere else.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};

use stuga_core::RequestId;

use super::App;
use super::error::Problem;
use crate::host::RunningTenant;
use crate::tenants::keys;

/// Longest foreign name that is written into the audit log, in characters.
const NAMED_MAX_CHARS: usize = 64;

/// Whoever calls, for the audit log.
#[derive(Clone, Copy, Default)]
struct Caller<'a> {
    /// The id of the key.
    key: Option<&'a str>,
    /// The gateway's name for the client.
    identity: Option<&'a str>,
}

/// The tenant that the request's caller belongs to, which must be the one that the path names. Who calls is what a gateway says
/// that proved itself, else what the key says.
///
/// Whether another tenant exists makes no difference to the answer.
///
/// # Errors
/// 401 without a valid key or a name that the gateway's client has, 403 with one of another tenant.
pub(crate) fn authorize(
    app: &App,
    request: &RequestId,
    headers: &HeaderMap,
    named: &str,
) -> Result<Arc<RunningTenant>, Problem> {
    let said = app
        .gateway
        .as_ref()
        .map(|gateway| gateway.identity(headers));
    let said = said.transpose().map_err(|_| {
        tracing::warn!(target: "audit", event = "identity-unclear", %request, "the gateway named no client or two");
        unauthorized("the gateway in front of this host must say once who calls")
    })?;
    let (tenant, caller) = match said.flatten() {
        Some(identity) => by_identity(app, request, identity)?,
        None => by_key(app, request, headers)?,
    };
    if tenant.id().as_str() != named {
        let named: String = named.chars().take(NAMED_MAX_CHARS).collect();
        let Caller { key, identity } = caller;
        tracing::warn!(target: "audit", event = "foreign-tenant", %request, tenant = %tenant.id(), key, identity, named, "a tenant's caller used the path of another tenant");
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-tenant",
            "The key belongs to another tenant",
            "name the tenant that the key was made for in the path",
        ));
    }
    Ok(tenant)
}

/// The tenant of a client that a gateway has identified.
fn by_identity<'h>(
    app: &App,
    request: &RequestId,
    identity: &'h str,
) -> Result<(Arc<RunningTenant>, Caller<'h>), Problem> {
    let current = app.host.current();
    let Some(tenant) = current.identity(identity) else {
        tracing::info!(target: "audit", event = "identity-refused", %request, identity, "the gateway named a client that no tenant has");
        return Err(unauthorized(
            "the client that the gateway named belongs to no tenant of this host",
        ));
    };
    let caller = Caller {
        identity: Some(identity),
        ..Caller::default()
    };
    Ok((Arc::clone(tenant), caller))
}

/// The tenant of the request's key.
fn by_key<'h>(
    app: &App,
    request: &RequestId,
    headers: &'h HeaderMap,
) -> Result<(Arc<RunningTenant>, Caller<'h>), Problem> {
    let key =
        bearer(headers).ok_or_else(|| unauthorized("send `Authorization: Bearer KEY`, once"))?;
    let refused =
        || unauthorized("the key is not valid: it is misspelled, revoked or of another host");
    let id = keys::id_of(key).ok_or_else(refused)?;
    let current = app.host.current();
    let (tenant, hash) = current.key(id).ok_or_else(refused)?;
    if !app.host.pepper().verify(key, hash) {
        tracing::info!(target: "audit", event = "key-refused", %request, tenant = %tenant.id(), key = id, "a key with a known id and a wrong secret was sent");
        return Err(refused());
    }
    let caller = Caller {
        key: Some(id),
        ..Caller::default()
    };
    Ok((Arc::clone(tenant), caller))
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

pub(super) fn unauthorized(detail: &str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "A valid API key is needed",
        detail,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_bearer_header_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.append(header::AUTHORIZATION, "bearer abc".parse().unwrap());
        assert_eq!(bearer(&headers), Some("abc"));
        headers.append(header::AUTHORIZATION, "Bearer def".parse().unwrap());
        assert_eq!(bearer(&headers), None);
        headers.insert(header::AUTHORIZATION, "Basic abc".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
