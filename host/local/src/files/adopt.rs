//! Files that another side stored, removed or restored.

use stuga_core::files::{FileInfo, FilesAck, FilesWrite};
use stuga_core::standby::Adopted;
use stuga_core::{Result, Write};

use super::effects::{put_row, remove, stand};
use super::naming;
use super::versions::{self, Standing, VERSION_MAX};
use crate::effects::{Elsewhere, other_answer};
use crate::scope::Scope;
use crate::tally::replace;
use crate::tx::WriteTx;

/// Makes true what another side made of a write.
pub(super) fn adopt(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    write: &FilesWrite,
    origin: &Elsewhere<'_, FilesAck>,
) -> Result<Adopted> {
    let (operation, path) = (write.operation(), write.key());
    let (made, place) = (origin.made, (scope, path));
    let found = versions::standing(tx, operation, scope, path)?;
    match (write, &made.ack.info) {
        (FilesWrite::Delete { .. } | FilesWrite::Purge { .. }, None) if origin.known.is_some() => {
            Ok(Adopted::Stands)
        }
        (FilesWrite::Delete { .. }, None) => match found {
            Some(found) if origin.comes_before(found.version, found.updated_at) => {
                Ok(Adopted::Superseded)
            }
            Some(found) => {
                versions::retire(tx, operation, place, &found, made.at)?;
                remove(tx, operation, &found)?;
                Ok(Adopted::Stands)
            }
            None => Ok(Adopted::Stands),
        },
        (FilesWrite::Purge { .. }, None) => {
            // What was stored later stays; what it purged is gone.
            let below = match found {
                Some(found) if origin.comes_before(found.version, found.updated_at) => made.stamp,
                Some(found) => {
                    naming::unname(tx, operation, &found.sha256)?;
                    remove(tx, operation, &found)?;
                    VERSION_MAX
                }
                None => VERSION_MAX,
            };
            versions::purge(tx, operation, place, below)?;
            Ok(Adopted::Stands)
        }
        (FilesWrite::Put { .. } | FilesWrite::Restore { .. }, Some(info)) if says(write, info) => {
            put(tx, operation, place, found, info, origin)
        }
        _ => Err(other_answer(operation)),
    }
}

/// Whether the file is what the write stores.
fn says(write: &FilesWrite, info: &FileInfo) -> bool {
    let is_content = match write {
        FilesWrite::Put { sha256, size, .. } => *sha256 == info.sha256 && *size == info.size,
        _ => true,
    };
    is_content && info.path == write.key()
}

fn put(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    (scope, path): (&Scope, &str),
    found: Option<Standing>,
    info: &FileInfo,
    origin: &Elsewhere<'_, FilesAck>,
) -> Result<Adopted> {
    if let Some(found) = found.as_ref().filter(|found| found.version == info.version) {
        return match found.sha256 == info.sha256 {
            true => Ok(Adopted::Stands),
            false => Ok(Adopted::Superseded),
        };
    }
    // It stood here, and was replaced or removed since.
    if versions::find(tx, operation, scope, path, info.version)?.is_some() {
        return Ok(Adopted::Superseded);
    }
    let Some(found) = found else {
        if origin.known.is_some() {
            return Ok(Adopted::Superseded);
        }
        naming::name(tx, operation, &info.sha256, info.size)?;
        stand(tx, operation, (scope, path), None, info)?;
        return Ok(Adopted::Stands);
    };
    if found.version > info.version {
        naming::name(tx, operation, &info.sha256, info.size)?;
        versions::add(tx, operation, (scope, path), info)?;
        return Ok(Adopted::Superseded);
    }
    let known = origin.known.as_ref().and_then(|ack| ack.info.as_ref());
    if known.is_some_and(|known| known.version == found.version) {
        // The same write landed here with a version of this side; it was not replaced, it is this one.
        put_row(tx, operation, (scope, path), info)?;
        replace(&mut tx.tally.files_bytes, found.size, info.size);
        return Ok(Adopted::Stands);
    }
    naming::name(tx, operation, &info.sha256, info.size)?;
    stand(tx, operation, (scope, path), Some(&found), info)?;
    Ok(Adopted::Stands)
}
