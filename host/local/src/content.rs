//! Contents of files by their SHA-256, in the directory `files` of a tenant. Knows nothing of paths that agents give.
//!
//! A content appears under its final name only when all its bytes are on disk: it is written under a temporary name,
//! fsynced, renamed, and the directory is fsynced. The name is derived from the digest alone (`files/ab/cdef...`).

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, File, OpenOptions};
use sha2::{Digest, Sha256};
use stuga_core::{Error, Result};
use uuid::Uuid;

use crate::durability::Durability;
use crate::error;

/// Directory of contents that are being written. What a crash leaves there is removed when the tenant is opened.
const TEMPORARY: &str = "tmp";
/// Most leftovers that are looked at when a tenant is opened.
const LEFTOVERS_MAX_SEEN: usize = 1_000;

/// SHA-256 of `content` as 64 lowercase hexadecimal digits.
pub(crate) fn digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// The contents of one tenant. All functions block.
#[derive(Debug)]
pub(crate) struct ContentStore {
    files: Dir,
    durability: Durability,
}

impl ContentStore {
    /// Opens the directory, which only this crate writes to.
    pub(crate) fn open(files: Dir, durability: Durability) -> io::Result<Self> {
        files.create_dir_all(TEMPORARY)?;
        Ok(Self { files, durability })
    }

    /// Makes `content` durable under `sha256`, which is its digest. Replaces what stands there: it is the same, unless
    /// it was damaged.
    pub(crate) fn store(
        &self,
        operation: &'static str,
        sha256: &str,
        content: &[u8],
    ) -> Result<()> {
        let (temporary, mut file) = self.create_temporary(operation)?;
        let stored = self
            .append_temporary(operation, &mut file, content)
            .and_then(|()| self.adopt(operation, &temporary, &file, sha256));
        if stored.is_err() {
            self.discard_temporary(&temporary);
        }
        stored
    }

    /// Creates an empty file under a temporary name.
    pub(crate) fn create_temporary(&self, operation: &'static str) -> Result<(PathBuf, File)> {
        let temporary = Path::new(TEMPORARY).join(Uuid::new_v4().simple().to_string());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = self
            .files
            .open_with(&temporary, &options)
            .map_err(|e| error::io(operation, e))?;
        Ok((temporary, file))
    }

    /// Writes on in a temporary file.
    pub(crate) fn append_temporary(
        &self,
        operation: &'static str,
        file: &mut File,
        part: &[u8],
    ) -> Result<()> {
        file.write_all(part).map_err(|e| error::io(operation, e))
    }

    /// Makes a temporary file durable under `sha256`, which is its digest.
    pub(crate) fn adopt(
        &self,
        operation: &'static str,
        temporary: &Path,
        file: &File,
        sha256: &str,
    ) -> Result<()> {
        let (shard, name) = place(operation, sha256)?;
        let written = if self.durability.syncs() {
            file.sync_all()
        } else {
            Ok(())
        };
        let adopted = written.and_then(|()| {
            self.files.create_dir_all(shard)?;
            let directory = Path::new(shard);
            self.files
                .rename(temporary, &self.files, directory.join(name))?;
            self.sync(directory)?;
            // Whoever created the directory may not have come to sync it yet.
            self.sync(Path::new("."))
        });
        adopted.map_err(|e| error::io(operation, e))
    }

    /// Removes a temporary file. Best effort: opening the tenant removes what stays.
    pub(crate) fn discard_temporary(&self, temporary: &Path) {
        let _ = self.files.remove_file(temporary);
    }

    /// The content under `sha256`, checked against it.
    ///
    /// # Errors
    /// `Internal` when it is absent or not what the digest says.
    pub(crate) fn load(&self, operation: &'static str, sha256: &str, size: u64) -> Result<Vec<u8>> {
        let file = self.open_whole(operation, sha256, size)?;
        let content = read(operation, file, size)?;
        if content.len() as u64 != size || digest(&content) != sha256 {
            return Err(damaged(operation, sha256, "changed"));
        }
        Ok(content)
    }

    /// At most `len` bytes of the content under `sha256` from `offset` on. Checked for its size, not for its digest.
    ///
    /// # Errors
    /// `Internal` when it is absent or of another size.
    pub(crate) fn load_range(
        &self,
        operation: &'static str,
        sha256: &str,
        size: u64,
        offset: u64,
        len: u32,
    ) -> Result<Vec<u8>> {
        let mut file = self.open_whole(operation, sha256, size)?;
        let expected = size.saturating_sub(offset).min(u64::from(len));
        if expected == 0 {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(offset))
            .map_err(|e| error::io(operation, e))?;
        let content = read(operation, file, expected)?;
        if content.len() as u64 != expected {
            return Err(damaged(operation, sha256, "cut short"));
        }
        Ok(content)
    }

    /// Opens a content that has the size it should have.
    fn open_whole(&self, operation: &'static str, sha256: &str, size: u64) -> Result<File> {
        let file = match self.files.open(path(operation, sha256)?) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(operation, sha256, "absent"));
            }
            other => other.map_err(|e| error::io(operation, e))?,
        };
        let actual = file.metadata().map_err(|e| error::io(operation, e))?.len();
        if actual != size {
            return Err(damaged(operation, sha256, "of another size"));
        }
        Ok(file)
    }

    /// Whether a content of that digest and size is stored. Reads none of it.
    pub(crate) fn holds(&self, operation: &'static str, sha256: &str, size: u64) -> Result<bool> {
        match self.files.metadata(path(operation, sha256)?) {
            Ok(metadata) => Ok(metadata.is_file() && metadata.len() == size),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(error::io(operation, e)),
        }
    }

    /// Removes a content; that there is none is no error.
    pub(crate) fn remove(&self, operation: &'static str, sha256: &str) -> Result<()> {
        match self.files.remove_file(path(operation, sha256)?) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(error::io(operation, e)),
            _ => Ok(()),
        }
    }

    /// Removes temporary files that were last written before `modified_before`: no process is still writing them.
    pub(crate) fn remove_leftovers(
        &self,
        modified_before: std::time::SystemTime,
    ) -> io::Result<()> {
        for entry in self.files.read_dir(TEMPORARY)?.take(LEFTOVERS_MAX_SEEN) {
            let entry = entry?;
            let modified = entry.metadata()?.modified()?.into_std();
            if modified < modified_before {
                entry.remove_file()?;
            }
        }
        Ok(())
    }

    fn sync(&self, directory: &Path) -> io::Result<()> {
        if self.durability.syncs() {
            self.files.open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

/// At most `max` bytes of a file.
fn read(operation: &'static str, file: File, max: u64) -> Result<Vec<u8>> {
    let mut content = Vec::with_capacity(usize::try_from(max).unwrap_or(0));
    file.take(max)
        .read_to_end(&mut content)
        .map_err(|e| error::io(operation, e))?;
    Ok(content)
}

fn damaged(operation: &'static str, sha256: &str, how: &str) -> Error {
    tracing::error!(sha256, how, "the content of a file is damaged");
    Error::internal(operation, "file content damaged; put the file again")
        .with_source(format!("content {sha256} is {how}"))
}

fn path(operation: &'static str, sha256: &str) -> Result<PathBuf> {
    let (shard, name) = place(operation, sha256)?;
    Ok(Path::new(shard).join(name))
}

/// Directory and name of a content. Anything but a digest is refused, so that no caller can name another file.
fn place<'a>(operation: &'static str, sha256: &'a str) -> Result<(&'a str, &'a str)> {
    let is_digest = sha256.len() == 64
        && sha256
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    sha256
        .split_at_checked(2)
        .filter(|_| is_digest)
        .ok_or_else(|| {
            Error::internal(
                operation,
                "a content is named by something that is no digest",
            )
        })
}
