//! What a tenant has on the domain as a whole: its catalog and its indices, as the operator asks for them. Documents are
//! neither read nor written here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opensearch::http::Method;
use serde::de::IgnoredAny;
use stuga_core::{Result, TenantId};
use tokio::time::{Instant, timeout_at};

use super::catalog;
use super::domain::{Domain, Whose};
use super::names::Index;
use super::wire::{Body, Request, Wire, json, read};
use crate::Shared;
use crate::error::deadline_passed;

/// Searches that read nothing.
const NOTHING: &[u8] = br#"{"size":0,"track_total_hits":false}"#;

/// A tenant's part of the domain.
pub(crate) struct Tenancy {
    domain: Arc<Domain>,
    prefix: String,
    operation: &'static str,
}

impl Tenancy {
    /// The part of `tenant`, for an operation with that name.
    ///
    /// # Errors
    /// `Unavailable` when search is not configured.
    pub(crate) fn of(
        shared: &Shared,
        domain: &Arc<Domain>,
        tenant: &TenantId,
        operation: &'static str,
    ) -> Result<Self> {
        Ok(Self {
            domain: Arc::clone(domain),
            prefix: shared.scope(tenant).tenant_indices()?,
            operation,
        })
    }

    /// What the names of all of it begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of the catalog.
    pub(crate) fn catalog(&self) -> String {
        Index::catalog(&self.prefix).itself().to_owned()
    }

    /// Whether the catalog is there and can be searched. One search that reads nothing.
    pub(crate) async fn has_catalog(&self, whose: Whose, deadline: Instant) -> Result<bool> {
        let work = async {
            let wire = self.wire(whose, deadline).await?;
            let request = Request {
                operation: self.operation,
                method: Method::Post,
                index: &Index::catalog(&self.prefix),
                what: "_search",
                query: &[],
                body: Body::Json(NOTHING.to_vec()),
            };
            match wire.send(request).await? {
                Ok(_) => Ok(true),
                Err(refusal) if refusal.is_no_index() => Ok(false),
                Err(refusal) => Err(refusal.into_error(self.operation)),
            }
        };
        self.within(deadline, work).await
    }

    /// Makes the catalog, with the host's credentials. One that is there stays as it is.
    pub(crate) async fn make_catalog(&self, deadline: Instant) -> Result<()> {
        let work = async {
            let wire = self.wire(Whose::Host, deadline).await?;
            let index = Index::catalog(&self.prefix);
            let body = catalog::create(&index.alias(), self.domain.replicas()?);
            let request = Request {
                operation: self.operation,
                method: Method::Put,
                index: &index,
                what: "",
                query: &[],
                body: Body::Json(json(self.operation, &body)?),
            };
            match wire.send(request).await? {
                Ok(_) => Ok(()),
                Err(refusal) if refusal.is_index_there() => Ok(()),
                Err(refusal) => Err(refusal.into_error(self.operation)),
            }
        };
        self.within(deadline, work).await
    }

    /// Removes the catalog and all indices for good, with the host's credentials; each request may take as long as
    /// `patience`. What is gone is no error.
    pub(crate) async fn remove_all(&self, patience: Duration) -> Result<()> {
        for index in self.indices(Instant::now() + patience).await? {
            self.remove(&index, Instant::now() + patience).await?;
        }
        Ok(())
    }

    /// All indices of the tenant, closed ones among them.
    async fn indices(&self, deadline: Instant) -> Result<Vec<Index>> {
        let work = async {
            let wire = self.wire(Whose::Host, deadline).await?;
            let body = match wire.list(self.operation).await? {
                Ok(body) => body,
                Err(refusal) if refusal.is_no_index() => return Ok(Vec::new()),
                Err(refusal) => return Err(refusal.into_error(self.operation)),
            };
            let listed: BTreeMap<String, IgnoredAny> = read(self.operation, &body)?;
            let names = listed.keys();
            let index = |name: &String| Index::listed(self.operation, &self.prefix, name);
            names.map(index).collect()
        };
        self.within(deadline, work).await
    }

    async fn remove(&self, index: &Index, deadline: Instant) -> Result<()> {
        let work = async {
            let wire = self.wire(Whose::Host, deadline).await?;
            let request = Request {
                operation: self.operation,
                method: Method::Delete,
                index,
                what: "",
                query: &[],
                body: Body::None,
            };
            match wire.send(request).await? {
                Ok(_) => Ok(()),
                Err(refusal) if refusal.is_no_index() => Ok(()),
                Err(refusal) => Err(refusal.into_error(self.operation)),
            }
        };
        self.within(deadline, work).await
    }

    async fn wire(&self, whose: Whose, deadline: Instant) -> Result<Wire> {
        self.domain
            .wire_of(whose, deadline, self.operation, &self.prefix)
            .await
    }

    async fn within<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if Instant::now() >= deadline {
            return Err(deadline_passed(self.operation));
        }
        timeout_at(deadline, work)
            .await
            .map_err(|_| deadline_passed(self.operation))?
    }
}
