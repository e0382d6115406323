//! Where a tenant's domain is, and with whose credentials it is reached.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use opensearch::auth::Credentials;
use opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use stuga_core::{CallCtx, Error, Result, TenantId};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::names::Names;
use super::wire::Wire;
use crate::Shared;
use crate::call::call_until;
use crate::config::SearchConfig;

/// Most tenants whose connections are kept.
const TRANSPORTS_MAX: u64 = 1_024;
/// How long a connection is kept that nobody uses.
const TRANSPORT_IDLE: Duration = Duration::from_secs(3_600);

/// The domain, as it is configured.
pub(crate) struct Domain {
    shared: Arc<Shared>,
    endpoint: OnceCell<String>,
    transports: Cache<Whose, Transport>,
}

/// With whose credentials requests are signed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Whose {
    /// The host's own.
    Host,
    /// Those of the role of a tenant.
    Tenant(TenantId),
}

impl Domain {
    /// Nothing is asked before the first request.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
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
        let whose = Whose::Tenant(ctx.tenant.clone());
        self.wire_of(whose, ctx.deadline, operation, names.prefix())
            .await
    }

    /// A connection for what begins with `prefix`.
    pub(super) async fn wire_of(
        &self,
        whose: Whose,
        deadline: Instant,
        operation: &'static str,
        prefix: &str,
    ) -> Result<Wire> {
        let transport = match self.transports.get(&whose) {
            Some(transport) => transport,
            None => {
                let endpoint = self
                    .endpoint
                    .get_or_try_init(|| self.find_endpoint(deadline, operation))
                    .await?;
                let transport = self.connect(operation, &whose, endpoint)?;
                self.transports.insert(whose, transport.clone());
                transport
            }
        };
        let attempt_timeout = self.shared.config.attempt_timeout;
        Ok(Wire::new(transport, prefix, attempt_timeout))
    }

    /// Where the domain is.
    async fn find_endpoint(&self, deadline: Instant, operation: &'static str) -> Result<String> {
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
        let describe = control.describe_domain().domain_name(domain).send();
        let described = call_until(deadline, operation, describe).await?;
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

    fn connect(&self, operation: &'static str, whose: &Whose, endpoint: &str) -> Result<Transport> {
        let wrong = |what: &'static str| Error::unavailable(operation, what);
        let config = self.config()?;
        let url = opensearch::http::Url::parse(endpoint)
            .map_err(|e| wrong("the search domain's address is not an URL").with_source(e))?;
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url)).disable_proxy();
        if config.signed {
            let credentials = match whose {
                Whose::Host => Credentials::try_from(self.shared.clients.host().sdk()),
                Whose::Tenant(tenant) => {
                    Credentials::try_from(self.shared.clients.of(tenant).sdk())
                }
            };
            let credentials = credentials
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
