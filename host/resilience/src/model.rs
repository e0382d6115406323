//! What models have besides reads: answers that are open while they are made, and tokens, which belong into the receipt.

mod watched;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stuga_core::model::{Answer, Completion, Ending, Model, Request};
use stuga_core::tape::{Turn, json, read, taped};
use stuga_core::{CallCtx, CapabilityName, Error, Result};

use crate::Failover;
use watched::{Watch, Watched};

impl Failover<dyn Model> {
    /// The whole answer of one model: of this host's when the cloud's fails, also in the middle, as nobody has seen any of it.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn complete(&self, ctx: &CallCtx, request: &Request) -> Result<Answer> {
        const OPERATION: &str = "model.complete";
        let complete = |model: Arc<dyn Model>| async move {
            let watch = self.watch(&model);
            let answer = model.complete(ctx, request).await?;
            if let Some(watch) = watch {
                watch.came_whole();
            }
            Ok(answer)
        };
        self.read(ctx, OPERATION, request, complete).await
    }

    /// Begins an answer that is handed out piece by piece.
    ///
    /// Of the cloud's model the first piece is awaited here: until it is there, this host's model answers instead when the cloud's
    /// fails. An answer that breaks off after it is `Unavailable` or `Timeout` where the next piece should be, and counts against
    /// the breaker; no other model goes on with it.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        const OPERATION: &str = "model.start";
        let start = |model: Arc<dyn Model>| async move {
            let watch = self.watch(&model);
            let completion = model.start(ctx, request).await?;
            let Some(watch) = watch else {
                return Ok(completion);
            };
            let watched = Watched::begin(ctx, watch, completion).await?;
            Ok(Box::new(watched) as Box<dyn Completion>)
        };
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

    /// What an answer of `model` is told to; none where no breaker stands before it.
    fn watch(&self, model: &Arc<dyn Model>) -> Option<Watch> {
        let sides = self.two()?;
        let is_cloud = std::ptr::addr_eq(Arc::as_ptr(model), Arc::as_ptr(&sides.cloud));
        is_cloud.then(|| Watch::new(Arc::clone(sides.route())))
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
