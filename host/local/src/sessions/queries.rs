//! Reads of the tables `session` and `event`.

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::metadata::Metadata;
use stuga_core::sessions::{
    Conversation, Event, Listed, Order, PAGE_MAX_BYTES, Page, Place, Placed, Role, Session,
};

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

/// The session of that id with the at most `latest` events said last in it.
pub(super) fn conversation(
    conn: &Connection,
    scope: &Scope,
    actor: &str,
    id: &str,
    latest: u32,
    now: Timestamp,
) -> rusqlite::Result<Option<Conversation>> {
    let found = conn
        .prepare_cached(
            "SELECT place, name, metadata, created_at, expires_at, closed_at, id FROM session
             WHERE agent = ?1 AND actor = ?2 AND name = ?3 AND (expires_at IS NULL OR expires_at > ?4)",
        )?
        .query_row((scope.rows(), actor, id, now.as_millis()), |found| {
            let session = Placed {
                place: found.get(0)?,
                what: session(found, actor)?,
            };
            Ok((session, found.get(6)?))
        })
        .optional()?;
    let Some((session, row)) = found else {
        return Ok(None);
    };
    let (mut events, earlier) = said(conn, row, Order::NewestFirst, None, latest)?;
    events.reverse();
    Ok(Some(Conversation {
        session,
        events,
        is_whole: earlier.is_none(),
    }))
}

/// One page of the actor's sessions, before the place `before`.
pub(super) fn list(
    conn: &Connection,
    scope: &Scope,
    actor: &str,
    listing: &Listed,
    before: Option<Place>,
    limit: u32,
    now: Timestamp,
) -> rusqlite::Result<Page<Session>> {
    let mut statement = conn.prepare_cached(
        "SELECT place, name, metadata, created_at, expires_at, closed_at, octet_length(metadata) FROM session
         WHERE agent = ?1 AND actor = ?2 AND name IS NOT NULL AND (place, name) < (?3, ?4)
         ORDER BY place DESC, name DESC",
    )?;
    let (number, id) = bound(before, i64::MAX);
    let mut rows = statement.query((scope.rows(), actor, number, id))?;
    let mut page = Page {
        entries: Vec::new(),
        next_cursor: None,
    };
    let (mut last, mut seen, mut bytes) = (None, 0_usize, 0_usize);
    while let Some(row) = rows.next()? {
        let expires_at: Option<u64> = row.get(4)?;
        let live = expires_at.is_none_or(|at| at > now.as_millis());
        let size: usize = row.get(6)?;
        let full = page.entries.len() >= limit as usize
            || live && !page.entries.is_empty() && bytes.saturating_add(size) > PAGE_MAX_BYTES;
        if full || seen >= PAGE_MAX_ROWS_SEEN {
            page.next_cursor = last.map(|last| listing.encode(&last));
            break;
        }
        seen += 1;
        last = Some(place(row)?);
        if live {
            bytes = bytes.saturating_add(size);
            page.entries.push(session(row, actor)?);
        }
    }
    Ok(page)
}

/// One page of the events of the session in row `session`, after the place `after` in `order`.
pub(super) fn events(
    conn: &Connection,
    session: i64,
    listing: &Listed,
    order: Order,
    after: Option<Place>,
    limit: u32,
) -> rusqlite::Result<Page<Event>> {
    let (events, last) = said(conn, session, order, after, limit)?;
    Ok(Page {
        entries: events.into_iter().map(|event| event.what).collect(),
        next_cursor: last.map(|last| listing.encode(&last)),
    })
}

/// The same with their places, and the place of the last when more follow.
fn said(
    conn: &Connection,
    session: i64,
    order: Order,
    after: Option<Place>,
    limit: u32,
) -> rusqlite::Result<(Vec<Placed<Event>>, Option<Place>)> {
    let (sql, first) = match order {
        Order::OldestFirst => (
            "SELECT place, id, role, metadata, at, content, octet_length(content) + octet_length(metadata)
             FROM event
             WHERE session = ?1 AND (place, id) > (?2, ?3) ORDER BY place, id",
            -1,
        ),
        Order::NewestFirst => (
            "SELECT place, id, role, metadata, at, content, octet_length(content) + octet_length(metadata)
             FROM event
             WHERE session = ?1 AND (place, id) < (?2, ?3) ORDER BY place DESC, id DESC",
            i64::MAX,
        ),
    };
    let mut statement = conn.prepare_cached(sql)?;
    let (number, id) = bound(after, first);
    let mut rows = statement.query((session, number, id))?;
    let (mut events, mut last, mut bytes) = (Vec::new(), None, 0_usize);
    while let Some(row) = rows.next()? {
        bytes = bytes.saturating_add(row.get(6)?);
        let full = events.len() >= limit as usize || bytes > PAGE_MAX_BYTES;
        if full && !events.is_empty() {
            return Ok((events, last));
        }
        let place = place(row)?;
        events.push(Placed {
            place: place.number,
            what: event(row)?,
        });
        last = Some(place);
    }
    Ok((events, None))
}

/// What a row is compared with: a place, or where the listing begins.
fn bound(place: Option<Place>, first: i64) -> (i64, String) {
    match place {
        // Larger than any number that is given is as good as the largest.
        Some(Place { number, id }) => (i64::try_from(number).unwrap_or(i64::MAX), id),
        None => (first, String::new()),
    }
}

/// The place in the columns place, id.
fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        number: row.get(0)?,
        id: row.get(1)?,
    })
}

/// The session in the columns place or id, name, metadata, created_at, expires_at, closed_at.
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

/// The event in the columns seq or place, id, role, metadata, at, content.
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
