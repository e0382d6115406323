//! Listings: keys in the order of the paths from S3, and what is known of each from its manifest.
//!
//! A key alone does not say whether a file stands there, so a page reads one manifest for each path, several at a time. What
//! was read once is known by the manifest's entity tag, which S3 lists: only what has changed since is read again. A page looks
//! at [`LOOK_MAX`] paths at most, those of deleted files among them, and may have fewer files than it was asked for.

use std::collections::VecDeque;

use futures::{StreamExt, TryStreamExt, stream};
use stuga_core::cursor::{self, Listing};
use stuga_core::files::{FileInfo, Page};
use stuga_core::{CallCtx, Result};

use super::key::{self, Listed, Sequence};
use super::known::Known;
use super::manifest::{MANIFEST_MAX_BYTES, Manifest, weight};
use super::store::Store;
use crate::call::call;

/// Most paths that one page looks at.
const LOOK_MAX: usize = 1_000;
/// Manifests that are read at the same time.
const READS_AT_ONCE: usize = 16;
/// Most bytes of metadata on a page; a page holds at least one file.
const PAGE_MAX_METADATA_BYTES: usize = 4 << 20;
/// Most keys that S3 lists at once.
const KEYS_MAX: i32 = 1_000;

/// One page of the files whose path begins with `prefix`, after `after`.
pub(super) async fn list(
    store: &Store,
    known: &Known,
    ctx: &CallCtx,
    operation: &'static str,
    prefix: &str,
    after: Option<String>,
    limit: u32,
) -> Result<Page> {
    let limit = limit as usize;
    let mut keys = Keys::begin(prefix, after.as_deref());
    let mut page = Page::default();
    let (mut looked, mut bytes) = (0_usize, 0_usize);
    let mut last: Option<String> = None;
    loop {
        // A few more than are missing: some may be of deleted files.
        let missing = limit.saturating_sub(page.files.len());
        let wanted = missing.min(LOOK_MAX.saturating_sub(looked));
        let paths = keys.next(store, ctx, operation, wanted).await?;
        if paths.is_empty() {
            return Ok(page);
        }
        looked += paths.len();
        let at_once = READS_AT_ONCE.min(paths.len());
        let infos: Vec<(String, Option<FileInfo>)> = stream::iter(paths)
            .map(|found| look(store, known, ctx, operation, found))
            .buffered(at_once)
            .try_collect()
            .await?;
        for (path, info) in infos {
            let Some(info) = info else {
                last = Some(path);
                continue;
            };
            if bytes > PAGE_MAX_METADATA_BYTES {
                return Ok(page.read_on(prefix, last));
            }
            bytes = bytes.saturating_add(weight(&info));
            page.files.push(info);
            last = Some(path);
        }
        let full =
            page.files.len() >= limit || looked >= LOOK_MAX || bytes > PAGE_MAX_METADATA_BYTES;
        if full {
            let more = !keys.next(store, ctx, operation, 1).await?.is_empty();
            return Ok(if more {
                page.read_on(prefix, last)
            } else {
                page
            });
        }
    }
}

/// A path that was listed, and the entity tag of its manifest.
struct Found {
    path: String,
    etag: String,
}

/// What is known of the file at a path; none when none stands there.
async fn look(
    store: &Store,
    known: &Known,
    ctx: &CallCtx,
    operation: &'static str,
    Found { path, etag }: Found,
) -> Result<(String, Option<FileInfo>)> {
    let key = store.kept(&key::manifest(&path));
    if let Some(info) = known.get(store, &key, &etag) {
        return Ok((path, info));
    }
    let Some(object) = store.read(ctx, operation, &key, MANIFEST_MAX_BYTES).await? else {
        return Ok((path, None));
    };
    let manifest = Manifest::parse(operation, &path, &object.bytes)?;
    let info = manifest
        .standing
        .as_ref()
        .map(|standing| manifest.info(standing));
    known.keep(store, &key, &object.etag, info.as_ref());
    Ok((path, info))
}

trait ReadOn {
    fn read_on(self, prefix: &str, last: Option<String>) -> Self;
}

impl ReadOn for Page {
    /// The page, which is not the last one.
    fn read_on(mut self, prefix: &str, last: Option<String>) -> Self {
        self.next_cursor = last.map(|last| cursor::encode(Listing::Files, prefix, &last));
        self
    }
}

/// Paths in ascending order, from several sequences of keys.
struct Keys {
    prefix: String,
    /// What is read now is the last; the main sequence goes on when another one has ended.
    reading: Vec<Reading>,
}

/// A sequence that is read.
struct Reading {
    sequence: Sequence,
    /// The key after which S3 lists on; none to begin with the first.
    after: Option<String>,
    /// Whether there are more than those that were listed.
    more: bool,
    ahead: VecDeque<(Listed, String)>,
}

impl Keys {
    fn begin(prefix: &str, after: Option<&str>) -> Self {
        let start = |sequence: &Sequence| match after {
            Some(after) => Some(sequence.behind(after)),
            None => sequence.before(prefix),
        };
        let mut reading = Vec::new();
        // What has a prefix that is too long for a key stands aside and nowhere else.
        if Sequence::of(prefix).is_none() {
            let main = Sequence::main();
            let after = start(&main);
            reading.push(Reading::new(main, after));
        }
        if let Some(aside) = Sequence::of(after.unwrap_or(prefix)) {
            let after = start(&aside);
            reading.push(Reading::new(aside, after));
        }
        Self {
            prefix: prefix.to_owned(),
            reading,
        }
    }

    /// The next paths, `wanted` at most; none at the end.
    async fn next(
        &mut self,
        store: &Store,
        ctx: &CallCtx,
        operation: &'static str,
        wanted: usize,
    ) -> Result<Vec<Found>> {
        let mut paths = Vec::new();
        while paths.len() < wanted {
            let missing = wanted.saturating_sub(paths.len());
            let Some(now) = self.reading.last_mut() else {
                break;
            };
            match now.next(store, ctx, operation, missing).await? {
                Some((Listed::Path(path), etag)) if path.starts_with(&self.prefix) => {
                    paths.push(Found { path, etag });
                }
                Some((Listed::Rest(aside), _)) if aside.meets(&self.prefix) => {
                    let after = aside.before(&self.prefix);
                    self.reading.push(Reading::new(aside, after));
                }
                // Paths that begin with the prefix stand together, and this one comes behind them.
                Some(_) | None => {
                    self.reading.pop();
                }
            }
        }
        Ok(paths)
    }
}

impl Reading {
    fn new(sequence: Sequence, after: Option<String>) -> Self {
        Self {
            sequence,
            after,
            more: true,
            ahead: VecDeque::new(),
        }
    }

    /// What the next key stands for, and its entity tag. When keys must be listed, not many more than are `missing`.
    async fn next(
        &mut self,
        store: &Store,
        ctx: &CallCtx,
        operation: &'static str,
        missing: usize,
    ) -> Result<Option<(Listed, String)>> {
        while self.ahead.is_empty() && self.more {
            let count = i32::try_from(missing).unwrap_or(KEYS_MAX);
            let list = store
                .s3()
                .list_objects_v2()
                .bucket(&store.bucket)
                .prefix(store.kept(&self.sequence.prefix).as_str())
                .set_start_after(
                    self.after
                        .as_ref()
                        .map(|key| store.kept(key).as_str().to_owned()),
                )
                .max_keys(count.saturating_add(1).min(KEYS_MAX));
            let listed = call(ctx, operation, list.send()).await?;
            let keys = listed.contents.unwrap_or_default();
            let last = keys.last().and_then(|object| object.key.as_deref());
            let last = last.and_then(|key| store.relative(key)).map(str::to_owned);
            self.more = listed.is_truncated == Some(true) && last.is_some() && last > self.after;
            let new = keys.iter().filter_map(|object| {
                let key = store.relative(object.key.as_deref()?)?;
                // Whatever a server takes for behind a key: nothing is listed twice.
                let behind = self.after.as_deref().is_none_or(|after| key > after);
                let listed = self.sequence.read(key).filter(|_| behind)?;
                Some((listed, object.e_tag.clone().unwrap_or_default()))
            });
            self.ahead.extend(new);
            self.after = last.or_else(|| self.after.take());
        }
        Ok(self.ahead.pop_front())
    }
}
