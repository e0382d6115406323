//! What stands at a path: the one object that all its writes replace, each on the condition that nobody wrote in between.
//!
//! This file changes manifests in memory and does no IO; `taken` does so for what another side has acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::files::{EARLIER_VERSIONS_MAX, Expected, FileInfo, FileVersion};
use stuga_core::{Error, Result, Timestamp, WriteId, next_version};
use uuid::Uuid;

mod taken;

pub(super) use taken::Removal;

/// How a manifest is written. One of a later host is not read, so that it loses nothing.
const FORMAT: u32 = 1;
/// Largest manifest in bytes: 33 versions with the most metadata, the writes that are remembered, and what is to be removed.
pub(super) const MANIFEST_MAX_BYTES: usize = 8 << 20;
/// How long a write is remembered. The contract asks for at least 24 hours.
const RETENTION: Duration = Duration::from_secs(25 * 3_600);
/// Most writes that a manifest remembers; older ones are remembered beside it.
const RECENT_MAX: usize = 64;
/// Most bytes of restored metadata among them.
const RECENT_MAX_BYTES: usize = 256 << 10;
/// Most contents that wait to be removed; more are left to [`super::tidy`].
const TRASH_MAX: usize = 1_000;

/// What is known of a path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// Grows with every write, so that no two manifests of a path are equal and each has an entity tag of its own.
    serial: u64,
    pub(super) path: String,
    /// The greatest version that was ever given, here or by another side that was heard of.
    last: u64,
    /// Where the latest removal stands among all writes: nothing from before it comes to stand.
    #[serde(default)]
    removed: u64,
    /// The same of the latest purge: nothing from before it is kept.
    #[serde(default)]
    purged: u64,
    pub(super) standing: Option<Version>,
    /// The newest first.
    pub(super) earlier: Vec<Earlier>,
    /// The oldest first.
    recent: Vec<Recent>,
    /// Contents that no version names any more and that the next write removes.
    pub(super) trash: Vec<Uuid>,
    /// When it was last looked for contents that a write left behind.
    pub(super) tidied_at: Timestamp,
}

/// One version and where its content lies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    /// Its object, which belongs to this version alone.
    pub(super) content: Uuid,
    pub(super) size: u64,
    pub(super) content_type: String,
    pub(super) sha256: String,
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) metadata: Vec<(String, String)>,
}

/// A version that was replaced or deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Earlier {
    pub(super) ended_at: Timestamp,
    #[serde(flatten)]
    pub(super) version: Version,
}

/// A write that was applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Recent {
    pub(super) id: WriteId,
    at: Timestamp,
    /// Tells the write from any other under its id.
    pub(super) digest: String,
    #[serde(flatten)]
    pub(super) mark: Mark,
}

/// What a write answered, but for what the write says itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) existed: bool,
    /// Of the version that it made; none when it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<Made>,
    /// What a restore brought back, which its write does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restored: Option<FileInfo>,
}

/// What a backend decides about a new version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// Numbers for versions: they grow with the clock, and none is given twice by one host, whatever the path.
#[derive(Default)]
pub(super) struct Versions(AtomicU64);

impl Versions {
    /// A number greater than `last`.
    fn next(&self, now: Timestamp, last: u64) -> u64 {
        let given = |given: u64| next_version(given.max(last), now);
        given(self.0.update(Ordering::Relaxed, Ordering::Relaxed, given))
    }
}

/// A content with its description, before it is a version.
pub(super) struct Draft {
    pub(super) content: Uuid,
    pub(super) size: u64,
    pub(super) content_type: String,
    pub(super) sha256: String,
    pub(super) metadata: Vec<(String, String)>,
}

impl Manifest {
    /// That of a path that was never written.
    pub(super) fn new(path: &str, now: Timestamp) -> Self {
        Self {
            format: FORMAT,
            serial: 0,
            path: path.to_owned(),
            last: 0,
            removed: 0,
            purged: 0,
            standing: None,
            earlier: Vec::new(),
            recent: Vec::new(),
            trash: Vec::new(),
            tidied_at: now,
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// `Unavailable` for one of a later format; `Internal` for what is no manifest of this path.
    pub(super) fn parse(operation: &'static str, path: &str, bytes: &[u8]) -> Result<Self> {
        /// What every format begins with.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let damaged = |e| {
            Error::internal(operation, "what the cloud keeps of the path is no manifest")
                .with_source(e)
        };
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.format > FORMAT {
            let newer = "the path was written by a newer host; the operator upgrades this one";
            return Err(Error::unavailable(operation, newer).with_context("format", head.format));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        if manifest.path != path {
            return Err(Error::internal(
                operation,
                "what the cloud keeps of the path is the manifest of another",
            ));
        }
        Ok(manifest)
    }

    /// As it is kept.
    pub(super) fn to_bytes(&self, operation: &'static str) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| {
            Error::internal(operation, "the manifest cannot be written").with_source(e)
        })
    }

    /// The standing or kept version with that number.
    pub(super) fn find(&self, version: u64) -> Option<&Version> {
        self.versions().find(|kept| kept.version == version)
    }

    /// The file that stands, or the version that is asked for.
    pub(super) fn pick(&self, version: Option<u64>) -> Option<&Version> {
        match version {
            Some(version) => self.find(version),
            None => self.standing.as_ref(),
        }
    }

    /// All versions, the newest first.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.standing
            .iter()
            .chain(self.earlier.iter().map(|earlier| &earlier.version))
    }

    /// Whether a version has this content, or one had that the next write removes.
    pub(super) fn names(&self, content: Uuid) -> bool {
        self.versions().any(|version| version.content == content) || self.trash.contains(&content)
    }

    /// All versions as a listing shows them, the newest first.
    pub(super) fn listed(&self) -> impl Iterator<Item = FileVersion> {
        let standing = self.standing.iter().map(|version| (version, None));
        let earlier = self.earlier.iter();
        let earlier = earlier.map(|earlier| (&earlier.version, Some(earlier.ended_at)));
        standing
            .chain(earlier)
            .map(|(version, ended_at)| FileVersion {
                info: self.info(version),
                ended_at,
            })
    }

    /// A version as callers see it.
    pub(super) fn info(&self, version: &Version) -> FileInfo {
        FileInfo {
            path: self.path.clone(),
            size: version.size,
            content_type: version.content_type.clone(),
            sha256: version.sha256.clone(),
            version: version.version,
            created_at: version.created_at,
            updated_at: version.updated_at,
            metadata: version.metadata.clone(),
        }
    }

    /// A write that was applied under this id and is remembered here.
    pub(super) fn applied(&self, id: WriteId) -> Option<&Recent> {
        self.recent.iter().find(|recent| recent.id == id)
    }

    /// Whether neither a file nor an earlier version is here.
    pub(super) fn is_empty(&self) -> bool {
        self.standing.is_none() && self.earlier.is_empty()
    }

    /// Whether nothing was ever written to the path.
    pub(super) fn is_new(&self) -> bool {
        self.serial == 0
    }

    /// Bytes of the earlier versions.
    pub(super) fn earlier_bytes(&self) -> u64 {
        self.earlier
            .iter()
            .map(|earlier| earlier.version.size)
            .sum()
    }

    /// Lets all earlier versions go.
    pub(super) fn give_way(&mut self) {
        for earlier in std::mem::take(&mut self.earlier) {
            self.discard(earlier.version.content);
        }
    }

    /// Checks what a put expects.
    pub(super) fn check_expected(&self, operation: &'static str, expected: Expected) -> Result<()> {
        let actual = self.standing.as_ref().map(|standing| standing.version);
        expected.check(operation, "file", actual)
    }

    /// Makes it another one without a change of what it says.
    pub(super) fn touch(&mut self) {
        self.serial = self.serial.saturating_add(1);
    }

    /// Makes a content stand; what stood becomes an earlier version.
    pub(super) fn stand(&mut self, draft: Draft, now: Timestamp, versions: &Versions) -> Made {
        let created_at = self
            .standing
            .as_ref()
            .map_or(now, |standing| standing.created_at);
        self.end(now);
        let version = versions.next(now, self.last);
        self.last = version;
        self.standing = Some(Version {
            content: draft.content,
            size: draft.size,
            content_type: draft.content_type,
            sha256: draft.sha256,
            version,
            created_at,
            updated_at: now,
            metadata: draft.metadata,
        });
        Made {
            version,
            created_at,
            updated_at: now,
        }
    }

    /// Makes what stands an earlier version. Of those the oldest go when there are too many.
    pub(super) fn end(&mut self, now: Timestamp) {
        let Some(version) = self.standing.take() else {
            return;
        };
        let ended = Earlier {
            ended_at: now,
            version,
        };
        self.earlier.insert(0, ended);
        let over = self.earlier.len().min(EARLIER_VERSIONS_MAX);
        for earlier in self.earlier.split_off(over) {
            self.discard(earlier.version.content);
        }
    }

    /// Gives up all versions; says whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        let contents: Vec<Uuid> = self.versions().map(|version| version.content).collect();
        self.standing = None;
        self.earlier.clear();
        for content in &contents {
            self.discard(*content);
        }
        !contents.is_empty()
    }

    /// Says where a removal stands that was made here now; with `purges` it left nothing.
    pub(super) fn note_removal(&mut self, purges: bool, now: Timestamp, versions: &Versions) {
        self.last = versions.next(now, self.last);
        self.removed = self.last;
        if purges {
            self.purged = self.last;
        }
    }

    /// Leaves a content to the next write to remove.
    pub(super) fn discard(&mut self, content: Uuid) {
        if self.trash.len() < TRASH_MAX {
            self.trash.push(content);
        }
    }

    /// Remembers a write that is applied with this manifest. Gives out those that there is no more room for and that must
    /// be remembered elsewhere before this manifest is written.
    pub(super) fn remember(
        &mut self,
        id: WriteId,
        digest: &str,
        mark: Mark,
        now: Timestamp,
    ) -> Vec<Recent> {
        // What is remembered of it already is of before another side answered it.
        self.recent
            .retain(|recent| recent.id != id && now.since(recent.at) < RETENTION);
        self.recent.push(Recent {
            id,
            at: now,
            digest: digest.to_owned(),
            mark,
        });
        let mut bytes = 0_usize;
        let fit = self
            .recent
            .iter()
            .rev()
            .take(RECENT_MAX)
            .take_while(|recent| {
                let restored = recent.mark.restored.as_ref();
                bytes = bytes.saturating_add(restored.map_or(0, weight));
                bytes <= RECENT_MAX_BYTES
            });
        let over = self.recent.len().saturating_sub(fit.count());
        self.recent.drain(..over).collect()
    }
}

/// About how many bytes a description takes.
pub(super) fn weight(info: &FileInfo) -> usize {
    let metadata = info
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len());
    metadata.fold(info.path.len(), usize::saturating_add)
}

#[cfg(test)]
mod tests;
