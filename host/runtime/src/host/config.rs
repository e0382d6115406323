//! `config`: what the tenant's file sets for this agent.

use crate::bindings::stuga::agent::config::Host;
use crate::state::HostState;

impl Host for HostState {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.authority.config.get(&name).cloned())
    }
}
