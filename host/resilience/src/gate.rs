//! What a host may put before every call of a facade: to have calls fail on command.
//!
//! It is asked after the tape and before any side, so that what it refuses is a refusal whoever would have answered. A host
//! that serves tenants has none.

use async_trait::async_trait;
use stuga_core::{CallCtx, CapabilityName, Error};

/// Stands before every call of a capability.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Says what becomes of a call, at once or after a while that the call then has taken.
    async fn pass(
        &self,
        ctx: &CallCtx,
        capability: CapabilityName,
        operation: &'static str,
    ) -> Passage;
}

/// What becomes of a call.
#[derive(Debug)]
pub enum Passage {
    /// It is made.
    Through,
    /// It is not made, and its caller hears this.
    Refused(Error),
    /// A write is made and its answer lost: its caller hears this, unless the write itself fails. A read is refused.
    Unanswered(Error),
}
