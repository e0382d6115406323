//! One tenant's open store: a writer with its queue, a few readers, the contents of files.
//!
//! All work on SQLite and on files runs on tokio's blocking threads; a call waits for it without holding an executor
//! thread. For a read of one item that hop costs more than the read (the example `puts` measures both: 30 us against 6
//! on two busy cores), and it stays: nobody can tell beforehand whether the page comes from the disk, and a stalled
//! executor thread is everybody's latency.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use stuga_core::embed::Embedder;
use stuga_core::{CallCtx, Clock, Error, Result, TenantId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;

use crate::connection::{self, Opened};
use crate::content::ContentStore;
use crate::cuts::{Cut, Cuts};
use crate::durability::{Durability, Syncs};
use crate::ended::Ended;
use crate::error;
use crate::journal::Desk;
use crate::quotas::PerTenant;
use crate::retention::Retention;
use crate::search::{self, SearchRoom};
use crate::tally::Quotas;
use crate::tx::{Terms, WriteTx};
use crate::wal;
use crate::writer::{self, Job, Pen, Queue, UNSYNCED_MAX};

/// Most connections that read one tenant's store at the same time.
const READERS_MAX: usize = 4;
/// Most reads of one tenant that run or wait.
const READS_MAX_WAITING: usize = 1_024;
/// When to try again after too many reads.
const READ_RETRY_AFTER: Duration = Duration::from_millis(50);
/// A drain that saw a batch of this many writes gives the page cache back at its end.
const SHRINK_AFTER_WRITES: usize = 64;
/// Most contents of one tenant that are being uploaded.
const UPLOADS_MAX: usize = 32;
/// When to try again after too many uploads.
const UPLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What all tenants of a [`crate::Local`] have in common.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) search: Arc<SearchRoom>,
    pub(crate) quotas: PerTenant<Quotas>,
    pub(crate) retention: PerTenant<Retention>,
    pub(crate) durability: Durability,
    pub(crate) cuts: Cuts,
    /// Owns every blocking task, so that closing can wait for them.
    pub(crate) tasks: TaskTracker,
}

/// One tenant's open store.
pub(crate) struct Tenant {
    id: TenantId,
    database: PathBuf,
    shared: Arc<Shared>,
    content: ContentStore,
    queue: Queue,
    /// Taken by the one drain there is.
    writer: Mutex<Pen>,
    readers: Mutex<Vec<Connection>>,
    reading: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    /// Bytes of uploads that are not finished.
    uploading: AtomicU64,
    /// Invocations whose writes may be forgotten.
    ended: Ended,
    /// What waits for the cloud.
    journal: Arc<Desk>,
    /// Changes when a job ends through this process.
    job_ended: watch::Sender<()>,
    /// Whether the last step of the sweep left something to the next.
    has_more: AtomicBool,
}

impl Tenant {
    /// Opens or creates the store in `directory`, which exists. Blocks.
    pub(crate) fn open(
        id: TenantId,
        directory: &Path,
        content: ContentStore,
        shared: Arc<Shared>,
    ) -> Result<Arc<Self>> {
        const OPERATION: &str = "store.open";
        let database = directory.join("state.db");
        let opened = connection::open_writer(&database, shared.durability).map_err(|e| {
            let (error, file) = (error::migration(OPERATION, e), database.display());
            tracing::error!(event = "store-refused", tenant = %id, %file, %error, causes = error.causes(), "a tenant's store cannot be opened; other tenants are served");
            error
        })?;
        let Opened { conn, cut } = opened;
        if cut > 0 {
            let (file, at) = (wal::beside(&database), shared.clock.now());
            tracing::error!(event = "store-cut", tenant = %id, file = %file.display(), bytes = cut, "the end of a store's log was not whole and is cut off: a write that a crash cut short, or one that the disk has lost");
            shared.cuts.note(&id, Cut { at, bytes: cut });
        }
        search::remove_strays(directory, &conn).map_err(|e| error::sqlite(OPERATION, e))?;
        let journal = Desk::open(&conn).map_err(|e| error::sqlite(OPERATION, e))?;
        let pen = Pen::new(conn, shared.durability);
        Ok(Arc::new(Self {
            id,
            database,
            shared,
            content,
            queue: Queue::default(),
            writer: Mutex::new(pen),
            readers: Mutex::default(),
            reading: Arc::new(Semaphore::new(READERS_MAX)),
            admitted: Arc::new(Semaphore::new(READS_MAX_WAITING)),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            uploading: AtomicU64::new(0),
            ended: Ended::default(),
            journal: Arc::new(journal),
            job_ended: watch::Sender::new(()),
            has_more: AtomicBool::new(false),
        }))
    }

    /// Whose store it is.
    pub(crate) fn id(&self) -> &TenantId {
        &self.id
    }

    /// Its directory.
    pub(crate) fn directory(&self) -> &Path {
        self.database.parent().unwrap_or(&self.database)
    }

    /// Its database.
    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    /// The moment now.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Invocations whose writes may be forgotten.
    pub(crate) fn ended(&self) -> &Ended {
        &self.ended
    }

    /// What is known of its journal.
    pub(crate) fn journal(&self) -> &Arc<Desk> {
        &self.journal
    }

    /// Where the contents of files lie.
    pub(crate) fn content(&self) -> &ContentStore {
        &self.content
    }

    /// Applies `work` in a transaction with others and returns what it answers once that is durable.
    ///
    /// When `work` fails nothing of it stands. A caller that goes away before its turn leaves no trace; after that the
    /// write stands.
    ///
    /// # Errors
    /// What `work` answers; `RateLimited` when too many wait; `Unavailable` or `Internal` when the store fails.
    pub(crate) async fn write<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        weight: usize,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        self.write_synced(operation, weight, Syncs::First, work)
            .await
    }

    /// The same for a write that may be answered before it is durable; see [`Syncs`].
    ///
    /// # Errors
    /// As [`Tenant::write`].
    pub(crate) async fn write_synced<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        weight: usize,
        syncs: Syncs,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        let (job, answer) = writer::job(operation, syncs, work);
        if self.queue.push(operation, job, weight)? {
            let drain = Drain {
                tenant: Arc::clone(self),
                ended: false,
            };
            self.shared.tasks.spawn_blocking(move || drain.run());
        }
        answer
            .await
            .map_err(|_| Error::internal(operation, "the writer of the tenant's store stopped"))?
    }

    /// Takes a step of the sweep if one is due; true when it left something to the next.
    pub(crate) async fn sweep(self: &Arc<Self>, operation: &'static str) -> Result<bool> {
        self.write(operation, 0, |_| Ok(())).await?;
        Ok(self.has_more.load(Ordering::Relaxed))
    }

    /// Runs `work` on a connection that sees everything committed before, as one snapshot for each statement.
    ///
    /// # Errors
    /// What `work` answers; `RateLimited` when too many wait; `Unavailable` or `Internal` when the store fails.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self, &Connection) -> Result<T> + Send + 'static,
    {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| {
                Error::rate_limited(operation, "too many reads of this tenant wait; try again")
                    .with_context("limit", READS_MAX_WAITING)
                    .with_retry_after(READ_RETRY_AFTER)
            })?;
        let turn = Arc::clone(&self.reading)
            .acquire_owned()
            .await
            .map_err(|_| Error::internal(operation, "the tenant's readers are closed"))?;
        let tenant = Arc::clone(self);
        self.blocking(operation, move || {
            // Held to the end, also when the caller has gone meanwhile.
            let _held = (admitted, turn);
            let idle = lock(&tenant.readers).pop();
            let conn = match idle {
                Some(conn) => conn,
                None => connection::open_reader(&tenant.database)
                    .map_err(|e| error::sqlite(operation, e))?,
            };
            let result = work(&tenant, &conn);
            lock(&tenant.readers).push(conn);
            result
        })
        .await
    }

    /// Runs `work` on a blocking thread.
    pub(crate) async fn blocking<T, F>(&self, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        self.shared
            .tasks
            .spawn_blocking(work)
            .await
            .map_err(|e| Error::internal(operation, "a task of the store died").with_source(e))?
    }

    /// Runs `work` as a task; nobody waits for it but the store that is closed.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(work);
    }

    /// Runs `work` on a blocking thread; nobody waits for it but the store that is closed.
    pub(crate) fn detached(&self, work: impl FnOnce() + Send + 'static) {
        self.shared.tasks.spawn_blocking(work);
    }

    /// The right to have an upload open.
    pub(crate) fn begin_upload(&self, operation: &'static str) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| {
            Error::rate_limited(
                operation,
                "too many uploads of this tenant are open; try again when one has ended",
            )
            .with_context("limit", UPLOADS_MAX)
            .with_retry_after(UPLOAD_RETRY_AFTER)
        })
    }

    /// Takes `bytes` of the room for unfinished uploads, which together are held to the quota for files.
    pub(crate) fn reserve_upload(&self, operation: &'static str, bytes: u64) -> Result<()> {
        let limit = self.shared.quotas.of(&self.id).files_bytes;
        let reserve = |used: u64| used.checked_add(bytes).filter(|after| *after <= limit);
        self.uploading
            .try_update(Ordering::Relaxed, Ordering::Relaxed, reserve)
            .map(drop)
            .map_err(|used| {
                Error::quota_exceeded(
                    operation,
                    "the tenant's unfinished uploads reach the quota files_bytes; ask the operator for more",
                )
                .with_context("quota", "files_bytes")
                .with_context("limit", limit)
                .with_context("used", used)
            })
    }

    /// Gives back what an upload took that has ended.
    pub(crate) fn release_upload(&self, bytes: u64) {
        self.uploading.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Runs `work` while nobody writes to the store, in this process or another, and without a write of its own: what it
    /// sees is on the disk and stays as it is until it returns.
    pub(crate) async fn alone<T, F>(self: &Arc<Self>, operation: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let tenant = Arc::clone(self);
        self.blocking(operation, move || {
            let mut writer = lock(&tenant.writer);
            let synced = writer.sync(&tenant.database, Duration::ZERO);
            synced.map_err(|e| error::io(operation, e))?;
            let transaction = writer
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(|e| error::sqlite(operation, e))?;
            work(&transaction)
        })
        .await
    }

    /// Hears of jobs that end through this process.
    pub(crate) fn job_ended(&self) -> watch::Receiver<()> {
        self.job_ended.subscribe()
    }

    /// Says that a job has ended, or may have.
    pub(crate) fn note_job_ended(&self) {
        self.job_ended.send_replace(());
    }

    /// Moves the WAL into the database and closes nothing yet; the last owner's drop does. Blocks.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        lock(&self.writer)
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|e| error::sqlite("store.close", e))
    }

    fn commit(&self, pen: &mut Pen, mut batch: Vec<Box<dyn Job>>) {
        batch.retain(|job| !job.is_abandoned());
        if batch.is_empty() {
            return;
        }
        // One that must be on the disk takes the others along.
        let syncs = match batch.iter().any(|job| job.syncs() == Syncs::First) {
            true => Syncs::First,
            false => Syncs::Soon,
        };
        let is_synced = pen.is_synced();
        let begun = pen.begin(syncs);
        let Pen { conn, schedule, .. } = pen;
        let terms = Terms {
            quotas: self.shared.quotas.of(&self.id),
            clock: &*self.shared.clock,
            content: &self.content,
        };
        let retention = self.shared.retention.of(&self.id);
        let sweep = |tx: &mut WriteTx<'_>| {
            let swept = schedule.step(tx, &self.ended, &retention, is_synced);
            if let Err(error) = &swept {
                tracing::warn!(tenant = %self.id, %error, causes = error.causes(), "sweeping a store failed");
            }
            swept.is_ok()
        };
        let committed = begun.and_then(|()| writer::apply_all(conn, &mut batch, &terms, sweep));
        self.has_more.store(schedule.has_more(), Ordering::Relaxed);
        let committed = match committed {
            // Before anybody hears of the writes: who does may ask what waits.
            Ok(landed) => {
                self.journal.follow(&self.id, &pen.conn, landed);
                pen.end(&self.database)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &committed {
            tracing::warn!(tenant = %self.id, writes = batch.len(), %error, "a batch of writes failed");
        }
        for job in batch {
            job.settle(committed.as_ref().map(|&()| ()));
        }
    }
}

/// Waits for `work` until the deadline of `ctx`.
///
/// # Errors
/// `Timeout` when the deadline comes first; a write may land all the same.
pub(crate) async fn within<T>(
    ctx: &CallCtx,
    operation: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    timeout_at(ctx.deadline, work).await.unwrap_or_else(|_| {
        Err(Error::timeout(
            operation,
            "the deadline passed while the tenant's store was busy",
        ))
    })
}

/// The right to drain a queue. However it ends, by panic or by a runtime that shuts down, nobody waits forever.
struct Drain {
    tenant: Arc<Tenant>,
    /// Whether the queue has noted the end.
    ended: bool,
}

impl Drain {
    fn run(mut self) {
        let tenant = Arc::clone(&self.tenant);
        let mut writer = lock(&tenant.writer);
        let mut largest = 0;
        while let Some(batch) = tenant.queue.take_batch() {
            largest = largest.max(batch.len());
            tenant.commit(&mut writer, batch);
            // Nobody waits for it but who comes next.
            if let Err(error) = writer.sync(&tenant.database, UNSYNCED_MAX) {
                tracing::warn!(tenant = %tenant.id, %error, "copies of what the cloud has are not on the disk yet");
            }
        }
        if largest >= SHRINK_AFTER_WRITES {
            // A hint; when it fails the memory stays in use.
            let _ = writer.conn.execute_batch("PRAGMA shrink_memory");
        }
        self.ended = true;
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if !self.ended {
            self.tenant.queue.abandon();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
