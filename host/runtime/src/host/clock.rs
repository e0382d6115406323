//! `clock`: the invocation's time, and how long this attempt has run.

use crate::bindings::stuga::agent::clock::Host;
use crate::state::HostState;

impl Host for HostState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self
            .call
            .as_ref()
            .map_or(0, |call| call.ctx.accepted_at.as_millis()))
    }

    fn elapsed(&mut self) -> wasmtime::Result<u64> {
        let elapsed = self
            .call
            .as_ref()
            .map_or(0, |call| call.started.elapsed().as_nanos());
        Ok(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}
