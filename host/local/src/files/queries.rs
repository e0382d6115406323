//! Reads of the tables `file` and `file_version`.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::cursor::{self, Listing};
use stuga_core::files::{FileInfo, FileVersion, Page, VersionPage};

use crate::scope::Scope;

/// Most bytes of metadata on a page of a listing; a page holds at least one file.
const PAGE_MAX_METADATA_BYTES: usize = 4 << 20;

/// One version of a path, standing or earlier.
pub(super) const ONE_VERSION: &str = "
    SELECT path, size, content_type, sha256, version, created_at, updated_at, metadata FROM file
    WHERE agent = ?1 AND path = ?2 AND version = ?3
    UNION ALL
    SELECT path, size, content_type, sha256, version, created_at, updated_at, metadata FROM file_version
    WHERE agent = ?1 AND path = ?2 AND version = ?3";

/// What is known of one version of `path`, or of the file that stands there.
pub(super) fn stat_version(
    conn: &Connection,
    scope: &Scope,
    path: &str,
    version: Option<u64>,
) -> rusqlite::Result<Option<FileInfo>> {
    let Some(version) = version else {
        return stat(conn, scope, path);
    };
    // No version is larger than what SQLite can hold.
    let Ok(version) = i64::try_from(version) else {
        return Ok(None);
    };
    conn.prepare_cached(ONE_VERSION)?
        .query_row((scope.rows(), path, version), info)
        .optional()
}

/// One page of the versions of `path` that are older than `before`, the newest first.
pub(super) fn versions(
    conn: &Connection,
    scope: &Scope,
    path: &str,
    before: Option<u64>,
    limit: u32,
) -> rusqlite::Result<VersionPage> {
    const ENDED_AT: usize = 8;
    let before = before.map_or(i64::MAX, |version| {
        i64::try_from(version).unwrap_or(i64::MAX)
    });
    let mut statement = conn.prepare_cached(
        "SELECT path, size, content_type, sha256, version, created_at, updated_at, metadata, NULL FROM file
         WHERE agent = ?1 AND path = ?2 AND version < ?3
         UNION ALL
         SELECT path, size, content_type, sha256, version, created_at, updated_at, metadata, ended_at
         FROM file_version WHERE agent = ?1 AND path = ?2 AND version < ?3
         ORDER BY version DESC LIMIT ?4",
    )?;
    let rows = statement.query_map((scope.rows(), path, before, u64::from(limit) + 1), |row| {
        let ended_at: Option<u64> = row.get(ENDED_AT)?;
        Ok(FileVersion {
            info: info(row)?,
            ended_at: ended_at.map(Timestamp::from_millis),
        })
    })?;
    let mut versions = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = versions.len() > limit as usize;
    versions.truncate(limit as usize);
    let next_cursor = versions
        .last()
        .filter(|_| more)
        .map(|last| encode_version(path, last.info.version));
    Ok(VersionPage {
        versions,
        next_cursor,
    })
}

/// Bytes that a version adds to a path in a cursor.
pub(super) const CURSOR_VERSION_BYTES: usize = 20;

fn encode_version(path: &str, version: u64) -> String {
    cursor::encode(Listing::FileVersions, path, &format!("{path}{version:020}"))
}

/// The version before which a listing of `path` reads on; none when the cursor says no version.
pub(super) fn decode_version(path: &str, last: &str) -> Option<u64> {
    let digits = last.strip_prefix(path)?;
    let plain = digits.len() == CURSOR_VERSION_BYTES && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

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

pub(super) fn info(row: &Row<'_>) -> rusqlite::Result<FileInfo> {
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
