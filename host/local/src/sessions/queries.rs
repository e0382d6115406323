//! Reads of the tables `session` and `event`.

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::metadata::Metadata;
use stuga_core::sessions::{Event, Order, PAGE_MAX_BYTES, Page, Role, Session};

use super::Place;
use crate::scope::Scope;

/// Most rows that one page looks at: bounds a listing over many sessions that have expired and are not swept yet.
const PAGE_MAX_ROWS_SEEN: usize = 10_000;

/// The session of that id.
pub(super) fn get(
    conn: &Connection,
    scope: &Scope,
    actor: &str,
    id: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Session>> {
    conn.prepare_cached(
        "SELECT id, name, metadata, created_at, expires_at, closed_at FROM session
         WHERE agent = ?1 AND actor = ?2 AND name = ?3 AND (expires_at IS NULL OR expires_at > ?4)",
    )?
    .query_row((scope.rows(), actor, id, now.as_millis()), |row| {
        session(row, actor)
    })
    .optional()
}

/// The row of the session of that id.
pub(super) fn find(
    conn: &Connection,
    scope: &Scope,
    actor: &str,
    id: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT id FROM session
         WHERE agent = ?1 AND actor = ?2 AND name = ?3 AND (expires_at IS NULL OR expires_at > ?4)",
    )?
    .query_row((scope.rows(), actor, id, now.as_millis()), |row| row.get(0))
    .optional()
}

/// One page of the actor's sessions, after the row `after`.
pub(super) fn list(
    conn: &Connection,
    scope: &Scope,
    actor: &str,
    place: &Place,
    after: Option<i64>,
    limit: u32,
    now: Timestamp,
) -> rusqlite::Result<Page<Session>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, name, metadata, created_at, expires_at, closed_at, octet_length(metadata) FROM session
         WHERE agent = ?1 AND actor = ?2 AND id < ?3 ORDER BY id DESC",
    )?;
    let mut rows = statement.query((scope.rows(), actor, after.unwrap_or(i64::MAX)))?;
    let mut page = Page {
        entries: Vec::new(),
        next_cursor: None,
    };
    let (mut last, mut seen, mut bytes) = (0, 0_usize, 0_usize);
    while let Some(row) = rows.next()? {
        let is_named = row.get::<_, Option<String>>(1)?.is_some();
        let expires_at: Option<u64> = row.get(4)?;
        let live = is_named && expires_at.is_none_or(|at| at > now.as_millis());
        let size: usize = row.get(6)?;
        let full = page.entries.len() >= limit as usize
            || live && !page.entries.is_empty() && bytes.saturating_add(size) > PAGE_MAX_BYTES;
        if full || seen >= PAGE_MAX_ROWS_SEEN {
            page.next_cursor = Some(place.encode(last));
            break;
        }
        seen += 1;
        last = row.get(0)?;
        if live {
            bytes = bytes.saturating_add(size);
            page.entries.push(session(row, actor)?);
        }
    }
    Ok(page)
}

/// One page of the events of the session in row `session`, after the row `after` in `order`.
pub(super) fn events(
    conn: &Connection,
    session: i64,
    place: &Place,
    order: Order,
    after: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Page<Event>> {
    let (sql, first) = match order {
        Order::OldestFirst => (
            "SELECT seq, id, role, metadata, at, content, octet_length(content) + octet_length(metadata)
             FROM event
             WHERE session = ?1 AND seq > ?2 ORDER BY seq",
            0,
        ),
        Order::NewestFirst => (
            "SELECT seq, id, role, metadata, at, content, octet_length(content) + octet_length(metadata)
             FROM event
             WHERE session = ?1 AND seq < ?2 ORDER BY seq DESC",
            i64::MAX,
        ),
    };
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query((session, after.unwrap_or(first)))?;
    let mut page = Page {
        entries: Vec::new(),
        next_cursor: None,
    };
    let (mut last, mut bytes) = (0, 0_usize);
    while let Some(row) = rows.next()? {
        bytes = bytes.saturating_add(row.get(6)?);
        let full = page.entries.len() >= limit as usize || bytes > PAGE_MAX_BYTES;
        if full && !page.entries.is_empty() {
            page.next_cursor = Some(place.encode(last));
            break;
        }
        last = row.get(0)?;
        page.entries.push(event(row)?);
    }
    Ok(page)
}

/// The session in the columns id, name, metadata, created_at, expires_at, closed_at.
fn session(row: &Row<'_>, actor: &str) -> rusqlite::Result<Session> {
    Ok(Session {
        actor: actor.to_owned(),
        id: row.get(1)?,
        metadata: metadata(row, 2)?,
        created_at: Timestamp::from_millis(row.get(3)?),
        expires_at: row.get::<_, Option<u64>>(4)?.map(Timestamp::from_millis),
        closed_at: row.get::<_, Option<u64>>(5)?.map(Timestamp::from_millis),
    })
}

/// The event in the columns seq, id, role, metadata, at, content.
pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let role: String = row.get(2)?;
    Ok(Event {
        id: row.get(1)?,
        // Only checked roles are written.
        role: Role::ALL
            .into_iter()
            .find(|known| known.as_str() == role)
            .unwrap_or(Role::Other),
        metadata: metadata(row, 3)?,
        at: Timestamp::from_millis(row.get(4)?),
        content: row.get(5)?,
    })
}

fn metadata(row: &Row<'_>, column: usize) -> rusqlite::Result<Metadata> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}
