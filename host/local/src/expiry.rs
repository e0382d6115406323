//! Removes items that have expired, and sessions that have expired or were deleted, with their events.

use stuga_core::Result;

use crate::error;
use crate::tally::{Held, Kind};
use crate::tx::WriteTx;
use crate::vectors;

/// Removes at most `max` items that have expired, longest expired first; says how many.
pub(crate) fn items(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let gone = remove(
        tx,
        operation,
        "DELETE FROM memory_item WHERE number IN
           (SELECT number FROM memory_item WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
         RETURNING number, octet_length(key) + octet_length(value)",
        (tx.now.as_millis(), max),
    )?;
    tx.tally.release(Kind::Item, gone.held);
    Ok(gone.rows())
}

/// Removes at most `max` events and sessions, of the session that has expired longest ago first; says how many.
pub(crate) fn sessions(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let mut removed = 0;
    while removed < max {
        let expired: Option<i64> = tx.first(
            operation,
            "SELECT id FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 1",
            [tx.now.as_millis()],
            |row| row.get(0),
        )?;
        let Some(session) = expired else { break };
        let left = max - removed;
        let events = remove(
            tx,
            operation,
            "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE session = ?1 LIMIT ?2)
             RETURNING seq, bytes",
            (session, left),
        )?;
        events
            .numbers
            .iter()
            .try_for_each(|seq| vectors::forget(tx, operation, *seq))?;
        tx.tally.release(Kind::Event, events.held);
        removed += events.rows();
        if events.rows() < left {
            removed += session_row(tx, operation, session)?;
        }
    }
    Ok(removed)
}

/// Removes a session that has no events any more; says how many rows.
pub(crate) fn session_row(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    session: i64,
) -> Result<u32> {
    let gone = remove(
        tx,
        operation,
        "DELETE FROM session WHERE id = ?1 RETURNING id, bytes",
        [session],
    )?;
    tx.tally.release(Kind::Session, gone.held);
    Ok(gone.rows())
}

/// What a deletion removed.
#[derive(Default)]
struct Gone {
    numbers: Vec<i64>,
    held: Held,
}

impl Gone {
    fn rows(&self) -> u32 {
        u32::try_from(self.held.rows).unwrap_or(u32::MAX)
    }
}

/// Runs a deletion that returns number and bytes of each row.
fn remove(
    tx: &WriteTx<'_>,
    operation: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Gone> {
    let mut gone = Gone::default();
    let mut statement = tx.statement(operation, sql)?;
    let mut rows = statement
        .query(params)
        .map_err(|e| error::sqlite(operation, e))?;
    while let Some(row) = rows.next().map_err(|e| error::sqlite(operation, e))? {
        let (number, bytes) = row
            .get(0)
            .and_then(|number| Ok((number, row.get(1)?)))
            .map_err(|e| error::sqlite(operation, e))?;
        gone.numbers.push(number);
        gone.held.add(bytes);
    }
    Ok(gone)
}
