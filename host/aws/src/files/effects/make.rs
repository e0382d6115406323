//! What a write makes of the manifest of its path, in memory: the content that it is to name is copied first.

use stuga_core::files::FilesWrite;
use stuga_core::{Error, Result, Write};

use super::Attempt;
use crate::files::content::{self, Source};
use crate::files::manifest::{Draft, Manifest, Mark};
use crate::files::removal::{self, Copied};
use crate::quota::meter::Held;

/// What a write makes of a manifest.
pub(super) enum Effect {
    /// Nothing changes.
    Nothing(Mark),
    /// The manifest is to be written.
    Change(Mark),
    /// What is to be copied has gone since the manifest was read.
    Again,
}

impl Attempt<'_> {
    /// Changes the manifest in memory, after the content was copied that it is to name.
    pub(super) async fn effect(
        &mut self,
        manifest: &mut Manifest,
        spooled: Option<&Source>,
    ) -> Result<Effect> {
        let existed = manifest.standing.is_some();
        match self.write {
            FilesWrite::Delete { .. } if !existed => Ok(Effect::Nothing(removed(false))),
            FilesWrite::Delete { .. } => {
                manifest.end(self.now);
                manifest.note_removal(false, self.now, self.versions);
                Ok(Effect::Change(removed(true)))
            }
            FilesWrite::Purge { .. } if manifest.is_empty() => Ok(Effect::Nothing(removed(false))),
            FilesWrite::Purge { .. } => {
                manifest.clear();
                manifest.note_removal(true, self.now, self.versions);
                Ok(Effect::Change(removed(true)))
            }
            FilesWrite::Put {
                sha256,
                size,
                content_type,
                metadata,
                expected,
                ..
            } => {
                manifest.check_expected(self.operation, *expected)?;
                let draft = |content| Draft {
                    content,
                    size: *size,
                    content_type: content_type.clone(),
                    sha256: sha256.clone(),
                    metadata: metadata.clone(),
                };
                let Some(spooled) = spooled else {
                    return Err(self.not_spooled(sha256, *size));
                };
                self.make_room(manifest, *size).await?;
                let Some(copied) = self.copy(manifest, spooled, content_type, sha256).await? else {
                    return Err(self.not_spooled(sha256, *size));
                };
                let made = manifest.stand(draft(copied), self.now, self.versions);
                Ok(Effect::Change(Mark {
                    existed,
                    made: Some(made),
                    restored: None,
                }))
            }
            FilesWrite::Restore { path, version } => {
                let Some(old) = manifest.find(*version).cloned() else {
                    return Err(Error::not_found(
                        self.operation,
                        "the version is not kept; list the versions of the path",
                    )
                    .with_context("version", version));
                };
                self.make_room(manifest, old.size).await?;
                let source = content::find_version(self.store, path, &old);
                let copied = self.copy(manifest, &source, &old.content_type, &old.sha256);
                let Some(content) = copied.await? else {
                    return Ok(Effect::Again);
                };
                let mut restored = manifest.info(&old);
                let made = manifest.stand(
                    Draft {
                        content,
                        size: old.size,
                        content_type: old.content_type,
                        sha256: old.sha256,
                        metadata: old.metadata,
                    },
                    self.now,
                    self.versions,
                );
                restored.version = made.version;
                restored.created_at = made.created_at;
                restored.updated_at = made.updated_at;
                Ok(Effect::Change(Mark {
                    existed,
                    made: Some(made),
                    restored: Some(restored),
                }))
            }
        }
    }

    /// Copies a content to a place of its own, once for all rounds. Meanwhile what the last write discarded is removed, and
    /// once a day it is looked for what others left. None when the content is not there.
    pub(in crate::files) async fn copy(
        &mut self,
        manifest: &mut Manifest,
        source: &Source,
        content_type: &str,
        sha256: &str,
    ) -> Result<Option<uuid::Uuid>> {
        if let Some(copied) = &self.copied {
            return Ok(Some(copied.content));
        }
        let (store, ctx, operation) = (self.store, self.ctx, self.operation);
        let path = self.write.key();
        let place = Copied::place(store, path);
        let trash = std::mem::take(&mut manifest.trash);
        let (copied, emptied, left) = tokio::join!(
            content::copy(
                store,
                ctx,
                operation,
                source,
                &place.key,
                content_type,
                sha256
            ),
            removal::remove(store, ctx, operation, path, &trash),
            removal::tidy(store, ctx, operation, manifest, place.content, self.now),
        );
        if let Err(error) = emptied {
            tracing::debug!(operation, %error, causes = error.causes(), "discarded contents stay for the next write");
            manifest.trash = trash;
        }
        if let Ok(Some(left)) = left {
            manifest.tidied_at = self.now;
            left.into_iter()
                .for_each(|content| manifest.discard(content));
        }
        if !copied? {
            return Ok(None);
        }
        let content = place.content;
        self.copied = Some(place);
        Ok(Some(content))
    }

    /// Holds the tenant to its quota before another version is made. Where there is no room, the earlier versions of the path
    /// give way; those of other paths do not.
    async fn make_room(&self, manifest: &mut Manifest, size: u64) -> Result<()> {
        if self.copied.is_some() {
            // It was let in when the content was copied.
            return Ok(());
        }
        let limit = self.files.shared.quotas.of(&self.ctx.tenant).files();
        let count = u64::from(manifest.is_new());
        let admit = async |bytes: u64| {
            let (meter, tenant) = (&self.files.meter, &self.ctx.tenant);
            let more = Held { count, bytes };
            meter
                .admit(self.operation, tenant, more, limit, self.ctx.deadline)
                .await
        };
        let Err(refused) = admit(size).await else {
            return Ok(());
        };
        let freed = manifest.earlier_bytes();
        if freed == 0 || admit(size.saturating_sub(freed)).await.is_err() {
            return Err(refused);
        }
        manifest.give_way();
        Ok(())
    }

    pub(in crate::files) fn not_spooled(&self, sha256: &str, size: u64) -> Error {
        Error::not_found(
            self.operation,
            "no content of this digest and size is spooled; spool it again",
        )
        .with_context("sha256", sha256)
        .with_context("size", size)
    }
}

fn removed(existed: bool) -> Mark {
    Mark {
        existed,
        made: None,
        restored: None,
    }
}
