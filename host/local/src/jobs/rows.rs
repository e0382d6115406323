//! Rows of the table `job`: how they are booked, ended and removed.

use rusqlite::Params;
use stuga_core::jobs::{DEAD_RETENTION, State};
use stuga_core::{Error, Result};

use super::TABLE;
use crate::error;
use crate::lease::millis;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// What a row takes beside its texts, as the quota counts it.
pub(super) const ROW_BYTES: u64 = 256;
/// Rows that a write removes itself before it is refused for the quota.
const QUOTA_SWEEP_MAX_ROWS: u32 = 4_096;

/// A job, found by its agent and id.
pub(super) struct Found {
    pub(super) seq: i64,
    pub(super) state: State,
    pub(super) attempt: u32,
    pub(super) retention_ms: u64,
}

/// The error of a job that is not there.
pub(super) fn absent(operation: &'static str) -> Error {
    Error::not_found(
        operation,
        "the agent has no job of that id, or its retention has passed",
    )
}

/// The state that a phase stands for. Only known ones are written.
pub(super) fn state_of(phase: &str) -> State {
    State::from_name(phase).unwrap_or(State::Waiting)
}

/// Books one more row of `bytes`, after removing what has expired if that is what it takes.
pub(super) fn book(tx: &mut WriteTx<'_>, operation: &'static str, bytes: u64) -> Result<()> {
    let check = |tx: &WriteTx<'_>| {
        let (tally, quotas) = (&tx.tally, &tx.quotas);
        check_quota(operation, "jobs", quotas.jobs, tally.jobs, 0, 1)?;
        let (limit, used) = (quotas.jobs_bytes, tally.jobs_bytes);
        check_quota(operation, "jobs_bytes", limit, used, 0, bytes)
    };
    if let Err(refused) = check(tx) {
        match sweep(tx, operation, QUOTA_SWEEP_MAX_ROWS)? {
            0 => return Err(refused),
            _ => check(tx)?,
        }
    }
    replace(&mut tx.tally.jobs, 0, 1);
    replace(&mut tx.tally.jobs_bytes, 0, bytes);
    Ok(())
}

/// Gives back what a row of `bytes` took.
pub(super) fn unbook(tx: &mut WriteTx<'_>, bytes: u64) {
    replace(&mut tx.tally.jobs, 1, 0);
    replace(&mut tx.tally.jobs_bytes, bytes, 0);
}

/// Notes that a job has ended now, and when it goes.
pub(super) fn note_end(
    tx: &WriteTx<'_>,
    operation: &'static str,
    seq: i64,
    retention_ms: u64,
) -> Result<()> {
    let now = tx.now.as_millis();
    tx.execute(
        operation,
        "UPDATE job SET ended_at = ?2, expires_at = ?3 WHERE seq = ?1",
        (seq, now, now.saturating_add(retention_ms)),
    )
    .map(drop)
}

/// Notes that a job is dead.
pub(super) fn note_death(tx: &WriteTx<'_>, operation: &'static str, seq: i64) -> Result<()> {
    note_end(tx, operation, seq, millis(DEAD_RETENTION))
}

/// Keeps the output of a job that is held, and ends it.
pub(super) fn succeed(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    seq: i64,
    output: &str,
) -> Result<()> {
    let retention_ms: Option<u64> = tx.first(
        operation,
        "UPDATE job SET output = ?2, bytes = bytes + octet_length(?2), error = NULL
         WHERE seq = ?1 RETURNING retention_ms",
        (seq, output),
        |row| row.get(0),
    )?;
    let retention_ms = retention_ms.ok_or_else(|| absent(operation))?;
    TABLE.end(tx, operation, seq, State::Succeeded.as_str())?;
    note_end(tx, operation, seq, retention_ms)?;
    // Not held to the quota: the work is done, and how much runs at a time is bounded.
    replace(&mut tx.tally.jobs_bytes, 0, output.len() as u64);
    Ok(())
}

/// Removes at most `max` jobs that have ended and whose time has passed; says how many.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    remove(
        tx,
        operation,
        "DELETE FROM job WHERE seq IN (SELECT seq FROM job WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
         RETURNING bytes",
        (tx.now.as_millis(), max),
    )
}

/// Runs a deletion that returns the bytes of each row and gives them back to the tenant; says how many rows.
pub(super) fn remove(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<u32> {
    let mut statement = tx.statement(operation, sql)?;
    let sizes = statement
        .query_map(params, |row| row.get::<_, u64>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<u64>>>)
        .map_err(|e| error::sqlite(operation, e))?;
    for bytes in &sizes {
        unbook(tx, *bytes);
    }
    Ok(u32::try_from(sizes.len()).unwrap_or(u32::MAX))
}
