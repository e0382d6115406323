//! `clock`: the invocation's time, and how long this attempt has run.

use stuga_core::tape::taped_now;

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
        let Some(call) = &self.call else {
            return Ok(0);
        };
        let measure = || Ok(u64::try_from(call.started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        taped_now(&call.ctx, "clock.elapsed", &(), measure).map_err(wasmtime::Error::msg)
    }
}
