//! Files: named contents of one agent of one tenant.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use crate::memory::Expected;
use crate::{CallCtx, Capability, CapabilityName, Error, Result, Timestamp, Write};

/// Longest path in bytes.
pub const PATH_MAX_BYTES: usize = 1_024;
/// Longest part of a path in bytes.
pub const PART_MAX_BYTES: usize = 255;
/// Largest content that is handed over in one piece, in bytes.
pub const CONTENT_MAX_BYTES: usize = 16 << 20;
/// Most files on a page.
pub const PAGE_MAX_FILES: u32 = 1_000;
/// Most metadata entries of a file.
pub const METADATA_MAX_ENTRIES: usize = 32;
/// Longest metadata name in bytes.
pub const METADATA_NAME_MAX_BYTES: usize = 64;
/// Longest metadata value in bytes.
pub const METADATA_VALUE_MAX_BYTES: usize = 1_024;
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
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// Removes a file; that there is none is no error.
    Delete {
        /// Where.
        path: String,
    },
}

impl Write for FilesWrite {
    type Ack = FilesAck;
    const CAPABILITY: CapabilityName = CapabilityName::Files;

    fn key(&self) -> &str {
        match self {
            Self::Put { path, .. } | Self::Delete { path } => path,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Put { .. } => "files.put",
            Self::Delete { .. } => "files.delete",
        }
    }
}

/// What a change to files answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FilesAck {
    /// The file after a put; none after a delete.
    pub info: Option<FileInfo>,
    /// Whether a file stood there before.
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

/// Reads of files, and the spool. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else and sees only the files of
/// `ctx.tenant` and `ctx.agent`.
#[async_trait]
pub trait Files: Capability<Write = FilesWrite> {
    /// Makes a content durable under its digest, before a put names it. Idempotent by content.
    ///
    /// A content that no file names is removed some time later, but not within an hour.
    ///
    /// # Errors
    /// `Invalid` when it is larger than [`CONTENT_MAX_BYTES`].
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled>;

    /// The file at `path` with its content, or none when it is absent. The content was checked against its digest.
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
}

/// Checks a path: relative, `/` between parts of 1 to [`PART_MAX_BYTES`] bytes, none of them `.` or `..`, no backslash,
/// no control characters, at most [`PATH_MAX_BYTES`].
pub fn check_path(operation: &'static str, path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(Error::invalid(operation, "the path is empty"));
    }
    check_characters(operation, path)?;
    for part in path.split('/') {
        let problem = match part {
            "" if path.starts_with('/') => "the path is absolute; leave out the leading /",
            "" => "the path has an empty part",
            "." | ".." => "the path has a part . or ..",
            part if part.len() > PART_MAX_BYTES => "a part of the path is over 255 bytes",
            _ => continue,
        };
        return Err(Error::invalid(operation, problem));
    }
    Ok(())
}

/// Checks a prefix of paths: any beginning of a path, or nothing.
pub fn check_prefix(operation: &'static str, prefix: &str) -> Result<()> {
    check_characters(operation, prefix)?;
    if prefix.starts_with('/') || prefix.split('/').any(|part| part == "..") {
        return Err(Error::invalid(
            operation,
            "the prefix is absolute or has a part ..",
        ));
    }
    Ok(())
}

fn check_characters(operation: &'static str, path: &str) -> Result<()> {
    if path.len() > PATH_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!(
                "the path has {} bytes; the limit is {PATH_MAX_BYTES}",
                path.len()
            ),
        )
        .with_context("limit", PATH_MAX_BYTES));
    }
    match path
        .char_indices()
        .find(|(_, c)| c.is_control() || *c == '\\')
    {
        None => Ok(()),
        Some((at, c)) => Err(Error::invalid(
            operation,
            format!("the path has the character U+{:04X} at byte {at}", c as u32),
        )),
    }
}

/// Checks how many files a page may hold.
pub fn check_limit(operation: &'static str, limit: u32) -> Result<()> {
    if (1..=PAGE_MAX_FILES).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("limit {limit} is not between 1 and {PAGE_MAX_FILES}"),
    )
    .with_context("limit", PAGE_MAX_FILES))
}

/// Checks the size of a content before it is spooled.
pub fn check_content(operation: &'static str, size: usize) -> Result<()> {
    if size <= CONTENT_MAX_BYTES {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("the content has {size} bytes; the limit is {CONTENT_MAX_BYTES}"),
    )
    .with_context("limit", CONTENT_MAX_BYTES))
}

impl FilesWrite {
    /// Checks path, content type, digest and metadata.
    pub fn check(&self) -> Result<()> {
        let operation = self.operation();
        check_path(operation, self.key())?;
        let Self::Put {
            sha256,
            content_type,
            metadata,
            ..
        } = self
        else {
            return Ok(());
        };
        if sha256.len() != 64
            || !sha256
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(Error::invalid(
                operation,
                "the digest is not 64 lowercase hexadecimal digits",
            ));
        }
        let visible = |text: &str, max: usize| {
            (1..=max).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b))
        };
        if !visible(content_type, CONTENT_TYPE_MAX_BYTES) {
            return Err(Error::invalid(
                operation,
                "the content type is not 1 to 255 visible ASCII characters",
            ));
        }
        if metadata.len() > METADATA_MAX_ENTRIES {
            return Err(Error::invalid(
                operation,
                format!(
                    "{} metadata entries; the limit is {METADATA_MAX_ENTRIES}",
                    metadata.len()
                ),
            ));
        }
        for (name, value) in metadata {
            if !visible(name, METADATA_NAME_MAX_BYTES) {
                return Err(Error::invalid(
                    operation,
                    "a metadata name is not 1 to 64 visible ASCII characters",
                ));
            }
            if value.len() > METADATA_VALUE_MAX_BYTES || value.chars().any(char::is_control) {
                return Err(Error::invalid(
                    operation,
                    format!(
                        "the metadata value of {name:?} is over 1,024 bytes or has a control character"
                    ),
                ));
            }
        }
        if metadata
            .windows(2)
            .any(|pair| matches!(pair, [(a, _), (b, _)] if a >= b))
        {
            return Err(Error::invalid(
                operation,
                "metadata names are not unique or not in order",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_tenant_are_refused() {
        let long = "x".repeat(10_000);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            ".",
            "a//b",
            "a/",
            "a\0b",
            "a\\b",
            "a\nb",
            &long,
            &"y".repeat(256),
        ] {
            assert!(check_path("files.put", bad).is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "a/b.md",
            "möten/2024 våren.md",
            "..a",
            "a..",
            "...",
            &"z".repeat(255),
        ] {
            assert!(check_path("files.put", good).is_ok(), "{good:?}");
        }
    }
}
