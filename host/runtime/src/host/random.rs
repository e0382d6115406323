//! `random`: a stream that belongs to the invocation, so that a repetition draws the same numbers.

use rand_core::RngCore;

use crate::bindings::stuga::agent::random::Host;
use crate::state::HostState;

/// Most bytes of one call.
const BYTES_MAX: u32 = 64 << 10;

impl Host for HostState {
    fn bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if len > BYTES_MAX {
            return Err(wasmtime::Error::msg(format!(
                "random.bytes: {len} bytes asked for; the limit is {BYTES_MAX}"
            )));
        }
        let mut bytes = vec![0; len as usize];
        if let Some(random) = self.random() {
            random.fill_bytes(&mut bytes);
        }
        Ok(bytes)
    }

    fn next_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random().map_or(0, |random| random.next_u64()))
    }
}
