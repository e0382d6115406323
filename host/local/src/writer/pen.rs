//! The connection that writes, and what it has written that is not on the disk yet.
//!
//! SQLite's WAL is one file that grows: a commit that is fsynced takes along all before it. So copies of what the cloud
//! keeps are committed without a wait, and an fsync for all of them follows once in a while, after their callers were
//! answered.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::durability::{Durability, Syncs};
use crate::sweep::Schedule;

/// How long a commit may have gone without an fsync when the next one is done.
pub(crate) const UNSYNCED_MAX: Duration = Duration::from_secs(1);

/// The one connection that writes to a tenant's store.
pub(crate) struct Pen {
    pub(crate) conn: Connection,
    pub(crate) schedule: Schedule,
    durability: Durability,
    /// What the connection does with its next commit.
    syncs: Syncs,
    /// Since when there are commits that nobody has seen to the disk.
    unsynced: Option<Instant>,
    /// Rows that the connection had changed when the transaction under way began.
    changed: u64,
}

impl Pen {
    /// With a connection that fsyncs each commit, where anything is fsynced.
    pub(crate) fn new(conn: Connection, durability: Durability) -> Self {
        Self {
            conn,
            schedule: Schedule::default(),
            durability,
            syncs: Syncs::First,
            unsynced: None,
            changed: 0,
        }
    }

    /// Has the next commit be on the disk before it returns, or not.
    ///
    /// # Errors
    /// When SQLite does not follow; nothing may be committed then.
    pub(crate) fn begin(&mut self, syncs: Syncs) -> rusqlite::Result<()> {
        if !self.durability.syncs() {
            return Ok(());
        }
        self.changed = self.conn.total_changes();
        if self.syncs != syncs {
            let word = match syncs {
                Syncs::First => "full",
                Syncs::Soon => "normal",
            };
            self.conn.pragma_update(None, "synchronous", word)?;
            self.syncs = syncs;
        }
        if syncs == Syncs::Soon {
            self.unsynced.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Ends what [`Pen::begin`] began, after a commit that succeeded; one that failed has ended nothing. One that changed nothing
    /// has synced nothing either, and what it found may not be on the disk yet, so that is seen to here.
    ///
    /// # Errors
    /// When it cannot be seen to the disk.
    pub(crate) fn end(&mut self, database: &Path) -> rusqlite::Result<()> {
        if self.syncs == Syncs::Soon {
            return Ok(());
        }
        if self.changed != self.conn.total_changes() {
            // With FULL the commit has fsynced the whole WAL, and what was committed before it without a wait is in there or in
            // the database. For SQLite begins the WAL anew only when all of it was copied to the database, and with NORMAL as
            // with FULL it fsyncs the WAL before it copies and the database before it says that all is copied.
            self.unsynced = None;
            return Ok(());
        }
        self.sync(database, Duration::ZERO).map_err(|_| {
            let lost = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            rusqlite::Error::SqliteFailure(lost, None)
        })
    }

    /// Whether everything that was committed is on the disk.
    pub(crate) fn is_synced(&self) -> bool {
        self.unsynced.is_none()
    }

    /// Sees to the disk what was committed without a wait, when the first of it has waited for `age` or longer.
    ///
    /// # Errors
    /// When it cannot be; it is tried again after the next commit.
    pub(crate) fn sync(&mut self, database: &Path, age: Duration) -> std::io::Result<()> {
        if self.unsynced.is_none_or(|since| since.elapsed() < age) {
            return Ok(());
        }
        let mut wal = database.as_os_str().to_owned();
        wal.push("-wal");
        // No lock of SQLite lies on this file, so that closing it takes none away.
        File::open(wal)?.sync_data()?;
        self.unsynced = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection;

    const NORMAL: i64 = 1;
    const FULL: i64 = 2;

    fn synchronous(pen: &Pen) -> i64 {
        let read = |row: &rusqlite::Row<'_>| row.get(0);
        pen.conn
            .pragma_query_value(None, "synchronous", read)
            .unwrap()
    }

    fn pen(database: &Path, durability: Durability) -> Pen {
        let opened = connection::open_writer(database, durability).unwrap();
        Pen::new(opened.conn, durability)
    }

    /// Changes a row, as a write does.
    fn write(pen: &Pen) {
        pen.conn
            .execute_batch("UPDATE tally SET version = version + 1")
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn copies_wait_for_no_disk_everything_else_does_and_all_is_synced_within_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let mut pen = pen(&database, Durability::Fsynced);
        pen.begin(Syncs::First).unwrap();
        assert_eq!((synchronous(&pen), pen.is_synced()), (FULL, true));
        pen.begin(Syncs::Soon).unwrap();
        assert_eq!((synchronous(&pen), pen.is_synced()), (NORMAL, false));
        write(&pen);
        pen.end(&database).unwrap();
        pen.sync(&database, UNSYNCED_MAX).unwrap();
        assert!(!pen.is_synced(), "it is not late yet");
        tokio::time::advance(UNSYNCED_MAX).await;
        pen.sync(&database, UNSYNCED_MAX).unwrap();
        assert!(pen.is_synced());
        pen.begin(Syncs::Soon).unwrap();
        pen.sync(&database, Duration::ZERO).unwrap();
        assert!(pen.is_synced(), "whoever cannot wait need not");
        pen.begin(Syncs::Soon).unwrap();
        tokio::time::advance(UNSYNCED_MAX).await;
        let nowhere = directory.path().join("nowhere.db");
        assert!(pen.sync(&nowhere, UNSYNCED_MAX).is_err());
        assert!(!pen.is_synced(), "what failed is tried again");
    }

    #[test]
    fn a_commit_that_waits_for_the_disk_takes_along_what_was_committed_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        // Whoever fsyncs there fails.
        let nowhere = directory.path().join("nowhere.db");
        let mut pen = pen(&database, Durability::Fsynced);
        pen.begin(Syncs::Soon).unwrap();
        write(&pen);
        pen.end(&nowhere).unwrap();
        pen.begin(Syncs::First).unwrap();
        assert_eq!((synchronous(&pen), pen.is_synced()), (FULL, false));
        write(&pen);
        pen.end(&nowhere).unwrap();
        assert!(pen.is_synced(), "its own fsync was one for all");
        pen.sync(&nowhere, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_commit_that_failed_or_changed_nothing_takes_nothing_along() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let nowhere = directory.path().join("nowhere.db");
        let mut pen = pen(&database, Durability::Fsynced);
        pen.begin(Syncs::Soon).unwrap();
        write(&pen);
        pen.end(&database).unwrap();
        pen.begin(Syncs::First).unwrap();
        pen.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        write(&pen);
        pen.conn.execute_batch("ROLLBACK").unwrap();
        assert!(!pen.is_synced(), "it failed, so nobody ends it");
        pen.begin(Syncs::First).unwrap();
        assert!(pen.end(&nowhere).is_err(), "it has nothing to sync itself");
        assert!(!pen.is_synced());
        pen.begin(Syncs::First).unwrap();
        pen.end(&database).unwrap();
        assert!(pen.is_synced(), "it was seen to");
    }

    #[test]
    fn a_commit_whose_changes_were_all_taken_back_reaches_the_log_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let mut pen = pen(&database, Durability::Fsynced);
        let log = directory.path().join("state.db-wal");
        let bytes = || log.metadata().unwrap().len();
        pen.begin(Syncs::First).unwrap();
        let before = bytes();
        pen.conn
            .execute_batch("BEGIN IMMEDIATE; SAVEPOINT write")
            .unwrap();
        write(&pen);
        pen.conn
            .execute_batch("ROLLBACK TO write; RELEASE write; COMMIT")
            .unwrap();
        assert!(
            bytes() > before && pen.changed != pen.conn.total_changes(),
            "such a commit counts as one that fsyncs"
        );
    }

    #[test]
    fn a_store_that_is_thrown_away_never_waits() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let mut pen = pen(&database, Durability::ThrownAway);
        for syncs in [Syncs::First, Syncs::Soon, Syncs::First] {
            pen.begin(syncs).unwrap();
            assert_eq!((synchronous(&pen), pen.is_synced()), (0, true));
        }
    }
}
