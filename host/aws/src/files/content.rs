//! Contents: spooled under their digest, copied to their version by S3 itself, read whole or in parts.
//!
//! A content belongs to one version and goes with it, so nobody has to count who else uses it. What is spooled is left to
//! the bucket's lifecycle.

use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective, TaggingDirective};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use stuga_core::files::Spooled;
use stuga_core::{CallCtx, Error, ErrorKind, Result};
use uuid::Uuid;

use super::key;
use super::manifest::Version;
use super::multipart::{Multipart, PARTS_MAX};
use super::pace;
use super::store::{Key, Store, collect, encrypted};
use crate::call::call;
use crate::error::absent;

/// Largest content that S3 is asked to copy in one request, so that it answers within an attempt's time.
const COPY_WHOLE_MAX_BYTES: u64 = 64 << 20;
/// Bytes of a part of a larger one.
const COPY_PART_BYTES: u64 = 64 << 20;
/// Parts of a copy that are under way at the same time.
const COPY_PARTS_AT_ONCE: usize = 8;
/// In the metadata of a spooled object: where its content lies that came in parts.
const UPLOAD: &str = "stuga-upload";

/// A content that can be copied.
pub(super) struct Source {
    key: Key,
    size: u64,
}

/// Where a content is spooled. The size stands in the name: a put with another one does not find it.
fn spooled(store: &Store, sha256: &str, size: u64) -> Key {
    store.passing(&format!("s/{sha256}-{size}"))
}

/// Where the content of an upload lies.
pub(super) fn uploaded(store: &Store, upload: Uuid) -> Key {
    store.passing(&format!("u/{}", upload.as_simple()))
}

/// Where the content of a version lies.
pub(super) fn of_version(store: &Store, path: &str, content: Uuid) -> Key {
    store.kept(&format!("{}{}", key::contents(path), content.as_simple()))
}

/// Spools a content. S3 compares it with its digest before it keeps it.
pub(super) async fn spool(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    content: Bytes,
) -> Result<Spooled> {
    let size = content.len() as u64;
    let (content, digest) = digest(operation, content).await?;
    let sha256 = hex::encode(digest);
    ctx.pulse.excuse(pace::sending(content.len()));
    let put = store
        .put(&spooled(store, &sha256, size), content)
        .checksum_sha256(STANDARD.encode(digest));
    call(ctx, operation, put.send()).await?;
    Ok(Spooled { sha256, size })
}

/// Says of an upload that it is complete and which content it is.
pub(super) async fn spool_upload(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    upload: Uuid,
    content: &Spooled,
) -> Result<()> {
    let key = spooled(store, &content.sha256, content.size);
    let put = store
        .put(&key, Bytes::new())
        .metadata(UPLOAD, upload.as_simple().to_string());
    call(ctx, operation, put.send()).await?;
    Ok(())
}

/// Finds a spooled content.
pub(super) async fn find_spooled(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    sha256: &str,
    size: u64,
) -> Result<Option<Source>> {
    let key = spooled(store, sha256, size);
    let head = store
        .s3()
        .head_object()
        .bucket(&store.bucket)
        .key(key.as_str());
    let Some(found) = absent(call(ctx, operation, head.send()).await)? else {
        return Ok(None);
    };
    let upload = found.metadata.as_ref().and_then(|all| all.get(UPLOAD));
    let Some(upload) = upload else {
        let whole = found
            .content_length
            .and_then(|size| u64::try_from(size).ok());
        return Ok((whole == Some(size)).then_some(Source { key, size }));
    };
    let upload = Uuid::try_parse(upload).map_err(|e| {
        Error::internal(
            operation,
            "what the cloud keeps of the upload is not its name",
        )
        .with_source(e)
    })?;
    Ok(Some(Source {
        key: uploaded(store, upload),
        size,
    }))
}

/// The content of a version, to be copied to another one.
pub(super) fn find_version(store: &Store, path: &str, version: &Version) -> Source {
    Source {
        key: of_version(store, path, version.content),
        size: version.size,
    }
}

/// Lets S3 copy a content; false when it is not there any more.
pub(super) async fn copy(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    source: &Source,
    target: &Key,
    content_type: &str,
    sha256: &str,
) -> Result<bool> {
    let copied = if source.size > COPY_WHOLE_MAX_BYTES {
        copy_parts(store, ctx, operation, source, target, content_type).await
    } else {
        copy_whole(store, ctx, operation, source, target, content_type, sha256).await
    };
    Ok(absent(copied)?.is_some())
}

async fn copy_whole(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    source: &Source,
    target: &Key,
    content_type: &str,
    sha256: &str,
) -> Result<()> {
    let copy = store
        .s3()
        .copy_object()
        .bucket(&store.bucket)
        .key(target.as_str())
        .copy_source(store.source(&source.key))
        .metadata_directive(MetadataDirective::Replace)
        .tagging_directive(TaggingDirective::Replace)
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .content_type(content_type);
    ctx.pulse.excuse(pace::copying(source.size));
    let copied = call(ctx, operation, encrypted!(store, copy).send()).await?;
    let said = copied
        .copy_object_result
        .and_then(|result| result.checksum_sha256);
    // Not every server says it.
    match said.map(|said| STANDARD.decode(said)) {
        Some(Ok(digest)) if hex::encode(&digest) != sha256 => Err(damaged(operation, "changed")),
        _ => Ok(()),
    }
}

async fn copy_parts(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    source: &Source,
    target: &Key,
    content_type: &str,
) -> Result<()> {
    let part_bytes = COPY_PART_BYTES.max(source.size.div_ceil(u64::from(PARTS_MAX)));
    let upload = Multipart::begin(store, ctx, operation, target.clone(), content_type).await?;
    let starts = (0..source.size).step_by(usize::try_from(part_bytes).unwrap_or(usize::MAX));
    let parts: Vec<_> = stream::iter((1_u32..).zip(starts))
        .map(|(number, start)| {
            let end = start.saturating_add(part_bytes).min(source.size);
            upload.copy_part(ctx, operation, number, &source.key, start..end)
        })
        .buffered(COPY_PARTS_AT_ONCE)
        .try_collect()
        .await?;
    upload.complete(ctx, operation, parts).await
}

/// A content as a whole, compared with its digest; none when it is not there any more.
pub(super) async fn load(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    path: &str,
    version: &Version,
) -> Result<Option<Vec<u8>>> {
    let key = of_version(store, path, version.content);
    let max = usize::try_from(version.size).unwrap_or(usize::MAX);
    let Some(object) = store.read(ctx, operation, &key, max).await? else {
        return Ok(None);
    };
    let (content, digest) = digest(operation, object.bytes).await?;
    if content.len() != max || hex::encode(digest) != version.sha256 {
        return Err(damaged(operation, "changed"));
    }
    Ok(Some(content.into()))
}

/// A part of a content; none when the content is not there any more.
pub(super) async fn load_range(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    path: &str,
    version: &Version,
    offset: u64,
    len: u32,
) -> Result<Option<Vec<u8>>> {
    let end = offset.saturating_add(u64::from(len)).min(version.size);
    let Some(last) = end.checked_sub(1).filter(|last| *last >= offset) else {
        return Ok(Some(Vec::new()));
    };
    let key = of_version(store, path, version.content);
    let get = store
        .s3()
        .get_object()
        .bucket(&store.bucket)
        .key(key.as_str())
        .range(format!("bytes={offset}-{last}"));
    let Some(found) = absent(call(ctx, operation, get.send()).await)? else {
        return Ok(None);
    };
    let content = collect(ctx, operation, found.body, len as usize).await?;
    if content.len() as u64 != end.saturating_sub(offset) {
        return Err(damaged(operation, "cut short"));
    }
    Ok(Some(content.into()))
}

/// SHA-256 of a content, away from the executor's threads when it is large.
pub(super) async fn digest(operation: &'static str, content: Bytes) -> Result<(Bytes, [u8; 32])> {
    /// About a tenth of a millisecond.
    const AT_ONCE_BYTES: usize = 64 << 10;
    if content.len() <= AT_ONCE_BYTES {
        let digest = Sha256::digest(&content).into();
        return Ok((content, digest));
    }
    let digested = tokio::task::spawn_blocking(move || {
        let digest = Sha256::digest(&content).into();
        (content, digest)
    });
    digested
        .await
        .map_err(|e| Error::internal(operation, "a digest was interrupted").with_source(e))
}

fn damaged(operation: &'static str, how: &'static str) -> Error {
    Error::new(
        ErrorKind::Internal,
        operation,
        format!("the content in the cloud is {how}; restore another version"),
    )
}

impl Store {
    /// How a copy names what it copies. Keys hold nothing that would have to be escaped.
    pub(super) fn source(&self, key: &Key) -> String {
        format!("{}/{}", self.bucket, key.as_str())
    }
}
