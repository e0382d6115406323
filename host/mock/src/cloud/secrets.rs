//! The operations of secrets. A guest only reads them.

use async_trait::async_trait;
use stuga_core::secrets::{SecretInfo, SecretValue, SecretWrite, Secrets};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;

#[async_trait]
impl Capability for Cloud<dyn Secrets> {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Secrets for Cloud<dyn Secrets> {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        self.up("secrets.get")?.find(ctx, name, version).await
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        self.up("secrets.reveal")?.reveal(ctx, name, version).await
    }
}
