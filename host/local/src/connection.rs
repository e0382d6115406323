//! Connections to a tenant's database, and its set-up: durable, at this version, whoever else does the same.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::durability::Durability;
use crate::{schema, wal};

/// How long a statement waits for a lock that another process holds, such as the command line beside the server.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Page cache of a reader in KiB; the operating system caches the file behind it.
const READER_CACHE_KIB: i32 = 512;
/// Page cache of the writer in KiB: the pages that a full batch changes must fit, or they are written twice.
const WRITER_CACHE_KIB: i32 = 4_096;
/// The WAL is cut back to this size after a checkpoint.
const WAL_KEEP_BYTES: i32 = 8 << 20;
/// Tries to set up a new store while another process does the same.
const SETUP_TRIES: u32 = 5;

/// A database that its one writer has opened.
pub(crate) struct Opened {
    pub(crate) conn: Connection,
    /// Bytes at the end of its log that belonged to no complete transaction and are passed over from now on.
    pub(crate) cut: u64,
}

/// Opens or creates the database for its one writer and sets it up.
pub(crate) fn open_writer(
    database: &Path,
    durability: Durability,
) -> Result<Opened, rusqlite_migration::Error> {
    if !durability.syncs() && !database.exists() {
        lay_empty(database);
    }
    let log = wal::beside(database);
    // Before anything is opened or written. A log that cannot be read is no worse than one that is not looked at.
    let is_suspect = wal::unfinished(&log).is_ok_and(|bytes| bytes > 0);
    let mut conn = connect(database, WRITER_CACHE_KIB)?;
    let cut = match is_suspect {
        true => confirm(&mut conn, &log)?,
        false => 0,
    };
    set_up(&mut conn, durability)?;
    Ok(Opened { conn, cut })
}

/// Looks again while nobody writes, in this process or another: what was under way before is complete then, or gone.
fn confirm(conn: &mut Connection, log: &Path) -> rusqlite::Result<u64> {
    let alone = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let bytes = wal::unfinished(log).unwrap_or_default();
    alone.rollback()?;
    Ok(bytes)
}

/// Lays down an empty database of this version, which is much quicker than to make its tables one by one: a mock host opens
/// new stores all the time. Where that fails nothing is there, and the tables are made.
fn lay_empty(database: &Path) {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(image) = EMPTY.get() {
        if std::fs::write(database, image).is_err() {
            // Half of an image is no database.
            let _ = std::fs::remove_file(database);
        }
        return;
    }
    let made = Connection::open_in_memory()
        .map_err(rusqlite_migration::Error::from)
        .and_then(|mut conn| {
            schema::migrations().to_latest(&mut conn)?;
            let path = database.to_string_lossy();
            conn.execute("VACUUM INTO ?1", [&*path])?;
            Ok(())
        });
    if made.is_ok()
        && let Ok(image) = std::fs::read(database)
    {
        // Whoever was first has the same.
        let _ = EMPTY.set(image);
    }
}

/// Opens a database that was set up, for reading only.
pub(crate) fn open_reader(database: &Path) -> rusqlite::Result<Connection> {
    let conn = connect(database, READER_CACHE_KIB)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn connect(database: &Path, cache_kib: i32) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.set_prepared_statement_cache_capacity(48);
    Ok(conn)
}

/// Brings a store to this version, whoever else does so at the same time.
fn set_up(conn: &mut Connection, durability: Durability) -> Result<(), rusqlite_migration::Error> {
    conn.set_transaction_behavior(TransactionBehavior::Immediate);
    let mut tries_left = SETUP_TRIES;
    loop {
        tries_left -= 1;
        let done = make_durable(conn, durability)
            .map_err(rusqlite_migration::Error::from)
            .and_then(|()| schema::migrations().to_latest(conn));
        match done {
            // Another process may have created the tables between our look at the version and our transaction.
            Err(rusqlite_migration::Error::RusqliteError { .. }) if tries_left > 0 => {}
            done => return done,
        }
    }
}

fn make_durable(conn: &Connection, durability: Durability) -> rusqlite::Result<()> {
    conn.pragma_update(None, "journal_mode", "wal")?;
    if !durability.syncs() {
        return conn.pragma_update(None, "synchronous", "off");
    }
    // FULL fsyncs the WAL at each commit: an acknowledged write survives the loss of power.
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEEP_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_fsyncs_each_commit() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let conn = open_writer(&database, Durability::Fsynced).unwrap().conn;
        let mode: String = conn
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        let synchronous: i64 = conn
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap();
        const FULL: i64 = 2;
        assert_eq!((mode.as_str(), synchronous), ("wal", FULL));
    }

    #[test]
    fn a_store_that_is_thrown_away_begins_as_any_other_does() {
        let directory = tempfile::tempdir().unwrap();
        let begun = |name: &str, durability| {
            let conn = open_writer(&directory.path().join(name), durability)
                .unwrap()
                .conn;
            let mut statement = conn
                .prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
                .unwrap();
            let rows = statement.query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<String>>(2)?,
                ))
            });
            let tables: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
            let version: i64 = conn
                .pragma_query_value(None, "user_version", |row| row.get(0))
                .unwrap();
            let tally = crate::tally::Tally::load(&conn).unwrap();
            (tables, version, tally)
        };
        let kept = begun("kept", Durability::Fsynced);
        assert!(kept.0.len() > 10 && kept.1 > 0);
        // The first makes the image, the second is laid down from it.
        assert_eq!(begun("first", Durability::ThrownAway), kept);
        assert_eq!(begun("second", Durability::ThrownAway), kept);
    }

    #[test]
    fn two_that_set_up_one_store_at_the_same_time_both_succeed() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    open_writer(&database, Durability::Fsynced)
                        .map(drop)
                        .unwrap()
                });
            }
        });
    }
}
