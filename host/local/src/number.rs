//! The numbers of rows whose tables lie in the order of writing.
//!
//! A row that is made here has its version as its number. What another side made keeps that side's version, which another
//! row may have as well: versions are of one key. So it gets the next free number, and a table still lies in the order in
//! which its rows were written, on whatever side.

use stuga_core::Result;

use crate::tx::WriteTx;

/// Numbers that are tried before one is given that is free for certain, at the end of the table.
const TRIES_MAX: u64 = 1_024;

/// Whether an item of memory has a number.
pub(crate) const ITEMS: &[&str] = &["SELECT 1 FROM memory_item WHERE number = ?1"];
/// Whether a record or an event has a number: their vectors lie in one table.
pub(crate) const RECORDS_AND_EVENTS: &[&str] = &[
    "SELECT 1 FROM record WHERE number = ?1",
    "SELECT 1 FROM event WHERE seq = ?1",
];
/// Whether a session has a number.
pub(crate) const SESSIONS: &[&str] = &["SELECT 1 FROM session WHERE id = ?1"];

/// A number for what another side wrote as `version`: that, or one soon after it, which none of the rows `taken` has.
pub(crate) fn free(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    taken: &[&str],
    version: u64,
) -> Result<u64> {
    for number in version..version.saturating_add(TRIES_MAX) {
        if is_free(tx, operation, taken, number)? {
            tx.see_version(number);
            return Ok(number);
        }
    }
    Ok(tx.next_version())
}

fn is_free(tx: &WriteTx<'_>, operation: &'static str, taken: &[&str], number: u64) -> Result<bool> {
    for sql in taken {
        if tx.first(operation, sql, [number], |_| Ok(()))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
