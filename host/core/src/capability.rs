//! The central idea: reads are methods, writes are values.
//!
//! A write is a plain value with an id. It can be applied, written to a journal, and applied again elsewhere, without
//! any code for the single operation. That is what makes failover and replay one generic piece of code.

use std::fmt;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{CallCtx, Result, WriteId};

/// The capabilities that reach something of a tenant's and so need a grant. Log, clock, random, output and config reach
/// nothing of a tenant's and are open to every agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CapabilityName {
    /// Key-value memory.
    Memory,
    /// Files.
    Files,
    /// Sessions with actors and their events.
    Sessions,
    /// Records in namespaces, recalled by meaning.
    Records,
    /// Indices of documents, searched by text and by meaning.
    Search,
    /// Work that is done later, in the background.
    Jobs,
    /// Language models.
    Model,
    /// Messages between agents.
    A2a,
    /// Values that must not be seen.
    Secrets,
}

impl CapabilityName {
    /// All of them, in declaration order.
    pub const ALL: [Self; 9] = [
        Self::Memory,
        Self::Files,
        Self::Sessions,
        Self::Records,
        Self::Search,
        Self::Jobs,
        Self::Model,
        Self::A2a,
        Self::Secrets,
    ];

    /// The name of the WIT interface and of the grant.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Sessions => "sessions",
            Self::Records => "records",
            Self::Search => "search",
            Self::Jobs => "jobs",
            Self::Model => "model",
            Self::A2a => "a2a",
            Self::Secrets => "secrets",
        }
    }

    /// The capability of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == name)
    }

    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for CapabilityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change to a capability's data, as a value that outlives the call that made it.
pub trait Write: Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static {
    /// What applying it answers.
    type Ack: WriteAck;

    /// Which capability it belongs to.
    const CAPABILITY: CapabilityName;

    /// The key that the write changes, within its agent. Writes of one key keep their order in a replay.
    fn key(&self) -> &str;

    /// The operation's name for errors and metrics, such as `memory.put`.
    fn operation(&self) -> &'static str;

    /// The version that the answer to a write speaks of, by the rule of [`crate::next_version`]: the largest, when it
    /// speaks of several; 0 when it speaks of none.
    fn version(ack: &Self::Ack) -> u64 {
        let _ = ack;
        0
    }
}

/// What a write answers. It is kept with the write's id, so that a repetition gets the same answer.
pub trait WriteAck:
    Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static
{
}

impl<T: Serialize + DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static> WriteAck for T {}

/// A capability: one of the things that a host does for its agents.
///
/// The read methods stand in the capability's own trait, such as [`crate::memory::Memory`].
#[async_trait]
pub trait Capability: Send + Sync + 'static {
    /// The changes that the capability knows.
    type Write: Write;

    /// Applies a write and answers once it is durable.
    ///
    /// Idempotent by `id`: a write whose id was applied before changes nothing and answers what the first answered.
    /// Another write under an id that was used is a `Conflict`. Ids are remembered for at least 24 hours, or until the host
    /// says with [`crate::invocation::InvocationStore`] that their invocation has ended and cannot run again (ADR 0007).
    /// A write that fails changed nothing, but after `Timeout`, when it may have landed. So `Unavailable` is for what certainly was
    /// not done, such as a request that could not be sent; where nobody can tell, it is `Timeout`.
    async fn apply(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &Self::Write,
    ) -> Result<<Self::Write as Write>::Ack>;
}
