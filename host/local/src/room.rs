//! The room that items, sessions, events and records share: the quota of memory.

use stuga_core::Result;

use crate::expiry;
use crate::tally::{Held, Kind, check_quota};
use crate::tx::WriteTx;

/// Rows of each table that a write removes itself before it is refused for the quota.
const SWEEP_MAX_ROWS: u32 = 4_096;

/// Books one row of `bytes` in the place of one that has `standing` bytes, after removing what has expired if that is
/// what it takes. What stood there may be among it, so `look_again` says what stands then.
///
/// # Errors
/// `QuotaExceeded` when it does not fit all the same.
pub(crate) fn book(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    kind: Kind,
    bytes: u64,
    standing: Option<u64>,
    look_again: impl FnOnce(&WriteTx<'_>) -> Result<Option<u64>>,
) -> Result<()> {
    let (mut old, new) = (held(standing), Held::one(bytes));
    if let Err(refused) = check(tx, operation, old, new) {
        if free(tx, operation)? == 0 {
            return Err(refused);
        }
        old = held(look_again(tx)?);
        check(tx, operation, old, new)?;
    }
    tx.tally.replace(kind, old, new);
    Ok(())
}

fn held(bytes: Option<u64>) -> Held {
    bytes.map_or_else(Held::default, Held::one)
}

fn check(tx: &WriteTx<'_>, operation: &'static str, old: Held, new: Held) -> Result<()> {
    let (tally, quotas) = (&tx.tally, &tx.quotas);
    check_quota(
        operation,
        "memory_items",
        quotas.memory_items,
        tally.memory_items,
        old.rows,
        new.rows,
    )?;
    check_quota(
        operation,
        "memory_bytes",
        quotas.memory_bytes,
        tally.memory_bytes,
        old.bytes,
        new.bytes,
    )
}

/// Removes what has expired; says how many rows.
fn free(tx: &mut WriteTx<'_>, operation: &'static str) -> Result<u32> {
    let items = expiry::items(tx, operation, SWEEP_MAX_ROWS)?;
    let events = expiry::sessions(tx, operation, SWEEP_MAX_ROWS)?;
    Ok(items.saturating_add(events))
}
