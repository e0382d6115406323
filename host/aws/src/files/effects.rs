//! How a write takes effect: once for its id, in one step that everybody sees or nobody.
//!
//! 1. The id is claimed; the manifest is read; the content is looked for. All at once: nothing has taken effect yet.
//! 2. S3 copies the content to a place of its own.
//! 3. The manifest is written on the condition that it is still the one that was read. This is the moment of effect: it holds
//!    the new version and the memory of the write's id in one object.
//!
//! When somebody else wrote first, it begins again with what that one left. When an answer is lost, a repetition finds its id
//! in the manifest.

mod make;

use futures::future::try_join_all;
use sha2::{Digest, Sha256};
use stuga_core::files::{Expected, FileInfo, FilesAck, FilesWrite};
use stuga_core::{CallCtx, Error, Result, Timestamp, Write, WriteId};

use super::claim::{self, Claim, Claimed};
use super::content::{self, Source};
use super::manifest::{MANIFEST_MAX_BYTES, Manifest, Mark, Versions};
use super::removal::{self, Copied};
use super::store::{Condition, Store};
use super::{S3Files, key};
use crate::error::may_have_landed;
use crate::quota::meter::Held;
use make::Effect;

/// How often a write begins again because others wrote its path meanwhile.
const ROUNDS_MAX: u32 = 32;
/// Bytes of the digest that tells writes apart.
const DIGEST_BYTES: usize = 16;

/// One write on its way.
pub(super) struct Attempt<'a> {
    pub(super) store: &'a Store,
    pub(super) ctx: &'a CallCtx,
    pub(super) operation: &'static str,
    pub(super) id: WriteId,
    pub(super) write: &'a FilesWrite,
    digest: String,
    now: Timestamp,
    versions: &'a Versions,
    files: &'a S3Files,
    /// The content, once it was copied.
    copied: Option<Copied>,
    /// What the manifest was last put in place of.
    put_upon: Option<Condition>,
}

/// A manifest and the condition that nobody has written it since.
pub(super) struct Found {
    pub(super) manifest: Manifest,
    condition: Condition,
}

/// Applies a checked write.
pub(super) async fn apply(
    files: &S3Files,
    ctx: &CallCtx,
    id: WriteId,
    write: &FilesWrite,
) -> Result<FilesAck> {
    let (operation, path) = (write.operation(), write.key());
    let store = files.store(ctx)?;
    let manifest = store.kept(&key::manifest(path));
    let _turn = files.turns.take(ctx, operation, &store, &manifest).await?;
    let mut attempt = Attempt::new(files, &store, ctx, id, write);
    let made = attempt.run().await;
    let mark = made.map_err(|error| attempt.in_doubt(error))?;
    Ok(ack(write, mark))
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        files: &'a S3Files,
        store: &'a Store,
        ctx: &'a CallCtx,
        id: WriteId,
        write: &'a FilesWrite,
    ) -> Self {
        Self {
            store,
            ctx,
            operation: write.operation(),
            id,
            write,
            digest: digest(write),
            now: files.shared.now(),
            versions: &files.versions,
            files,
            copied: None,
            put_upon: None,
        }
    }

    async fn run(&mut self) -> Result<Mark> {
        let claim = self.claim();
        let (store, ctx, operation) = (self.store, self.ctx, self.operation);
        let (known, found, spooled) = tokio::try_join!(
            claim::claim(store, ctx, operation, self.id, &claim),
            self.load(self.write.key()),
            self.find_spooled(),
        )?;
        let mut fresh = known.is_none();
        let mut found = match known {
            None => found,
            Some(known) => {
                if let Some(mark) = self.resolve(known).await? {
                    return Ok(mark);
                }
                self.load(self.write.key()).await?
            }
        };
        for _ in 0..ROUNDS_MAX {
            if let Some(mark) = self.remembered(&found, fresh).await? {
                return Ok(mark);
            }
            if let Some(mark) = self.round(found, spooled.as_ref()).await? {
                return Ok(mark);
            }
            // An answer may have been lost, and what it said be remembered anywhere by now.
            fresh = false;
            found = self.read_again().await?;
        }
        Err(claim::busy(operation))
    }

    /// What it failed with: once the manifest was sent, it may stand.
    pub(super) fn in_doubt(&self, error: Error) -> Error {
        match self.put_upon {
            Some(_) => may_have_landed(self.operation, error),
            None => error,
        }
    }

    pub(super) fn claim(&self) -> Claim {
        Claim {
            digest: self.digest.clone(),
            path: self.write.key().to_owned(),
            mark: None,
        }
    }

    /// The manifest of a path, or that of a path that was never written.
    pub(super) async fn load(&self, path: &str) -> Result<Found> {
        let key = self.store.kept(&key::manifest(path));
        let object = self
            .store
            .read(self.ctx, self.operation, &key, MANIFEST_MAX_BYTES)
            .await?;
        Ok(match object {
            Some(object) => Found {
                manifest: Manifest::parse(self.operation, path, &object.bytes)?,
                condition: Condition::Is(object.etag),
            },
            None => Found {
                manifest: Manifest::new(path, self.now),
                condition: Condition::Absent,
            },
        })
    }

    /// The spooled content of a put.
    async fn find_spooled(&self) -> Result<Option<Source>> {
        let FilesWrite::Put { sha256, size, .. } = self.write else {
            return Ok(None);
        };
        content::find_spooled(self.store, self.ctx, self.operation, sha256, *size).await
    }

    /// What the write answered when it was applied before.
    pub(super) async fn remembered(&self, found: &Found, fresh: bool) -> Result<Option<Mark>> {
        if let Some(recent) = found.manifest.applied(self.id) {
            if recent.digest != self.digest {
                return Err(self.other_write());
            }
            let mark = recent.mark.clone();
            if let FilesWrite::Purge { path } = self.write {
                // The first attempt may have been cut off before it had erased everything.
                let trash = &found.manifest.trash;
                let erased = removal::erase(self.store, self.ctx, self.operation, path, trash);
                erased
                    .await
                    .map_err(|error| may_have_landed(self.operation, error))?;
            }
            return Ok(Some(mark));
        }
        if fresh {
            return Ok(None);
        }
        // Read after the manifest: what there is no more room for in that is written here first.
        match claim::read(self.store, self.ctx, self.operation, self.id).await? {
            Some(known) if known.claim.digest != self.digest => Err(self.other_write()),
            Some(known) => Ok(known.claim.mark),
            None => Ok(None),
        }
    }

    /// Finds out what became of an earlier write under this id. None when this one may be applied.
    pub(super) async fn resolve(&self, mut known: Claimed) -> Result<Option<Mark>> {
        let (store, ctx, operation) = (self.store, self.ctx, self.operation);
        for _ in 0..ROUNDS_MAX {
            if known.claim.digest == self.digest {
                return Ok(known.claim.mark);
            }
            let path = known.claim.path.clone();
            let mut other = self.load(&path).await?;
            let settled = known.claim.mark.is_some() || other.manifest.applied(self.id).is_some();
            let Some(now) = claim::read(store, ctx, operation, self.id).await? else {
                return Ok(None);
            };
            if settled || now.claim.mark.is_some() {
                return Err(self.other_write());
            }
            // The other one failed. Should it still be under way, it must not take effect any more: what it read as the
            // manifest of its path is made old.
            other.manifest.touch();
            let fenced = self.put(&other).await?;
            if fenced
                && claim::take_over(store, ctx, operation, self.id, &now, &self.claim()).await?
            {
                return Ok(None);
            }
            known = match claim::read(store, ctx, operation, self.id).await? {
                Some(known) => known,
                None => return Ok(None),
            };
        }
        Err(claim::busy(operation))
    }

    fn other_write(&self) -> Error {
        Error::conflict(
            self.operation,
            "another write was applied under this write's id; a repeated run has taken another course",
        )
    }

    /// Tries to take effect on the manifest as it was found. None when somebody else wrote first.
    async fn round(&mut self, mut found: Found, spooled: Option<&Source>) -> Result<Option<Mark>> {
        let purged: u64 = match self.write {
            FilesWrite::Purge { .. } => found.manifest.versions().map(|v| v.size).sum(),
            _ => 0,
        };
        let mark = match self.effect(&mut found.manifest, spooled).await? {
            Effect::Again => return Ok(None),
            Effect::Change(mark) => mark,
            Effect::Nothing(mark) => {
                self.settle(mark.clone()).await?;
                return Ok(Some(mark));
            }
        };
        let done = self.commit(&mut found, mark.clone()).await?;
        if done && purged > 0 {
            let gone = Held {
                count: 0,
                bytes: purged,
            };
            self.files.meter.release(&self.ctx.tenant, gone);
        }
        Ok(done.then_some(mark))
    }

    /// Writes a manifest that was changed, with what the write answers; false when somebody else wrote first.
    pub(super) async fn commit(&mut self, found: &mut Found, mark: Mark) -> Result<bool> {
        let (store, ctx, operation) = (self.store, self.ctx, self.operation);
        let path = self.write.key();
        let manifest = &mut found.manifest;
        let over = manifest.remember(self.id, &self.digest, mark, self.now);
        manifest.touch();
        try_join_all(
            over.into_iter()
                .map(|recent| claim::settle(store, ctx, operation, path, recent)),
        )
        .await?;
        if found.condition == Condition::Absent
            && let Some(mark) = key::mark(path)
        {
            store
                .write(
                    ctx,
                    operation,
                    &store.kept(&mark),
                    Vec::new(),
                    &Condition::Any,
                )
                .await?;
        }
        // From here on it may have landed, whatever is answered: where the SDK repeats a request whose answer was lost, what
        // stands in its way is our own manifest. The next reading tells.
        self.name_copied(true);
        self.put_upon = Some(found.condition.clone());
        if !self.put(found).await? {
            return Ok(false);
        }
        if let FilesWrite::Purge { .. } = self.write {
            removal::erase(store, ctx, operation, path, &found.manifest.trash).await?;
        }
        Ok(true)
    }

    /// Remembers a write that changes nothing.
    pub(super) async fn settle(&self, mark: Mark) -> Result<()> {
        let (store, ctx, operation) = (self.store, self.ctx, self.operation);
        let path = self.write.key();
        let mut alone = Manifest::new(path, self.now);
        alone.remember(self.id, &self.digest, mark, self.now);
        if let Some(recent) = alone.applied(self.id) {
            claim::settle(store, ctx, operation, path, recent.clone()).await?;
        }
        Ok(())
    }

    /// The manifest after somebody wrote it first, who may be this very write. Once it is another one, what was put in place of
    /// the old one cannot land any more: a content that it does not name stays unnamed.
    pub(super) async fn read_again(&mut self) -> Result<Found> {
        let found = self.load(self.write.key()).await?;
        if let Some(copied) = &self.copied
            && self.put_upon.as_ref() != Some(&found.condition)
        {
            let named = found.manifest.names(copied.content);
            self.name_copied(named);
        }
        Ok(found)
    }

    fn name_copied(&mut self, named: bool) {
        if let Some(copied) = &mut self.copied {
            copied.named = named;
        }
    }

    /// Writes a manifest in place of the one that was read; false when it is not that one any more.
    async fn put(&self, found: &Found) -> Result<bool> {
        let bytes = found.manifest.to_bytes(self.operation)?;
        if bytes.len() > MANIFEST_MAX_BYTES {
            let large = "there is no room for more metadata in the versions of the path; purge it or use less";
            return Err(Error::quota_exceeded(self.operation, large)
                .with_context("limit", MANIFEST_MAX_BYTES));
        }
        let key = self.store.kept(&key::manifest(&found.manifest.path));
        let written = self
            .store
            .write(self.ctx, self.operation, &key, bytes, &found.condition);
        Ok(written.await?.is_some())
    }
}

fn ack(write: &FilesWrite, mark: Mark) -> FilesAck {
    let info = match (write, mark.made) {
        (
            FilesWrite::Put {
                path,
                sha256,
                size,
                content_type,
                metadata,
                ..
            },
            Some(made),
        ) => Some(FileInfo {
            path: path.clone(),
            size: *size,
            content_type: content_type.clone(),
            sha256: sha256.clone(),
            version: made.version,
            created_at: made.created_at,
            updated_at: made.updated_at,
            metadata: metadata.clone(),
        }),
        _ => mark.restored,
    };
    FilesAck {
        info,
        existed: mark.existed,
    }
}

/// Tells this write from any other under its id. It is kept for two days: change what goes into it only with that in mind.
fn digest(write: &FilesWrite) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(write.operation().as_bytes());
    part(write.key().as_bytes());
    match write {
        FilesWrite::Put {
            sha256,
            size,
            content_type,
            metadata,
            expected,
            ..
        } => {
            part(sha256.as_bytes());
            part(&size.to_le_bytes());
            part(content_type.as_bytes());
            match expected {
                Expected::Any => part(b"any"),
                Expected::Absent => part(b"absent"),
                Expected::Version(version) => part(&version.to_le_bytes()),
            }
            for (name, value) in metadata {
                part(name.as_bytes());
                part(value.as_bytes());
            }
        }
        FilesWrite::Restore { version, .. } => part(&version.to_le_bytes()),
        FilesWrite::Delete { .. } | FilesWrite::Purge { .. } => {}
    }
    let mut digest = hex::encode(hash.finalize());
    digest.truncate(2 * DIGEST_BYTES);
    digest
}
