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
const UNSYNCED_MAX: Duration = Duration::from_secs(1);

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

    /// Ends what [`Pen::begin`] began, after the commit: one that changed nothing has synced nothing, and what it found may not
    /// be on the disk yet.
    ///
    /// # Errors
    /// When it cannot be seen to the disk.
    pub(crate) fn end(&mut self, database: &Path) -> rusqlite::Result<()> {
        let changed_nothing = self.changed == self.conn.total_changes();
        if self.syncs == Syncs::First && changed_nothing && !self.is_synced() {
            return self.sync(database).map_err(|_| {
                let lost = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
                rusqlite::Error::SqliteFailure(lost, None)
            });
        }
        Ok(())
    }

    /// Whether everything that was committed is on the disk.
    pub(crate) fn is_synced(&self) -> bool {
        self.unsynced.is_none()
    }

    /// Sees to the disk what was committed without a wait, when that is long ago.
    ///
    /// # Errors
    /// When it cannot be; it is tried again after the next commit.
    pub(crate) fn sync_late(&mut self, database: &Path) -> std::io::Result<()> {
        let is_late = |since: Instant| since.elapsed() >= UNSYNCED_MAX;
        match self.unsynced.is_some_and(is_late) {
            true => self.sync(database),
            false => Ok(()),
        }
    }

    /// Sees to the disk what was committed without a wait, if anything was.
    ///
    /// # Errors
    /// When it cannot be; it is tried again after the next commit.
    pub(crate) fn sync_all(&mut self, database: &Path) -> std::io::Result<()> {
        match self.is_synced() {
            true => Ok(()),
            false => self.sync(database),
        }
    }

    fn sync(&mut self, database: &Path) -> std::io::Result<()> {
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

    #[tokio::test(start_paused = true)]
    async fn copies_wait_for_no_disk_everything_else_does_and_all_is_synced_within_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let conn = connection::open_writer(&database, Durability::Fsynced)
            .unwrap()
            .conn;
        let mut pen = Pen::new(conn, Durability::Fsynced);
        pen.begin(Syncs::First).unwrap();
        assert_eq!((synchronous(&pen), pen.is_synced()), (FULL, true));
        pen.begin(Syncs::Soon).unwrap();
        assert_eq!((synchronous(&pen), pen.is_synced()), (NORMAL, false));
        pen.sync_late(&database).unwrap();
        assert!(!pen.is_synced(), "it is not late yet");
        pen.begin(Syncs::First).unwrap();
        assert_eq!((synchronous(&pen), pen.is_synced()), (FULL, false));
        pen.conn
            .execute_batch("UPDATE tally SET version = 7")
            .unwrap();
        pen.end(&database).unwrap();
        assert!(
            !pen.is_synced(),
            "its own commit did it; nobody needs to know"
        );
        pen.begin(Syncs::First).unwrap();
        pen.end(&database).unwrap();
        assert!(pen.is_synced(), "it changed nothing, so it was seen to");
        pen.begin(Syncs::Soon).unwrap();
        tokio::time::advance(UNSYNCED_MAX).await;
        pen.sync_late(&database).unwrap();
        assert!(pen.is_synced());
        pen.begin(Syncs::Soon).unwrap();
        tokio::time::advance(UNSYNCED_MAX).await;
        let nowhere = directory.path().join("nowhere.db");
        assert!(pen.sync_late(&nowhere).is_err());
        assert!(!pen.is_synced(), "what failed is tried again");
    }

    #[test]
    fn a_store_that_is_thrown_away_never_waits() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("state.db");
        let conn = connection::open_writer(&database, Durability::ThrownAway)
            .unwrap()
            .conn;
        let mut pen = Pen::new(conn, Durability::ThrownAway);
        for syncs in [Syncs::First, Syncs::Soon, Syncs::First] {
            pen.begin(syncs).unwrap();
            assert_eq!((synchronous(&pen), pen.is_synced()), (0, true));
        }
    }
}
