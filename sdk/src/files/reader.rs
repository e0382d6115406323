//! Reading a content part by part, so that it never has to fit into the agent's memory.

use super::{FileInfo, read_range};
use crate::{Error, Result};

/// How much is read at once.
const PART_BYTES: u32 = 1 << 20;

/// Reads one version of a file from its beginning to its end, whatever is put at the path meanwhile.
///
/// Its parts are not checked against the digest in [`FileInfo`], which speaks of the whole.
#[derive(Debug)]
pub struct Reader {
    info: FileInfo,
    next: Option<Vec<u8>>,
    offset: u64,
}

/// Begins to read the file at `path`; none when it is absent.
pub fn open(path: &str) -> Result<Option<Reader>> {
    let first = read_range(path, None, 0, PART_BYTES)?;
    Ok(first.map(|part| Reader {
        info: part.info,
        offset: part.content.len() as u64,
        next: Some(part.content),
    }))
}

impl Reader {
    /// The version that is read.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    fn read_on(&self) -> Result<Vec<u8>> {
        let FileInfo { path, version, .. } = &self.info;
        let part = read_range(path, Some(*version), self.offset, PART_BYTES)?;
        part.map(|part| part.content).ok_or_else(|| {
            Error::not_found(format!(
                "version {version} of `{path}` is not kept any more; open the file again"
            ))
        })
    }
}

/// The parts in their order, none of them empty. After an error it ends.
impl Iterator for Reader {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.next.take().filter(|first| !first.is_empty()) {
            return Some(Ok(first));
        }
        if self.offset >= self.info.size {
            return None;
        }
        let part = self.read_on();
        self.offset = match &part {
            Ok(content) if !content.is_empty() => self.offset.saturating_add(content.len() as u64),
            _ => u64::MAX,
        };
        Some(part)
    }
}
