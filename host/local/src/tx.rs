//! What a write sees while it is applied.
//!
//! A write is a closure over [`WriteTx`]. Whatever it does through it lands in one transaction, with the effects, the
//! counters and the memory of its id. That is the seam for the journal: its row is one more statement in the closure,
//! beside `memory::apply_in` or `files::apply_in`.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};
use stuga_core::{Clock, Result, Timestamp, next_version};

use crate::content::ContentStore;
use crate::error;
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
        })
    }

    /// The next version of whatever is being written: larger than any that this tenant's store ever gave.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.tally.version = next_version(self.tally.version, self.now);
        self.tally.version
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
