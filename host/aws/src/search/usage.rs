//! What a tenant has in its indices, by its catalog: each index has its counts there.

use std::sync::Arc;

use async_trait::async_trait;
use opensearch::http::Method;
use serde::Deserialize;
use stuga_core::{Result, TenantId};
use tokio::time::{Instant, timeout_at};

use super::catalog;
use super::domain::{Domain, Whose};
use super::names::Index;
use super::wire::{Body, Request, json, read};
use crate::Shared;
use crate::error::deadline_passed;
use crate::quota::meter::{Count, Held};

const OPERATION: &str = "search.count";

/// Counts by the tenant's catalog.
pub(super) struct Catalogs {
    pub(super) shared: Arc<Shared>,
    pub(super) domain: Arc<Domain>,
}

#[derive(Deserialize)]
struct Answer {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    _source: Source,
}

#[derive(Deserialize)]
struct Source {
    head: Counts,
}

#[derive(Deserialize)]
struct Counts {
    documents: u64,
    bytes: u64,
}

#[async_trait]
impl Count for Catalogs {
    /// One `_search` of the catalog; what was written within a second may be missing.
    async fn page(
        &self,
        tenant: &TenantId,
        _: Option<String>,
        deadline: Instant,
    ) -> Result<(Held, Option<String>)> {
        let work = async {
            let prefix = self.shared.scope(tenant).tenant_indices()?;
            let whose = Whose::Tenant(tenant.clone());
            let wire = self.domain.wire_of(whose, deadline, OPERATION, &prefix);
            let wire = wire.await?;
            let request = Request {
                operation: OPERATION,
                method: Method::Post,
                index: &Index::catalog(&prefix),
                what: "_search",
                query: &[("allow_partial_search_results", "false")],
                body: Body::Json(json(OPERATION, &catalog::counts())?),
            };
            let body = match wire.send(request).await? {
                Ok(body) => body,
                Err(refusal) if refusal.is_no_index() => return Ok(Held::default()),
                Err(refusal) => return Err(refusal.into_error(OPERATION)),
            };
            let answer: Answer = read(OPERATION, &body)?;
            let mut held = Held::default();
            for Hit { _source: source } in answer.hits.hits {
                held += Held {
                    count: source.head.documents,
                    bytes: source.head.bytes,
                };
            }
            Ok(held)
        };
        let held = timeout_at(deadline, work)
            .await
            .map_err(|_| deadline_passed(OPERATION))?;
        Ok((held?, None))
    }
}
