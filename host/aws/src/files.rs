//! Files on S3.
//!
//! A path has one small object, its manifest, which names the versions and remembers its writes; each version has an object
//! with its content. All writes of a path replace its manifest on the condition that nobody else has: S3 decides who was
//! first, among any number of hosts, and a reader sees the old or the new. ADR 0030 tells why it is so and not otherwise.
//!
//! | operation | requests | consistency |
//! | --- | --- | --- |
//! | `stat`, `list-versions` | one `GetObject` | what the last acknowledged write left |
//! | `get`, `get-version`, `read-range` | two `GetObject` | the same; content and description are of one version |
//! | `list` | `ListObjectsV2`, then one `GetObject` a path that has changed since it was listed here | each file as it stood at some moment of the call |
//! | `spool` | one `PutObject`, compared with its digest by S3 | |
//! | upload | a multipart upload, and one small `PutObject` at its end | nothing is seen before a put names it |
//! | `put`, `restore` | claim, manifest and content at once, `CopyObject`, conditional `PutObject` | one step |
//! | `delete`, `purge` | claim and manifest at once, conditional `PutObject`; a purge then removes the contents | one step |
//! | adopt | as the write itself, and `HeadObject` of the content of a restore | one step, where its version says |

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::cursor::{self, Listing};
use stuga_core::files::{
    File, FileInfo, Files, FilesAck, FilesWrite, PATH_MAX_BYTES, Page, Part, Spooled, Upload,
    VersionPage, check_content, check_limit, check_path, check_prefix, check_range, check_whole,
};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::{CallCtx, Capability, Error, Result, WriteId};

use crate::Shared;
use crate::quota::meter::Meter;
use cleanup::Cleanup;
use known::Known;
use manifest::{MANIFEST_MAX_BYTES, Manifest, Version, Versions};
use store::Store;
use turns::Turns;
use upload::{S3Upload, UploadTurns};

pub use download::Download;

mod adopt;
mod claim;
mod cleanup;
mod content;
mod download;
mod effects;
mod key;
mod known;
mod listing;
mod manifest;
mod multipart;
mod pace;
mod removal;
mod store;
mod turns;
mod upload;
mod usage;

/// How often a read begins again because the content it was about to read was removed meanwhile.
const READ_ROUNDS_MAX: u32 = 3;
/// What the limits of files are called.
const LIMITS: [&str; 2] = ["files_count", "files_bytes"];
/// Bytes that a version adds to a path in a cursor.
const CURSOR_VERSION_BYTES: usize = 20;

/// Files of all tenants on S3.
pub struct S3Files {
    shared: Arc<Shared>,
    versions: Versions,
    known: Known,
    turns: Turns,
    uploads: UploadTurns,
    cleanup: Arc<Cleanup>,
    meter: Meter,
}

impl S3Files {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            meter: Meter::new(usage::Objects(Arc::clone(&shared)), LIMITS),
            shared,
            versions: Versions::default(),
            known: Known::new(),
            turns: Turns::default(),
            uploads: UploadTurns::new(),
            cleanup: Arc::new(Cleanup::new()),
        }
    }

    /// Waits until nothing that calls left behind is being removed any more.
    pub(crate) async fn settled(&self) {
        self.cleanup.settled().await;
    }

    fn store(&self, ctx: &CallCtx) -> Result<Store> {
        Store::of(&self.shared, &self.cleanup, ctx)
    }

    /// A version of a path, or the file that stands there, with its whole content.
    async fn whole(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        path: &str,
        version: Option<u64>,
    ) -> Result<Option<File>> {
        check_path(operation, path)?;
        let store = self.store(ctx)?;
        for _ in 0..READ_ROUNDS_MAX {
            let Some((info, version)) = find(&store, ctx, operation, path, version).await? else {
                return Ok(None);
            };
            check_whole(operation, info.size)?;
            if let Some(content) = content::load(&store, ctx, operation, path, &version).await? {
                return Ok(Some(File { info, content }));
            }
        }
        Err(gone(operation))
    }
}

#[async_trait]
impl Capability for S3Files {
    type Write = FilesWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        write.check()?;
        effects::apply(self, ctx, id, write).await
    }
}

#[async_trait]
impl Replica<FilesWrite> for S3Files {
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &FilesWrite,
        made: &Made<FilesAck>,
    ) -> Result<Adopted> {
        write.check()?;
        adopt::adopt(self, ctx, id, write, made).await
    }
}

#[async_trait]
impl Files for S3Files {
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        const OPERATION: &str = "files.spool";
        check_content(OPERATION, content.len())?;
        let content = bytes::Bytes::copy_from_slice(content);
        content::spool(&self.store(ctx)?, ctx, OPERATION, content).await
    }

    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        const OPERATION: &str = "files.begin-upload";
        let store = self.store(ctx)?;
        let turns = self.uploads.take(OPERATION, &ctx.tenant)?;
        Ok(Box::new(S3Upload::begin(store, turns)))
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        self.whole(ctx, "files.get", path, None).await
    }

    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>> {
        self.whole(ctx, "files.get-version", path, Some(version))
            .await
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        const OPERATION: &str = "files.stat";
        check_path(OPERATION, path)?;
        let found = find(&self.store(ctx)?, ctx, OPERATION, path, None).await?;
        Ok(found.map(|(info, _)| info))
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        const OPERATION: &str = "files.list";
        check_prefix(OPERATION, prefix)?;
        check_limit(OPERATION, limit)?;
        let after = cursor
            .map(|c| cursor::decode(OPERATION, Listing::Files, prefix, c, PATH_MAX_BYTES))
            .transpose()?;
        let store = self.store(ctx)?;
        listing::list(&store, &self.known, ctx, OPERATION, prefix, after, limit).await
    }

    async fn list_versions(
        &self,
        ctx: &CallCtx,
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        const OPERATION: &str = "files.list-versions";
        const CURSOR_MAX_BYTES: usize = PATH_MAX_BYTES + CURSOR_VERSION_BYTES;
        check_path(OPERATION, path)?;
        check_limit(OPERATION, limit)?;
        let before = cursor
            .map(|cursor| {
                let listing = Listing::FileVersions;
                let last = cursor::decode(OPERATION, listing, path, cursor, CURSOR_MAX_BYTES)?;
                decode_version(path, &last).ok_or_else(|| cursor::malformed(OPERATION))
            })
            .transpose()?;
        let manifest = read_manifest(&self.store(ctx)?, ctx, OPERATION, path).await?;
        let all = manifest.iter().flat_map(Manifest::listed);
        let after = |version: &stuga_core::files::FileVersion| {
            before.is_none_or(|before| version.info.version < before)
        };
        let limit = limit as usize;
        let mut versions: Vec<_> = all.filter(after).take(limit.saturating_add(1)).collect();
        let more = versions.len() > limit;
        versions.truncate(limit);
        let next_cursor = versions
            .last()
            .filter(|_| more)
            .map(|last| encode_version(path, last.info.version));
        Ok(VersionPage {
            versions,
            next_cursor,
        })
    }

    async fn read_range(
        &self,
        ctx: &CallCtx,
        path: &str,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>> {
        const OPERATION: &str = "files.read-range";
        check_path(OPERATION, path)?;
        check_range(OPERATION, len)?;
        let store = self.store(ctx)?;
        for _ in 0..READ_ROUNDS_MAX {
            let Some((info, version)) = find(&store, ctx, OPERATION, path, version).await? else {
                return Ok(None);
            };
            let part = content::load_range(&store, ctx, OPERATION, path, &version, offset, len);
            if let Some(content) = part.await? {
                return Ok(Some(Part { info, content }));
            }
        }
        Err(gone(OPERATION))
    }
}

/// A version of a path, or the file that stands there, and where its content lies.
async fn find(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    path: &str,
    version: Option<u64>,
) -> Result<Option<(FileInfo, Version)>> {
    let manifest = read_manifest(store, ctx, operation, path).await?;
    Ok(manifest.and_then(|manifest| {
        let version = manifest.pick(version)?;
        Some((manifest.info(version), version.clone()))
    }))
}

/// What is known of a path; none when it was never written.
async fn read_manifest(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    path: &str,
) -> Result<Option<Manifest>> {
    let key = store.kept(&key::manifest(path));
    let object = store.read(ctx, operation, &key, MANIFEST_MAX_BYTES).await?;
    object
        .map(|object| Manifest::parse(operation, path, &object.bytes))
        .transpose()
}

fn encode_version(path: &str, version: u64) -> String {
    cursor::encode(Listing::FileVersions, path, &format!("{path}{version:020}"))
}

/// The version before which a listing of `path` reads on; none when the cursor says no version.
fn decode_version(path: &str, last: &str) -> Option<u64> {
    let digits = last.strip_prefix(path)?;
    let plain = digits.len() == CURSOR_VERSION_BYTES && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn gone(operation: &'static str) -> Error {
    Error::internal(
        operation,
        "the content in the cloud is absent; restore another version",
    )
}
