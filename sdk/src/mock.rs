//! A host in memory, for `cargo test`: the same functions, rules and errors, with time and randomness that a test sets.
//!
//! One [`Host`] is one agent of one tenant; two hosts share nothing. Inside [`Host::run`] every capability function of
//! this crate answers from that host. [`invoke`] calls a skill the way a component is called: the input is checked
//! against the skill's schema and only what [`Agent::CAPABILITIES`](crate::Agent::CAPABILITIES) names is granted.
//!
//! ```
//! use stuga_sdk::{Error, ErrorKind, memory, mock};
//!
//! let host = mock::Host::new().clock(1_700_000_000_000).seed(7);
//! host.run(|| memory::put("a", b"1")).unwrap();
//! host.fail("memory.get", Error::unavailable("no backend can serve this now"));
//! assert_eq!(host.run(|| memory::get("a")).unwrap_err().kind(), ErrorKind::Unavailable);
//! host.heal("memory.get");
//! assert_eq!(host.run(|| memory::get("a")).unwrap().unwrap().value, b"1");
//! ```
//!
//! It is no host for production: nothing is durable, and there are no quotas and no deadlines.

mod a2a;
pub(crate) mod backend;
mod files;
mod invoke;
mod jobs;
mod memory;
mod model;
mod records;
mod run_jobs;
mod search;
mod secrets;
mod sessions;
mod state;
mod uploads;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use a2a::Posted;
pub use invoke::{Call, Description, JobDescription, SkillDescription, describe, invoke};
pub use run_jobs::run_jobs;

use crate::log::Level;
use crate::{Capability, Error};
use state::State;

thread_local! {
    /// The hosts that are running on this thread, the innermost last.
    static RUNNING: RefCell<Vec<Host>> = const { RefCell::new(Vec::new()) };
}

/// One line that was logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
    /// Named values.
    pub fields: Vec<(String, String)>,
}

/// A host in memory for one agent of one tenant. A clone is the same host.
#[derive(Clone, Default)]
pub struct Host {
    state: Arc<Mutex<State>>,
}

impl Host {
    /// An empty host whose clock shows 2023-11-14 22:13:20 UTC and that grants everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the clock, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn clock(self, millis: u64) -> Self {
        self.state().now = millis;
        self
    }

    /// Sets what randomness is made from.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.state().set_seed(seed);
        self
    }

    /// Sets a value of the agent's configuration.
    ///
    /// # Panics
    /// When `value` cannot be written as JSON.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a mistake of the test, so the test fails"
    )]
    pub fn config<T: Serialize>(self, name: &str, value: T) -> Self {
        let json = serde_json::to_string(&value).expect("a configuration value is JSON");
        self.state().config.insert(name.to_owned(), json);
        self
    }

    /// Takes a grant away.
    #[must_use]
    pub fn deny(self, capability: Capability) -> Self {
        self.state().denied.insert(capability);
        self
    }

    /// Runs `f` with the capability functions answering from this host. What it stores stays for the next run.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        RUNNING.with_borrow_mut(|hosts| hosts.push(self.clone()));
        let _leave = Leave;
        f()
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        state.now = state.now.saturating_add(millis);
    }

    /// Lets every call of an operation, such as `memory.put`, fail from now on.
    pub fn fail(&self, operation: &str, error: Error) {
        let mut state = self.state();
        state.faults.insert(operation.to_owned(), error);
    }

    /// Ends what [`Host::fail`] began.
    pub fn heal(&self, operation: &str) {
        self.state().faults.remove(operation);
    }

    /// What was logged so far.
    pub fn logs(&self) -> Vec<Line> {
        self.state().logs.clone()
    }

    /// The partial results that were emitted so far.
    pub fn outputs(&self) -> Vec<Value> {
        self.state().outputs.clone()
    }

    /// What the host holds. A test that panicked has failed already, so what it left behind may be used.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the host before the current one again, also after a panic.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(Vec::pop);
    }
}

/// The innermost host that is running on this thread.
fn current() -> Option<Host> {
    RUNNING.with_borrow(|hosts| hosts.last().cloned())
}

impl From<stuga_core::Error> for Error {
    fn from(error: stuga_core::Error) -> Self {
        use stuga_core::ErrorKind as Kind;
        let mut converted = match error.kind() {
            Kind::NotFound => Self::not_found(error.message()),
            Kind::Invalid => Self::invalid(error.message()),
            Kind::Denied => Self::denied(error.message()),
            Kind::Conflict => Self::conflict(error.message()),
            Kind::QuotaExceeded => Self::quota_exceeded(error.message()),
            Kind::RateLimited => Self::rate_limited(error.message()),
            Kind::Timeout => Self::timeout(error.message()),
            Kind::Unavailable => Self::unavailable(error.message()),
            Kind::Internal => Self::internal(error.message()),
        };
        converted.retry_after = error.retry_after();
        for (name, value) in error.context() {
            converted = converted.with_context(name.to_string(), value);
        }
        converted
    }
}
