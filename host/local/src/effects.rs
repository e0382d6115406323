//! What every write that lands in a tenant's store goes through, whatever capability it belongs to.
//!
//! A write is made here, with a version and a time of this store and its conditions asked; or it is adopted, with what
//! another side made of it. Both are one transaction: effect, counters, the memory of its id, and, while the cloud is away,
//! its entry in the journal. A capability says what is its own with [`LocalWrite`]; the traits that others see follow from it.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stuga_core::standby::{Adopted, Made};
use stuga_core::{CallCtx, Error, Result, Timestamp, Write, WriteId};

use crate::Local;
use crate::applied::{self, WriteDigest};
use crate::durability::Syncs;
use crate::journal::{self, Noting};
use crate::scope::Scope;
use crate::tx::WriteTx;

/// The largest version and the latest time that another side may have given: what is an exact number in JavaScript, by the
/// clock the year 2248. A larger one would leave no room for the versions after it.
const MADE_MAX: u64 = (1 << 53) - 1;
/// Attempts at noting a write; each but the first follows a rotation of the tenant's keys.
const NOTE_TRIES: u32 = 3;

/// A write as a tenant's store takes it.
pub(crate) trait LocalWrite: Write {
    /// What is remembered of an answer; the rest stands in the write.
    type Kept: Serialize + DeserializeOwned;
    /// What is made before the write has its turn: embedding takes longer than storing, and the writer is shared.
    type Prepared: Send + Sync + 'static;
    /// When a copy of what the cloud made must be on the disk: first where something on the disk follows it, which must not
    /// know of more than there is.
    const COPY: Syncs = Syncs::Soon;

    /// Checks all that can be checked without looking at what is stored.
    fn check_bounds(&self) -> Result<()>;

    /// Tells this write from any other under its id.
    fn digest(&self, scope: &Scope) -> Result<WriteDigest>;

    /// About how many bytes it holds while it waits.
    fn weight(&self) -> usize;

    /// Makes what the transaction needs.
    fn prepare(
        &self,
        local: &Local,
        ctx: &CallCtx,
    ) -> impl Future<Output = Result<Self::Prepared>> + Send;

    /// Takes effect here for the first time.
    fn make(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        id: WriteId,
        prepared: &Self::Prepared,
    ) -> Result<Self::Ack>;

    /// Makes true what another side made of it. The versions of this store are beyond that side's already.
    fn adopt(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        id: WriteId,
        prepared: &Self::Prepared,
        origin: &Elsewhere<'_, Self::Ack>,
    ) -> Result<Adopted>;

    /// What to remember of an answer.
    fn kept(&self, ack: &Self::Ack) -> Self::Kept;

    /// The answer of which that was remembered.
    fn answer(&self, kept: Self::Kept) -> Self::Ack;

    /// The digest of the content that the answer names, which must stay as long as the journal has the write.
    fn content(ack: &Self::Ack) -> Option<&str> {
        let _ = ack;
        None
    }

    /// Sets off what follows a write that stands, whatever comes of it.
    fn follow(
        &self,
        local: &Local,
        ctx: &CallCtx,
        prepared: &Self::Prepared,
    ) -> impl Future<Output = ()> + Send {
        let _ = (local, ctx, prepared);
        async {}
    }
}

/// Where an adopted write comes from.
pub(crate) struct Elsewhere<'m, A> {
    /// What the other side made of it.
    pub(crate) made: &'m Made<A>,
    /// What this side answered when it met the write before, under its id.
    pub(crate) known: Option<A>,
}

impl<A> Elsewhere<'_, A> {
    /// Whether a removal comes too late for what stands with that version and time. Its stamp is larger than what it removed
    /// where answers of removals say versions; where they do not, the time tells. Of one moment the removal is the later.
    pub(crate) fn comes_before(&self, version: u64, written_at: u64) -> bool {
        version >= self.made.stamp && self.comes_before_time(written_at)
    }

    /// The same for what has no version.
    pub(crate) fn comes_before_time(&self, written_at: u64) -> bool {
        written_at > self.made.at.as_millis()
    }
}

/// A write that is ready for its turn.
struct Turn<W: LocalWrite> {
    scope: Scope,
    id: WriteId,
    digest: WriteDigest,
    write: W,
    prepared: W::Prepared,
}

impl<W: LocalWrite> Turn<W> {
    async fn prepare(local: &Local, ctx: &CallCtx, id: WriteId, write: &W) -> Result<Arc<Self>> {
        write.check_bounds()?;
        let scope = Scope::of(ctx);
        Ok(Arc::new(Self {
            digest: write.digest(&scope)?,
            scope,
            id,
            prepared: write.prepare(local, ctx).await?,
            write: write.clone(),
        }))
    }

    /// Makes the write, once for its id, and notes it where `noting` is given.
    fn make(&self, tx: &mut WriteTx<'_>, noting: Option<&Noting>) -> Result<W::Ack> {
        let write = &self.write;
        let kept = applied::once(tx, write.operation(), self.id, self.digest, |tx| {
            let before = tx.tally.version;
            let ack = write.make(tx, &self.scope, self.id, &self.prepared)?;
            if let Some(noting) = noting {
                let stamp = match tx.tally.version {
                    given if given > before => given,
                    // A removal gives no version, but it has its place among those that do.
                    _ => tx.next_version(),
                };
                journal::note(tx, noting, &self.scope, self.id, write, &ack, stamp)?;
            }
            Ok(write.kept(&ack))
        })?;
        Ok(write.answer(kept))
    }

    fn adopt(&self, tx: &mut WriteTx<'_>, made: &Made<W::Ack>) -> Result<Adopted> {
        let (write, operation) = (&self.write, self.write.operation());
        tx.see_version(made.stamp);
        let known = applied::find::<W::Kept>(tx, operation, self.id, self.digest)?;
        let origin = Elsewhere {
            made,
            known: known.map(|kept| write.answer(kept)),
        };
        if origin.known.is_none() {
            applied::check_room(tx, operation)?;
        }
        let adopted = write.adopt(tx, &self.scope, self.id, &self.prepared, &origin)?;
        let kept = write.kept(&made.ack);
        applied::remember(tx, operation, self.id, self.digest, &kept)?;
        Ok(adopted)
    }
}

impl Local {
    /// [`stuga_core::Capability::apply`] of every capability.
    pub(crate) async fn apply<W: LocalWrite>(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
    ) -> Result<W::Ack> {
        let turn = Turn::prepare(self, ctx, id, write).await?;
        let taken = Arc::clone(&turn);
        let ack = self
            .write(ctx, write.operation(), write.weight(), move |tx| {
                taken.make(tx, None)
            })
            .await?;
        write.follow(self, ctx, &turn.prepared).await;
        Ok(ack)
    }

    /// [`stuga_core::standby::Standby::apply_noted`] of every capability.
    pub(crate) async fn apply_noted<W: LocalWrite>(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
    ) -> Result<W::Ack> {
        let operation = write.operation();
        let turn = Turn::prepare(self, ctx, id, write).await?;
        // The journal keeps the write once more, sealed.
        let weight = write.weight().saturating_mul(2);
        for _ in 0..NOTE_TRIES {
            let noting = self.noting(ctx, operation).await?;
            let (taken, noted) = (Arc::clone(&turn), noting.clone());
            let done = self.write(ctx, operation, weight, move |tx| {
                match noted.is_current(tx, operation)? {
                    true => taken.make(tx, Some(&noted)).map(Some),
                    false => Ok(None),
                }
            });
            if let Some(ack) = done.await? {
                write.follow(self, ctx, &turn.prepared).await;
                return Ok(ack);
            }
            noting.forget();
        }
        Err(Error::unavailable(
            operation,
            "the tenant's keys are being rotated; try again",
        ))
    }

    /// [`stuga_core::standby::Replica::adopt`] of every capability, and [`stuga_core::standby::Standby::copy`].
    pub(crate) async fn adopt<W: LocalWrite>(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
        made: &Made<W::Ack>,
        syncs: Syncs,
    ) -> Result<Adopted> {
        let operation = write.operation();
        check_made::<W>(operation, made)?;
        let turn = Turn::prepare(self, ctx, id, write).await?;
        let (taken, made) = (Arc::clone(&turn), made.clone());
        let adopted = self
            .write_synced(ctx, operation, write.weight(), syncs, move |tx| {
                taken.adopt(tx, &made)
            })
            .await?;
        write.follow(self, ctx, &turn.prepared).await;
        Ok(adopted)
    }
}

fn check_made<W: Write>(operation: &'static str, made: &Made<W::Ack>) -> Result<()> {
    if W::version(&made.ack) > made.stamp {
        return Err(impossible(operation));
    }
    check_stamp(operation, made.stamp, made.at)
}

/// Checks a place among all writes, and a time, that another side gave.
pub(crate) fn check_stamp(operation: &'static str, stamp: u64, at: Timestamp) -> Result<()> {
    if stamp <= MADE_MAX && at.as_millis() <= MADE_MAX {
        return Ok(());
    }
    Err(impossible(operation))
}

fn impossible(operation: &'static str) -> Error {
    Error::invalid(
        operation,
        "what another side made of the write has a version or a time that cannot be; is its clock right?",
    )
    .with_context("limit", MADE_MAX)
}

/// What an adopted put hears that cannot have been answered so.
pub(crate) fn other_answer(operation: &'static str) -> Error {
    Error::invalid(
        operation,
        "what another side answered does not belong to the write",
    )
}

/// Metadata as its column keeps it.
pub(crate) fn metadata_to_json(
    operation: &'static str,
    metadata: &[(String, String)],
) -> Result<String> {
    serde_json::to_string(metadata)
        .map_err(|e| Error::internal(operation, "metadata cannot be kept").with_source(e))
}

/// The traits of a side, for a capability with a field `local` whose writes are [`LocalWrite`]s.
macro_rules! sides {
    ($side:ty, $write:ty) => {
        #[async_trait::async_trait]
        impl stuga_core::Capability for $side {
            type Write = $write;

            async fn apply(
                &self,
                ctx: &stuga_core::CallCtx,
                id: stuga_core::WriteId,
                write: &$write,
            ) -> stuga_core::Result<<$write as stuga_core::Write>::Ack> {
                self.local.apply(ctx, id, write).await
            }
        }

        #[async_trait::async_trait]
        impl stuga_core::standby::Replica<$write> for $side {
            async fn adopt(
                &self,
                ctx: &stuga_core::CallCtx,
                id: stuga_core::WriteId,
                write: &$write,
                made: &stuga_core::standby::Made<<$write as stuga_core::Write>::Ack>,
            ) -> stuga_core::Result<stuga_core::standby::Adopted> {
                let first = crate::durability::Syncs::First;
                self.local.adopt(ctx, id, write, made, first).await
            }
        }

        #[async_trait::async_trait]
        impl stuga_core::standby::Standby<$write> for $side {
            async fn apply_noted(
                &self,
                ctx: &stuga_core::CallCtx,
                id: stuga_core::WriteId,
                write: &$write,
            ) -> stuga_core::Result<<$write as stuga_core::Write>::Ack> {
                self.local.apply_noted(ctx, id, write).await
            }

            async fn copy(
                &self,
                ctx: &stuga_core::CallCtx,
                id: stuga_core::WriteId,
                write: &$write,
                made: &stuga_core::standby::Made<<$write as stuga_core::Write>::Ack>,
            ) -> stuga_core::Result<stuga_core::standby::Adopted> {
                let syncs = <$write as crate::effects::LocalWrite>::COPY;
                self.local.adopt(ctx, id, write, made, syncs).await
            }
        }
    };
}
pub(crate) use sides;
