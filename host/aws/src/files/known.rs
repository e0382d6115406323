//! What manifests say, by their entity tags: a listing reads none twice that has not changed.
//!
//! S3 lists the tag that a manifest has now, and no two manifests of a path have the same. So what is found here is never old.

use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest, Sha256};
use stuga_core::files::FileInfo;

use super::manifest::weight;
use super::store::{Key, Store};

/// Most bytes that are kept, of all tenants.
const KNOWN_MAX_BYTES: u64 = 32 << 20;
/// About what an entry takes besides its description.
const ENTRY_BYTES: usize = 200;

/// The files that stand by the manifests that were read; none for a path where no file stands.
pub(super) struct Known(Cache<[u8; 32], Option<Arc<FileInfo>>>);

impl Known {
    pub(super) fn new() -> Self {
        let weigh = |_: &[u8; 32], info: &Option<Arc<FileInfo>>| {
            let bytes = info
                .as_deref()
                .map_or(0, weight)
                .saturating_add(ENTRY_BYTES);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder()
            .max_capacity(KNOWN_MAX_BYTES)
            .weigher(weigh);
        Self(kept.build())
    }

    /// What the manifest with this tag says; none when that is not known.
    pub(super) fn get(&self, store: &Store, key: &Key, etag: &str) -> Option<Option<FileInfo>> {
        let known = self.0.get(&name(store, key, etag))?;
        Some(known.as_deref().cloned())
    }

    pub(super) fn keep(&self, store: &Store, key: &Key, etag: &str, info: Option<&FileInfo>) {
        // A server that tells no tags tells no changes.
        if etag.is_empty() {
            return;
        }
        let info = info.map(|info| Arc::new(info.clone()));
        self.0.insert(name(store, key, etag), info);
    }
}

/// Bucket, key and tag; the key begins with what belongs to the tenant.
fn name(store: &Store, key: &Key, etag: &str) -> [u8; 32] {
    let mut name = Sha256::new();
    for part in [store.bucket.as_str(), key.as_str(), etag] {
        name.update((part.len() as u64).to_le_bytes());
        name.update(part);
    }
    name.finalize().into()
}
