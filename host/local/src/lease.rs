//! Rows that are done under a lease: taken, prolonged, given back, lost, tried again, dead. For every table of that kind.
//!
//! What is to be taken next each table chooses by its own query; everything that happens to a chosen row happens here.
//! All functions run inside a write's transaction.
//!
//! A table of that kind has these columns beside its own:
//!
//! | column | meaning |
//! | --- | --- |
//! | `seq` | `INTEGER PRIMARY KEY` |
//! | `phase` | `waiting`, `running`, `dead`, or what the table itself calls an end |
//! | `due_at` | from when on a row that waits may be taken |
//! | `attempt` | number of the attempt that runs or comes next, from 1; only grows |
//! | `failures` | failed attempts since it was queued last |
//! | `losses` | how often this attempt was lost with its holder |
//! | `attempts_max`, `base_ms`, `cap_ms` | the retry policy |
//! | `began_at` | when this attempt was taken first; NULL before that |
//! | `lease`, `lease_until` | who holds it and until when; the token stays after the end, so that a repeated word is known |
//! | `error` | the latest [`Failure`] as JSON |
//!
//! It needs two indexes: `(lease_until) WHERE phase = 'running'` and `(lease) WHERE lease IS NOT NULL`.
//!
//! An attempt that was lost or given back comes again under the *same* number, so that what it wrote is not written
//! twice; a failed one comes again under the next.

use std::time::Duration;

use rusqlite::Row;
use stuga_core::lease::{Failure, Held, LOSSES_MAX, Lease, LeaseToken};
use stuga_core::retry::{Next, RetryPolicy};
use stuga_core::{Error, ErrorKind, Result, Timestamp};

use crate::error;
use crate::tx::WriteTx;

/// A row that waits to be taken.
pub(crate) const WAITING: &str = "waiting";
/// A row that somebody holds.
pub(crate) const RUNNING: &str = "running";
/// A row whose attempts are used up.
pub(crate) const DEAD: &str = "dead";

/// A table of that kind, by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leased(pub(crate) &'static str);

/// A row that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    /// Number of the attempt.
    pub(crate) attempt: u32,
    /// When this attempt was taken first.
    pub(crate) began_at: Timestamp,
    /// How often this attempt was lost before.
    pub(crate) losses: u32,
}

/// What is known of a row that somebody holds.
struct State {
    attempt: u32,
    failures: u32,
    losses: u32,
    policy: RetryPolicy,
}

impl Leased {
    /// Takes a row that waits. `None` when it does not wait any more.
    pub(crate) fn take(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        seq: i64,
        lease: &Lease,
    ) -> Result<Option<Taken>> {
        let Self(table) = self;
        let sql = format!(
            "UPDATE {table} SET phase = '{RUNNING}', lease = ?2, lease_until = ?3, began_at = coalesce(began_at, ?4)
             WHERE seq = ?1 AND phase = '{WAITING}' RETURNING attempt, began_at, losses"
        );
        let until = tx.now.saturating_add(lease.time).as_millis();
        let params = (seq, lease.token.as_bytes(), until, tx.now.as_millis());
        tx.first(operation, &sql, params, |row| {
            Ok(Taken {
                attempt: row.get(0)?,
                began_at: Timestamp::from_millis(row.get(1)?),
                losses: row.get(2)?,
            })
        })
    }

    /// Prolongs a lease from now on.
    pub(crate) fn prolong(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        lease: &Lease,
    ) -> Result<Held> {
        let Self(table) = self;
        let sql =
            format!("UPDATE {table} SET lease_until = ?2 WHERE lease = ?1 AND phase = '{RUNNING}'");
        let until = tx.now.saturating_add(lease.time).as_millis();
        let changed = tx.execute(operation, &sql, (lease.token.as_bytes(), until))?;
        Ok(if changed > 0 { Held::Yes } else { Held::No })
    }

    /// The row that a token holds; none when it holds none any more.
    pub(crate) fn held(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        token: &LeaseToken,
    ) -> Result<Option<i64>> {
        let Self(table) = self;
        let sql = format!("SELECT seq FROM {table} WHERE lease = ?1 AND phase = '{RUNNING}'");
        tx.first(operation, &sql, [token.as_bytes()], |row| row.get(0))
    }

    /// The end that the row has which a token held last, as the table calls it; none when it is not that token's row
    /// any more. For a word that comes twice.
    pub(crate) fn end_of(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        token: &LeaseToken,
    ) -> Result<Option<String>> {
        let Self(table) = self;
        let sql = format!(
            "SELECT phase FROM {table} WHERE lease = ?1 AND phase NOT IN ('{WAITING}', '{RUNNING}')"
        );
        tx.first(operation, &sql, [token.as_bytes()], |row| row.get(0))
    }

    /// Ends a row that is held: `phase` is what the table calls that end.
    pub(crate) fn end(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        seq: i64,
        phase: &'static str,
    ) -> Result<()> {
        let Self(table) = self;
        let sql = format!("UPDATE {table} SET phase = ?2, lease_until = NULL WHERE seq = ?1");
        tx.execute(operation, &sql, (seq, phase)).map(drop)
    }

    /// Gives a row back that is held: the same attempt comes again at once.
    pub(crate) fn give_back(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        seq: i64,
    ) -> Result<()> {
        let Self(table) = self;
        let sql = format!(
            "UPDATE {table} SET phase = '{WAITING}', lease = NULL, lease_until = NULL, due_at = min(due_at, ?2)
             WHERE seq = ?1"
        );
        tx.execute(operation, &sql, (seq, tx.now.as_millis()))
            .map(drop)
    }

    /// Notes that the attempt failed: the next one waits for its time, or there is none and the row is dead.
    pub(crate) fn fail(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        seq: i64,
        failure: &Failure,
        roll: u64,
    ) -> Result<Next> {
        let Self(table) = self;
        let state = self.state(tx, operation, seq)?;
        let failures = state.failures.saturating_add(1);
        let next = if failure.is_final {
            Next::GiveUp
        } else {
            state.policy.after(failures, roll)
        };
        let error = to_json(operation, failure)?;
        match next {
            Next::Retry(wait) => {
                let sql = format!(
                    "UPDATE {table} SET phase = '{WAITING}', due_at = ?2, attempt = ?3, failures = ?4, losses = 0,
                       began_at = NULL, lease = NULL, lease_until = NULL, error = ?5 WHERE seq = ?1"
                );
                let due_at = tx.now.saturating_add(wait).as_millis();
                let attempt = state.attempt.saturating_add(1);
                tx.execute(operation, &sql, (seq, due_at, attempt, failures, error))?;
            }
            Next::GiveUp => {
                let sql = format!(
                    "UPDATE {table} SET phase = '{DEAD}', failures = ?2, lease_until = NULL, error = ?3 WHERE seq = ?1"
                );
                tx.execute(operation, &sql, (seq, failures, error))?;
            }
        }
        Ok(next)
    }

    /// Queues a dead row again, with all its attempts, from now on. False when it is not dead.
    pub(crate) fn requeue(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        seq: i64,
    ) -> Result<bool> {
        let Self(table) = self;
        let sql = format!(
            "UPDATE {table} SET phase = '{WAITING}', due_at = ?2, attempt = attempt + 1, failures = 0, losses = 0,
               began_at = NULL, lease = NULL, lease_until = NULL WHERE seq = ?1 AND phase = '{DEAD}'"
        );
        let changed = tx.execute(operation, &sql, (seq, tx.now.as_millis()))?;
        Ok(changed > 0)
    }

    /// At most `max` rows whose lease has run out, the earliest first.
    pub(crate) fn lost(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        max: u32,
    ) -> Result<Vec<i64>> {
        let Self(table) = self;
        let sql = format!(
            "SELECT seq FROM {table} WHERE phase = '{RUNNING}' AND lease_until <= ?1 ORDER BY lease_until LIMIT ?2"
        );
        let mut statement = tx.statement(operation, &sql)?;
        let rows = statement.query_map((tx.now.as_millis(), max), |row| row.get(0));
        rows.and_then(Iterator::collect)
            .map_err(|e| error::sqlite(operation, e))
    }

    /// Takes a row from a holder that is lost. The same attempt comes again at once, but for one that was lost too
    /// often, which counts as failed; what followed then.
    pub(crate) fn lose(
        self,
        tx: &WriteTx<'_>,
        operation: &'static str,
        seq: i64,
        roll: u64,
    ) -> Result<Option<Next>> {
        let Self(table) = self;
        let state = self.state(tx, operation, seq)?;
        if state.losses >= LOSSES_MAX {
            let failure = Failure::new(
                ErrorKind::Internal,
                "the host stopped each time that this attempt ran",
            );
            return self.fail(tx, operation, seq, &failure, roll).map(Some);
        }
        self.give_back(tx, operation, seq)?;
        let sql = format!("UPDATE {table} SET losses = losses + 1 WHERE seq = ?1");
        tx.execute(operation, &sql, [seq])?;
        Ok(None)
    }

    fn state(self, tx: &WriteTx<'_>, operation: &'static str, seq: i64) -> Result<State> {
        let Self(table) = self;
        let sql = format!(
            "SELECT attempt, failures, losses, attempts_max, base_ms, cap_ms FROM {table} WHERE seq = ?1"
        );
        let state = tx.first(operation, &sql, [seq], |row| {
            Ok(State {
                attempt: row.get(0)?,
                failures: row.get(1)?,
                losses: row.get(2)?,
                policy: RetryPolicy {
                    attempts: row.get(3)?,
                    base: Duration::from_millis(row.get(4)?),
                    cap: Duration::from_millis(row.get(5)?),
                },
            })
        })?;
        state.ok_or_else(|| Error::internal(operation, "a row that is held is not there"))
    }
}

/// The failure in a column that holds one as JSON or nothing.
pub(crate) fn failure(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Failure>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    serde_json::from_str(text).map(Some).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}

fn to_json(operation: &'static str, failure: &Failure) -> Result<String> {
    serde_json::to_string(failure)
        .map_err(|e| Error::internal(operation, "a failure cannot be kept").with_source(e))
}

/// A duration as a column has it.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
