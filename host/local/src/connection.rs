//! Connections to a tenant's database, and its set-up: durable, at this version, whoever else does the same.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::durability::Durability;
use crate::schema;

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

/// Opens or creates the database for its one writer and sets it up.
pub(crate) fn open_writer(
    database: &Path,
    durability: Durability,
) -> Result<Connection, rusqlite_migration::Error> {
    let mut conn = connect(database, WRITER_CACHE_KIB)?;
    set_up(&mut conn, durability)?;
    Ok(conn)
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
        let conn = open_writer(&database, Durability::Fsynced).unwrap();
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
    fn two_that_set_up_one_store_at_the_same_time_both_succeed() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| open_writer(&database, Durability::Fsynced).unwrap());
            }
        });
    }
}
