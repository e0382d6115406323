//! What files have besides reads and writes: contents that are spooled before a write names them.

use std::sync::Arc;

use stuga_core::files::{Files, Spooled, Upload};
use stuga_core::{CallCtx, Result};

use crate::Failover;

impl Failover<dyn Files> {
    /// Makes a content durable, so that a put can name it.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        let spool = |files: Arc<dyn Files>| async move { files.spool(ctx, content).await };
        self.prepare(ctx, "files.spool", spool).await
    }

    /// Begins a content that comes in parts.
    ///
    /// # Errors
    /// As [`Failover::read`].
    pub async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        let begin = |files: Arc<dyn Files>| async move { files.begin_upload(ctx).await };
        self.prepare(ctx, "files.begin-upload", begin).await
    }
}
