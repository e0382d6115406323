//! Where a tenant's domain is, and with whose credentials it is reached.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use opensearch::auth::Credentials;
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use stuga_core::{CallCtx, Error, Result, TenantId};
use tokio::sync::OnceCell;

use super::names::Names;
use super::wire::Wire;
use crate::Shared;
use crate::call::call;
use crate::config::SearchConfig;

/// Most tenants whose connections are kept.
const TRANSPORTS_MAX: u64 = 1_024;
/// How long a connection is kept that nobody uses.
const TRANSPORT_IDLE: Duration = Duration::from_secs(3_600);

/// The domain, as it is configured.
pub(super) struct Domain {
    shared: Arc<Shared>,
    endpoint: OnceCell<String>,
    transports: Cache<TenantId, Transport>,
}

impl Domain {
    /// Nothing is asked before the first request.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            endpoint: OnceCell::new(),
            transports: Cache::builder()
                .max_capacity(TRANSPORTS_MAX)
                .time_to_idle(TRANSPORT_IDLE)
                .build(),
        }
    }

    /// The connection of the call's tenant.
    pub(super) async fn wire(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        names: &Names,
    ) -> Result<Wire> {
        let transport = match self.transports.get(&ctx.tenant) {
            Some(transport) => transport,
            None => {
                let endpoint = self
                    .endpoint
                    .get_or_try_init(|| self.find_endpoint(ctx, operation))
                    .await?;
                let transport = self.connect(operation, &ctx.tenant, endpoint)?;
                self.transports
                    .insert(ctx.tenant.clone(), transport.clone());
                transport
            }
        };
        let attempt_timeout = self.shared.config.attempt_timeout;
        Ok(Wire::new(transport, names.prefix(), attempt_timeout))
    }

    /// Where the domain is.
    async fn find_endpoint(&self, ctx: &CallCtx, operation: &'static str) -> Result<String> {
        let config = self.config()?;
        if let Some(endpoint) = &config.endpoint {
            return Ok(endpoint.clone());
        }
        let Some(domain) = &config.domain else {
            return Err(Error::unavailable(
                operation,
                "neither `aws.search.endpoint` nor `aws.search.domain` is configured",
            ));
        };
        let control = self.shared.clients.host().opensearch_control();
        let described = call(
            ctx,
            operation,
            control.describe_domain().domain_name(domain).send(),
        )
        .await?;
        let status = described.domain_status();
        let public = status.and_then(|status| status.endpoint());
        let inside = status.and_then(|status| status.endpoints()?.get("vpc"));
        match public.or(inside.map(String::as_str)) {
            Some(host) => Ok(format!("https://{host}")),
            None => Err(Error::unavailable(
                operation,
                "the search domain has no address yet; wait until it is made",
            )),
        }
    }

    fn connect(
        &self,
        operation: &'static str,
        tenant: &TenantId,
        endpoint: &str,
    ) -> Result<Transport> {
        let wrong = |what: &'static str| Error::unavailable(operation, what);
        let config = self.config()?;
        let url = opensearch::http::Url::parse(endpoint)
            .map_err(|e| wrong("the search domain's address is not an URL").with_source(e))?;
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url)).disable_proxy();
        if config.signed {
            let clients = self.shared.clients.of(tenant);
            let credentials = Credentials::try_from(clients.sdk())
                .map_err(|e| wrong("there are no credentials to sign with").with_source(e))?;
            let service = if config.serverless { "aoss" } else { "es" };
            builder = builder.auth(credentials).service_name(service);
        }
        builder
            .build()
            .map_err(|e| wrong("no client can be made for the search domain").with_source(e))
    }

    fn config(&self) -> Result<&SearchConfig> {
        self.shared
            .config
            .search
            .as_ref()
            .ok_or_else(|| Error::unavailable("search", "`aws.search` is not configured"))
    }

    /// Copies of each document beside the first.
    ///
    /// # Errors
    /// `Unavailable` when search is not configured.
    pub(super) fn replicas(&self) -> Result<u8> {
        Ok(self.config()?.replicas)
    }
}
