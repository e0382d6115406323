//! The one place between a guest and a backend.
//!
//! Every call of a capability goes through [`Failover`]: it makes the id of a write before the first attempt, chooses
//! the side that answers and notes what happened for the receipt. Where a cloud is configured, [`Route`] decides when it
//! is asked, [`Sides`] keeps both sides together, [`Replay`] brings back to the cloud what this host took in its place,
//! and [`Monitor`] asks how the cloud is when nobody else does. This crate knows no backend by name.

mod breaker;
mod budget;
mod counts;
mod errand;
mod failover;
mod files;
mod gate;
mod gossip;
mod health;
mod model;
mod modes;
mod order;
mod replay;
mod route;
mod secrets;
mod sides;
mod teach;

use std::sync::Arc;

use stuga_core::Backends;
use stuga_core::a2a::{Exchange, Mailbox, NoExchange};
use stuga_core::files::Files;
use stuga_core::jobs::Jobs;
use stuga_core::memory::Memory;
use stuga_core::model::Model;
use stuga_core::records::Records;
use stuga_core::search::Search;
use stuga_core::secrets::Secrets;
use stuga_core::sessions::Sessions;

pub use breaker::{
    Breaker, BreakerSettings, Jitter, NotPermitted, Observer, Permit, Snapshot, Totals, Transition,
};
pub use budget::BudgetSettings;
pub use counts::Counted;
pub use failover::Failover;
pub use files::FileCarrier;
pub use gate::{Gate, Passage};
pub use gossip::{FRESH, Gossip, Neighbours, Observation};
pub use health::{HealthSettings, Monitor, Probe};
pub use modes::{DRILL_LONGEST, Isolation, Mode, Modes, WHY_MAX_BYTES};
pub use replay::{Pass, Replay, ReplaySettings};
pub use route::{Route, RouteStatus, TenantStatus, Why};
pub use sides::{Carrier, Sides};
pub use teach::{SearchTeacher, SessionTeacher, Taught, Teacher};

/// Everything that a guest can reach: one facade for each capability.
#[derive(Clone)]
pub struct Capabilities {
    /// Carries messages to other agents, and says which may be written to. Not a backend: the host itself.
    pub exchange: Arc<dyn Exchange>,
    /// Files.
    pub files: Failover<dyn Files>,
    /// Jobs.
    pub jobs: Failover<dyn Jobs>,
    /// Mailboxes of agents.
    pub mailbox: Failover<dyn Mailbox>,
    /// Key-value memory.
    pub memory: Failover<dyn Memory>,
    /// Models.
    pub model: Failover<dyn Model>,
    /// Records.
    pub records: Failover<dyn Records>,
    /// Search.
    pub search: Failover<dyn Search>,
    /// Secrets. An invocation only reads them.
    pub secrets: Failover<dyn Secrets>,
    /// Sessions.
    pub sessions: Failover<dyn Sessions>,
}

impl Capabilities {
    /// Local backends only, and no other agent to write to.
    pub fn local(local: Backends) -> Self {
        Self {
            exchange: Arc::new(NoExchange),
            files: Failover::local(local.files),
            jobs: Failover::local(local.jobs),
            mailbox: Failover::local(local.mailbox),
            memory: Failover::local(local.memory),
            model: Failover::local(local.model),
            records: Failover::local(local.records),
            search: Failover::local(local.search),
            secrets: Failover::local(local.secrets),
            sessions: Failover::local(local.sessions),
        }
    }

    /// The same, with a gate before every call of every capability. Messages that the exchange carries pass it by.
    #[must_use]
    pub fn gated(self, gate: &Arc<dyn Gate>) -> Self {
        Self {
            exchange: self.exchange,
            files: self.files.gated(Arc::clone(gate)),
            jobs: self.jobs.gated(Arc::clone(gate)),
            mailbox: self.mailbox.gated(Arc::clone(gate)),
            memory: self.memory.gated(Arc::clone(gate)),
            model: self.model.gated(Arc::clone(gate)),
            records: self.records.gated(Arc::clone(gate)),
            search: self.search.gated(Arc::clone(gate)),
            secrets: self.secrets.gated(Arc::clone(gate)),
            sessions: self.sessions.gated(Arc::clone(gate)),
        }
    }

    /// The same, with the host's exchange for messages.
    #[must_use]
    pub fn with_exchange(mut self, exchange: Arc<dyn Exchange>) -> Self {
        self.exchange = exchange;
        self
    }
}
