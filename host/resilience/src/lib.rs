//! The one place between a guest and a backend.
//!
//! Every call of a capability goes through [`Failover`]: it makes the id of a write before the first attempt, chooses
//! the backend and notes what happened for the receipt. This crate knows no backend by name. Today it has one mode,
//! `local`: no cloud is configured and no breaker stands in the path.

mod breaker;
mod failover;
mod model;

use stuga_core::Backends;
use stuga_core::files::Files;
use stuga_core::jobs::Jobs;
use stuga_core::memory::Memory;
use stuga_core::model::Model;
use stuga_core::records::Records;
use stuga_core::search::Search;
use stuga_core::sessions::Sessions;

pub use breaker::{Breaker, BreakerSettings, Jitter, NotPermitted, Permit, Snapshot, Totals};
pub use failover::Failover;

/// Everything that a guest can reach: one facade for each capability.
#[derive(Clone)]
pub struct Capabilities {
    /// Files.
    pub files: Failover<dyn Files>,
    /// Jobs.
    pub jobs: Failover<dyn Jobs>,
    /// Key-value memory.
    pub memory: Failover<dyn Memory>,
    /// Models.
    pub model: Failover<dyn Model>,
    /// Records.
    pub records: Failover<dyn Records>,
    /// Search.
    pub search: Failover<dyn Search>,
    /// Sessions.
    pub sessions: Failover<dyn Sessions>,
}

impl Capabilities {
    /// Local backends only.
    pub fn local(local: Backends) -> Self {
        Self {
            files: Failover::local(local.files),
            jobs: Failover::local(local.jobs),
            memory: Failover::local(local.memory),
            model: Failover::local(local.model),
            records: Failover::local(local.records),
            search: Failover::local(local.search),
            sessions: Failover::local(local.sessions),
        }
    }
}
