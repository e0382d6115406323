//! What models have besides reads: answers that are open while they are made, and tokens, which belong into the receipt.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stuga_core::model::{Completion, Ending, Model, Request};
use stuga_core::tape::{Turn, json, read, taped};
use stuga_core::{CallCtx, CapabilityName, Error, Result};

use crate::Failover;

impl Failover<dyn Model> {
    /// Begins an answer that is handed out piece by piece.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        const OPERATION: &str = "model.start";
        let start = |model: Arc<dyn Model>| async move { model.start(ctx, request).await };
        let Some(tape) = &ctx.tape else {
            return self.ask(ctx, OPERATION, start).await;
        };
        let behind = match tape.begin(OPERATION, json(request)) {
            Turn::Ask(slot) => {
                let begun = self.ask(ctx, OPERATION, start).await;
                tape.end(slot, begun.as_ref().map(|_| Value::Null.to_string()));
                Some(begun?)
            }
            Turn::Answer(answer) => {
                read::<()>(OPERATION, answer)?;
                None
            }
            Turn::Silence => std::future::pending().await,
        };
        Ok(Box::new(Taped {
            behind,
            ending: None,
        }))
    }

    /// Notes the tokens of an answer that has ended.
    pub fn note_ending(&self, ctx: &CallCtx, ending: &Ending) {
        if let Some(usage) = ending.usage {
            ctx.receipt.count_tokens(CapabilityName::Model, usage);
        }
    }
}

/// An answer on a tape; without one behind it when the tape is played.
struct Taped {
    behind: Option<Box<dyn Completion>>,
    ending: Option<Ending>,
}

/// A piece of an answer, and its end when that is known with it.
#[derive(Serialize, Deserialize)]
struct Piece {
    text: Option<String>,
    ending: Option<Ending>,
}

#[async_trait]
impl Completion for Taped {
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<String>> {
        const OPERATION: &str = "model.completion.next";
        let behind = &mut self.behind;
        let next = || async move {
            let behind = behind.as_mut().ok_or_else(|| {
                Error::internal(OPERATION, "the answer stands on a tape that is over")
            })?;
            let text = behind.next(ctx).await?;
            let ending = behind.ending().cloned();
            Ok(Piece { text, ending })
        };
        let piece = taped(ctx, OPERATION, &(), next).await?;
        self.ending = piece.ending;
        Ok(piece.text)
    }

    fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }
}
