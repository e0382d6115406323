//! Secrets: read through the facade, managed beside it, as in a server.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::secrets::{Removal, SecretInfo, SecretStore, SecretValue, SecretWrite, Secrets};
use stuga_core::{CallCtx, Capability, Result, TenantId, WriteId};
use stuga_resilience::Failover;

/// Secrets as a guest reaches them, and the operator's side of the same store.
pub(crate) struct FacadeSecrets(
    pub(crate) Failover<dyn Secrets>,
    pub(crate) Arc<dyn SecretStore>,
);

#[async_trait]
impl Capability for FacadeSecrets {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Secrets for FacadeSecrets {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        let read =
            |secrets: Arc<dyn Secrets>| async move { secrets.find(ctx, name, version).await };
        self.0
            .read(ctx, "secrets.get", &(name, version), read)
            .await
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        self.0.reveal(ctx, name, version).await
    }
}

#[async_trait]
impl SecretStore for FacadeSecrets {
    async fn set(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        value: &SecretValue,
    ) -> Result<SecretInfo> {
        self.1.set(tenant, id, name, value).await
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<SecretInfo>> {
        self.1.list(tenant).await
    }

    async fn remove(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        what: Removal,
    ) -> Result<u64> {
        self.1.remove(tenant, id, name, what).await
    }

    async fn rotate(&self, tenant: &TenantId, id: WriteId) -> Result<u64> {
        self.1.rotate(tenant, id).await
    }
}
