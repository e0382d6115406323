//! Two sides of a capability: how one takes over what the other acknowledged.
//!
//! A write is acknowledged by one side first: by the cloud, or by this host while the cloud is away. The other side then
//! *adopts* it: it makes the same thing true, with the same version and time, and does not judge it again. Both ways are
//! one operation, so a copy that follows the cloud and a cloud that catches up with this host are the same code.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{CallCtx, Result, Timestamp, Write, WriteId};

/// What a side made of a write that it acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Made<A> {
    /// What it answered.
    pub ack: A,
    /// Where the write stands among all writes, by the rule of [`crate::next_version`]: at least the version that the
    /// write gave, and larger than the version of whatever the write replaced or removed. Decides which of two writes
    /// was the later one.
    pub stamp: u64,
    /// When it was made: what times of creation, change and expiry count from.
    pub at: Timestamp,
}

/// What became of a write that was handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adopted {
    /// It stands here, now or already before.
    Stands,
    /// A later write stands here, or what it belongs to was removed later; on a side that keeps nothing of what was
    /// removed, or what it belongs to was never known there, which [`Learns`] mends. Nothing changed, but where the
    /// capability keeps earlier versions, as files do, it is one of them now.
    Superseded,
}

/// A side that takes over what the other one acknowledged.
#[async_trait]
pub trait Replica<W: Write>: Send + Sync + 'static {
    /// Makes true here what another side made of a write. Durable when it returns.
    ///
    /// The thing written gets the version, the id and the times of `made`; conditions such as an expected version are not
    /// asked again. Where a write with a larger version or stamp stands, that one stays: the later writer wins, by
    /// version; of equal ones the one that stands. A removal takes what has a smaller version than its stamp, or was written no
    /// later than it. Idempotent by what it makes true, however late it is repeated: a write that was adopted, or that landed
    /// here under its `id` without anybody hearing of it, is not made twice. Afterwards the write is known here under its `id`, as if it had been
    /// applied: [`crate::Capability::apply`] with it changes nothing and answers `made.ack`, for as long as ids are
    /// remembered. Versions that this side gives later are larger than that and the stamp.
    ///
    /// Writes of one key must come in the order in which they were acknowledged, as long as they come from one host: of a
    /// key that was removed nothing is remembered but the ids of its writes.
    ///
    /// # Errors
    /// `Timeout` and `Unavailable` when this side is away: try again. Everything else is a refusal of this write: nothing
    /// changed, and the same call fails again until somebody acts.
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
        made: &Made<W::Ack>,
    ) -> Result<Adopted>;
}

/// This host's side, which stands in while the cloud is away.
#[async_trait]
pub trait Standby<W: Write>: Replica<W> {
    /// As [`crate::Capability::apply`], and puts the write into the tenant's journal in the same transaction, for the cloud to
    /// [adopt](Replica::adopt).
    ///
    /// Idempotent by `id`: a repetition is neither made nor noted again.
    ///
    /// # Errors
    /// As `apply`; `QuotaExceeded` with `limit` in the context when the journal is full. Then nothing changed.
    async fn apply_noted(&self, ctx: &CallCtx, id: WriteId, write: &W) -> Result<W::Ack>;

    /// As [adopt](Replica::adopt), for what the cloud keeps already: the copy need not wait for the disk.
    ///
    /// When it returns, what was copied survives the end of this process, however it ends. Power that fails may take what
    /// was copied last: at most what came in the second before writes of the tenant paused, and what the system then had
    /// not written by itself. Never anything that was adopted, applied or noted: each of those is durable with all that was
    /// copied before it when it returns.
    ///
    /// # Errors
    /// As `adopt`.
    async fn copy(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
        made: &Made<W::Ack>,
    ) -> Result<Adopted> {
        self.adopt(ctx, id, write, made).await
    }
}

/// This host's copy, as it learns what the cloud has and nobody told it of: what another host made.
#[async_trait]
pub trait Learns<T>: Send + Sync + 'static {
    /// Makes `known`, as the cloud has it, stand here as well: all of it, or nothing when it fails. Kept as what is
    /// [copied](Standby::copy).
    ///
    /// What stands here and is as late as that, or later, stays as it is. Idempotent. Versions that this side gives later are
    /// larger than those of `known`.
    ///
    /// # Errors
    /// `QuotaExceeded` where it does not fit, `Invalid` when it cannot be so; else when this side cannot keep it.
    async fn learn(&self, ctx: &CallCtx, known: &T) -> Result<()>;
}
