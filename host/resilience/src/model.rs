//! What models have besides reads: tokens, which belong into the receipt.

use stuga_core::model::{Ending, Model};
use stuga_core::{Backend, CallCtx, CapabilityName};

use crate::Failover;

impl Failover<dyn Model> {
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
