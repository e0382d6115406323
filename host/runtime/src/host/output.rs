//! `output`: partial results for whoever listens.

use serde::de::IgnoredAny;
use stuga_core::{Error, Result};

use crate::bindings::stuga::agent::output::Host;
use crate::state::HostState;

/// Longest part in bytes.
const PART_MAX_BYTES: usize = 256 << 10;

impl Host for HostState {
    async fn emit(&mut self, json: String) -> Result<()> {
        if json.len() > PART_MAX_BYTES {
            return Err(Error::invalid(
                "output.emit",
                format!(
                    "the part has {} bytes; the limit is {PART_MAX_BYTES}",
                    json.len()
                ),
            )
            .with_context("limit", PART_MAX_BYTES));
        }
        serde_json::from_str::<IgnoredAny>(&json)
            .map_err(|e| Error::invalid("output.emit", format!("the part is not JSON: {e}")))?;
        if let Some(tape) = self.call.as_ref().and_then(|call| call.ctx.tape.as_ref()) {
            tape.part(&json);
        }
        if let Some(parts) = self.call.as_ref().and_then(|call| call.parts.as_ref()) {
            // A listener that went away is no concern of the agent: its caller is gone and cancels the call.
            let _ = parts.send(json).await;
        }
        Ok(())
    }
}
