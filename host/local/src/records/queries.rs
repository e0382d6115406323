//! Reads of the table `record`.

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::embed::{EMBED_MAX_TEXTS, dot_bytes};
use stuga_core::records::{Hit, PAGE_MAX_BYTES, Page, RECALL_MAX_COMPARED, Record, reaches};

use crate::cursor::{self, Listing};
use crate::scope::Scope;

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

/// A record that may be a hit, before it is read.
struct Candidate {
    row: i64,
    namespace: String,
    id: String,
    score: f32,
}

/// A record whose vector is of another embedder, or missing.
pub(super) struct Stale {
    pub(super) row: i64,
    pub(super) version: u64,
    pub(super) text: String,
}

/// What a recall finds.
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// As many as can be embedded at once, those written last first.
    pub(super) stale: Vec<Stale>,
}

/// The `k` records nearest to `query`, a vector of `model`, among those written last.
pub(super) fn recall(
    conn: &Connection,
    scope: &Scope,
    under: &str,
    query: &[f32],
    model: &str,
    k: u32,
) -> rusqlite::Result<Found> {
    // A range for the index, and the exact rule of `reaches` for names that only begin alike.
    let mut statement = conn.prepare_cached(
        "SELECT id, namespace, name, vector, model, version FROM record WHERE id IN
           (SELECT id FROM record WHERE agent = ?1 AND namespace >= ?2 AND namespace < ?3
              AND (?2 = '' OR namespace = ?2 OR substr(namespace, length(?2) + 1, 1) = '/')
            ORDER BY version DESC LIMIT ?4)",
    )?;
    let end = format!("{under}{AFTER_ALL}");
    let mut rows = statement.query((scope.rows(), under, end, RECALL_MAX_COMPARED))?;
    let mut best: Vec<Candidate> = Vec::new();
    let mut stale: Vec<(u64, i64)> = Vec::new();
    let keep = k as usize;
    while let Some(row) = rows.next()? {
        let same = row.get_ref(4)?.as_str()? == model;
        let score = same.then(|| row.get_ref(3)).transpose()?;
        let score = score.map(|vector| vector.as_blob()).transpose()?;
        let Some(score) = score.and_then(|vector| dot_bytes(query, vector)) else {
            stale.push((row.get(5)?, row.get(0)?));
            continue;
        };
        if score <= 0.0 {
            continue;
        }
        best.push(Candidate {
            row: row.get(0)?,
            namespace: row.get(1)?,
            id: row.get(2)?,
            score,
        });
        // Sorting now and then keeps the list short without a second order of hits.
        if best.len() >= keep.saturating_mul(2).max(256) {
            order(&mut best, keep);
        }
    }
    order(&mut best, keep);
    let mut by_row = conn.prepare_cached(
        "SELECT namespace, name, text, metadata, version, created_at, updated_at FROM record
         WHERE id = ?1",
    )?;
    let mut hits = Vec::with_capacity(best.len());
    for candidate in best {
        // Gone since the search; a hit must be there.
        if let Some(record) = by_row.query_row([candidate.row], record).optional()? {
            hits.push(Hit {
                record,
                score: candidate.score.min(1.0),
            });
        }
    }
    stale.sort_unstable_by(|a, b| b.cmp(a));
    stale.truncate(EMBED_MAX_TEXTS);
    Ok(Found {
        hits,
        stale: texts(conn, &stale)?,
    })
}

/// The texts of rows that still have that version.
fn texts(conn: &Connection, rows: &[(u64, i64)]) -> rusqlite::Result<Vec<Stale>> {
    let mut by_row =
        conn.prepare_cached("SELECT text FROM record WHERE id = ?1 AND version = ?2")?;
    let mut stale = Vec::with_capacity(rows.len());
    for (version, row) in rows {
        let text = by_row.query_row((row, version), |row| row.get(0));
        if let Some(text) = text.optional()? {
            stale.push(Stale {
                row: *row,
                version: *version,
                text,
            });
        }
    }
    Ok(stale)
}

fn order(candidates: &mut Vec<Candidate>, keep: usize) {
    candidates.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| (&a.namespace, &a.id).cmp(&(&b.namespace, &b.id)))
    });
    candidates.truncate(keep);
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
