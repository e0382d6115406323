//! What the copy on this host learns from the cloud.
//!
//! The copy is told of every write that goes through this host. Some writes belong to something: an event to a session.
//! Where another host made that, the copy never heard of it and cannot take the write. Then it learns what the cloud has of
//! it, the write included, before the caller hears that the write is made. What is taught depends on the capability.

mod search;
mod sessions;

use async_trait::async_trait;
use stuga_core::{CallCtx, Error, Result, Write};

pub use search::SearchTeacher;
pub use sessions::SessionTeacher;

/// Has this host's copy learn what a write belongs to.
#[async_trait]
pub trait Teacher<W: Write>: Send + Sync + 'static {
    /// Has the copy learn what `write` belongs to, as it stands in the cloud. Asked about a write that the cloud has
    /// acknowledged and that the copy answered to be superseded: that may be so, or the copy lacks what it belongs to.
    ///
    /// # Errors
    /// `Timeout` and `Unavailable` when the cloud is away, and only then: they count against it. Everything else when the copy
    /// cannot keep it. The copy lacks the write then, and nothing of what was to be learned is half there.
    async fn teach(&self, ctx: &CallCtx, write: &W) -> Result<Taught>;
}

/// What the copy learned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taught {
    /// All that the write belongs to, and the write.
    Whole,
    /// The latest part of it, and the write: the rest is too much to be learned in the path of a request.
    Partly,
    /// Nothing: the cloud does not have it any more, or the write belongs to nothing.
    Superseded,
}

/// What is wrong with the copy, as an error that says nothing of the cloud.
fn of_copy(operation: &'static str) -> impl FnOnce(Error) -> Error {
    move |error| match error.kind().is_outage() {
        true => {
            Error::internal(operation, "this host cannot keep what it learned").with_source(error)
        }
        false => error,
    }
}
