//! Files of one agent of one tenant, for what is too large for memory or is handed out to people.
//!
//! A path is relative, `/` between parts of 1 to 255 bytes, none of them `.` or `..`, no backslash, no control
//! characters, at most 1,024 bytes. A content that is handed over in one piece has at most 16 MiB. Wants [`Capability::Files`](crate::Capability::Files).

use crate::backend::files as backend;
use crate::{Pages, Result};

mod reader;
mod upload;

pub use reader::{Reader, open};
pub use upload::{Upload, upload};

/// What is known of a file without reading it. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileInfo {
    /// Its path.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// A media type; `application/octet-stream` when none was given.
    pub content_type: String,
    /// SHA-256 of the content, 64 lowercase hexadecimal digits.
    pub sha256: String,
    /// Changes with every put of the path and only grows. Compare it for equality.
    pub version: u64,
    /// When the path was first written since it was last absent.
    pub created_at: u64,
    /// When this content was written.
    pub updated_at: u64,
    /// In the order of the names.
    pub metadata: Vec<(String, String)>,
}

/// A file with its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// What is known of it.
    pub info: FileInfo,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// What a put expects to stand at its path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Expected {
    #[default]
    Any,
    Absent,
    Version(u64),
}

/// What to store beside the content, and on what condition.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    pub(crate) expected: Expected,
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl PutOptions {
    /// No content type, no metadata, no condition.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the content a media type, such as `text/markdown`.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Stores only when nothing stands at the path. `Conflict` otherwise; its context names the actual `version`.
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.expected = Expected::Absent;
        self
    }

    /// Stores only when the file stands at this version. `Conflict` otherwise; its context names the actual `version`,
    /// `absent` when there is no file.
    #[must_use]
    pub fn if_version(mut self, version: u64) -> Self {
        self.expected = Expected::Version(version);
        self
    }

    /// Adds metadata: at most 32 names of 1 to 64 bytes, values of at most 1,024. A name given twice is `Invalid`.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }
}

/// One page of a listing, in ascending order of the path's bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The files.
    pub files: Vec<FileInfo>,
    /// Give this to [`list`] to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// One version of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileVersion {
    /// As it was when the version stood.
    pub info: FileInfo,
    /// When it was replaced or deleted; none for the version that stands.
    pub ended_at: Option<u64>,
}

/// One page of a path's versions, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VersionPage {
    /// The versions.
    pub versions: Vec<FileVersion>,
    /// Give this to [`list_versions`] to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// A part of one version's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The version that was read, with the size and the digest of its whole content.
    pub info: FileInfo,
    /// The bytes; not checked against the digest, which speaks of the whole.
    pub content: Vec<u8>,
}

/// Stores the whole content at `path`, replacing what stood there at once: a reader sees the old or the new.
pub fn put(path: &str, content: &[u8]) -> Result<FileInfo> {
    backend::put(path, content, &PutOptions::new())
}

/// Stores the whole content at `path` with a content type and metadata, or on a condition.
pub fn put_with(path: &str, content: &[u8], options: &PutOptions) -> Result<FileInfo> {
    backend::put(path, content, options)
}

/// The file at `path`, or none when it is absent. One over 16 MiB is `Invalid`: read it with [`read_range`] or [`open`].
pub fn get(path: &str) -> Result<Option<File>> {
    backend::get(path)
}

/// What is known of the file at `path`, or none when it is absent.
pub fn stat(path: &str) -> Result<Option<FileInfo>> {
    backend::stat(path)
}

/// Files whose path begins with `prefix` (all for ""), at most `limit` (1 to 1,000) a page.
pub fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    backend::list(prefix, cursor, limit)
}

/// All files whose path begins with `prefix`, in ascending order of the path's bytes, page after page.
pub fn list_all(prefix: &str) -> Pages<FileInfo> {
    Pages::new(prefix, |prefix, cursor, limit| {
        list(prefix, cursor, limit).map(|page| (page.files, page.next_cursor))
    })
}

/// Removes the file and says whether there was one. Deleting what is absent succeeds.
///
/// Its content stays as an earlier version: [`restore`] brings it back, [`purge`] removes that as well.
pub fn delete(path: &str) -> Result<bool> {
    backend::delete(path)
}

/// The version of `path` that stands and the earlier ones that are kept (32 at most), the newest first, at most `limit`
/// (1 to 1,000) a page.
pub fn list_versions(path: &str, cursor: Option<&str>, limit: u32) -> Result<VersionPage> {
    backend::list_versions(path, cursor, limit)
}

/// All versions of `path`, the newest first, page after page.
pub fn all_versions(path: &str) -> Pages<FileVersion> {
    Pages::new(path, |path, cursor, limit| {
        list_versions(path, cursor, limit).map(|page| (page.versions, page.next_cursor))
    })
}

/// One version of `path`, standing or earlier, as [`get`]; none when it is not kept.
pub fn get_version(path: &str, version: u64) -> Result<Option<File>> {
    backend::get_version(path, version)
}

/// Puts a kept version's content, content type and metadata at `path`, as a new version. `NotFound` when it is not kept.
pub fn restore(path: &str, version: u64) -> Result<FileInfo> {
    backend::restore(path, version)
}

/// Removes the file and all its earlier versions for good, and says whether there was anything.
pub fn purge(path: &str) -> Result<bool> {
    backend::purge(path)
}

/// At most `len` (up to 4 MiB) bytes from `offset` on; fewer only where the content ends. Without `version` of the file
/// that stands; to read on, give the version that the first part named. [`open`] does so by itself.
pub fn read_range(path: &str, version: Option<u64>, offset: u64, len: u32) -> Result<Option<Part>> {
    backend::read_range(path, version, offset, len)
}
