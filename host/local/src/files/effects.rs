//! What writes to files do inside a transaction.

use serde::{Deserialize, Serialize};
use stuga_core::files::{FileInfo, FilesAck, FilesWrite};
use stuga_core::standby::Adopted;
use stuga_core::{CallCtx, CapabilityName, Error, Result, Timestamp, Write, WriteId};

use super::versions::{self, Standing, VERSION_MAX};
use super::{adopt, naming};
use crate::Local;
use crate::applied::{DigestBuilder, WriteDigest};
use crate::effects::{Elsewhere, LocalWrite, metadata_to_json};
use crate::scope::Scope;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// What is remembered of an applied write; the rest of its answer stands in the write itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct Mark {
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    existed: bool,
    /// What a restore brought back, which its write does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restored: Option<FileInfo>,
}

impl LocalWrite for FilesWrite {
    type Kept = Mark;
    type Prepared = ();

    fn check_bounds(&self) -> Result<()> {
        self.check()
    }

    fn digest(&self, scope: &Scope) -> Result<WriteDigest> {
        let parts = DigestBuilder::new(scope, CapabilityName::Files, self.operation())
            .part(self.key().as_bytes());
        let parts = match self {
            FilesWrite::Put {
                sha256,
                size,
                content_type,
                metadata,
                expected,
                ..
            } => parts
                .part(sha256.as_bytes())
                .number(Some(*size))
                .part(content_type.as_bytes())
                .expected(*expected)
                .metadata(metadata),
            FilesWrite::Restore { version, .. } => parts.number(Some(*version)),
            FilesWrite::Delete { .. } | FilesWrite::Purge { .. } => parts,
        };
        Ok(parts.finish())
    }

    fn weight(&self) -> usize {
        match self {
            FilesWrite::Put { metadata, .. } => {
                metadata.iter().map(|(n, v)| n.len() + v.len()).sum()
            }
            FilesWrite::Delete { .. } | FilesWrite::Restore { .. } | FilesWrite::Purge { .. } => 0,
        }
    }

    async fn prepare(&self, _: &Local, _: &CallCtx) -> Result<()> {
        Ok(())
    }

    fn make(&self, tx: &mut WriteTx<'_>, scope: &Scope, _: WriteId, (): &()) -> Result<FilesAck> {
        let operation = self.operation();
        let found = versions::standing(tx, operation, scope, self.key())?;
        let existed = found.is_some();
        let (path, content) = match self {
            FilesWrite::Delete { path } => {
                if let Some(found) = found {
                    versions::retire(tx, operation, (scope, path), &found, tx.now)?;
                    remove(tx, operation, &found)?;
                }
                return Ok(FilesAck {
                    info: None,
                    existed,
                });
            }
            FilesWrite::Purge { path } => {
                if let Some(found) = found {
                    naming::unname(tx, operation, &found.sha256)?;
                    remove(tx, operation, &found)?;
                }
                let earlier = versions::purge(tx, operation, (scope, path), VERSION_MAX)?;
                return Ok(FilesAck {
                    info: None,
                    existed: existed || earlier,
                });
            }
            FilesWrite::Put {
                path,
                sha256,
                size,
                content_type,
                metadata,
                expected,
            } => {
                expected.check(operation, "file", found.as_ref().map(|f| f.version))?;
                let content = FileInfo {
                    path: path.clone(),
                    size: *size,
                    content_type: content_type.clone(),
                    sha256: sha256.clone(),
                    version: 0,
                    created_at: tx.now,
                    updated_at: tx.now,
                    metadata: metadata.clone(),
                };
                (path, content)
            }
            FilesWrite::Restore { path, version } => {
                let old = versions::find(tx, operation, scope, path, *version)?;
                let old = old.ok_or_else(|| {
                    Error::not_found(
                        operation,
                        "the version is not kept; list the versions of the path",
                    )
                    .with_context("version", version)
                })?;
                (path, old)
            }
        };
        let since = found.as_ref().map(|found| found.created_at);
        let info = FileInfo {
            version: tx.next_version(),
            created_at: since.map_or(tx.now, Timestamp::from_millis),
            updated_at: tx.now,
            ..content
        };
        naming::name(tx, operation, &info.sha256, info.size)?;
        stand(tx, operation, (scope, path), found.as_ref(), &info)?;
        Ok(FilesAck {
            info: Some(info),
            existed,
        })
    }

    fn adopt(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        _: WriteId,
        (): &(),
        origin: &Elsewhere<'_, FilesAck>,
    ) -> Result<Adopted> {
        adopt::adopt(tx, scope, self, origin)
    }

    fn kept(&self, ack: &FilesAck) -> Mark {
        let existed = ack.existed;
        match &ack.info {
            Some(info) => Mark {
                version: info.version,
                created_at: info.created_at,
                updated_at: info.updated_at,
                existed,
                restored: matches!(self, FilesWrite::Restore { .. }).then(|| info.clone()),
            },
            None => Mark {
                version: 0,
                created_at: Timestamp::default(),
                updated_at: Timestamp::default(),
                existed,
                restored: None,
            },
        }
    }

    fn answer(&self, mark: Mark) -> FilesAck {
        let info = match self {
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
        FilesAck {
            info,
            existed: mark.existed,
        }
    }

    fn content(ack: &FilesAck) -> Option<&str> {
        ack.info.as_ref().map(|info| info.sha256.as_str())
    }
}

/// Makes the file of `info` stand where `found` stood, which becomes an earlier version. Its content is named already.
pub(super) fn stand(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    (scope, path): (&Scope, &str),
    found: Option<&Standing>,
    info: &FileInfo,
) -> Result<()> {
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
        info.size,
    )?;
    if let Some(found) = found {
        versions::retire(tx, operation, (scope, path), found, info.updated_at)?;
    }
    put_row(tx, operation, (scope, path), info)?;
    replace(&mut tx.tally.files_count, old_count, 1);
    replace(&mut tx.tally.files_bytes, old_size, info.size);
    versions::make_room(tx, operation)
}

/// Writes the row of a file, in the place of what stood at its path.
pub(super) fn put_row(
    tx: &WriteTx<'_>,
    operation: &'static str,
    (scope, path): (&Scope, &str),
    info: &FileInfo,
) -> Result<()> {
    tx.execute(
        operation,
        "INSERT INTO file (agent, path, sha256, size, content_type, metadata, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (agent, path) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size,
           content_type = excluded.content_type, metadata = excluded.metadata, version = excluded.version,
           created_at = excluded.created_at, updated_at = excluded.updated_at",
        (
            scope.rows(),
            path,
            &info.sha256,
            info.size,
            &info.content_type,
            metadata_to_json(operation, &info.metadata)?,
            info.version,
            info.created_at.as_millis(),
            info.updated_at.as_millis(),
        ),
    )?;
    Ok(())
}

/// Removes the row of a file whose content was retired or lost its name.
pub(super) fn remove(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    found: &Standing,
) -> Result<()> {
    tx.execute(operation, "DELETE FROM file WHERE id = ?1", [found.id])?;
    replace(&mut tx.tally.files_count, 1, 0);
    replace(&mut tx.tally.files_bytes, found.size, 0);
    versions::make_room(tx, operation)
}
