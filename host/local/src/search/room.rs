//! What all tenants' indices of a process share: the open ones, bounded in number and memory, and the right to index.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stuga_core::{Error, Result, TenantId};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::declared::{self, Declared};
use super::derived::{self, Derived, Trouble, Turn};
use super::vectors::Vectors;
use super::{OPERATION_INDEX, indices};
use crate::connection;
use crate::error;
use crate::tenant::Tenant;

/// Most derived indices that stay open while nobody uses them.
const OPEN_MAX: usize = 128;
/// Most bytes of vectors that stay in memory while nobody uses them.
const VECTOR_MEMORY_MAX_BYTES: usize = 1 << 30;
/// Most indices that are written at the same time; each takes [`derived::WRITER_MEMORY_BYTES`] and two threads.
const INDEXING_MAX: usize = 2;
/// Time after a write in which further ones gather before they are indexed without a query's asking.
const GATHER: Duration = Duration::from_millis(200);
/// Time between two looks whether another process has finished indexing.
const LOCK_PAUSE: Duration = Duration::from_millis(3);
/// Rows of `search_gone` that are kept for other processes' sake before they are pruned.
const GONE_KEPT: u64 = 10_000;

/// The open indices of a process.
pub(crate) struct SearchRoom {
    open: Mutex<HashMap<(TenantId, u64), Arc<Handle>>>,
    tick: AtomicU64,
    indexing: Arc<Semaphore>,
    building: Arc<Semaphore>,
    /// Ends waits and builds when the stores close.
    closing: CancellationToken,
}

impl Default for SearchRoom {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            tick: AtomicU64::default(),
            indexing: Arc::new(Semaphore::new(INDEXING_MAX)),
            building: Arc::new(Semaphore::new(1)),
            closing: CancellationToken::new(),
        }
    }
}

/// One index with what is derived of it in this process.
pub(crate) struct Handle {
    id: u64,
    used: AtomicU64,
    /// One catches up at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    derived: Mutex<Option<Arc<Derived>>>,
    /// How far the derived index was seen to be.
    position: watch::Sender<u64>,
    vectors: BTreeMap<String, Vectors>,
    is_nudged: AtomicBool,
}

impl Handle {
    fn new(declared: &Declared) -> Self {
        let vectors = declared.embeddings.iter();
        Self {
            id: declared.id,
            used: AtomicU64::default(),
            turn: Arc::default(),
            derived: Mutex::default(),
            position: watch::Sender::new(0),
            vectors: vectors
                .map(|(name, embedding)| (name.clone(), Vectors::new(embedding.dimension)))
                .collect(),
            is_nudged: AtomicBool::default(),
        }
    }

    /// What tantivy keeps of it, when that is open.
    pub(super) fn derived(&self) -> Option<Arc<Derived>> {
        lock(&self.derived).clone()
    }

    /// Notes that the derived index is of no use, so that it is opened again with all checks, or built anew.
    pub(super) fn distrust(&self) {
        *lock(&self.derived) = None;
        self.position.send_replace(0);
    }

    /// Whether there are changes that are not indexed, or vectors that wait for a graph.
    pub(super) fn needs_following(&self, last_seq: u64) -> bool {
        *self.position.borrow() < last_seq || self.vectors.values().any(Vectors::needs_tending)
    }

    /// The vectors of a field.
    pub(super) fn vectors(&self, field: &str) -> Option<&Vectors> {
        self.vectors.get(field)
    }

    fn vector_bytes(&self) -> usize {
        self.vectors.values().map(Vectors::bytes).sum()
    }

    /// Brings the derived index to the latest change, here or by whoever is at it. Blocks.
    fn index(&self, tenant: &Tenant, stops: &dyn Fn() -> bool) -> Result<()> {
        let conn = connection::open_reader(tenant.database()).map_err(sqlite)?;
        let Some(declared) = by_id(&conn, self.id)? else {
            return Ok(());
        };
        let (directory, lock_file) = derived::place(tenant.directory(), self.id);
        let turn = loop {
            if let Some(derived) = self.derived() {
                match derived.follow() {
                    Ok(position) => self.see(position),
                    Err(_) => self.distrust(),
                }
                if *self.position.borrow() >= declared.last_seq {
                    return Ok(());
                }
            }
            match Turn::try_take(&lock_file).map_err(|e| error::io(OPERATION_INDEX, e))? {
                Some(turn) => break turn,
                None if stops() => return Ok(()),
                None => std::thread::sleep(LOCK_PAUSE),
            }
        };
        let seen = |derived: Arc<Derived>, position| {
            *lock(&self.derived) = Some(derived);
            self.see(position);
        };
        let done = turn.index(self.derived(), &directory, &conn, &declared, &seen);
        done.map_err(|trouble| match trouble {
            Trouble::Sqlite(e) => sqlite(e),
            Trouble::Unusable(reason) => {
                self.distrust();
                Error::unavailable(
                    OPERATION_INDEX,
                    "the search index cannot be built; see the host's log",
                )
                .with_source(reason)
            }
        })
    }

    fn see(&self, position: u64) {
        self.position.send_if_modified(|seen| {
            let is_new = position > *seen;
            *seen = position.max(*seen);
            is_new
        });
    }
}

fn by_id(conn: &rusqlite::Connection, id: u64) -> Result<Option<Declared>> {
    use rusqlite::OptionalExtension;
    conn.prepare_cached(&format!(
        "SELECT {} FROM search_index WHERE id = ?1 AND name IS NOT NULL",
        declared::COLUMNS
    ))
    .and_then(|mut statement| statement.query_row([id], Declared::of).optional())
    .map_err(sqlite)
}

fn sqlite(e: rusqlite::Error) -> Error {
    error::sqlite(OPERATION_INDEX, e)
}

impl SearchRoom {
    /// The index, opened if it is not.
    pub(super) fn handle(&self, tenant: &TenantId, declared: &Declared) -> Arc<Handle> {
        let mut open = lock(&self.open);
        let key = (tenant.clone(), declared.id);
        let handle = match open.get(&key) {
            Some(handle) => Arc::clone(handle),
            None => {
                make_room(&mut open);
                let handle = Arc::new(Handle::new(declared));
                open.insert(key, Arc::clone(&handle));
                handle
            }
        };
        let now = self.tick.fetch_add(1, Ordering::Relaxed);
        handle.used.store(now, Ordering::Relaxed);
        handle
    }

    /// Gives memory back when all vectors together are too many; what was used last stays.
    pub(super) fn trim_vectors(&self) {
        let mut handles: Vec<Arc<Handle>> = lock(&self.open).values().map(Arc::clone).collect();
        handles.sort_by_key(|handle| std::cmp::Reverse(handle.used.load(Ordering::Relaxed)));
        let mut bytes = 0_usize;
        for (rank, handle) in handles.iter().enumerate() {
            bytes = bytes.saturating_add(handle.vector_bytes());
            if rank > 0 && bytes > VECTOR_MEMORY_MAX_BYTES {
                handle.vectors.values().for_each(Vectors::forget);
            }
        }
    }

    /// Waits until the derived index holds the change `until`.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` when it cannot be made.
    pub(super) async fn catch_up(
        &self,
        tenant: &Arc<Tenant>,
        handle: &Arc<Handle>,
        until: u64,
    ) -> Result<()> {
        let mut position = handle.position.subscribe();
        let turn = tokio::select! {
            biased;
            () = reaches(&mut position, until) => return Ok(()),
            turn = Arc::clone(&handle.turn).lock_owned() => turn,
        };
        if *handle.position.borrow() >= until {
            return Ok(());
        }
        let permit = Arc::clone(&self.indexing)
            .acquire_owned()
            .await
            .map_err(|_| Error::internal(OPERATION_INDEX, "indexing has ended"))?;
        let (owner, handle, closing) =
            (Arc::clone(tenant), Arc::clone(handle), self.closing.clone());
        let indexing = tenant.blocking(OPERATION_INDEX, move || {
            // Held to the end, also when the caller has gone meanwhile.
            let _held = (turn, permit);
            handle.index(&owner, &|| closing.is_cancelled())
        });
        // A commit is enough; merging goes on without the caller.
        tokio::select! {
            biased;
            () = reaches(&mut position, until) => Ok(()),
            done = indexing => done,
        }
    }

    /// Sees to it that the latest changes are indexed soon, and that graphs are tended, without anybody's waiting.
    pub(super) fn nudge(self: &Arc<Self>, tenant: &Arc<Tenant>, handle: &Arc<Handle>) {
        if handle.is_nudged.swap(true, Ordering::AcqRel) {
            return;
        }
        let (room, owner, handle) = (Arc::clone(self), Arc::clone(tenant), Arc::clone(handle));
        tenant.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                // What is not indexed now will be when the store is open again.
                () = room.closing.cancelled() => return,
            }
            // From here on a further write needs a further nudge.
            handle.is_nudged.store(false, Ordering::Release);
            if let Err(error) = room.follow_up(&owner, &handle).await {
                tracing::warn!(tenant = %owner.id(), index = handle.id, %error, causes = error.causes(), "indexing failed");
            }
        });
    }

    async fn follow_up(&self, tenant: &Arc<Tenant>, handle: &Arc<Handle>) -> Result<()> {
        let id = handle.id;
        let (latest, gone) = tenant
            .read(OPERATION_INDEX, move |_, conn| {
                let latest = by_id(conn, id)?.map_or(0, |declared| declared.last_seq);
                let gone: u64 = conn
                    .prepare_cached("SELECT count(*) FROM search_gone WHERE search_index = ?1")
                    .and_then(|mut statement| statement.query_row([id], |row| row.get(0)))
                    .map_err(sqlite)?;
                Ok((latest, gone))
            })
            .await?;
        if latest == 0 {
            return Ok(());
        }
        self.catch_up(tenant, handle, latest).await?;
        if gone > GONE_KEPT {
            tenant
                .write(OPERATION_INDEX, 0, move |tx| {
                    indices::prune(tx, OPERATION_INDEX, id, latest)
                })
                .await?;
        }
        self.tend(tenant, handle).await
    }

    /// Moves vectors into graphs as long as there are too many to look at one by one.
    async fn tend(&self, tenant: &Arc<Tenant>, handle: &Arc<Handle>) -> Result<()> {
        while handle.vectors.values().any(Vectors::needs_tending) {
            let permit = Arc::clone(&self.building)
                .acquire_owned()
                .await
                .map_err(|_| Error::internal(OPERATION_INDEX, "building has ended"))?;
            let (handle, closing) = (Arc::clone(handle), self.closing.clone());
            let stopped = tenant.blocking(OPERATION_INDEX, move || {
                let _held = permit;
                let mut all = handle.vectors.values();
                if let Some(vectors) = all.find(|vectors| vectors.needs_tending()) {
                    vectors.tend(&|| closing.is_cancelled());
                }
                Ok(closing.is_cancelled())
            });
            if stopped.await? {
                break;
            }
        }
        Ok(())
    }

    /// Removes what was derived of an index, if that was dropped: a removal that came too late drops nothing.
    pub(super) async fn forget_dropped(&self, tenant: &Arc<Tenant>, index: u64) {
        let stands = tenant
            .read(OPERATION_INDEX, move |_, conn| by_id(conn, index))
            .await;
        if let Ok(None) = stands {
            self.remove(tenant, index);
        }
    }

    /// Closes the index and removes what was derived of it.
    fn remove(&self, tenant: &Arc<Tenant>, index: u64) {
        lock(&self.open).remove(&(tenant.id().clone(), index));
        let owner = Arc::clone(tenant);
        tenant.detached(move || remove_derived(owner.directory(), index));
    }

    /// Ends waits and builds.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        lock(&self.open).clear();
    }
}

/// Ends when the position has come to `until`.
async fn reaches(position: &mut watch::Receiver<u64>, until: u64) {
    if position.wait_for(|at| *at >= until).await.is_err() {
        // The sender lives as long as the handle, which the caller holds.
        std::future::pending().await
    }
}

/// Closes the indices that were not used for the longest time.
fn make_room(open: &mut HashMap<(TenantId, u64), Arc<Handle>>) {
    while open.len() >= OPEN_MAX {
        let resting = open
            .iter()
            .filter(|(_, handle)| Arc::strong_count(handle) == 1)
            .min_by_key(|(_, handle)| handle.used.load(Ordering::Relaxed))
            .map(|(key, _)| key.clone());
        let Some(key) = resting else { return };
        open.remove(&key);
    }
}

/// Removes what was derived of an index that is gone. What cannot be removed now is when the tenant is opened next.
fn remove_derived(tenant: &Path, index: u64) {
    let (directory, lock_file) = derived::place(tenant, index);
    // Whoever is indexing ends first; it will find that the index is gone.
    if let Ok(Some(_turn)) = Turn::try_take(&lock_file) {
        let removed = std::fs::remove_dir_all(&directory);
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(index, %error, "what was derived of a dropped search index stays for now");
        }
        let _ = std::fs::remove_file(&lock_file);
    }
}

/// Removes what was derived of indices that are not there any more, in the directory of a tenant that is being opened.
pub(crate) fn remove_strays(tenant: &Path, conn: &rusqlite::Connection) -> rusqlite::Result<()> {
    let Ok(entries) = std::fs::read_dir(tenant.join("search")) else {
        return Ok(());
    };
    // Names first, then the table: what has a name now had its row before.
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let ids: Vec<u64> = names.filter_map(|name| name.parse().ok()).collect();
    for id in ids {
        let stands = conn
            .prepare_cached("SELECT 1 FROM search_index WHERE id = ?1 AND name IS NOT NULL")?
            .exists([id])?;
        if !stands {
            remove_derived(tenant, id);
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
