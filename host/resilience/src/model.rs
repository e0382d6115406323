//! What models have besides reads: answers that are open while they are made, and tokens, which belong into the receipt.

use std::sync::Arc;

use stuga_core::model::{Completion, Ending, Model, Request};
use stuga_core::{Backend, CallCtx, CapabilityName, Result};

use crate::Failover;

impl Failover<dyn Model> {
    /// Begins an answer that is handed out piece by piece.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        let start = |model: Arc<dyn Model>| async move { model.start(ctx, request).await };
        self.ask(ctx, "model.start", start).await
    }

    /// Notes the tokens of an answer that has ended.
    pub fn note_ending(&self, ctx: &CallCtx, ending: &Ending) {
        let Some(usage) = ending.usage else {
            return;
        };
        ctx.receipt
            .note(CapabilityName::Model, Backend::Local, |used| {
                let sum = used.tokens.get_or_insert_default();
                sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
                sum.completion_tokens = sum
                    .completion_tokens
                    .saturating_add(usage.completion_tokens);
            });
    }
}
