//! Reads of the table `record`.

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::cursor::{self, Listing};
use stuga_core::records::{Hit, PAGE_MAX_BYTES, Page, RECALL_MAX_SEEN, Record, reaches};

use crate::scope::Scope;
use crate::vectors::{self, Compared, Found, Query};

/// Most rows that one page looks at: bounds a listing beside namespaces whose names begin alike.
const PAGE_MAX_ROWS_SEEN: usize = 10_000;
/// What no namespace can hold, between namespace and id in a cursor.
const SEPARATOR: char = ' ';
/// Sorts after every namespace that begins with the same bytes: namespaces are ASCII.
const AFTER_ALL: char = '\u{7f}';

/// The record of that id.
pub(super) fn get(
    conn: &Connection,
    scope: &Scope,
    namespace: &str,
    id: &str,
) -> rusqlite::Result<Option<Record>> {
    conn.prepare_cached(
        "SELECT namespace, name, text, metadata, version, created_at, updated_at FROM record
         WHERE agent = ?1 AND namespace = ?2 AND name = ?3",
    )?
    .query_row((scope.rows(), namespace, id), record)
    .optional()
}

/// One page of the records that `under` reaches, after the place `after`.
pub(super) fn list(
    conn: &Connection,
    scope: &Scope,
    under: &str,
    after: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Page> {
    let (namespace, id) = after
        .and_then(|place| place.split_once(SEPARATOR))
        .unwrap_or((under, ""));
    let mut statement = conn.prepare_cached(
        "SELECT namespace, name, text, metadata, version, created_at, updated_at,
                octet_length(text) + octet_length(metadata) FROM record
         WHERE agent = ?1 AND (namespace, name) > (?2, ?3) AND namespace < ?4
         ORDER BY namespace, name",
    )?;
    let end = format!("{under}{AFTER_ALL}");
    let mut rows = statement.query((scope.rows(), namespace, id, end))?;
    let mut page = Page::default();
    let (mut last, mut bytes, mut seen) = (String::new(), 0_usize, 0_usize);
    while let Some(row) = rows.next()? {
        let reached = reaches(under, row.get_ref(0)?.as_str()?);
        let size: usize = row.get(7)?;
        let full = page.records.len() >= limit as usize
            || reached && !page.records.is_empty() && bytes.saturating_add(size) > PAGE_MAX_BYTES;
        if full || seen >= PAGE_MAX_ROWS_SEEN {
            page.next_cursor = Some(cursor::encode(Listing::Records, under, &last));
            break;
        }
        seen += 1;
        let (namespace, id) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        last = format!("{namespace}{SEPARATOR}{id}");
        if reached {
            bytes = bytes.saturating_add(size);
            page.records.push(record(row)?);
        }
    }
    Ok(page)
}

/// The `k` records nearest to `query` among those written last.
pub(super) fn recall(
    conn: &Connection,
    scope: &Scope,
    under: &str,
    query: &Query,
    k: u32,
) -> rusqlite::Result<Found<Hit>> {
    // In the order of a listing. A range for the index, which holds all that is read here, and the exact rule of `reaches`
    // for names that only begin alike.
    const REACHED: &str = "
        SELECT number FROM record WHERE agent = ?1 AND namespace >= ?2 AND namespace < ?3
          AND (?2 = '' OR namespace = ?2 OR substr(namespace, length(?2) + 1, 1) = '/')
        ORDER BY namespace, name LIMIT ?4";
    let end = format!("{under}{AFTER_ALL}");
    let reached = (scope.rows(), under, &end, RECALL_MAX_SEEN);
    let rows = vectors::latest(conn, REACHED, reached)?;
    let place = |row: &vectors::Row| (row.place, row.number);
    let Compared { best, stale } = vectors::compare(conn, &rows, query, k, place)?;
    let mut by_number = conn.prepare_cached(
        "SELECT namespace, name, text, metadata, version, created_at, updated_at FROM record
         WHERE number = ?1",
    )?;
    let mut hits = Vec::with_capacity(best.len());
    for (score, (_, number)) in best {
        // Gone since the search; a hit must be there.
        if let Some(record) = by_number.query_row([number], record).optional()? {
            hits.push(Hit { record, score });
        }
    }
    Ok(Found { hits, stale })
}

/// The record in the columns namespace, name, text, metadata, version, created_at, updated_at.
fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let metadata = row.get_ref(3)?.as_str()?;
    let metadata = serde_json::from_str(metadata).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, Box::new(e))
    })?;
    Ok(Record {
        namespace: row.get(0)?,
        id: row.get(1)?,
        text: row.get(2)?,
        metadata,
        version: row.get(4)?,
        created_at: Timestamp::from_millis(row.get(5)?),
        updated_at: Timestamp::from_millis(row.get(6)?),
    })
}
