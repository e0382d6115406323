//! The capability functions of a native build: each goes to the mock host that is running on this thread.
//!
//! The counterpart of `guest.rs`, function by function.

pub(crate) mod a2a;
pub(crate) mod files;
pub(crate) mod jobs;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod records;
pub(crate) mod search;
pub(crate) mod secrets;
pub(crate) mod sessions;

use super::current;
use super::state::State;

/// Hands the running host to `f`.
///
/// # Panics
/// When no host is running: a mistake of the test, and these functions exist only in tests.
#[expect(clippy::panic, reason = "a mistake of the test, so the test fails")]
fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    match current() {
        Some(host) => f(&mut host.state()),
        None => panic!(
            "no host: outside a component, run this inside stuga_sdk::mock::Host::new().run(|| ...)"
        ),
    }
}

pub(crate) mod log {
    use super::current;
    use crate::log::Level;

    /// Logging works without a host, too: pure functions that log can be tested as they are.
    pub(crate) fn write(level: Level, message: &str, fields: &[(String, String)]) {
        if let Some(host) = current() {
            host.state().log(level, message, fields);
        }
    }
}

pub(crate) mod output {
    use super::with;
    use crate::Result;

    pub(crate) fn emit(json: &str) -> Result<()> {
        with(|state| state.emit(json))
    }
}

pub(crate) mod clock {
    use super::with;

    pub(crate) fn now() -> u64 {
        with(|state| state.now)
    }

    pub(crate) fn elapsed() -> u64 {
        with(|state| state.elapsed())
    }
}

pub(crate) mod random {
    use super::with;
    use crate::random::BYTES_MAX;

    /// A host stops the call of an agent that asks for too much; so does this one.
    pub(crate) fn bytes(len: u32) -> Vec<u8> {
        assert!(
            len <= BYTES_MAX,
            "{len} random bytes asked for; the limit is {BYTES_MAX}"
        );
        with(|state| state.bytes(len))
    }

    pub(crate) fn next_u64() -> u64 {
        with(|state| state.next_u64())
    }
}

pub(crate) mod config {
    use super::with;

    pub(crate) fn get(name: &str) -> Option<String> {
        with(|state| state.config.get(name).cloned())
    }
}
