//! Reads of the table `memory_item`.

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::cursor::{self, Listing};
use stuga_core::memory::{Item, PAGE_MAX_BYTES, Page};

use super::is_live;
use crate::scope::Scope;

/// Most rows that one page looks at: bounds a listing over many items that have expired and are not swept yet.
const PAGE_MAX_ROWS_SEEN: usize = 10_000;

/// The item at `key`.
pub(super) fn get(
    conn: &Connection,
    scope: &Scope,
    key: String,
    now: Timestamp,
) -> rusqlite::Result<Option<Item>> {
    let item = conn
        .prepare_cached(
            "SELECT version, created_at, updated_at, expires_at, value FROM memory_item
             WHERE agent = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
        )?
        .query_row((scope.rows(), &key, now.as_millis()), |row| {
            item(row, String::new())
        })
        .optional()?;
    Ok(item.map(|item| Item { key, ..item }))
}

/// One page of the items whose key begins with `prefix`, after `after`.
pub(super) fn list(
    conn: &Connection,
    scope: &Scope,
    prefix: &str,
    after: Option<String>,
    limit: u32,
    now: Timestamp,
) -> rusqlite::Result<Page> {
    // Keys that begin with the prefix stand together, from the prefix itself on, so no upper bound is needed.
    let mut statement = conn.prepare_cached(if after.is_some() {
        "SELECT version, created_at, updated_at, expires_at, value, key, octet_length(value) FROM memory_item
         WHERE agent = ?1 AND key > ?2 ORDER BY key"
    } else {
        "SELECT version, created_at, updated_at, expires_at, value, key, octet_length(value) FROM memory_item
         WHERE agent = ?1 AND key >= ?2 ORDER BY key"
    })?;
    let mut rows = statement.query((scope.rows(), after.as_deref().unwrap_or(prefix)))?;
    let mut items: Vec<Item> = Vec::new();
    let mut last = after.unwrap_or_default();
    let (mut bytes, mut seen) = (0_usize, 0_usize);
    while let Some(row) = rows.next()? {
        let key: String = row.get(5)?;
        if !key.starts_with(prefix) {
            break;
        }
        let size: usize = row.get(6)?;
        let live = is_live(row.get(3)?, now);
        let full = items.len() >= limit as usize
            || live && !items.is_empty() && bytes.saturating_add(size) > PAGE_MAX_BYTES;
        if full || seen >= PAGE_MAX_ROWS_SEEN {
            return Ok(Page {
                next_cursor: Some(cursor::encode(Listing::Memory, prefix, &last)),
                items,
            });
        }
        seen += 1;
        last.clone_from(&key);
        if live {
            bytes = bytes.saturating_add(size);
            items.push(item(row, key)?);
        }
    }
    Ok(Page {
        items,
        next_cursor: None,
    })
}

/// The item in the columns version, created_at, updated_at, expires_at, value.
fn item(row: &Row<'_>, key: String) -> rusqlite::Result<Item> {
    Ok(Item {
        key,
        version: row.get(0)?,
        created_at: Timestamp::from_millis(row.get(1)?),
        updated_at: Timestamp::from_millis(row.get(2)?),
        expires_at: row.get::<_, Option<u64>>(3)?.map(Timestamp::from_millis),
        value: row.get(4)?,
    })
}
