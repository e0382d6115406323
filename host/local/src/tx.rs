//! What a write sees while it is applied.
//!
//! A write is a closure over [`WriteTx`]. Whatever it does through it lands in one transaction, with the effects, the
//! counters, the memory of its id and its entry in the journal.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};
use stuga_core::{Clock, Result, Timestamp, next_version};

use crate::content::ContentStore;
use crate::error;
use crate::journal::Turnover;
use crate::tally::{Quotas, Tally};

/// What holds for all writes of a batch.
pub(crate) struct Terms<'c> {
    pub(crate) quotas: Quotas,
    pub(crate) clock: &'c dyn Clock,
    pub(crate) content: &'c ContentStore,
}

/// An open transaction of one tenant, inside the savepoint of one write.
pub(crate) struct WriteTx<'c> {
    conn: &'c Connection,
    /// The tenant's counters; put back when the write fails.
    pub(crate) tally: Tally,
    /// What the counters are held to.
    pub(crate) quotas: Quotas,
    /// The moment at which the batch is applied.
    pub(crate) now: Timestamp,
    /// Where the contents of files lie.
    pub(crate) content: &'c ContentStore,
    /// What the batch does to the journal; what a write that fails did is taken back.
    pub(crate) turnover: Vec<Turnover>,
}

impl<'c> WriteTx<'c> {
    /// Loads the counters of a transaction that has just begun.
    pub(crate) fn begin(conn: &'c Connection, terms: &Terms<'c>) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            tally: Tally::load(conn)?,
            quotas: terms.quotas,
            now: terms.clock.now(),
            content: terms.content,
            turnover: Vec::new(),
        })
    }

    /// The next version of whatever is being written: larger than any that this tenant's store ever gave.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.tally.version = next_version(self.tally.version, self.now);
        self.tally.version
    }

    /// Sees to it that every version from here on is larger than one that was given elsewhere.
    pub(crate) fn see_version(&mut self, version: u64) {
        self.tally.version = self.tally.version.max(version);
    }

    /// Books what happened to the journal.
    pub(crate) fn turn_over(&mut self, what: Turnover) {
        self.tally.journal_changes = self.tally.journal_changes.saturating_add(1);
        self.turnover.push(what);
    }

    /// A statement, prepared once for each connection.
    pub(crate) fn statement(
        &self,
        operation: &'static str,
        sql: &str,
    ) -> Result<CachedStatement<'c>> {
        self.conn
            .prepare_cached(sql)
            .map_err(|e| error::sqlite(operation, e))
    }

    /// Runs a statement that returns no rows and says how many it changed.
    pub(crate) fn execute(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize> {
        self.statement(operation, sql)?
            .execute(params)
            .map_err(|e| error::sqlite(operation, e))
    }

    /// The first row of a query, if there is one.
    pub(crate) fn first<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.statement(operation, sql)?
            .query_row(params, map)
            .optional()
            .map_err(|e| error::sqlite(operation, e))
    }
}
