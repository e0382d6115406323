//! `files`: a put spools its content first, then names it by digest.

use stuga_core::files::{self, DEFAULT_CONTENT_TYPE, FileInfo, FilesAck, FilesWrite, Spooled};
use stuga_core::{CapabilityName, Error, Result, Timestamp};
use wasmtime::component::Resource;

use crate::bindings::stuga::agent::files::{
    Expected, File, FileVersion, Host, Info, Page, Part, PutOptions, Upload, VersionPage,
};
use crate::state::HostState;

impl Host for HostState {
    async fn put(&mut self, path: String, content: Vec<u8>, options: PutOptions) -> Result<Info> {
        let (ctx, capabilities) = self.permit(CapabilityName::Files, "files.put")?;
        let mut write = put_of(path, content.len() as u64, options);
        // Everything but the digest is checked before a byte is spooled.
        write.check()?;
        files::check_content("files.put", content.len())?;
        let spooled = capabilities.files.spool(ctx, &content).await?;
        name(&mut write, spooled);
        stored("files.put", capabilities.files.write(ctx, &write).await?)
    }

    async fn begin_upload(&mut self, path: String) -> Result<Resource<Upload>> {
        self.begin_upload_at(path).await
    }

    async fn get(&mut self, path: String) -> Result<Option<File>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Files, "files.get")?;
        files::check_path("files.get", &path)?;
        let path = path.as_str();
        let file = capabilities
            .files
            .read(ctx, "files.get", path, |files| async move {
                files.get(ctx, path).await
            })
            .await?;
        Ok(file.map(File::from))
    }

    async fn stat(&mut self, path: String) -> Result<Option<Info>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Files, "files.stat")?;
        files::check_path("files.stat", &path)?;
        let path = path.as_str();
        let info = capabilities
            .files
            .read(ctx, "files.stat", path, |files| async move {
                files.stat(ctx, path).await
            })
            .await?;
        Ok(info.map(Info::from))
    }

    async fn list(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        let (ctx, capabilities) = self.permit(CapabilityName::Files, "files.list")?;
        files::check_prefix("files.list", &prefix)?;
        files::check_limit("files.list", limit)?;
        let (prefix, cursor) = (prefix.as_str(), cursor.as_deref());
        let page = capabilities
            .files
            .read(
                ctx,
                "files.list",
                &(prefix, cursor, limit),
                |files| async move { files.list(ctx, prefix, cursor, limit).await },
            )
            .await?;
        Ok(Page {
            files: page.files.into_iter().map(Info::from).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn delete(&mut self, path: String) -> Result<bool> {
        let (ctx, capabilities) = self.permit(CapabilityName::Files, "files.delete")?;
        let write = FilesWrite::Delete { path };
        write.check()?;
        Ok(capabilities.files.write(ctx, &write).await?.existed)
    }

    async fn list_versions(
        &mut self,
        path: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<VersionPage> {
        const OPERATION: &str = "files.list-versions";
        let (ctx, capabilities) = self.permit(CapabilityName::Files, OPERATION)?;
        files::check_path(OPERATION, &path)?;
        files::check_limit(OPERATION, limit)?;
        let (path, cursor) = (path.as_str(), cursor.as_deref());
        let page = capabilities
            .files
            .read(ctx, OPERATION, &(path, cursor, limit), |files| async move {
                files.list_versions(ctx, path, cursor, limit).await
            })
            .await?;
        let version = |version: files::FileVersion| FileVersion {
            info: version.info.into(),
            ended_at: version.ended_at.map(Timestamp::as_millis),
        };
        Ok(VersionPage {
            versions: page.versions.into_iter().map(version).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn get_version(&mut self, path: String, version: u64) -> Result<Option<File>> {
        const OPERATION: &str = "files.get-version";
        let (ctx, capabilities) = self.permit(CapabilityName::Files, OPERATION)?;
        files::check_path(OPERATION, &path)?;
        let path = path.as_str();
        let file = capabilities
            .files
            .read(ctx, OPERATION, &(path, version), |files| async move {
                files.get_version(ctx, path, version).await
            })
            .await?;
        Ok(file.map(File::from))
    }

    async fn restore(&mut self, path: String, version: u64) -> Result<Info> {
        const OPERATION: &str = "files.restore";
        let (ctx, capabilities) = self.permit(CapabilityName::Files, OPERATION)?;
        let write = FilesWrite::Restore { path, version };
        write.check()?;
        stored(OPERATION, capabilities.files.write(ctx, &write).await?)
    }

    async fn purge(&mut self, path: String) -> Result<bool> {
        let (ctx, capabilities) = self.permit(CapabilityName::Files, "files.purge")?;
        let write = FilesWrite::Purge { path };
        write.check()?;
        Ok(capabilities.files.write(ctx, &write).await?.existed)
    }

    async fn read_range(
        &mut self,
        path: String,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>> {
        const OPERATION: &str = "files.read-range";
        let (ctx, capabilities) = self.permit(CapabilityName::Files, OPERATION)?;
        files::check_path(OPERATION, &path)?;
        files::check_range(OPERATION, len)?;
        let path = path.as_str();
        let asked = &(path, version, offset, len);
        let part = capabilities
            .files
            .read(ctx, OPERATION, asked, |files| async move {
                files.read_range(ctx, path, version, offset, len).await
            })
            .await?;
        Ok(part.map(|part| Part {
            info: part.info.into(),
            content: part.content,
        }))
    }
}

/// A put whose content has no digest yet.
pub(super) fn put_of(path: String, size: u64, options: PutOptions) -> FilesWrite {
    let mut metadata = options.metadata;
    metadata.sort();
    FilesWrite::Put {
        path,
        sha256: "0".repeat(64),
        size,
        content_type: options
            .content_type
            .unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned()),
        metadata,
        expected: options.expected.into(),
    }
}

/// Has a put name the content that was spooled.
pub(super) fn name(write: &mut FilesWrite, spooled: Spooled) {
    if let FilesWrite::Put { sha256, size, .. } = write {
        *sha256 = spooled.sha256;
        *size = spooled.size;
    }
}

/// What a write that stores a file must have answered.
pub(super) fn stored(operation: &'static str, ack: FilesAck) -> Result<Info> {
    ack.info
        .map(Info::from)
        .ok_or_else(|| Error::internal(operation, "the backend did not say what it stored"))
}

impl From<files::File> for File {
    fn from(file: files::File) -> Self {
        Self {
            info: file.info.into(),
            content: file.content,
        }
    }
}

impl From<Expected> for files::Expected {
    fn from(expected: Expected) -> Self {
        match expected {
            Expected::Any => Self::Any,
            Expected::Absent => Self::Absent,
            Expected::Version(version) => Self::Version(version),
        }
    }
}

impl From<FileInfo> for Info {
    fn from(info: FileInfo) -> Self {
        Self {
            path: info.path,
            size: info.size,
            content_type: info.content_type,
            sha256: info.sha256,
            version: info.version,
            created_at: info.created_at.as_millis(),
            updated_at: info.updated_at.as_millis(),
            metadata: info.metadata,
        }
    }
}
