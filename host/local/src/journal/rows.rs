//! Rows of the table `journal`.
//!
//! Write and answer lie in one piece ([`plain`]), sealed as the entry of this place, write, agent and key: a row that was
//! changed or moved does not open.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use stuga_core::journal::{
    Entry, EntryInfo, EntryState, PAGE_MAX_BYTES, REASON_MAX_BYTES, SUPERSEDED_KEPT, Settled,
};
use stuga_core::{
    AgentName, CapabilityName, ErrorKind, InvocationId, Result, TenantId, Timestamp, WriteId,
};
use uuid::Uuid;

use super::desk::{View, Waiting};
use super::{Turnover, plain};
use crate::error;
use crate::files;
use crate::secrets::sealer::EntryKey;
use crate::tx::WriteTx;

const INFO: &str =
    "seq, state, capability, agent, key, operation, invocation, call, at, bytes, refusals, reason";

/// What an entry is, as far as its seal is bound to it.
pub(super) struct Named<'e> {
    pub(super) seq: u64,
    pub(super) capability: &'e str,
    pub(super) agent: &'e str,
    pub(super) key: &'e str,
    pub(super) id: WriteId,
}

impl Named<'_> {
    pub(super) fn seal(
        &self,
        operation: &'static str,
        tenant: &TenantId,
        key: &EntryKey,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        self.bound(|parts| key.seal(operation, tenant, parts, plain))
    }

    fn bound<T>(&self, with: impl FnOnce(&[&[u8]]) -> T) -> T {
        with(&[
            &self.seq.to_le_bytes(),
            self.id.invocation.as_uuid().as_bytes(),
            &self.id.call.to_le_bytes(),
            self.capability.as_bytes(),
            self.agent.as_bytes(),
            self.key.as_bytes(),
        ])
    }
}

/// A row as it is stored.
pub(super) struct Row {
    info: Info,
    pub(super) sealed_by: u64,
    sealed: Vec<u8>,
}

struct Info {
    seq: u64,
    state: String,
    capability: String,
    agent: String,
    key: String,
    operation: String,
    invocation: Vec<u8>,
    call: u32,
    at: u64,
    bytes: u64,
    refusals: u32,
    reason: Option<String>,
}

impl Row {
    /// The row in the columns of [`INFO`], sealed_by and sealed.
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            info: Info::of(row)?,
            sealed_by: row.get(12)?,
            sealed: row.get(13)?,
        })
    }

    /// The entry, or why it cannot be read.
    pub(super) fn open(
        self,
        operation: &'static str,
        tenant: &TenantId,
        key: &EntryKey,
    ) -> Result<Result<Entry, &'static str>> {
        let Some(info) = self.info.checked() else {
            return Ok(Err("the entry's row is damaged"));
        };
        let named = Named {
            seq: info.seq,
            capability: info.capability.as_str(),
            agent: info.agent.as_str(),
            key: &info.key,
            id: info.id,
        };
        let plain = named.bound(|parts| key.open(operation, tenant, parts, &self.sealed))?;
        let Some((write, ack)) = plain.and_then(|plain| plain::apart(&plain)) else {
            return Ok(Err("the entry's content is damaged"));
        };
        Ok(Ok(Entry {
            stamp: info.seq,
            info,
            write,
            ack,
        }))
    }
}

impl Info {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            state: row.get(1)?,
            capability: row.get(2)?,
            agent: row.get(3)?,
            key: row.get(4)?,
            operation: row.get(5)?,
            invocation: row.get(6)?,
            call: row.get(7)?,
            at: row.get(8)?,
            bytes: row.get(9)?,
            refusals: row.get(10)?,
            reason: row.get(11)?,
        })
    }

    /// What it says; none when that is nothing that was ever written.
    fn checked(self) -> Option<EntryInfo> {
        let invocation = Uuid::from_slice(&self.invocation).ok()?;
        Some(EntryInfo {
            seq: self.seq,
            capability: CapabilityName::from_name(&self.capability)?,
            agent: AgentName::new(&self.agent).ok()?,
            key: self.key,
            operation: self.operation,
            id: WriteId {
                invocation: InvocationId::from_uuid(invocation),
                call: self.call,
            },
            at: Timestamp::from_millis(self.at),
            bytes: self.bytes,
            state: EntryState::from_name(&self.state)?,
            refusals: self.refusals,
            reason: self.reason,
        })
    }
}

/// Entries that wait, and rows between them that cannot be read.
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) damaged: Vec<Damaged>,
    /// The last row that was looked at.
    pub(super) last: Option<u64>,
}

/// A row that cannot be read.
pub(super) struct Damaged {
    pub(super) seq: u64,
    pub(super) reason: &'static str,
}

/// Entries of a capability that wait, beyond `after`.
pub(super) fn next(
    conn: &Connection,
    (operation, tenant): (&'static str, &TenantId),
    capability: CapabilityName,
    after: u64,
    limit: u32,
    key: impl Fn(u64) -> Result<Arc<EntryKey>>,
) -> Result<Page> {
    let failed = |e| error::sqlite(operation, e);
    let mut page = Page {
        entries: Vec::new(),
        damaged: Vec::new(),
        last: None,
    };
    let Some(after) = place(after) else {
        return Ok(page);
    };
    let sql = format!(
        "SELECT {INFO}, sealed_by, sealed FROM journal
         WHERE capability = ?1 AND state = 'waiting' AND seq > ?2 ORDER BY seq LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(&sql).map_err(failed)?;
    let mut rows = statement
        .query((capability.as_str(), after, limit))
        .map_err(failed)?;
    let mut bytes = 0_u64;
    while let Some(row) = rows.next().map_err(failed)? {
        let row = Row::of(row).map_err(failed)?;
        let seq = row.info.seq;
        bytes = bytes.saturating_add(row.info.bytes);
        if bytes > PAGE_MAX_BYTES && page.last.is_some() {
            break;
        }
        page.last = Some(seq);
        let opened = match key(row.sealed_by) {
            Ok(key) => row.open(operation, tenant, &key)?,
            Err(error) if error.kind() == ErrorKind::Internal => Err("the entry's key is damaged"),
            Err(error) => return Err(error),
        };
        match opened {
            Ok(entry) => page.entries.push(entry),
            Err(reason) => page.damaged.push(Damaged { seq, reason }),
        }
    }
    Ok(page)
}

/// What is known of entries of one state, beyond `after`. Rows that say nothing that can be are left out.
pub(super) fn list(
    conn: &Connection,
    state: EntryState,
    after: u64,
    limit: u32,
) -> rusqlite::Result<Vec<EntryInfo>> {
    let Some(after) = place(after) else {
        return Ok(Vec::new());
    };
    // The state as text, so that its index is used.
    let sql = format!(
        "SELECT {INFO} FROM journal WHERE state = '{}' AND seq > ?1 ORDER BY seq LIMIT ?2",
        state.as_str()
    );
    let infos = conn
        .prepare_cached(&sql)?
        .query_map((after, limit), Info::of)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(infos.into_iter().filter_map(Info::checked).collect())
}

/// The row at a place.
pub(super) fn find(conn: &Connection, seq: u64) -> rusqlite::Result<Option<Row>> {
    let Some(seq) = place(seq) else {
        return Ok(None);
    };
    conn.prepare_cached(&format!(
        "SELECT {INFO}, sealed_by, sealed FROM journal WHERE seq = ?1"
    ))?
    .query_row([seq], Row::of)
    .optional()
}

/// Whether any entry waits.
pub(super) fn any_waits(conn: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM journal WHERE state = 'waiting')";
    conn.query_row(sql, [], |row| row.get(0))
}

/// Fills a view with what waits and is parked.
pub(super) fn read_view(conn: &Connection, view: &mut View) -> rusqlite::Result<()> {
    let sql = "SELECT capability, state, seq, agent, key, bytes, at FROM journal
               WHERE state = 'waiting' OR state = 'parked'";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(capability) = CapabilityName::from_name(row.get_ref(0)?.as_str()?) else {
            continue;
        };
        if row.get_ref(1)?.as_str()? == EntryState::Parked.as_str() {
            view.add_parked(capability);
            continue;
        }
        let (agent, key) = (row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?);
        let at = Timestamp::from_millis(row.get(6)?);
        let waiting = Waiting::new(agent, key, row.get(5)?, at);
        view.add(capability, row.get(2)?, waiting);
    }
    Ok(())
}

/// A place as SQLite holds it; none when nothing can be there.
fn place(seq: u64) -> Option<i64> {
    i64::try_from(seq).ok()
}

/// What a change of a row needs to know of it.
struct Held {
    seq: i64,
    capability: String,
    bytes: u64,
    content: Option<String>,
}

/// The row at a place, if it is in that state.
fn held(
    tx: &WriteTx<'_>,
    operation: &'static str,
    seq: u64,
    is_in: impl FnOnce(EntryState) -> bool,
) -> Result<Option<(EntryState, Held)>> {
    let Some(seq) = place(seq) else {
        return Ok(None);
    };
    let found = tx.first(
        operation,
        "SELECT state, capability, bytes, content FROM journal WHERE seq = ?1",
        [seq],
        |row| {
            let held = Held {
                seq,
                capability: row.get(1)?,
                bytes: row.get(2)?,
                content: row.get(3)?,
            };
            Ok((row.get::<_, String>(0)?, held))
        },
    )?;
    Ok(found.and_then(|(state, held)| {
        let state = EntryState::from_name(&state)?;
        is_in(state).then_some((state, held))
    }))
}

/// Ends the turn of an entry that waits.
pub(super) fn settle(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    seq: u64,
    settled: &Settled,
) -> Result<()> {
    let waits = |state| state == EntryState::Waiting;
    let Some((_, held)) = held(tx, operation, seq, waits)? else {
        return Ok(());
    };
    match settled {
        Settled::Refused(reason) => {
            tx.execute(
                operation,
                "UPDATE journal SET refusals = refusals + 1, reason = ?2 WHERE seq = ?1",
                (held.seq, shortened(reason)),
            )?;
            return Ok(());
        }
        Settled::Adopted => remove(tx, operation, &held)?,
        Settled::Superseded => {
            tx.execute(
                operation,
                "UPDATE journal SET state = 'superseded', settled_at = ?2 WHERE seq = ?1",
                (held.seq, tx.now.as_millis()),
            )?;
        }
        Settled::Parked(reason) => {
            tx.execute(
                operation,
                "UPDATE journal SET state = 'parked', refusals = refusals + 1, reason = ?2 WHERE seq = ?1",
                (held.seq, shortened(reason)),
            )?;
            turn_over(tx, &held, |capability| Turnover::Parked { capability });
        }
    }
    tx.tally.journal_waiting = tx.tally.journal_waiting.saturating_sub(1);
    turn_over(tx, &held, |capability| Turnover::WaitsNoMore {
        capability,
        seq,
    });
    Ok(())
}

/// Puts a parked entry back to those that wait; whether it was parked.
pub(super) fn retry(tx: &mut WriteTx<'_>, operation: &'static str, seq: u64) -> Result<bool> {
    let is_parked = |state| state == EntryState::Parked;
    let Some((_, held)) = held(tx, operation, seq, is_parked)? else {
        return Ok(false);
    };
    let waiting = tx.first(
        operation,
        "UPDATE journal SET state = 'waiting', refusals = 0, reason = NULL WHERE seq = ?1
         RETURNING agent, key, bytes, at",
        [held.seq],
        |row| {
            let (agent, key) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            let at = Timestamp::from_millis(row.get(3)?);
            Ok(Waiting::new(agent, key, row.get(2)?, at))
        },
    )?;
    let Some(waiting) = waiting else {
        return Ok(false);
    };
    tx.tally.journal_waiting = tx.tally.journal_waiting.saturating_add(1);
    turn_over(tx, &held, |capability| Turnover::ParkedNoMore {
        capability,
    });
    turn_over(tx, &held, |capability| Turnover::Waits {
        capability,
        seq,
        waiting,
    });
    Ok(true)
}

/// Removes an entry that does not wait; whether there was one.
pub(super) fn discard(tx: &mut WriteTx<'_>, operation: &'static str, seq: u64) -> Result<bool> {
    let rests = |state| state != EntryState::Waiting;
    let Some((state, held)) = held(tx, operation, seq, rests)? else {
        return Ok(false);
    };
    remove(tx, operation, &held)?;
    if state == EntryState::Parked {
        turn_over(tx, &held, |capability| Turnover::ParkedNoMore {
            capability,
        });
    }
    Ok(true)
}

/// Removes at most `max` superseded entries that have been kept for long enough; says how many.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let cutoff = tx.now.saturating_sub(SUPERSEDED_KEPT).as_millis();
    let old: Vec<u64> = tx
        .statement(
            operation,
            "SELECT seq FROM journal WHERE state = 'superseded' AND settled_at <= ?1 ORDER BY settled_at LIMIT ?2",
        )?
        .query_map((cutoff, max), |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(|e| error::sqlite(operation, e))?;
    let mut removed = 0;
    for seq in old {
        removed += u32::from(discard(tx, operation, seq)?);
    }
    Ok(removed)
}

fn remove(tx: &mut WriteTx<'_>, operation: &'static str, held: &Held) -> Result<()> {
    tx.execute(operation, "DELETE FROM journal WHERE seq = ?1", [held.seq])?;
    if let Some(sha256) = &held.content {
        files::let_go(tx, operation, sha256)?;
    }
    let tally = &mut tx.tally;
    tally.journal_entries = tally.journal_entries.saturating_sub(1);
    tally.journal_bytes = tally.journal_bytes.saturating_sub(held.bytes);
    Ok(())
}

fn turn_over(tx: &mut WriteTx<'_>, held: &Held, what: impl FnOnce(CapabilityName) -> Turnover) {
    // No entry is of a capability that there is not; a damaged one was never counted.
    if let Some(capability) = CapabilityName::from_name(&held.capability) {
        tx.turn_over(what(capability));
    }
}

fn shortened(reason: &str) -> &str {
    let end = reason.floor_char_boundary(REASON_MAX_BYTES);
    reason.get(..end).unwrap_or_default()
}
