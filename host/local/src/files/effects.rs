//! What writes to files do inside a transaction, and the sweep of contents without a name.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::files::{Expected, FileInfo, FilesAck, FilesWrite};
use stuga_core::{CapabilityName, Error, Result, Timestamp, Write, WriteId};

use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::error;
use crate::scope::Scope;
use crate::sweep::before;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// How long a content without a name stays at least, so that no process loses it between its spool and its put.
const UNNAMED_RETENTION: Duration = Duration::from_secs(3_600);

/// What is remembered of an applied write; the rest of its answer stands in the write itself.
#[derive(Serialize, Deserialize)]
struct Mark {
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    existed: bool,
}

/// Tells this write from any other under its id.
pub(super) fn digest(scope: &Scope, write: &FilesWrite) -> WriteDigest {
    let parts = DigestBuilder::new(scope, CapabilityName::Files, write.operation())
        .part(write.key().as_bytes());
    match write {
        FilesWrite::Put {
            sha256,
            size,
            content_type,
            metadata,
            expected,
            ..
        } => {
            let (condition, version) = match expected {
                Expected::Any => (0, None),
                Expected::Absent => (1, None),
                Expected::Version(version) => (2, Some(*version)),
            };
            let parts = parts
                .part(sha256.as_bytes())
                .number(Some(*size))
                .part(content_type.as_bytes())
                .number(Some(condition))
                .number(version);
            metadata.iter().fold(parts, |parts, (name, value)| {
                parts.part(name.as_bytes()).part(value.as_bytes())
            })
        }
        FilesWrite::Delete { .. } => parts,
    }
    .finish()
}

/// How many bytes a write holds while it waits.
pub(super) fn weight(write: &FilesWrite) -> usize {
    match write {
        FilesWrite::Put { metadata, .. } => metadata.iter().map(|(n, v)| n.len() + v.len()).sum(),
        FilesWrite::Delete { .. } => 0,
    }
}

/// Applies a checked write inside a transaction, once for its id.
pub(crate) fn apply_in(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: WriteId,
    digest: WriteDigest,
    write: &FilesWrite,
) -> Result<FilesAck> {
    let mark = applied::once(tx, write.operation(), id, digest, |tx| {
        put_or_delete(tx, scope, write)
    })?;
    let info = match write {
        FilesWrite::Put {
            path,
            sha256,
            size,
            content_type,
            metadata,
            ..
        } => Some(FileInfo {
            path: path.clone(),
            size: *size,
            content_type: content_type.clone(),
            sha256: sha256.clone(),
            version: mark.version,
            created_at: mark.created_at,
            updated_at: mark.updated_at,
            metadata: metadata.clone(),
        }),
        FilesWrite::Delete { .. } => None,
    };
    Ok(FilesAck {
        info,
        existed: mark.existed,
    })
}

/// The row that a write meets.
struct Found {
    id: i64,
    sha256: String,
    size: u64,
    version: u64,
    created_at: u64,
}

fn put_or_delete(tx: &mut WriteTx<'_>, scope: &Scope, write: &FilesWrite) -> Result<Mark> {
    let operation = write.operation();
    let found = tx.first(
        operation,
        "SELECT id, sha256, size, version, created_at FROM file WHERE agent = ?1 AND path = ?2",
        (scope.rows(), write.key()),
        |row| {
            Ok(Found {
                id: row.get(0)?,
                sha256: row.get(1)?,
                size: row.get(2)?,
                version: row.get(3)?,
                created_at: row.get(4)?,
            })
        },
    )?;
    let existed = found.is_some();
    let old_size = found.as_ref().map_or(0, |found| found.size);
    match write {
        FilesWrite::Delete { .. } => {
            let version = found.as_ref().map_or(0, |found| found.version);
            if let Some(found) = found {
                tx.execute(operation, "DELETE FROM file WHERE id = ?1", [found.id])?;
                unname(tx, operation, &found.sha256)?;
                replace(&mut tx.tally.files_count, 1, 0);
                replace(&mut tx.tally.files_bytes, old_size, 0);
            }
            Ok(Mark {
                version,
                created_at: tx.now,
                updated_at: tx.now,
                existed,
            })
        }
        FilesWrite::Put {
            path,
            sha256,
            size,
            content_type,
            metadata,
            expected,
        } => {
            check_expected(
                operation,
                *expected,
                found.as_ref().map(|found| found.version),
            )?;
            name(tx, operation, sha256, *size)?;
            let (tally, quotas) = (&tx.tally, &tx.quotas);
            let old_count = u64::from(existed);
            check_quota(
                operation,
                "files_count",
                quotas.files_count,
                tally.files_count,
                old_count,
                1,
            )?;
            check_quota(
                operation,
                "files_bytes",
                quotas.files_bytes,
                tally.files_bytes,
                old_size,
                *size,
            )?;
            if let Some(found) = &found {
                unname(tx, operation, &found.sha256)?;
            }
            let version = tx.tally.next_version();
            let created_at = found.map_or(tx.now.as_millis(), |found| found.created_at);
            let metadata = serde_json::to_string(metadata).map_err(|e| {
                Error::internal(operation, "metadata cannot be kept").with_source(e)
            })?;
            tx.execute(
                operation,
                "INSERT INTO file (agent, path, sha256, size, content_type, metadata, version, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (agent, path) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size,
                   content_type = excluded.content_type, metadata = excluded.metadata, version = excluded.version,
                   updated_at = excluded.updated_at",
                (scope.rows(), path, sha256, size, content_type, metadata, version, created_at, tx.now.as_millis()),
            )?;
            replace(&mut tx.tally.files_count, old_count, 1);
            replace(&mut tx.tally.files_bytes, old_size, *size);
            Ok(Mark {
                version,
                created_at: Timestamp::from_millis(created_at),
                updated_at: tx.now,
                existed,
            })
        }
    }
}

fn check_expected(operation: &'static str, expected: Expected, actual: Option<u64>) -> Result<()> {
    let holds = match expected {
        Expected::Any => true,
        Expected::Absent => actual.is_none(),
        Expected::Version(version) => actual == Some(version),
    };
    if holds {
        return Ok(());
    }
    let actual = actual.map_or_else(|| "absent".to_owned(), |version| version.to_string());
    Err(Error::conflict(
        operation,
        "the file is not at the expected version; read it again",
    )
    .with_context("version", actual))
}

/// Enters a content that is about to be written, or keeps one that lies there from being swept.
pub(super) fn enter(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    sha256: &str,
    size: u64,
) -> Result<()> {
    let known = tx.execute(
        operation,
        "UPDATE content SET wanted_at = ?2 WHERE sha256 = ?1",
        (sha256, tx.now.as_millis()),
    )?;
    if known > 0 {
        return Ok(());
    }
    let limit = tx.quotas.files_bytes.saturating_mul(2);
    let after = tx.tally.content_bytes.saturating_add(size);
    if after > limit {
        return Err(Error::rate_limited(
            operation,
            "too many contents were replaced or left unused within an hour; try again later",
        )
        .with_context("limit", limit)
        .with_context("used", tx.tally.content_bytes)
        .with_retry_after(UNNAMED_RETENTION));
    }
    tx.execute(
        operation,
        "INSERT INTO content (sha256, size, named_by, wanted_at) VALUES (?1, ?2, 0, ?3)",
        (sha256, size, tx.now.as_millis()),
    )?;
    tx.tally.content_bytes = after;
    Ok(())
}

/// Counts one more file that names a content, which must be there.
fn name(tx: &mut WriteTx<'_>, operation: &'static str, sha256: &str, size: u64) -> Result<()> {
    let spooled: Option<u64> = tx.first(
        operation,
        "SELECT size FROM content WHERE sha256 = ?1",
        [sha256],
        |row| row.get(0),
    )?;
    if spooled != Some(size) || !tx.content.holds(operation, sha256, size)? {
        return Err(Error::not_found(
            operation,
            "no content of this digest and size is spooled; spool it again",
        )
        .with_context("sha256", sha256)
        .with_context("size", size));
    }
    tx.execute(
        operation,
        "UPDATE content SET named_by = named_by + 1 WHERE sha256 = ?1",
        [sha256],
    )?;
    Ok(())
}

/// Counts one file less that names a content.
fn unname(tx: &mut WriteTx<'_>, operation: &'static str, sha256: &str) -> Result<()> {
    tx.execute(
        operation,
        "UPDATE content SET named_by = named_by - 1, wanted_at = ?2 WHERE sha256 = ?1",
        (sha256, tx.now.as_millis()),
    )?;
    Ok(())
}

/// Removes at most `max` contents that no file has named for [`UNNAMED_RETENTION`]; says how many.
///
/// It holds the write lock of the store, so no other process can name one meanwhile. When the transaction fails after a
/// removal, the next sweep finds the row and no file.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let cutoff = before(tx.now, UNNAMED_RETENTION).as_millis();
    let unnamed = tx
        .statement(
            operation,
            "SELECT sha256, size FROM content WHERE named_by = 0 AND wanted_at <= ?1 ORDER BY wanted_at LIMIT ?2",
        )?
        .query_map((cutoff, max), |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<(String, u64)>>>)
        .map_err(|e| error::sqlite(operation, e))?;
    let mut removed = 0;
    for (sha256, size) in unnamed {
        tx.content.remove(operation, &sha256)?;
        tx.execute(
            operation,
            "DELETE FROM content WHERE sha256 = ?1",
            [&sha256],
        )?;
        replace(&mut tx.tally.content_bytes, size, 0);
        removed += 1;
    }
    Ok(removed)
}
