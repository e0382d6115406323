//! Writing a content part by part, so that it never has to fit into the agent's memory.

use super::{FileInfo, PutOptions, backend};
use crate::Result;

/// Most bytes that are handed to the host at once.
const PART_MAX_BYTES: usize = 4 << 20;

/// A content that is being written. Dropped before it is finished, it leaves nothing.
///
/// It belongs to the invocation that began it: one that is kept in the agent for the next invocation is `Conflict` there.
#[derive(Debug)]
pub struct Upload(backend::Upload);

/// Begins to write a content of any size within the tenant's quota. What stands at `path` stays until it is finished.
///
/// An invocation has at most 8 open; one more is `QuotaExceeded`.
pub fn upload(path: &str) -> Result<Upload> {
    backend::Upload::begin(path).map(Upload)
}

impl Upload {
    /// Adds bytes at the end, as many as you like. After an error the upload is of no use; begin again.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        bytes
            .chunks(PART_MAX_BYTES)
            .try_for_each(|part| self.0.append(part))
    }

    /// Stores what was appended at the path, as [`put`](super::put) does.
    pub fn finish(self) -> Result<FileInfo> {
        self.0.finish(&PutOptions::new())
    }

    /// Stores what was appended with a content type and metadata, or on a condition, as [`put_with`](super::put_with) does.
    ///
    /// When the condition does not hold it may be called again with another.
    pub fn finish_with(&mut self, options: &PutOptions) -> Result<FileInfo> {
        self.0.finish(options)
    }
}
