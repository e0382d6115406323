//! What writes to files do inside a transaction.

use serde::{Deserialize, Serialize};
use stuga_core::files::{Expected, FileInfo, FilesAck, FilesWrite};
use stuga_core::{CapabilityName, Error, Result, Timestamp, Write, WriteId};

use super::naming;
use super::versions::{self, Standing};
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::scope::Scope;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// What is remembered of an applied write; the rest of its answer stands in the write itself.
#[derive(Serialize, Deserialize)]
struct Mark {
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    existed: bool,
    /// What a restore brought back, which its write does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restored: Option<FileInfo>,
}

impl Mark {
    fn of_removal(version: u64, now: Timestamp, existed: bool) -> Self {
        Self {
            version,
            created_at: now,
            updated_at: now,
            existed,
            restored: None,
        }
    }
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
        FilesWrite::Restore { version, .. } => parts.number(Some(*version)),
        FilesWrite::Delete { .. } | FilesWrite::Purge { .. } => parts,
    }
    .finish()
}

/// How many bytes a write holds while it waits.
pub(super) fn weight(write: &FilesWrite) -> usize {
    match write {
        FilesWrite::Put { metadata, .. } => metadata.iter().map(|(n, v)| n.len() + v.len()).sum(),
        FilesWrite::Delete { .. } | FilesWrite::Restore { .. } | FilesWrite::Purge { .. } => 0,
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
        take_effect(tx, scope, write)
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
        FilesWrite::Restore { .. } => mark.restored,
        FilesWrite::Delete { .. } | FilesWrite::Purge { .. } => None,
    };
    Ok(FilesAck {
        info,
        existed: mark.existed,
    })
}

fn take_effect(tx: &mut WriteTx<'_>, scope: &Scope, write: &FilesWrite) -> Result<Mark> {
    let operation = write.operation();
    let found = versions::standing(tx, operation, scope, write.key())?;
    let existed = found.is_some();
    match write {
        FilesWrite::Delete { .. } => {
            let version = found.as_ref().map_or(0, |found| found.version);
            if let Some(found) = found {
                versions::retire(tx, operation, &found)?;
                remove(tx, operation, &found)?;
            }
            Ok(Mark::of_removal(version, tx.now, existed))
        }
        FilesWrite::Purge { path } => {
            let version = found.as_ref().map_or(0, |found| found.version);
            if let Some(found) = found {
                naming::unname(tx, operation, &found.sha256)?;
                remove(tx, operation, &found)?;
            }
            let earlier = versions::purge(tx, operation, scope, path)?;
            Ok(Mark::of_removal(version, tx.now, existed || earlier))
        }
        FilesWrite::Put {
            path,
            sha256,
            size,
            content_type,
            metadata,
            expected,
        } => {
            let actual = found.as_ref().map(|found| found.version);
            check_expected(operation, *expected, actual)?;
            naming::name(tx, operation, sha256, *size)?;
            let metadata = serde_json::to_string(metadata).map_err(|e| {
                Error::internal(operation, "metadata cannot be kept").with_source(e)
            })?;
            let new = New {
                path,
                sha256,
                size: *size,
                content_type,
                metadata: &metadata,
            };
            stand(tx, operation, scope, found.as_ref(), &new)
        }
        FilesWrite::Restore { path, version } => {
            let old = versions::find(tx, operation, scope, path, *version)?.ok_or_else(|| {
                Error::not_found(
                    operation,
                    "the version is not kept; list the versions of the path",
                )
                .with_context("version", version)
            })?;
            naming::name(tx, operation, &old.sha256, old.size)?;
            let metadata = serde_json::to_string(&old.metadata).map_err(|e| {
                Error::internal(operation, "metadata cannot be kept").with_source(e)
            })?;
            let new = New {
                path,
                sha256: &old.sha256,
                size: old.size,
                content_type: &old.content_type,
                metadata: &metadata,
            };
            let mut mark = stand(tx, operation, scope, found.as_ref(), &new)?;
            mark.restored = Some(FileInfo {
                version: mark.version,
                created_at: mark.created_at,
                updated_at: mark.updated_at,
                ..old
            });
            Ok(mark)
        }
    }
}

/// A version that is about to stand; its content is named already.
struct New<'a> {
    path: &'a str,
    sha256: &'a str,
    size: u64,
    content_type: &'a str,
    /// As JSON.
    metadata: &'a str,
}

/// Makes `new` stand where `found` stood.
fn stand(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    found: Option<&Standing>,
    new: &New<'_>,
) -> Result<Mark> {
    let old_size = found.map_or(0, |found| found.size);
    let old_count = u64::from(found.is_some());
    let (tally, quotas) = (&tx.tally, &tx.quotas);
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
        new.size,
    )?;
    if let Some(found) = found {
        versions::retire(tx, operation, found)?;
    }
    let version = tx.next_version();
    let created_at = found.map_or(tx.now.as_millis(), |found| found.created_at);
    tx.execute(
        operation,
        "INSERT INTO file (agent, path, sha256, size, content_type, metadata, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (agent, path) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size,
           content_type = excluded.content_type, metadata = excluded.metadata, version = excluded.version,
           updated_at = excluded.updated_at",
        (
            scope.rows(),
            new.path,
            new.sha256,
            new.size,
            new.content_type,
            new.metadata,
            version,
            created_at,
            tx.now.as_millis(),
        ),
    )?;
    replace(&mut tx.tally.files_count, old_count, 1);
    replace(&mut tx.tally.files_bytes, old_size, new.size);
    versions::make_room(tx, operation)?;
    Ok(Mark {
        version,
        created_at: Timestamp::from_millis(created_at),
        updated_at: tx.now,
        existed: found.is_some(),
        restored: None,
    })
}

/// Removes the row of a file whose content was retired or lost its name.
fn remove(tx: &mut WriteTx<'_>, operation: &'static str, found: &Standing) -> Result<()> {
    tx.execute(operation, "DELETE FROM file WHERE id = ?1", [found.id])?;
    replace(&mut tx.tally.files_count, 1, 0);
    replace(&mut tx.tally.files_bytes, found.size, 0);
    versions::make_room(tx, operation)
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
