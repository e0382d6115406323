//! The tantivy index of one search index: opened, followed, built again. It is derived: whatever is wrong with it, it is
//! thrown away and made anew from SQLite.
//!
//! Only who holds the lock file beside the directory changes it, for as long as there is something to index; that may be any
//! process on this data directory. The commit's payload says how far it has come. Readers take no lock.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use stuga_core::search::analysis::ANALYSIS;
use tantivy::indexer::IndexWriterOptions;
use tantivy::schema::Schema;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, Term};

use super::declared::Declared;
use super::tail;
use super::words::{self, SEQ};

/// What a writer holds before it flushes a segment. Tantivy asks for at least 15 MB.
pub(super) const WRITER_MEMORY_BYTES: usize = 32 << 20;
/// Threads of a writer that index; merging has one more.
const WRITER_THREADS: usize = 1;
/// Layout of what is derived; another one is built again.
const FORMAT: u32 = 1;
/// Documents after which a long run commits, so that a crash does not begin again from the start.
const COMMIT_EVERY: usize = 50_000;

/// Why an index cannot be used as it is.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is absent, damaged or of another version: build it again.
    Unusable(String),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<tantivy::TantivyError> for Trouble {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What a commit says of itself.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Payload {
    format: u32,
    analysis: String,
    /// The last change that is in it.
    position: u64,
}

/// An index as it was seen last.
pub(super) struct Derived {
    index: Index,
    reader: IndexReader,
    seen: Mutex<u64>,
}

impl Derived {
    /// Opens what lies in `directory`, if it is whole and of this version.
    pub(super) fn open(directory: &Path, declared: &Declared) -> Result<Self, Trouble> {
        let index = Index::open_in_dir(directory)?;
        if index.schema() != words::schema(&declared.fields) {
            return Err(Trouble::Unusable("it has other fields".to_owned()));
        }
        let position = committed(&index)?;
        check_floor(position, declared)?;
        // Files that a crash or a disk has damaged must be found here: later they are trusted.
        if let Some(file) = index.validate_checksum()?.into_iter().next() {
            return Err(Trouble::Unusable(format!("{} is damaged", file.display())));
        }
        Self::of(index, position)
    }

    fn create(directory: &Path, declared: &Declared) -> Result<Self, Trouble> {
        match fs::remove_dir_all(directory) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        fs::create_dir_all(directory)?;
        let index = Index::create_in_dir(directory, words::schema(&declared.fields))?;
        Self::of(index, 0)
    }

    fn of(index: Index, position: u64) -> Result<Self, Trouble> {
        words::register(&index);
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            index,
            reader,
            seen: Mutex::new(position),
        })
    }

    /// How far it has come, and what it holds there.
    pub(super) fn snapshot(&self) -> (u64, Searcher) {
        // The searcher may be newer than the position, never older: `follow` sets the position after it.
        let position = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (position, self.reader.searcher())
    }

    /// Sees what was committed meanwhile, here or by another process.
    pub(super) fn follow(&self) -> Result<u64, Trouble> {
        let position = committed(&self.index)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if position > *seen {
            self.reader.reload()?;
            *seen = position;
        }
        Ok(*seen)
    }

    /// Indexes every change after the last, whoever made it. `seen` hears of each commit. Needs the [`Turn`].
    fn catch_up(
        &self,
        conn: &Connection,
        declared: &Declared,
        seen: &dyn Fn(u64),
    ) -> Result<(), Trouble> {
        let mut position = self.follow()?;
        let schema = self.index.schema();
        let mut changes = tail::Changes::after(conn, declared.id, position)?;
        if changes.is_empty() {
            seen(position);
            return Ok(());
        }
        let options = IndexWriterOptions::builder()
            .num_worker_threads(WRITER_THREADS)
            .memory_budget_per_thread(WRITER_MEMORY_BYTES)
            .num_merge_threads(1)
            .build();
        let mut writer: IndexWriter = self.index.writer_with_options(options)?;
        while !changes.is_empty() {
            let mut count = 0;
            while !changes.is_empty() && count < COMMIT_EVERY {
                count += changes.len();
                position = changes.last();
                take_in(&writer, &schema, changes)?;
                changes = tail::Changes::after(conn, declared.id, position)?;
            }
            commit(&mut writer, position)?;
            seen(self.follow()?);
        }
        // Merges that are under way would be thrown away with the writer, and small segments would pile up.
        writer.wait_merging_threads()?;
        Ok(())
    }
}

/// How far the last commit has come.
fn committed(index: &Index) -> Result<u64, Trouble> {
    let payload = index.load_metas()?.payload.unwrap_or_default();
    match serde_json::from_str::<Payload>(&payload) {
        Ok(payload) if payload.format == FORMAT && payload.analysis == ANALYSIS => {
            Ok(payload.position)
        }
        _ => Err(Trouble::Unusable("it is of another version".to_owned())),
    }
}

/// Deletions up to the floor are forgotten: who has not seen them cannot catch up.
fn check_floor(position: u64, declared: &Declared) -> Result<(), Trouble> {
    if position < declared.gone_floor {
        return Err(Trouble::Unusable(
            "it is older than what is remembered of deletions".to_owned(),
        ));
    }
    Ok(())
}

fn take_in(writer: &IndexWriter, schema: &Schema, changes: tail::Changes) -> Result<(), Trouble> {
    let field = schema.get_field(SEQ)?;
    for seq in changes.gone {
        writer.delete_term(Term::from_field_u64(field, seq));
    }
    for document in changes.documents {
        let tail::Document { seq, id, fields } = document;
        writer.add_document(words::document(schema, seq, &id, fields)?)?;
    }
    Ok(())
}

fn commit(writer: &mut IndexWriter, position: u64) -> Result<(), Trouble> {
    let payload = Payload {
        format: FORMAT,
        analysis: ANALYSIS.to_owned(),
        position,
    };
    let payload = serde_json::to_string(&payload).map_err(|e| Trouble::Unusable(e.to_string()))?;
    let mut prepared = writer.prepare_commit()?;
    prepared.set_payload(&payload);
    prepared.commit()?;
    Ok(())
}

/// The right to change a derived index, held by one process at a time and given back when it ends, however it ends.
pub(super) struct Turn {
    _file: File,
}

impl Turn {
    /// Takes the turn; none when another process has it.
    pub(super) fn try_take(lock: &Path) -> std::io::Result<Option<Self>> {
        if let Some(parent) = lock.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// Brings `known`, or what lies in `directory`, up to the latest change; builds it anew when it is of no use.
    pub(super) fn index(
        &self,
        known: Option<std::sync::Arc<Derived>>,
        directory: &Path,
        conn: &Connection,
        declared: &Declared,
        seen: &dyn Fn(std::sync::Arc<Derived>, u64),
    ) -> Result<(), Trouble> {
        let opened = match known {
            Some(known) => known
                .follow()
                .and_then(|position| check_floor(position, declared))
                .map(|()| known),
            None => Derived::open(directory, declared).map(std::sync::Arc::new),
        };
        let tried = opened.and_then(|derived| {
            let whole = std::sync::Arc::clone(&derived);
            derived.catch_up(conn, declared, &|at| {
                seen(std::sync::Arc::clone(&whole), at)
            })
        });
        let reason = match tried {
            Err(Trouble::Unusable(reason)) => reason,
            other => return other,
        };
        tracing::info!(index = declared.id, reason, "a search index is built anew");
        let derived = std::sync::Arc::new(Derived::create(directory, declared)?);
        let whole = std::sync::Arc::clone(&derived);
        derived.build(conn, declared, &|at| {
            seen(std::sync::Arc::clone(&whole), at)
        })
    }
}

impl Derived {
    /// Fills an index that was just created.
    fn build(
        &self,
        conn: &Connection,
        declared: &Declared,
        seen: &dyn Fn(u64),
    ) -> Result<(), Trouble> {
        // A first commit, so that its payload can be read, also by another process.
        let mut writer: IndexWriter = self
            .index
            .writer_with_num_threads(WRITER_THREADS, WRITER_MEMORY_BYTES)?;
        commit(&mut writer, 0)?;
        drop(writer);
        self.catch_up(conn, declared, seen)
    }
}

/// Where the derived index of a tenant's index lies, and its lock beside it.
pub(super) fn place(tenant: &Path, declared: u64) -> (PathBuf, PathBuf) {
    let folder = tenant.join("search");
    (
        folder.join(declared.to_string()),
        folder.join(format!("{declared}.lock")),
    )
}
