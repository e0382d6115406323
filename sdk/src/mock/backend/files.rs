//! `files` of the mock host that is running on this thread.

use super::with;
use crate::Result;
use crate::files::{File, FileInfo, Page, Part, PutOptions, VersionPage};
use crate::mock::{files as store, uploads};

/// The number of an upload of the running host.
#[derive(Debug)]
pub(crate) struct Upload(u64);

impl Upload {
    pub(crate) fn begin(path: &str) -> Result<Self> {
        with(|state| uploads::begin(state, path)).map(Self)
    }

    pub(crate) fn append(&self, part: &[u8]) -> Result<()> {
        with(|state| uploads::append(state, self.0, part))
    }

    pub(crate) fn finish(&self, options: &PutOptions) -> Result<FileInfo> {
        with(|state| uploads::finish(state, self.0, options))
    }
}

impl Drop for Upload {
    /// Without a host there is nothing left to end.
    fn drop(&mut self) {
        if let Some(host) = super::current() {
            uploads::end(&mut host.state(), self.0);
        }
    }
}

pub(crate) fn put(path: &str, content: &[u8], options: &PutOptions) -> Result<FileInfo> {
    with(|state| store::put(state, path, content, options))
}

pub(crate) fn get(path: &str) -> Result<Option<File>> {
    with(|state| store::get(state, path))
}

pub(crate) fn stat(path: &str) -> Result<Option<FileInfo>> {
    with(|state| store::stat(state, path))
}

pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    with(|state| store::list(state, prefix, cursor, limit))
}

pub(crate) fn delete(path: &str) -> Result<bool> {
    with(|state| store::delete(state, path))
}

pub(crate) fn list_versions(path: &str, cursor: Option<&str>, limit: u32) -> Result<VersionPage> {
    with(|state| store::list_versions(state, path, cursor, limit))
}

pub(crate) fn get_version(path: &str, version: u64) -> Result<Option<File>> {
    with(|state| store::get_version(state, path, version))
}

pub(crate) fn restore(path: &str, version: u64) -> Result<FileInfo> {
    with(|state| store::restore(state, path, version))
}

pub(crate) fn purge(path: &str) -> Result<bool> {
    with(|state| store::purge(state, path))
}

pub(crate) fn read_range(
    path: &str,
    version: Option<u64>,
    offset: u64,
    len: u32,
) -> Result<Option<Part>> {
    with(|state| store::read_range(state, path, version, offset, len))
}
