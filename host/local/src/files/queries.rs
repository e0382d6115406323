//! Reads of the table `file`.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::files::{FileInfo, Page};

use crate::cursor::{self, Listing};
use crate::scope::Scope;

/// Most bytes of metadata on a page of a listing; a page holds at least one file.
const PAGE_MAX_METADATA_BYTES: usize = 4 << 20;

/// What is known of the file at `path`.
pub(super) fn stat(
    conn: &Connection,
    scope: &Scope,
    path: &str,
) -> rusqlite::Result<Option<FileInfo>> {
    conn.prepare_cached(
        "SELECT path, size, content_type, sha256, version, created_at, updated_at, metadata FROM file
         WHERE agent = ?1 AND path = ?2",
    )?
    .query_row((scope.rows(), path), info)
    .optional()
}

/// One page of the files whose path begins with `prefix`, after `after`.
pub(super) fn list(
    conn: &Connection,
    scope: &Scope,
    prefix: &str,
    after: Option<String>,
    limit: u32,
) -> rusqlite::Result<Page> {
    // Paths that begin with the prefix stand together, from the prefix itself on, so no upper bound is needed.
    let mut statement = conn.prepare_cached(if after.is_some() {
        "SELECT path, size, content_type, sha256, version, created_at, updated_at, metadata FROM file
         WHERE agent = ?1 AND path > ?2 ORDER BY path"
    } else {
        "SELECT path, size, content_type, sha256, version, created_at, updated_at, metadata FROM file
         WHERE agent = ?1 AND path >= ?2 ORDER BY path"
    })?;
    let mut rows = statement.query((scope.rows(), after.as_deref().unwrap_or(prefix)))?;
    let mut files: Vec<FileInfo> = Vec::new();
    let mut bytes = 0_usize;
    while let Some(row) = rows.next()? {
        let info = info(row)?;
        if !info.path.starts_with(prefix) {
            break;
        }
        let full = files.len() >= limit as usize || bytes > PAGE_MAX_METADATA_BYTES;
        if let Some(last) = files.last().filter(|_| full) {
            return Ok(Page {
                next_cursor: Some(cursor::encode(Listing::Files, prefix, &last.path)),
                files,
            });
        }
        let metadata = info
            .metadata
            .iter()
            .map(|(name, value)| name.len() + value.len());
        bytes = bytes.saturating_add(metadata.sum());
        files.push(info);
    }
    Ok(Page {
        files,
        next_cursor: None,
    })
}

fn info(row: &Row<'_>) -> rusqlite::Result<FileInfo> {
    const METADATA: usize = 7;
    let metadata: String = row.get(METADATA)?;
    Ok(FileInfo {
        path: row.get(0)?,
        size: row.get(1)?,
        content_type: row.get(2)?,
        sha256: row.get(3)?,
        version: row.get(4)?,
        created_at: Timestamp::from_millis(row.get(5)?),
        updated_at: Timestamp::from_millis(row.get(6)?),
        metadata: serde_json::from_str(&metadata).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(METADATA, Type::Text, Box::new(e))
        })?,
    })
}
