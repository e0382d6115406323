//! What a process knows of one tenant's journal without looking: what waits, and the open keys.
//!
//! The view is read when the store is opened and follows what is committed, never what is under way. A counter beside the
//! tenant's others says when another process changed the journal; then the view is read again.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use stuga_core::journal::Backlog;
use stuga_core::{AgentName, CapabilityName, Error, Result, TenantId, Timestamp};

use super::rows;
use crate::error;
use crate::secrets::MasterKeyFile;
use crate::secrets::sealer::{self, EntryKey};
use crate::writer::Landed;

/// Most open keys of a tenant: the current one, and those before rotations that a drain meets.
const KEYS_MAX: usize = 8;

/// Keys of entries become numbers that nobody outside can foresee, so that nobody can make two keys look alike.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What a process knows of one tenant's journal.
pub(crate) struct Desk {
    /// None when it could not be read.
    view: Mutex<Option<View>>,
    /// The current key last.
    keys: Mutex<Vec<Arc<EntryKey>>>,
    /// Whether the tenant may have a mark.
    marked: AtomicBool,
}

/// Something that happened to what waits or is parked.
pub(crate) enum Turnover {
    /// An entry waits from now on.
    Waits {
        capability: CapabilityName,
        seq: u64,
        waiting: Waiting,
    },
    /// An entry waits no more.
    WaitsNoMore {
        capability: CapabilityName,
        seq: u64,
    },
    /// An entry is parked.
    Parked { capability: CapabilityName },
    /// An entry is parked no more.
    ParkedNoMore { capability: CapabilityName },
}

/// An entry that waits.
#[derive(Clone, Copy)]
pub(crate) struct Waiting {
    key: u64,
    bytes: u64,
    at: Timestamp,
}

impl Waiting {
    pub(super) fn new(agent: &str, key: &str, bytes: u64, at: Timestamp) -> Self {
        let key = hash(agent, key);
        Self { key, bytes, at }
    }
}

fn hash(agent: &str, key: &str) -> u64 {
    HASHER.hash_one((agent, key))
}

/// What the table says of what waits.
#[derive(Default)]
pub(super) struct View {
    /// The counter of changes at that moment.
    changes: u64,
    shelves: BTreeMap<CapabilityName, Shelf>,
}

#[derive(Default)]
struct Shelf {
    waiting: BTreeMap<u64, Waiting>,
    /// How many entries of each key wait.
    keys: HashMap<u64, u32>,
    bytes: u64,
    parked: u64,
}

impl Desk {
    /// Reads what waits.
    pub(crate) fn open(conn: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            view: Mutex::new(Some(read(conn)?)),
            keys: Mutex::default(),
            marked: AtomicBool::new(true),
        })
    }

    /// Follows a batch that was committed through `conn`.
    pub(crate) fn follow(&self, tenant: &TenantId, conn: &Connection, landed: Landed) {
        let (before, after) = landed.changes;
        let mut view = lock(&self.view);
        match view.as_mut().filter(|view| view.changes == before) {
            Some(view) => {
                landed.turnover.into_iter().for_each(|what| view.take(what));
                view.changes = after;
            }
            None => {
                *view = read(conn)
                    .inspect_err(|error| {
                        tracing::error!(%tenant, %error, "what waits in a journal cannot be read");
                    })
                    .ok();
            }
        }
    }

    /// How many entries wait; none when that could not be read.
    pub(super) fn waiting(&self, capability: CapabilityName) -> Option<u64> {
        let view = lock(&self.view);
        let shelf = view.as_ref()?.shelves.get(&capability);
        Some(shelf.map_or(0, |shelf| shelf.waiting.len() as u64))
    }

    pub(super) fn backlog(
        &self,
        operation: &'static str,
        capability: CapabilityName,
    ) -> Result<Backlog> {
        let view = lock(&self.view);
        let view = view.as_ref().ok_or_else(|| unknown(operation))?;
        let Some(shelf) = view.shelves.get(&capability) else {
            return Ok(Backlog::default());
        };
        Ok(Backlog {
            waiting: shelf.waiting.len() as u64,
            bytes: shelf.bytes,
            oldest: shelf.waiting.first_key_value().map(|(_, one)| one.at),
            parked: shelf.parked,
        })
    }

    pub(super) fn waits(
        &self,
        operation: &'static str,
        capability: CapabilityName,
        agent: &AgentName,
        key: &str,
    ) -> Result<bool> {
        let view = lock(&self.view);
        let view = view.as_ref().ok_or_else(|| unknown(operation))?;
        let shelf = view.shelves.get(&capability);
        Ok(shelf.is_some_and(|shelf| {
            !shelf.keys.is_empty() && shelf.keys.contains_key(&hash(agent.as_str(), key))
        }))
    }

    /// Says that the tenant has a mark, or is about to get one.
    pub(super) fn mark(&self) {
        self.marked.store(true, Ordering::Relaxed);
    }

    /// Says that the tenant has no mark. Only while nobody writes to its store.
    pub(super) fn unmarked(&self) {
        self.marked.store(false, Ordering::Relaxed);
    }

    /// Whether nothing waits and there may be a mark all the same.
    pub(super) fn may_be_unmarked(&self) -> bool {
        let view = lock(&self.view);
        let rests = view.as_ref().is_some_and(|view| {
            let mut shelves = view.shelves.values();
            shelves.all(|shelf| shelf.waiting.is_empty())
        });
        rests && self.marked.load(Ordering::Relaxed)
    }

    /// The key that new entries are sealed with, as far as is known.
    pub(super) fn key(&self) -> Option<Arc<EntryKey>> {
        lock(&self.keys).last().map(Arc::clone)
    }

    /// Keeps the key that new entries are sealed with.
    pub(super) fn keep_key(&self, key: EntryKey) -> Arc<EntryKey> {
        let key = Arc::new(key);
        let mut keys = lock(&self.keys);
        keys.retain(|known| known.id() != key.id());
        keys.push(Arc::clone(&key));
        make_room(&mut keys);
        key
    }

    /// Lets go of all keys.
    pub(super) fn forget_keys(&self) {
        lock(&self.keys).clear();
    }

    /// The key that an entry names. Blocks when it is not open.
    pub(super) fn key_of(
        &self,
        conn: &Connection,
        operation: &'static str,
        tenant: &TenantId,
        master: &MasterKeyFile,
        id: u64,
    ) -> Result<Arc<EntryKey>> {
        let known = lock(&self.keys).iter().find(|key| key.id() == id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let key = Arc::new(sealer::find(conn, operation, tenant, master, id)?);
        let mut keys = lock(&self.keys);
        // Before the current one, if that is known: this one may be older. When it is newer, noting finds out.
        let before_last = keys.len().saturating_sub(1);
        keys.insert(before_last, Arc::clone(&key));
        make_room(&mut keys);
        Ok(key)
    }
}

/// Lets go of the oldest key but the current one when there are too many.
fn make_room(keys: &mut Vec<Arc<EntryKey>>) {
    while keys.len() > KEYS_MAX {
        keys.remove(0);
    }
}

impl View {
    pub(super) fn add(&mut self, capability: CapabilityName, seq: u64, waiting: Waiting) {
        let shelf = self.shelves.entry(capability).or_default();
        shelf.bytes = shelf.bytes.saturating_add(waiting.bytes);
        *shelf.keys.entry(waiting.key).or_default() += 1;
        shelf.waiting.insert(seq, waiting);
    }

    pub(super) fn add_parked(&mut self, capability: CapabilityName) {
        let shelf = self.shelves.entry(capability).or_default();
        shelf.parked = shelf.parked.saturating_add(1);
    }

    fn take(&mut self, what: Turnover) {
        match what {
            Turnover::Waits {
                capability,
                seq,
                waiting,
            } => self.add(capability, seq, waiting),
            Turnover::WaitsNoMore { capability, seq } => {
                if let Some(shelf) = self.shelves.get_mut(&capability) {
                    shelf.remove(seq);
                }
            }
            Turnover::Parked { capability } => self.add_parked(capability),
            Turnover::ParkedNoMore { capability } => {
                if let Some(shelf) = self.shelves.get_mut(&capability) {
                    shelf.parked = shelf.parked.saturating_sub(1);
                }
            }
        }
    }
}

impl Shelf {
    fn remove(&mut self, seq: u64) {
        let Some(gone) = self.waiting.remove(&seq) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(gone.bytes);
        if let Some(count) = self.keys.get_mut(&gone.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.keys.remove(&gone.key);
            }
        }
        if self.waiting.is_empty() {
            // An outage may have made it large.
            self.keys = HashMap::new();
        }
    }
}

/// What the table says, as one snapshot.
fn read(conn: &Connection) -> rusqlite::Result<View> {
    let snapshot = conn.unchecked_transaction()?;
    let mut view = View::default();
    rows::read_view(&snapshot, &mut view)?;
    let sql = "SELECT journal_changes FROM tally WHERE id = 0";
    view.changes = snapshot.query_row(sql, [], |row| row.get(0))?;
    Ok(view)
}

fn unknown(operation: &'static str) -> Error {
    error::io(
        operation,
        std::io::Error::other("what waits in the journal could not be read"),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
