//! What secrets have besides reads: values, which nobody but the guest sees.

use std::sync::Arc;

use stuga_core::secrets::{SecretValue, Secrets};
use stuga_core::{CallCtx, Result};

use crate::Failover;

impl Failover<dyn Secrets> {
    /// The value of one version, or none when it is not kept.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn reveal(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: u64,
    ) -> Result<Option<SecretValue>> {
        let reveal =
            |secrets: Arc<dyn Secrets>| async move { secrets.reveal(ctx, name, version).await };
        self.ask(ctx, "secrets.reveal", reveal).await
    }
}
