//! Group commit: the writes of a tenant that wait together share one transaction and one fsync.
//!
//! A write joins the queue. The first to find nobody draining starts a drain on a blocking thread; it takes all that
//! wait (up to a bound), runs each in a savepoint of its own, commits, answers all, and ends when nothing waits. While
//! one batch is at the disk the next one gathers, so the size of a batch follows the load by itself. A tenant without
//! writes has no thread and no memory here.
//!
//! A batch of nothing but copies does not wait for the disk ([`Pen`]): the cloud has what they say.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use stuga_core::{Error, Result};
use tokio::sync::oneshot;

use crate::durability::Syncs;
use crate::error;
use crate::journal::Turnover;
use crate::tx::{Terms, WriteTx};

/// Most writes of one tenant that wait.
pub(crate) const QUEUE_MAX_WRITES: usize = 1_024;
/// Most bytes of values that wait for one tenant.
pub(crate) const QUEUE_MAX_BYTES: usize = 64 << 20;
/// Most writes in one transaction: bounds how long the first of them waits for the last.
const BATCH_MAX_WRITES: usize = 256;
/// Most bytes of values in one transaction, but for a single write.
const BATCH_MAX_BYTES: usize = 8 << 20;
/// When to try again after a full queue: a few batches later.
const QUEUE_RETRY_AFTER: Duration = Duration::from_millis(50);

/// A write on its way: what to do, then whom to tell.
pub(crate) trait Job: Send {
    /// When it must be on the disk.
    fn syncs(&self) -> Syncs;
    /// Whether the caller has gone before the write began; it is skipped then.
    fn is_abandoned(&self) -> bool;
    /// Applies the write and says whether it succeeded. Called once.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;
    /// Answers the caller: what `run` found when the batch is durable, the failure of the batch otherwise.
    fn settle(self: Box<Self>, committed: Result<(), &rusqlite::Error>);
}

/// The one implementation of [`Job`].
struct Pending<T, F> {
    operation: &'static str,
    syncs: Syncs,
    work: Option<F>,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send,
    F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send,
{
    fn syncs(&self) -> Syncs {
        self.syncs
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool {
        let outcome = match self.work.take() {
            Some(work) => work(tx),
            None => Err(Error::internal(self.operation, "a write ran twice")),
        };
        self.outcome.insert(outcome).is_ok()
    }

    fn settle(self: Box<Self>, committed: Result<(), &rusqlite::Error>) {
        let outcome = match (committed, self.outcome) {
            (_, Some(Err(own))) if own.kind().is_outage() => Err(own),
            (Err(error), _) => Err(error::sqlite_copy(self.operation, error)),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(Error::internal(self.operation, "a write was left out")),
        };
        // The caller may be gone by now; the write stands all the same.
        let _ = self.answer.send(outcome);
    }
}

/// A write as a job, and where its answer will come.
pub(crate) fn job<T, F>(
    operation: &'static str,
    syncs: Syncs,
    work: F,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
{
    let (answer, receiver) = oneshot::channel();
    let pending = Pending {
        operation,
        syncs,
        work: Some(work),
        outcome: None,
        answer,
    };
    (Box::new(pending), receiver)
}

/// The writes of one tenant that wait.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<(Box<dyn Job>, usize)>,
    bytes: usize,
    draining: bool,
}

impl Queue {
    /// Adds a write of `weight` bytes. True when the caller must start a drain.
    pub(crate) fn push(
        &self,
        operation: &'static str,
        job: Box<dyn Job>,
        weight: usize,
    ) -> Result<bool> {
        let mut waiting = self.lock();
        if waiting.jobs.len() >= QUEUE_MAX_WRITES || waiting.bytes > QUEUE_MAX_BYTES {
            return Err(Error::rate_limited(
                operation,
                "too many writes of this tenant wait for the disk; try again",
            )
            .with_context("limit", QUEUE_MAX_WRITES)
            .with_retry_after(QUEUE_RETRY_AFTER));
        }
        waiting.jobs.push_back((job, weight));
        waiting.bytes = waiting.bytes.saturating_add(weight);
        Ok(!std::mem::replace(&mut waiting.draining, true))
    }

    /// The next batch in order of arrival. None ends the drain.
    pub(crate) fn take_batch(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut waiting = self.lock();
        let mut batch = Vec::new();
        let mut bytes = 0_usize;
        while let Some((_, weight)) = waiting.jobs.front() {
            bytes = bytes.saturating_add(*weight);
            if batch.len() >= BATCH_MAX_WRITES || (bytes > BATCH_MAX_BYTES && !batch.is_empty()) {
                break;
            }
            if let Some((job, weight)) = waiting.jobs.pop_front() {
                waiting.bytes = waiting.bytes.saturating_sub(weight);
                batch.push(job);
            }
        }
        waiting.draining = !batch.is_empty();
        waiting.draining.then_some(batch)
    }

    /// Ends a drain that died, or never ran. The writes that wait are dropped, which their callers notice.
    pub(crate) fn abandon(&self) {
        let mut waiting = self.lock();
        *waiting = Waiting::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a batch did to the journal.
#[derive(Default)]
pub(crate) struct Landed {
    /// Counter of the journal's changes before and after it.
    pub(crate) changes: (u64, u64),
    /// In their order.
    pub(crate) turnover: Vec<Turnover>,
}

/// Runs a batch in one transaction and commits it; how durable that is the connection says. `chores` is run before the first write and may fail
/// without harm to the others.
///
/// # Errors
/// When nothing of the batch stands.
pub(crate) fn apply_all(
    conn: &mut Connection,
    batch: &mut [Box<dyn Job>],
    terms: &Terms<'_>,
    chores: impl FnOnce(&mut WriteTx<'_>) -> bool,
) -> rusqlite::Result<Landed> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut tx = WriteTx::begin(&transaction, terms)?;
    let loaded = tx.tally;
    in_savepoint(&transaction, &mut tx, chores)?;
    for job in batch {
        in_savepoint(&transaction, &mut tx, |tx| job.run(tx))?;
    }
    if tx.tally != loaded {
        tx.tally.store(&transaction)?;
    }
    let landed = Landed {
        changes: (loaded.journal_changes, tx.tally.journal_changes),
        turnover: std::mem::take(&mut tx.turnover),
    };
    transaction.commit()?;
    Ok(landed)
}

/// Runs `work`; when it fails, its effects are undone and the others' stay.
fn in_savepoint(
    conn: &Connection,
    tx: &mut WriteTx<'_>,
    work: impl FnOnce(&mut WriteTx<'_>) -> bool,
) -> rusqlite::Result<()> {
    let (before, turned_over) = (tx.tally, tx.turnover.len());
    conn.prepare_cached("SAVEPOINT write")?.execute([])?;
    let succeeded = work(tx);
    if conn.is_autocommit() {
        // SQLite gave up the whole transaction, as after a full disk.
        let lost = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
        return Err(rusqlite::Error::SqliteFailure(lost, None));
    }
    if !succeeded {
        tx.tally = before;
        tx.turnover.truncate(turned_over);
        conn.prepare_cached("ROLLBACK TO write")?.execute([])?;
    }
    conn.prepare_cached("RELEASE write")?.execute([])?;
    Ok(())
}

mod pen;

pub(crate) use pen::{Pen, UNSYNCED_MAX};

#[cfg(test)]
mod tests;
