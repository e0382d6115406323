//! How contents go: those that no version names any more, and those that a write left behind.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use stuga_core::{CallCtx, Error, Result, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use super::content;
use super::key;
use super::manifest::Manifest;
use super::store::{Key, Store};
use crate::call::{call, call_until};

/// How often it is looked for contents that a write left behind.
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// What is younger may belong to a write that is under way: no deadline is as long.
const YOUNG: Duration = Duration::from_secs(3_600);
/// Most objects that S3 removes in one request.
const BATCH_MAX: usize = 1_000;
/// Most pages of S3's versions that a purge reads for a path.
const PAGES_MAX: u32 = 64;

/// Removes contents. That some are not there is no error. In a bucket that keeps versions, S3 keeps what it removes until its
/// lifecycle lets it go.
pub(super) async fn remove(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    path: &str,
    contents: &[Uuid],
) -> Result<()> {
    let keys = contents.iter().map(|content| {
        let key = content::of_version(store, path, *content);
        (key.as_str().to_owned(), None)
    });
    remove_all(store, ctx, operation, keys.collect()).await
}

/// Removes contents for good, with every version of them that S3 keeps.
pub(super) async fn erase(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    path: &str,
    contents: &[Uuid],
) -> Result<()> {
    let keys: HashSet<String> = contents
        .iter()
        .map(|content| {
            content::of_version(store, path, *content)
                .as_str()
                .to_owned()
        })
        .collect();
    let prefix = store.kept(&key::contents(path));
    let mut marker: (Option<String>, Option<String>) = (None, None);
    for _ in 0..PAGES_MAX {
        let list = store
            .s3()
            .list_object_versions()
            .bucket(&store.bucket)
            .prefix(prefix.as_str())
            .set_key_marker(marker.0)
            .set_version_id_marker(marker.1);
        let page = call(ctx, operation, list.send()).await?;
        let versions = page.versions.unwrap_or_default().into_iter();
        let versions = versions.map(|version| (version.key, version.version_id));
        let marks = page.delete_markers.unwrap_or_default().into_iter();
        let marks = marks.map(|mark| (mark.key, mark.version_id));
        let all = versions.chain(marks);
        let ours = all.filter_map(|(key, id)| Some((key.filter(|key| keys.contains(key))?, id)));
        remove_all(store, ctx, operation, ours.collect()).await?;
        marker = (page.next_key_marker, page.next_version_id_marker);
        if page.is_truncated != Some(true) || marker.0.is_none() {
            return Ok(());
        }
    }
    Err(incomplete(operation))
}

async fn remove_all(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    objects: Vec<(String, Option<String>)>,
) -> Result<()> {
    for batch in objects.chunks(BATCH_MAX) {
        let named = batch.iter().map(|(key, version)| {
            let named = ObjectIdentifier::builder().key(key);
            named.set_version_id(version.clone()).build()
        });
        let named: Vec<_> = named.collect::<Result<_, _>>().map_err(|e| {
            Error::internal(operation, "a removal cannot be written").with_source(e)
        })?;
        let delete = Delete::builder()
            .set_objects(Some(named))
            .quiet(true)
            .build();
        let delete = delete.map_err(|e| {
            Error::internal(operation, "a removal cannot be written").with_source(e)
        })?;
        let request = store
            .s3()
            .delete_objects()
            .bucket(&store.bucket)
            .delete(delete);
        let done = call(ctx, operation, request.send()).await?;
        let refused = done.errors.unwrap_or_default();
        let refused = refused
            .iter()
            .filter(|error| error.code() != Some("NoSuchKey"));
        if let Some(refused) = refused.map(|error| error.code().unwrap_or_default()).next() {
            return Err(incomplete(operation).with_source(refused.to_owned()));
        }
    }
    Ok(())
}

fn incomplete(operation: &'static str) -> Error {
    Error::unavailable(
        operation,
        "the cloud did not remove everything; try again later",
    )
}

/// The place of a content for a new version. Unless the version comes to stand, or may have, it is emptied again.
pub(super) struct Copied {
    store: Store,
    pub(super) key: Key,
    pub(super) content: Uuid,
    /// Whether a version may name it.
    pub(super) named: bool,
}

impl Copied {
    /// A place of its own for a content of `path`.
    pub(super) fn place(store: &Store, path: &str) -> Self {
        let content = Uuid::new_v4();
        Self {
            store: store.clone(),
            key: content::of_version(store, path, content),
            content,
            named: false,
        }
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if self.named {
            return;
        }
        let (store, key) = (self.store.clone(), self.key.clone());
        let cleanup = Arc::clone(&self.store.cleanup);
        cleanup.begin("a content that no version names", |deadline| {
            remove_one(store, key, deadline)
        });
    }
}

async fn remove_one(store: Store, key: Key, deadline: Instant) -> Result<()> {
    let delete = store
        .s3()
        .delete_object()
        .bucket(&store.bucket)
        .key(key.as_str());
    call_until(deadline, "files.remove", delete.send()).await?;
    Ok(())
}

/// Looks, once a day when the path is written, for contents that a write left behind when it was cut off. That which is being
/// `copied` now is none of them. None when it is not time yet.
pub(super) async fn tidy(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    manifest: &Manifest,
    copied: Uuid,
    now: Timestamp,
) -> Result<Option<Vec<Uuid>>> {
    if now.since(manifest.tidied_at) < TIDY_EVERY {
        return Ok(None);
    }
    let prefix = store.kept(&key::contents(&manifest.path));
    let list = store
        .s3()
        .list_objects_v2()
        .bucket(&store.bucket)
        .prefix(prefix.as_str());
    let page = call(ctx, operation, list.send()).await?;
    let old = now.saturating_sub(YOUNG).as_millis();
    let left = page
        .contents
        .unwrap_or_default()
        .into_iter()
        .filter_map(|object| {
            let content =
                Uuid::try_parse(object.key.as_deref()?.strip_prefix(prefix.as_str())?).ok()?;
            let modified = u64::try_from(object.last_modified?.to_millis().ok()?).ok()?;
            let known = content == copied
                || manifest
                    .versions()
                    .any(|version| version.content == content)
                || manifest.trash.contains(&content);
            (!known && modified < old).then_some(content)
        });
    Ok(Some(left.collect()))
}
