//! What files have besides reads and writes: contents that are spooled before a write names them.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use stuga_core::files::{Files, Spooled, Upload};
use stuga_core::tape::{Turn, read, taped};
use stuga_core::{CallCtx, Error, Result};

use crate::Failover;

impl Failover<dyn Files> {
    /// Makes a content durable, so that a put can name it.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        const OPERATION: &str = "files.spool";
        let spool = |files: Arc<dyn Files>| async move { files.spool(ctx, content).await };
        let prepare = || self.prepare(ctx, OPERATION, spool);
        taped(ctx, OPERATION, content, prepare).await
    }

    /// Begins a content that comes in parts.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        const OPERATION: &str = "files.begin-upload";
        let begin = |files: Arc<dyn Files>| async move { files.begin_upload(ctx).await };
        let Some(tape) = &ctx.tape else {
            return self.prepare(ctx, OPERATION, begin).await;
        };
        let upload = match tape.begin(OPERATION, Value::Null.to_string()) {
            Turn::Ask(slot) => {
                let begun = self.prepare(ctx, OPERATION, begin).await;
                tape.end(slot, begun.as_ref().map(|_| Value::Null.to_string()));
                Some(begun?)
            }
            Turn::Answer(answer) => {
                read::<()>(OPERATION, answer)?;
                None
            }
            Turn::Silence => std::future::pending().await,
        };
        Ok(Box::new(Taped(upload)))
    }
}

/// An upload on a tape; without one behind it when the tape is played.
struct Taped(Option<Box<dyn Upload>>);

impl Taped {
    fn behind(&mut self, operation: &'static str) -> Result<&mut Box<dyn Upload>> {
        let missing = || Error::internal(operation, "the upload stands on a tape that is over");
        self.0.as_mut().ok_or_else(missing)
    }
}

#[async_trait]
impl Upload for Taped {
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()> {
        const OPERATION: &str = "files.upload.append";
        let append = || async move { self.behind(OPERATION)?.append(ctx, part).await };
        taped(ctx, OPERATION, part, append).await
    }

    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled> {
        const OPERATION: &str = "files.upload.finish";
        let finish = || async move { self.behind(OPERATION)?.finish(ctx).await };
        taped(ctx, OPERATION, &(), finish).await
    }
}
