//! Forgets writes that need no longer be remembered.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use opensearch::http::Method;
use serde::Deserialize;
use stuga_core::{TenantId, Timestamp};

use super::catalog;
use super::names::Names;
use super::wire::{Body, Request, Wire, json};
use crate::Shared;

/// How long an applied write is remembered. The contract asks for at least 24 hours.
const REMEMBERED_FOR: Duration = Duration::from_secs(25 * 3_600);
/// Between two searches of a tenant's catalog, when the last one found all.
const EVERY: Duration = Duration::from_secs(3_600);
/// The same when there were more.
const ON_AFTER: Duration = Duration::from_secs(30);
/// How many writes are forgotten at once; stands in the request as well.
const MAX: u64 = 5_000;
/// Most tenants of whom is known when to search.
const TENANTS_MAX: u64 = 10_000;

#[derive(Deserialize)]
struct Swept {
    deleted: u64,
}

/// When each tenant's catalog is to be searched.
pub(super) struct Sweeps {
    shared: Arc<Shared>,
    due: Cache<TenantId, Timestamp>,
}

impl Sweeps {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            due: Cache::new(TENANTS_MAX),
        }
    }

    /// Searches the catalog if it is time. What goes wrong is logged: the write that came by stands.
    pub(super) async fn pass(&self, tenant: &TenantId, wire: &Wire, names: &Names) {
        const OPERATION: &str = "search.sweep";
        let now = self.shared.now();
        if self.due.get(tenant).is_some_and(|due| now < due) {
            return;
        }
        self.due.insert(tenant.clone(), now.saturating_add(EVERY));
        let query = catalog::writes_before(now.saturating_sub(REMEMBERED_FOR));
        let swept = async {
            let request = Request {
                operation: OPERATION,
                method: Method::Post,
                index: &names.catalog(),
                what: "_delete_by_query",
                query: &[("conflicts", "proceed"), ("max_docs", "5000")],
                body: Body::Json(json(OPERATION, &query)?),
            };
            wire.ask::<Swept>(request).await
        };
        match swept.await {
            Ok(Swept { deleted }) if deleted >= MAX => {
                self.due
                    .insert(tenant.clone(), now.saturating_add(ON_AFTER));
            }
            Ok(_) => {}
            Err(error) => {
                let causes = error.causes();
                tracing::warn!(%tenant, %error, causes, "old writes of search cannot be forgotten");
            }
        }
    }
}
