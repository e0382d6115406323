//! The journal: what this host acknowledged while the cloud was away, and the cloud does not know yet.
//!
//! Entries are made by [`crate::standby::Standby::apply_noted`], in the transaction of their effect. This trait is how they are
//! taken out again. Entries belong to the tenant of the call that made them, and lie encrypted with that tenant's key.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{AgentName, CapabilityName, Result, TenantId, Timestamp, WriteId};

/// Most entries that one page of the journal has.
pub const PAGE_MAX_ENTRIES: u32 = 1_000;

/// Most bytes of entries that one page has; a page has at least one entry.
pub const PAGE_MAX_BYTES: u64 = 16 << 20;
/// Longest reason in bytes; what is longer is cut.
pub const REASON_MAX_BYTES: usize = 1_024;

/// How long a superseded entry is kept at least.
pub const SUPERSEDED_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Where an entry stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryState {
    /// It waits for the cloud.
    Waiting,
    /// The cloud refuses it for good; an operator decides. It holds nothing up.
    Parked,
    /// The cloud had a later write: this one lost. Kept for a while, so that nothing is lost.
    Superseded,
}

impl EntryState {
    /// The state in kebab-case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Superseded => "superseded",
        }
    }

    /// The state of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Parked, Self::Superseded]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// What is known of an entry without its content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntryInfo {
    /// Its place in the tenant's journal; larger is later.
    pub seq: u64,
    /// Of which capability.
    pub capability: CapabilityName,
    /// Whose agent wrote.
    pub agent: AgentName,
    /// What the write changes, within its agent. Entries of one key are replayed in order.
    pub key: String,
    /// The operation, such as `memory.put`.
    pub operation: String,
    /// The write's id.
    pub id: WriteId,
    /// When the write was made here.
    pub at: Timestamp,
    /// Bytes that it takes in the journal.
    pub bytes: u64,
    /// Where it stands.
    pub state: EntryState,
    /// How often the cloud refused it.
    pub refusals: u32,
    /// Why it was refused the last time; none before.
    pub reason: Option<String>,
}

/// An entry with its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What is known of it.
    pub info: EntryInfo,
    /// Where it stands among all writes; see [`crate::standby::Made::stamp`].
    pub stamp: u64,
    /// The write as JSON, with bytes in Base64.
    pub write: Vec<u8>,
    /// What this host answered, as JSON.
    pub ack: Vec<u8>,
}

/// What waits of one tenant and capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Backlog {
    /// Entries that wait.
    pub waiting: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was made; none when none waits.
    pub oldest: Option<Timestamp>,
    /// Entries that are parked.
    pub parked: u64,
}

/// How an entry's turn ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settled {
    /// The cloud has it: the entry goes.
    Adopted,
    /// The cloud has a later write: the entry is kept as superseded.
    Superseded,
    /// The cloud refused it this time: it stays, with the reason and one refusal more.
    Refused(String),
    /// The cloud refuses it for good: it is parked with the reason.
    Parked(String),
}

/// The journals of all tenants.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// How many entries wait, where that is known at once; none where [`Journal::backlog`] must be asked. It sees what that
    /// sees. Asked before every call while a cloud is configured, so it neither waits nor opens anything.
    fn waiting(&self, tenant: &TenantId, capability: CapabilityName) -> Option<u64> {
        let _ = (tenant, capability);
        None
    }

    /// What waits. Cheap: asked before every call while a cloud is configured. It sees every entry that this process made
    /// from the moment of its acknowledgement on, and what other processes did from this one's next write to the tenant on.
    async fn backlog(&self, tenant: &TenantId, capability: CapabilityName) -> Result<Backlog>;

    /// Whether an entry of this key waits. Cheap, like [`Journal::backlog`].
    async fn waits(
        &self,
        tenant: &TenantId,
        capability: CapabilityName,
        agent: &AgentName,
        key: &str,
    ) -> Result<bool>;

    /// The tenants that have entries which wait, of whatever capability. One whose last entry was settled a moment ago, or
    /// just before a crash, may be among them. Cheap: opens no store.
    async fn tenants(&self) -> Result<Vec<TenantId>>;

    /// Entries that wait, the oldest first, beyond `after`; at most `limit` (1 to [`PAGE_MAX_ENTRIES`]) of them and
    /// [`PAGE_MAX_BYTES`]. A page can be shorter than `limit`; an empty one is the end.
    ///
    /// An entry that cannot be read, because its row was damaged, is parked with the reason and left out.
    async fn next(
        &self,
        tenant: &TenantId,
        capability: CapabilityName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>>;

    /// Ends an entry's turn. An entry that is gone or does not wait is left alone. When it returns it holds whatever becomes of this process;
    /// after a loss of power an entry that was adopted or refused may wait again, and adopting it again changes nothing.
    async fn settle(&self, tenant: &TenantId, seq: u64, settled: Settled) -> Result<()>;

    /// What is known of entries of one state, the oldest first, beyond `after`; at most `limit` (1 to
    /// [`PAGE_MAX_ENTRIES`]) of them.
    async fn list(
        &self,
        tenant: &TenantId,
        state: EntryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EntryInfo>>;

    /// One entry with its content; none when it is gone. `Internal` when its row was damaged.
    async fn find(&self, tenant: &TenantId, seq: u64) -> Result<Option<Entry>>;

    /// Puts a parked entry back to those that wait, with no refusals; whether it was parked.
    async fn retry(&self, tenant: &TenantId, seq: u64) -> Result<bool>;

    /// Removes a parked or superseded entry for good; whether it was there.
    async fn discard(&self, tenant: &TenantId, seq: u64) -> Result<bool>;
}
