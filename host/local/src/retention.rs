//! How long and how much a tenant wants kept, and the steps that remove what is beyond.
//!
//! What was written longest ago goes first. A step takes a few hundred rows beside somebody's write, so what is over a
//! bound stays readable until its turn comes; what must be gone at a moment gets a time to live.

use std::time::Duration;

use serde::Deserialize;
use stuga_core::{Result, Timestamp};

use crate::error;
use crate::expiry;
use crate::tally::{Held, Kind};
use crate::tx::WriteTx;
use crate::vectors;

/// What is kept of one kind. None of a bound keeps all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// How long since it was written last.
    pub age: Option<Duration>,
    /// How many items, events or records.
    pub count: Option<u64>,
    /// How many bytes, as the quota counts them.
    pub bytes: Option<u64>,
}

/// What is kept of a tenant's data, of all its agents together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Items of memory, by when they were put last.
    pub memory: Keep,
    /// Events of sessions, by when they were appended. A session goes with its last event, or, when it never had one, at
    /// that age.
    pub sessions: Keep,
    /// Records, by when they were put last.
    pub records: Keep,
}

impl Keep {
    fn is_unbounded(self) -> bool {
        self == Self::default()
    }

    /// Whether one more of what is held must go, the oldest having been written at `written`.
    fn is_over(self, held: Held, written: Timestamp, now: Timestamp) -> bool {
        self.count.is_some_and(|count| held.rows > count)
            || self.bytes.is_some_and(|bytes| held.bytes > bytes)
            || self
                .age
                .is_some_and(|age| written <= now.saturating_sub(age))
    }
}

/// Removes at most `max` rows of each kind that are beyond what is kept, oldest first; says how many of the kind that had
/// most.
pub(crate) fn step(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    retention: &Retention,
    max: u32,
) -> Result<u32> {
    let items = oldest(tx, operation, &ITEMS, retention.memory, max)?;
    let records = oldest(tx, operation, &RECORDS, retention.records, max)?;
    let events = oldest(tx, operation, &EVENTS, retention.sessions, max)?;
    let sessions = silent_sessions(tx, operation, retention.sessions, max)?;
    Ok(items.max(records).max(events).max(sessions))
}

/// How rows of a kind are read, oldest first, and removed.
struct Rows {
    kind: Kind,
    /// Number, time and bytes, and the session of an event. Numbers grow with each write, so no index is needed.
    read: &'static str,
    remove: &'static str,
}

const ITEMS: Rows = Rows {
    kind: Kind::Item,
    read:
        "SELECT number, updated_at, octet_length(key) + octet_length(value), NULL FROM memory_item
           ORDER BY number LIMIT ?1",
    remove: "DELETE FROM memory_item WHERE number = ?1",
};

const RECORDS: Rows = Rows {
    kind: Kind::Record,
    read: "SELECT number, updated_at, bytes, NULL FROM record ORDER BY number LIMIT ?1",
    remove: "DELETE FROM record WHERE number = ?1",
};

const EVENTS: Rows = Rows {
    kind: Kind::Event,
    read: "SELECT seq, at, bytes, session FROM event ORDER BY seq LIMIT ?1",
    remove: "DELETE FROM event WHERE seq = ?1",
};

fn oldest(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    rows: &Rows,
    keep: Keep,
    max: u32,
) -> Result<u32> {
    if keep.is_unbounded() {
        return Ok(0);
    }
    let found = tx
        .statement(operation, rows.read)?
        .query_map([max], |row| {
            Ok(Oldest {
                number: row.get(0)?,
                written: Timestamp::from_millis(row.get(1)?),
                bytes: row.get(2)?,
                session: row.get(3)?,
            })
        })
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(|e| error::sqlite(operation, e))?;
    let mut removed = 0;
    for row in found {
        if !keep.is_over(tx.tally.held(rows.kind), row.written, tx.now) {
            break;
        }
        tx.execute(operation, rows.remove, [row.number])?;
        tx.tally.release(rows.kind, Held::one(row.bytes));
        removed += 1;
        match rows.kind {
            Kind::Event | Kind::Record => vectors::forget(tx, operation, row.number)?,
            Kind::Item | Kind::Session => {}
        }
        if let Some(session) = row.session {
            remove_if_empty(tx, operation, session)?;
        }
    }
    Ok(removed)
}

struct Oldest {
    number: i64,
    written: Timestamp,
    bytes: u64,
    session: Option<i64>,
}

fn remove_if_empty(tx: &mut WriteTx<'_>, operation: &'static str, session: i64) -> Result<()> {
    let has_more = tx.first(
        operation,
        "SELECT 1 FROM event WHERE session = ?1 LIMIT 1",
        [session],
        |_| Ok(()),
    )?;
    if has_more.is_none() {
        expiry::session_row(tx, operation, session)?;
    }
    Ok(())
}

/// Removes sessions that never had an event and were created longer ago than events are kept.
fn silent_sessions(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    keep: Keep,
    max: u32,
) -> Result<u32> {
    let Some(age) = keep.age else { return Ok(0) };
    let cutoff = tx.now.saturating_sub(age).as_millis();
    let old = tx
        .statement(
            operation,
            "SELECT id FROM session WHERE last_event_at = 0 AND created_at <= ?1
             ORDER BY created_at LIMIT ?2",
        )?
        .query_map((cutoff, max), |row| row.get::<_, i64>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(|e| error::sqlite(operation, e))?;
    let mut removed = 0;
    for session in old {
        removed += expiry::session_row(tx, operation, session)?;
    }
    Ok(removed)
}
