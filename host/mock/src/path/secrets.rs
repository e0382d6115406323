//! The operations of secrets. A guest only reads them.

use async_trait::async_trait;
use stuga_core::secrets::{SecretInfo, SecretValue, SecretWrite, Secrets};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Path;

/// What faults may name.
pub(super) const OPERATIONS: &[&str] = &["secrets.get", "secrets.reveal"];

#[async_trait]
impl Capability for Path<dyn Secrets> {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Secrets for Path<dyn Secrets> {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        self.read(ctx, "secrets.get", |secrets| async move {
            secrets.find(ctx, name, version).await
        })
        .await
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        self.read(ctx, "secrets.reveal", |secrets| async move {
            secrets.reveal(ctx, name, version).await
        })
        .await
    }
}
