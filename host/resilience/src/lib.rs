//! The one place between a guest and a backend.
//!
//! Every call of a capability goes through [`Failover`]: it makes the id of a write before the first attempt, chooses
//! the backend and notes what happened for the receipt. This crate knows no backend by name. Today it has one mode,
//! `local`: no cloud is configured and no breaker stands in the path.

mod failover;

use std::sync::Arc;

use stuga_core::files::Files;
use stuga_core::memory::Memory;
use stuga_core::records::Records;
use stuga_core::sessions::Sessions;

pub use failover::Failover;

/// Everything that a guest can reach: one facade for each capability.
#[derive(Clone)]
pub struct Capabilities {
    /// Key-value memory.
    pub memory: Failover<dyn Memory>,
    /// Files.
    pub files: Failover<dyn Files>,
    /// Sessions.
    pub sessions: Failover<dyn Sessions>,
    /// Records.
    pub records: Failover<dyn Records>,
}

impl Capabilities {
    /// Local backends only.
    pub fn local(
        memory: Arc<dyn Memory>,
        files: Arc<dyn Files>,
        sessions: Arc<dyn Sessions>,
        records: Arc<dyn Records>,
    ) -> Self {
        Self {
            memory: Failover::local(memory),
            files: Failover::local(files),
            sessions: Failover::local(sessions),
            records: Failover::local(records),
        }
    }
}
