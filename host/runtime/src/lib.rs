//! Runs agents. The only crate that knows wasmtime.
//!
//! [`Runtime::load`] turns component bytes into a [`Plugin`] (compiled, inspected, described), [`Runtime::deploy`] makes
//! it an [`Agent`] of one tenant, and [`Agent::invoke`] runs one call. Compilation happens in `load` only.

mod agent;
mod bindings;
mod cache;
mod engine;
mod error;
mod host;
mod interfaces;
mod plugin;
mod redact;
mod settings;
mod skills;
mod state;
mod wasi;

pub use agent::{Agent, AgentStats, JobRun, Reply, Request};
pub use engine::{Runtime, RuntimeConfig, RuntimeStats};
pub use error::{InvokeError, LoadError};
pub use interfaces::{Interfaces, WIT_PACKAGE, WIT_VERSION};
pub use plugin::{JobKind, Manifest, Plugin, Skill, digest};
pub use settings::{AgentSettings, InstanceMode, JobCheck, Limits};
pub use skills::{InputError, Kinds, Misfit, Skills};
