//! The contracts of Stuga, in reading order.
//!
//! This crate says what a capability promises and who may use it; it does nothing itself. It knows neither wasmtime,
//! AWS, axum nor the file system, and it never asks what time it is: time comes in through [`clock::Clock`].

pub mod a2a;
pub mod backends;
mod bytes;
pub mod capability;
pub mod clock;
pub mod ctx;
pub mod cursor;
pub mod embed;
pub mod error;
pub mod files;
pub mod grant;
pub mod id;
pub mod invocation;
pub mod jobs;
pub mod journal;
pub mod keys;
pub mod lease;
pub mod memory;
pub mod metadata;
pub mod model;
pub mod receipt;
pub mod records;
pub mod retry;
pub mod search;
pub mod secrets;
pub mod sessions;
pub mod standby;
pub mod tape;
mod version;

#[cfg(feature = "testkit")]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite fails by panicking, like any test"
)]
pub mod testkit;

pub use backends::Backends;
pub use capability::{Capability, CapabilityName, Write, WriteAck};
pub use clock::{Clock, SystemClock, Timestamp};
pub use ctx::CallCtx;
pub use error::{Error, ErrorKind, Result};
pub use grant::Grants;
pub use id::{AgentName, InvocationId, RequestId, TenantId, WriteId};
pub use receipt::{Backend, BreakerState, Receipt};
pub use version::{VERSION_BITS, first_version, next_version, version_time};
