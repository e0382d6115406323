//! Who is calling: from `Authorization: Bearer` to a tenant. The tenant enters here and nowhere else.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};

use stuga_core::RequestId;

use super::App;
use super::error::Problem;
use crate::host::RunningTenant;
use crate::tenants::keys;

/// Longest foreign name that is written into the audit log, in characters.
const NAMED_MAX_CHARS: usize = 64;

/// The tenant that the request's key belongs to, which must be the one that the path names.
///
/// Whether another tenant exists makes no difference to the answer.
///
/// # Errors
/// 401 without a valid key, 403 with one of another tenant.
pub(crate) fn authorize(
    app: &App,
    request: &RequestId,
    headers: &HeaderMap,
    named: &str,
) -> Result<Arc<RunningTenant>, Problem> {
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
    if tenant.id().as_str() != named {
        let named: String = named.chars().take(NAMED_MAX_CHARS).collect();
        tracing::warn!(target: "audit", event = "foreign-tenant", %request, tenant = %tenant.id(), key = id, named, "a key was used on the path of another tenant");
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign-tenant",
            "The key belongs to another tenant",
            "name the tenant that the key was made for in the path",
        ));
    }
    Ok(Arc::clone(tenant))
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
