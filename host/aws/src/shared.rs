//! What all backends share.

use std::sync::Arc;

use stuga_core::model::LimitTable;
use stuga_core::{CallCtx, Clock, TenantId, Timestamp};

use crate::clients::{AccessKeys, Clients, TenantClients};
use crate::config::AwsConfig;
use crate::quota::Quotas;
use crate::scope::Scope;

/// Configuration, clients, time, and what tenants have taken.
pub(crate) struct Shared {
    pub(crate) config: Arc<AwsConfig>,
    pub(crate) clients: Clients,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) model_limits: Arc<LimitTable>,
    pub(crate) quotas: Quotas,
}

impl Shared {
    pub(crate) fn new(config: AwsConfig, clock: Arc<dyn Clock>, keys: Option<AccessKeys>) -> Self {
        let config = Arc::new(config);
        Self {
            clients: Clients::new(Arc::clone(&config), keys),
            config,
            model_limits: Arc::new(LimitTable::new(Arc::clone(&clock))),
            quotas: Quotas::default(),
            clock,
        }
    }

    /// The moment now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clients of the call's tenant.
    pub(crate) fn clients(&self, ctx: &CallCtx) -> Arc<TenantClients> {
        self.clients.of(&ctx.tenant)
    }

    /// What belongs to a tenant.
    pub(crate) fn scope<'a>(&'a self, tenant: &'a TenantId) -> Scope<'a> {
        Scope::of(&self.config, tenant)
    }
}
