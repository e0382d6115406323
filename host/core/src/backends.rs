//! One implementation of every capability, to be handed over as a whole.

use std::sync::Arc;

use crate::a2a::Mailbox;
use crate::files::Files;
use crate::jobs::Jobs;
use crate::memory::Memory;
use crate::model::Model;
use crate::records::Records;
use crate::search::Search;
use crate::secrets::Secrets;
use crate::sessions::Sessions;

/// The backends of one side: this host, or a cloud.
#[derive(Clone)]
pub struct Backends {
    /// Files.
    pub files: Arc<dyn Files>,
    /// Jobs.
    pub jobs: Arc<dyn Jobs>,
    /// Mailboxes of agents.
    pub mailbox: Arc<dyn Mailbox>,
    /// Key-value memory.
    pub memory: Arc<dyn Memory>,
    /// Models.
    pub model: Arc<dyn Model>,
    /// Records.
    pub records: Arc<dyn Records>,
    /// Search.
    pub search: Arc<dyn Search>,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Sessions.
    pub sessions: Arc<dyn Sessions>,
}
