//! How a write takes effect that another side has acknowledged: with the version and the times that were said there, and not
//! judged again.
//!
//! It is the same one step as of any other write ([`super::effects`]): the manifest is written on the condition that nobody
//! else has, and remembers the id with what was answered.

use stuga_core::files::{Expected, FileInfo, FilesAck, FilesWrite};
use stuga_core::standby::{Adopted, Made as Acknowledged};
use stuga_core::{CallCtx, Result, Timestamp, Write, WriteId};

use super::claim;
use super::content::{self, Source};
use super::effects::Attempt;
use super::manifest::{Made, Manifest, Mark, Removal, Version};
use super::{S3Files, key};
use crate::adopted::{mismatched, stamp_of};

/// How often a write begins again because others wrote its path meanwhile.
const ROUNDS_MAX: u32 = 32;

/// What another side has made of a write.
struct Taking<'t> {
    /// The file, when there is one.
    info: Option<&'t FileInfo>,
    /// Where the write stands among all writes.
    stamp: u64,
    at: Timestamp,
    /// What the write's id answers from now on.
    mark: Mark,
}

/// Makes a checked write stand, once.
pub(super) async fn adopt(
    files: &S3Files,
    ctx: &CallCtx,
    id: WriteId,
    write: &FilesWrite,
    made: &Acknowledged<FilesAck>,
) -> Result<Adopted> {
    let (operation, path) = (write.operation(), write.key());
    let taking = Taking::of(operation, write, made)?;
    let store = files.store(ctx)?;
    let manifest = store.kept(&key::manifest(path));
    let _turn = files.turns.take(ctx, operation, &store, &manifest).await?;
    let mut attempt = Attempt::new(files, &store, ctx, id, write);
    let adopted = attempt.take(&taking).await;
    adopted.map_err(|error| attempt.in_doubt(error))
}

impl<'t> Taking<'t> {
    /// # Errors
    /// `Invalid` when the answer is another write's.
    fn of(
        operation: &'static str,
        write: &FilesWrite,
        made: &'t Acknowledged<FilesAck>,
    ) -> Result<Self> {
        let info = made.ack.info.as_ref();
        match (write, info) {
            (FilesWrite::Put { sha256, size, .. }, Some(info))
                if info.sha256 == *sha256 && info.size == *size => {}
            // Its answer says what its write does not.
            (FilesWrite::Restore { .. }, Some(info)) => as_put(info).check()?,
            (FilesWrite::Delete { .. } | FilesWrite::Purge { .. }, None) => {}
            _ => return Err(mismatched(operation)),
        }
        if info.is_some_and(|info| info.path != write.key()) {
            return Err(mismatched(operation));
        }
        Ok(Self {
            info,
            stamp: stamp_of::<FilesWrite>(operation, made)?,
            at: made.at,
            mark: Mark {
                existed: made.ack.existed,
                made: info.map(times_of),
                restored: info
                    .filter(|_| matches!(write, FilesWrite::Restore { .. }))
                    .cloned(),
            },
        })
    }
}

impl Attempt<'_> {
    async fn take(&mut self, taking: &Taking<'_>) -> Result<Adopted> {
        let (store, ctx, operation) = (self.store, self.ctx, self.operation);
        let claim = self.claim();
        let (known, found, spooled) = tokio::try_join!(
            claim::claim(store, ctx, operation, self.id, &claim),
            self.load(self.write.key()),
            self.find_content(taking),
        )?;
        let mut fresh = known.is_none();
        let mut found = found;
        if let Some(known) = known {
            self.resolve(known).await?;
            found = self.load(self.write.key()).await?;
        }
        for _ in 0..ROUNDS_MAX {
            let before = self.remembered(&found, fresh).await?;
            fresh = false;
            let was = found.manifest.clone();
            let adopted = self
                .change(
                    &mut found.manifest,
                    taking,
                    before.as_ref(),
                    spooled.as_ref(),
                )
                .await?;
            if let Some(adopted) = adopted {
                let is_known = before.as_ref() == Some(&taking.mark);
                if found.manifest == was {
                    if !is_known {
                        self.settle(taking.mark.clone()).await?;
                    }
                    return Ok(adopted);
                }
                if self.commit(&mut found, taking.mark.clone()).await? {
                    return Ok(adopted);
                }
            }
            found = self.read_again().await?;
        }
        Err(claim::busy(operation))
    }

    /// The spooled content of what stands afterwards.
    async fn find_content(&self, taking: &Taking<'_>) -> Result<Option<Source>> {
        let Some(info) = taking.info else {
            return Ok(None);
        };
        let (store, ctx, operation) = (self.store, self.ctx, self.operation);
        content::find_spooled(store, ctx, operation, &info.sha256, info.size).await
    }

    /// Changes the manifest in memory, after the content was copied that it is to name. None when the manifest has to be read
    /// again.
    async fn change(
        &mut self,
        manifest: &mut Manifest,
        taking: &Taking<'_>,
        before: Option<&Mark>,
        spooled: Option<&Source>,
    ) -> Result<Option<Adopted>> {
        let Some(info) = taking.info else {
            return Ok(Some(manifest.take_removal(Removal {
                stamp: taking.stamp,
                at: taking.at,
                purges: matches!(self.write, FilesWrite::Purge { .. }),
                is_new: before.is_none(),
            })));
        };
        manifest.reach(taking.stamp);
        if let Some(landed) = before.and_then(|before| before.made) {
            let made = times_of(info);
            // Where it is not kept any more there was a later write.
            let adopted = manifest.renumber(landed.version, made);
            return Ok(Some(
                adopted.unwrap_or_else(|| manifest.standing_of(info.version)),
            ));
        }
        if manifest.is_purged(info.version) || manifest.find(info.version).is_some() {
            return Ok(Some(manifest.standing_of(info.version)));
        }
        let same = |version: &&Version| version.sha256 == info.sha256 && version.size == info.size;
        let kept = manifest.versions().find(same);
        let kept = kept.map(|version| content::find_version(self.store, &info.path, version));
        let Some(source) = spooled.or(kept.as_ref()) else {
            return Err(self.not_spooled(&info.sha256, info.size));
        };
        let copied = self.copy(manifest, source, &info.content_type, &info.sha256);
        let Some(content) = copied.await? else {
            return match spooled {
                Some(_) => Err(self.not_spooled(&info.sha256, info.size)),
                // The version that had it has gone meanwhile.
                None => Ok(None),
            };
        };
        Ok(Some(manifest.take(Version {
            content,
            size: info.size,
            content_type: info.content_type.clone(),
            sha256: info.sha256.clone(),
            version: info.version,
            created_at: info.created_at,
            updated_at: info.updated_at,
            metadata: info.metadata.clone(),
        })))
    }
}

fn times_of(info: &FileInfo) -> Made {
    Made {
        version: info.version,
        created_at: info.created_at,
        updated_at: info.updated_at,
    }
}

/// A put of the same file, whose parts are checked as those of every put.
fn as_put(info: &FileInfo) -> FilesWrite {
    FilesWrite::Put {
        path: info.path.clone(),
        sha256: info.sha256.clone(),
        size: info.size,
        content_type: info.content_type.clone(),
        metadata: info.metadata.clone(),
        expected: Expected::Any,
    }
}
