//! Earlier versions of files: how they come, how long they stay, how they go.
//!
//! A version names its content like a file does, so a content stays as long as either names it.

use stuga_core::files::{EARLIER_VERSIONS_MAX, FileInfo};
use stuga_core::{Result, Timestamp};

use super::{naming, queries};
use crate::effects::metadata_to_json;
use crate::error;
use crate::scope::Scope;
use crate::tally::replace;
use crate::tx::WriteTx;

/// Most earlier versions that are kept for a tenant, whatever their size.
const TENANT_VERSIONS_MAX: u64 = 100_000;
/// Most versions that one write removes to make room; the next one goes on.
const ROOM_MAX_VERSIONS: u32 = 4_096;

/// Larger than every version: what SQLite can hold.
pub(super) const VERSION_MAX: u64 = i64::MAX.unsigned_abs();

/// The row of a file that a write meets.
pub(super) struct Standing {
    pub(super) id: i64,
    pub(super) sha256: String,
    pub(super) size: u64,
    pub(super) version: u64,
    pub(super) created_at: u64,
    pub(super) updated_at: u64,
}

/// The file that stands at `path`.
pub(super) fn standing(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    path: &str,
) -> Result<Option<Standing>> {
    tx.first(
        operation,
        "SELECT id, sha256, size, version, created_at, updated_at FROM file WHERE agent = ?1 AND path = ?2",
        (scope.rows(), path),
        |row| {
            Ok(Standing {
                id: row.get(0)?,
                sha256: row.get(1)?,
                size: row.get(2)?,
                version: row.get(3)?,
                created_at: row.get(4)?,
                updated_at: row.get(5)?,
            })
        },
    )
}

/// A kept version, standing or earlier.
pub(super) fn find(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    path: &str,
    version: u64,
) -> Result<Option<FileInfo>> {
    // No version is larger than what SQLite can hold.
    let Ok(version) = i64::try_from(version) else {
        return Ok(None);
    };
    tx.first(
        operation,
        queries::ONE_VERSION,
        (scope.rows(), path, version),
        queries::info,
    )
}

/// Copies a file that is about to go into the earlier versions, as one that ended at `ended_at`; the name of its content goes
/// with it. Of the path's versions the oldest goes when there are too many.
pub(super) fn retire(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    place: (&Scope, &str),
    found: &Standing,
    ended_at: Timestamp,
) -> Result<()> {
    tx.execute(
        operation,
        "INSERT INTO file_version
           (agent, path, version, sha256, size, content_type, metadata, created_at, updated_at, ended_at)
         SELECT agent, path, version, sha256, size, content_type, metadata, created_at, updated_at, ?2
         FROM file WHERE id = ?1",
        (found.id, ended_at.as_millis()),
    )?;
    tx.tally.file_versions += 1;
    replace(&mut tx.tally.file_version_bytes, 0, found.size);
    trim(tx, operation, place)
}

/// Adds a file that never stood here to the earlier versions of its path: it ended when the one after it was written. Its
/// content is named already.
pub(super) fn add(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    (scope, path): (&Scope, &str),
    info: &FileInfo,
) -> Result<()> {
    let ended_at: Option<u64> = tx
        .first(
            operation,
            "SELECT min(updated_at) FROM
               (SELECT updated_at FROM file WHERE agent = ?1 AND path = ?2 AND version > ?3
                UNION ALL
                SELECT updated_at FROM file_version WHERE agent = ?1 AND path = ?2 AND version > ?3)",
            (scope.rows(), path, info.version),
            |row| row.get(0),
        )?
        .flatten();
    tx.execute(
        operation,
        "INSERT INTO file_version
           (agent, path, version, sha256, size, content_type, metadata, created_at, updated_at, ended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            scope.rows(),
            path,
            info.version,
            &info.sha256,
            info.size,
            &info.content_type,
            metadata_to_json(operation, &info.metadata)?,
            info.created_at.as_millis(),
            info.updated_at.as_millis(),
            ended_at.unwrap_or(tx.now.as_millis()),
        ),
    )?;
    tx.tally.file_versions += 1;
    replace(&mut tx.tally.file_version_bytes, 0, info.size);
    trim(tx, operation, (scope, path))?;
    make_room(tx, operation)
}

/// Removes the oldest versions of a path when there are too many.
fn trim(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    (scope, path): (&Scope, &str),
) -> Result<()> {
    let over = rows(
        tx,
        operation,
        "SELECT id, sha256, size FROM file_version WHERE agent = ?1 AND path = ?2
         ORDER BY version DESC LIMIT -1 OFFSET ?3",
        (scope.rows(), path, EARLIER_VERSIONS_MAX as u64),
    )?;
    over.iter()
        .try_for_each(|version| remove(tx, operation, version))
}

/// Removes all earlier versions of a path that are smaller than `below`; says whether there were any.
pub(super) fn purge(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    (scope, path): (&Scope, &str),
    below: u64,
) -> Result<bool> {
    let all = rows(
        tx,
        operation,
        "SELECT id, sha256, size FROM file_version WHERE agent = ?1 AND path = ?2 AND version < ?3",
        (scope.rows(), path, below),
    )?;
    all.iter()
        .try_for_each(|version| remove(tx, operation, version))?;
    Ok(!all.is_empty())
}

/// Removes versions, those that ended longest ago first, until files and versions are within the tenant's quota.
pub(super) fn make_room(tx: &mut WriteTx<'_>, operation: &'static str) -> Result<()> {
    for _ in 0..ROOM_MAX_VERSIONS {
        let bytes = tx
            .tally
            .files_bytes
            .saturating_add(tx.tally.file_version_bytes);
        if bytes <= tx.quotas.files_bytes && tx.tally.file_versions <= TENANT_VERSIONS_MAX {
            return Ok(());
        }
        let oldest = rows(
            tx,
            operation,
            "SELECT id, sha256, size FROM file_version ORDER BY id LIMIT 1",
            (),
        )?;
        let Some(oldest) = oldest.first() else {
            return Ok(());
        };
        remove(tx, operation, oldest)?;
    }
    Ok(())
}

/// Row, content and size of a version.
type Version = (i64, String, u64);

fn rows(
    tx: &WriteTx<'_>,
    operation: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Version>> {
    tx.statement(operation, sql)?
        .query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .and_then(Iterator::collect)
        .map_err(|e| error::sqlite(operation, e))
}

fn remove(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    (id, sha256, size): &Version,
) -> Result<()> {
    tx.execute(operation, "DELETE FROM file_version WHERE id = ?1", [id])?;
    naming::unname(tx, operation, sha256)?;
    replace(&mut tx.tally.file_versions, 1, 0);
    replace(&mut tx.tally.file_version_bytes, *size, 0);
    Ok(())
}
