//! Partial results while an invocation is running, for a client that streams.

use serde::Serialize;

use crate::backend::output as backend;
use crate::{Error, Result};

/// Hands one partial result, as JSON of at most 256 KiB, to whoever listens to the invocation.
///
/// The order is kept. When nobody streams, the parts are dropped: the skill's answer must hold everything.
/// A listener that is slow slows the agent down, up to its deadline.
pub fn emit<T: Serialize + ?Sized>(part: &T) -> Result<()> {
    let json = serde_json::to_string(part)
        .map_err(|e| Error::internal(format!("the part cannot be written as JSON: {e}")))?;
    backend::emit(&json)
}

/// As [`emit`], for what is JSON text already. Other text is `Invalid`.
pub fn emit_raw(json: &str) -> Result<()> {
    backend::emit(json)
}
