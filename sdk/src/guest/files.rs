//! `files` of the real host: bindings on one side, the records of this crate on the other.

use super::{Result, host::files as wit};
use crate::files::{Expected, File, FileInfo, FileVersion, Page, Part, PutOptions, VersionPage};

fn info(info: wit::Info) -> FileInfo {
    FileInfo {
        path: info.path,
        size: info.size,
        content_type: info.content_type,
        sha256: info.sha256,
        version: info.version,
        created_at: info.created_at,
        updated_at: info.updated_at,
        metadata: info.metadata,
    }
}

fn file(file: wit::File) -> File {
    File {
        info: info(file.info),
        content: file.content,
    }
}

fn options(options: &PutOptions) -> wit::PutOptions {
    wit::PutOptions {
        content_type: options.content_type.clone(),
        metadata: options.metadata.clone(),
        expected: match options.expected {
            Expected::Any => wit::Expected::Any,
            Expected::Absent => wit::Expected::Absent,
            Expected::Version(version) => wit::Expected::Version(version),
        },
    }
}

pub(crate) fn put(path: &str, content: &[u8], given: &PutOptions) -> Result<FileInfo> {
    Ok(info(wit::put(path, content, &options(given))?))
}

/// The host's handle; dropping it ends the upload.
#[derive(Debug)]
pub(crate) struct Upload(wit::Upload);

impl Upload {
    pub(crate) fn begin(path: &str) -> Result<Self> {
        Ok(Self(wit::begin_upload(path)?))
    }

    pub(crate) fn append(&self, part: &[u8]) -> Result<()> {
        Ok(self.0.append(part)?)
    }

    pub(crate) fn finish(&self, given: &PutOptions) -> Result<FileInfo> {
        Ok(info(self.0.finish(&options(given))?))
    }
}

pub(crate) fn get(path: &str) -> Result<Option<File>> {
    Ok(wit::get(path)?.map(file))
}

pub(crate) fn stat(path: &str) -> Result<Option<FileInfo>> {
    Ok(wit::stat(path)?.map(info))
}

pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let page = wit::list(prefix, cursor, limit)?;
    Ok(Page {
        files: page.files.into_iter().map(info).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(crate) fn delete(path: &str) -> Result<bool> {
    Ok(wit::delete(path)?)
}

pub(crate) fn list_versions(path: &str, cursor: Option<&str>, limit: u32) -> Result<VersionPage> {
    let page = wit::list_versions(path, cursor, limit)?;
    let version = |version: wit::FileVersion| FileVersion {
        info: info(version.info),
        ended_at: version.ended_at,
    };
    Ok(VersionPage {
        versions: page.versions.into_iter().map(version).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(crate) fn get_version(path: &str, version: u64) -> Result<Option<File>> {
    Ok(wit::get_version(path, version)?.map(file))
}

pub(crate) fn restore(path: &str, version: u64) -> Result<FileInfo> {
    Ok(info(wit::restore(path, version)?))
}

pub(crate) fn purge(path: &str) -> Result<bool> {
    Ok(wit::purge(path)?)
}

pub(crate) fn read_range(
    path: &str,
    version: Option<u64>,
    offset: u64,
    len: u32,
) -> Result<Option<Part>> {
    let part = wit::read_range(path, version, offset, len)?;
    Ok(part.map(|part| Part {
        info: info(part.info),
        content: part.content,
    }))
}
