//! The cloud's side of a capability in the matrix: this host's own implementation a second time, which is there or not.
//!
//! It fails as a cloud does: a call is refused before anything happened, or a write lands and its answer is lost. The files
//! beside this one only hand the operations of a trait on.

mod files;
mod mailbox;
mod memory;
mod model;
mod records;
mod search;
mod secrets;
mod sessions;

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::{CallCtx, Capability, Error, Result, Write, WriteId};

use crate::state::Health;
pub(crate) use sessions::Telling;

/// A capability in the cloud.
pub(crate) struct Cloud<C: Capability + ?Sized> {
    pub(crate) backend: Arc<C>,
    pub(crate) health: Arc<Health>,
}

/// The same, as it catches up with this host.
pub(crate) struct CatchingUp<W: Write> {
    pub(crate) replica: Arc<dyn Replica<W>>,
    pub(crate) health: Arc<Health>,
}

impl<C: Capability + ?Sized> Cloud<C> {
    /// The backend, while the cloud is there.
    fn up(&self, operation: &'static str) -> Result<&C> {
        self.health.check(operation)?;
        Ok(&self.backend)
    }

    /// Applies a write; its answer may be lost.
    async fn make(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &C::Write,
    ) -> Result<<C::Write as Write>::Ack> {
        let operation = write.operation();
        if self.health.loses_answers() {
            self.backend.apply(ctx, id, write).await?;
            let message = "the cloud went away before it answered, in this state of the matrix";
            return Err(Error::timeout(operation, message));
        }
        self.up(operation)?.apply(ctx, id, write).await
    }
}

#[async_trait]
impl<W: Write> Replica<W> for CatchingUp<W> {
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
        made: &Made<W::Ack>,
    ) -> Result<Adopted> {
        self.health.check(write.operation())?;
        self.replica.adopt(ctx, id, write, made).await
    }
}
