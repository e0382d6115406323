//! What secrets have besides reads: values, which nobody but the guest sees.

use std::sync::Arc;

use stuga_core::secrets::{SecretValue, Secrets, placeholder};
use stuga_core::tape::{Turn, json, read};
use stuga_core::{CallCtx, Result};

use crate::Failover;

impl Failover<dyn Secrets> {
    /// The value of one version, or none when it is not kept. On a tape stands a placeholder.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn reveal(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: u64,
    ) -> Result<Option<SecretValue>> {
        const OPERATION: &str = "secrets.reveal";
        let reveal =
            |secrets: Arc<dyn Secrets>| async move { secrets.reveal(ctx, name, version).await };
        let Some(tape) = &ctx.tape else {
            return self.ask(ctx, OPERATION, reveal).await;
        };
        match tape.begin(OPERATION, json(&(name, version))) {
            Turn::Ask(slot) => {
                let revealed = self.ask(ctx, OPERATION, reveal).await;
                if let Ok(Some(value)) = &revealed {
                    tape.hide(name, value);
                }
                let shown = |value: &Option<SecretValue>| value.as_ref().map(|_| placeholder(name));
                tape.end(slot, revealed.as_ref().map(|value| json(&shown(value))));
                revealed
            }
            Turn::Answer(answer) => read::<Option<String>>(OPERATION, answer)?
                .map(|shown| SecretValue::new(shown.into_bytes()))
                .transpose(),
            Turn::Silence => std::future::pending().await,
        }
    }
}
