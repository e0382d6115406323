//! Files: named contents of one agent of one tenant.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use crate::memory::Expected;
pub use crate::metadata::{
    METADATA_MAX_ENTRIES, METADATA_NAME_MAX_BYTES, METADATA_VALUE_MAX_BYTES,
};

use crate::{CallCtx, Capability, CapabilityName, Result, Timestamp, Write};

mod check;

pub use check::{
    check_content, check_limit, check_part, check_path, check_prefix, check_range, check_whole,
};

/// Longest path in bytes.
pub const PATH_MAX_BYTES: usize = 1_024;
/// Longest part of a path in bytes.
pub const PART_MAX_BYTES: usize = 255;
/// Largest content that is handed over in one piece, in bytes.
pub const CONTENT_MAX_BYTES: usize = 16 << 20;
/// Most bytes of a content that one call reads or appends.
pub const RANGE_MAX_BYTES: usize = 4 << 20;
/// Most uploads that one invocation has open.
pub const UPLOADS_MAX_OPEN: usize = 8;
/// How many earlier versions of a path are kept, the newest of them.
pub const EARLIER_VERSIONS_MAX: usize = 32;
/// Most files or versions on a page.
pub const PAGE_MAX_FILES: u32 = 1_000;
/// Longest content type in bytes.
pub const CONTENT_TYPE_MAX_BYTES: usize = 255;
/// The content type of a file that was given none.
pub const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// What is known of a file without reading it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its path.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// SHA-256 of the content, 64 lowercase hexadecimal digits.
    pub sha256: String,
    /// Changes with every put of the path and only grows.
    pub version: u64,
    /// When the path was first written since it was last absent.
    pub created_at: Timestamp,
    /// When this content was written.
    pub updated_at: Timestamp,
    /// In the order of the names.
    pub metadata: Vec<(String, String)>,
}

/// A file with its content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct File {
    /// What is known of it.
    pub info: FileInfo,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// One page of a listing, in ascending order of the path's bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The files.
    pub files: Vec<FileInfo>,
    /// Where to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// One version of a path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileVersion {
    /// As it was when the version stood.
    pub info: FileInfo,
    /// When it was replaced or deleted; none for the version that stands.
    pub ended_at: Option<Timestamp>,
}

/// One page of a path's versions, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VersionPage {
    /// The versions.
    pub versions: Vec<FileVersion>,
    /// Where to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// A part of one version's content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The version that was read, with the size and the digest of its whole content.
    pub info: FileInfo,
    /// The bytes; not checked against the digest, which speaks of the whole.
    pub content: Vec<u8>,
}

/// A change to files.
///
/// An expectation that does not hold is a `Conflict` with the actual version (or `absent`) in the error's context as
/// `version`, as it is for memory; nothing is changed then.
///
/// A put names its content by digest; the bytes are spooled first with [`Files::spool`], so that a journal entry stays
/// small and a repetition does not send them again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilesWrite {
    /// Stores a content at a path, replacing what stood there. `NotFound` when no content of this digest and size is
    /// spooled.
    Put {
        /// Where.
        path: String,
        /// SHA-256 of the spooled content.
        sha256: String,
        /// Its size in bytes.
        size: u64,
        /// Its media type.
        content_type: String,
        /// In the order of the names.
        metadata: Vec<(String, String)>,
        /// On what condition.
        expected: Expected,
    },
    /// Removes a file; that there is none is no error. Its content stays as an earlier version.
    Delete {
        /// Where.
        path: String,
    },
    /// Stores the content of a kept version at its path as a new version, with its content type and metadata. `NotFound`
    /// when it is not kept.
    Restore {
        /// Where.
        path: String,
        /// Which version, standing or earlier.
        version: u64,
    },
    /// Removes a file and all its earlier versions for good; that there is nothing is no error.
    Purge {
        /// Where.
        path: String,
    },
}

impl Write for FilesWrite {
    type Ack = FilesAck;
    const CAPABILITY: CapabilityName = CapabilityName::Files;

    fn key(&self) -> &str {
        match self {
            Self::Put { path, .. }
            | Self::Delete { path }
            | Self::Restore { path, .. }
            | Self::Purge { path } => path,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Put { .. } => "files.put",
            Self::Delete { .. } => "files.delete",
            Self::Restore { .. } => "files.restore",
            Self::Purge { .. } => "files.purge",
        }
    }

    fn version(ack: &FilesAck) -> u64 {
        ack.info.as_ref().map_or(0, |info| info.version)
    }
}

/// What a change to files answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FilesAck {
    /// The file after a put or a restore; none after a delete or a purge.
    pub info: Option<FileInfo>,
    /// Whether a file stood there before; for a purge, whether there was a file or an earlier version.
    pub existed: bool,
}

/// The digest and size of a spooled content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spooled {
    /// SHA-256, 64 lowercase hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// A content that is being spooled part by part. Dropped before it is finished, it leaves nothing.
#[async_trait]
pub trait Upload: Send + Sync {
    /// Adds a part of at most [`RANGE_MAX_BYTES`] at the end.
    ///
    /// # Errors
    /// `Invalid` for a part over the limit, which is not added. After any other error, such as `QuotaExceeded` when the
    /// parts of all the tenant's uploads are over its quota, the upload is of no use and answers `Conflict`.
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()>;

    /// Makes what was appended durable under its digest, as [`Files::spool`] does. Afterwards the upload answers
    /// `Conflict`.
    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled>;
}

/// Reads of files, and the spool. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else and sees only the files of
/// `ctx.tenant` and `ctx.agent`.
///
/// What a write replaces or deletes stays as an earlier version: the newest [`EARLIER_VERSIONS_MAX`] of each path, as long
/// as the tenant's quota has room. Earlier versions never cause `QuotaExceeded`: when files that stand need the room, those
/// of the tenant that ended longest ago go first.
#[async_trait]
pub trait Files: Capability<Write = FilesWrite> {
    /// Makes a content durable under its digest, before a put names it. Idempotent by content.
    ///
    /// A content that no file names is removed some time later, but not within an hour.
    ///
    /// # Errors
    /// `Invalid` when it is larger than [`CONTENT_MAX_BYTES`].
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled>;

    /// Begins a content that is too large to be handed over in one piece: [`Files::spool`], part by part.
    ///
    /// # Errors
    /// `RateLimited` when too many contents of the tenant are being written.
    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>>;

    /// The file at `path` with its content, or none when it is absent. The content was checked against its digest.
    ///
    /// # Errors
    /// `Invalid` when it is larger than [`CONTENT_MAX_BYTES`].
    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>>;

    /// What is known of the file at `path`, or none when it is absent.
    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>>;

    /// Files whose path begins with `prefix`, in ascending order of the path's bytes, after `cursor`; at most `limit`
    /// (1 to [`PAGE_MAX_FILES`]). A cursor that is malformed or belongs to another prefix is `Invalid`.
    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page>;

    /// The version of `path` that stands and the earlier ones that are kept, the newest first, after `cursor`; at most
    /// `limit` (1 to [`PAGE_MAX_FILES`]). A cursor that is malformed or belongs to another path is `Invalid`.
    async fn list_versions(
        &self,
        ctx: &CallCtx,
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage>;

    /// One version of `path`, standing or earlier, as [`Files::get`]; none when it is not kept.
    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>>;

    /// At most `len` (up to [`RANGE_MAX_BYTES`]) bytes of a content from `offset` on; fewer only where it ends, none
    /// beyond. Of `version`, or of the file that stands. None when there is no such file or version.
    async fn read_range(
        &self,
        ctx: &CallCtx,
        path: &str,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>>;
}

/// Contents by their digest, whatever paths name them: what is carried to the cloud before a put is replayed there.
#[async_trait]
pub trait Contents: Send + Sync + 'static {
    /// At most `len` (up to [`RANGE_MAX_BYTES`]) bytes from `offset` on of a content of `ctx.tenant`; fewer only where it
    /// ends. None when no content of this digest and size is kept.
    async fn content(
        &self,
        ctx: &CallCtx,
        content: &Spooled,
        offset: u64,
        len: u32,
    ) -> Result<Option<Vec<u8>>>;
}
