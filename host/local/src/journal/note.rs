//! How a write comes into the journal: one more row in the transaction of its effect.

use std::sync::Arc;

use stuga_core::journal::EntryState;
use stuga_core::{CallCtx, Error, Result, WriteId};

use super::desk::Waiting;
use super::{Desk, Turnover, plain, rows};
use crate::Local;
use crate::effects::LocalWrite;
use crate::error;
use crate::files;
use crate::marks::Marks;
use crate::scope::Scope;
use crate::secrets::sealer::{self, EntryKey};
use crate::tenant::within;
use crate::tx::WriteTx;

/// What an entry takes of the cap beside its key and its content: row, indices and the view of what waits.
const ENTRY_BYTES: u64 = 256;

/// What is needed to note a write.
#[derive(Clone)]
pub(crate) struct Noting {
    key: Arc<EntryKey>,
    desk: Arc<Desk>,
    marks: Arc<Marks>,
}

impl Local {
    /// What is needed to note a write of the call's tenant.
    ///
    /// # Errors
    /// `Unavailable` when there is no key to seal it with.
    pub(crate) async fn noting(&self, ctx: &CallCtx, operation: &'static str) -> Result<Noting> {
        within(ctx, operation, async {
            let store = self.tenant(&ctx.tenant).await?;
            let desk = Arc::clone(store.journal());
            let key = match desk.key() {
                Some(key) => key,
                None => desk.keep_key(sealer::current(&store, operation, &self.master()).await?),
            };
            let marks = self.journal_marks();
            Ok(Noting { key, desk, marks })
        })
        .await
    }
}

impl Noting {
    /// Whether its key still seals new entries: an older one may be gone with the last entry that it sealed.
    pub(crate) fn is_current(&self, tx: &WriteTx<'_>, operation: &'static str) -> Result<bool> {
        Ok(sealer::latest(tx, operation)? == Some(self.key.id()))
    }

    /// Lets go of a key that another one has followed.
    pub(crate) fn forget(&self) {
        self.desk.forget_keys();
    }
}

/// Notes a write that has just taken effect.
///
/// # Errors
/// `QuotaExceeded` when the journal is full.
pub(crate) fn note<W: LocalWrite>(
    tx: &mut WriteTx<'_>,
    noting: &Noting,
    scope: &Scope,
    id: WriteId,
    write: &W,
    ack: &W::Ack,
    stamp: u64,
) -> Result<()> {
    let (operation, key) = (write.operation(), write.key());
    let entry = rows::Named {
        seq: stamp,
        capability: W::CAPABILITY.as_str(),
        agent: scope.rows(),
        key,
        id,
    };
    let plain = plain::of(operation, write, ack)?;
    let sealed = entry.seal(operation, &scope.tenant, &noting.key, &plain)?;
    let bytes = ENTRY_BYTES
        .saturating_add(key.len() as u64)
        .saturating_add(sealed.len() as u64);
    check_room(tx, operation, bytes)?;
    if tx.tally.journal_waiting == 0 {
        noting.desk.mark();
        let marked = noting.marks.set(&scope.tenant);
        marked.map_err(|e| error::io(operation, e))?;
    }
    let content = W::content(ack);
    tx.execute(
        operation,
        "INSERT INTO journal (seq, state, capability, agent, key, operation, invocation, call, at, bytes, refusals,
           content, sealed_by, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13)",
        (
            stamp,
            EntryState::Waiting.as_str(),
            entry.capability,
            entry.agent,
            key,
            operation,
            id.invocation.as_uuid().as_bytes(),
            id.call,
            tx.now.as_millis(),
            bytes,
            content,
            noting.key.id(),
            sealed,
        ),
    )?;
    if let Some(sha256) = content {
        files::hold(tx, operation, sha256)?;
    }
    let tally = &mut tx.tally;
    tally.journal_entries = tally.journal_entries.saturating_add(1);
    tally.journal_bytes = tally.journal_bytes.saturating_add(bytes);
    tally.journal_waiting = tally.journal_waiting.saturating_add(1);
    let waiting = Waiting::new(entry.agent, key, bytes, tx.now);
    tx.turn_over(Turnover::Waits {
        capability: W::CAPABILITY,
        seq: stamp,
        waiting,
    });
    Ok(())
}

fn check_room(tx: &WriteTx<'_>, operation: &'static str, bytes: u64) -> Result<()> {
    let (tally, quotas) = (&tx.tally, &tx.quotas);
    let caps = [
        (
            "journal_entries",
            quotas.journal_entries,
            tally.journal_entries,
            1,
        ),
        (
            "journal_bytes",
            quotas.journal_bytes,
            tally.journal_bytes,
            bytes,
        ),
    ];
    for (quota, limit, used, more) in caps {
        if used.saturating_add(more) > limit {
            return Err(Error::quota_exceeded(
                operation,
                format!(
                    "the cloud is away, and what it does not know yet fills the tenant's quota {quota}; try again when the cloud is back, or ask the operator for more"
                ),
            )
            .with_context("quota", quota)
            .with_context("limit", limit)
            .with_context("used", used));
        }
    }
    Ok(())
}
