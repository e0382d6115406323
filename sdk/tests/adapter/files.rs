//! Files over the SDK's functions.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::files::{
    CONTENT_MAX_BYTES, Expected, File, FileInfo, FileVersion, Files, FilesAck, FilesWrite, Page,
    Part, Spooled, Upload, VersionPage, check_content, check_part,
};
use stuga_core::{CallCtx, Capability, Result, TenantId, Timestamp, Write, WriteId};
use stuga_sdk::files as sdk;

use super::Mock;

/// Files of the mock hosts.
pub(crate) struct FilesOf(pub(crate) Mock);

#[async_trait]
impl Capability for FilesOf {
    type Write = FilesWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        write.check()?;
        let content = self.content(ctx, write);
        self.0.once(ctx, id, write, || {
            self.0.run(ctx, write.operation(), || apply(write, content))
        })
    }
}

impl FilesOf {
    /// The content that a put names, when its tenant spooled it with that size.
    fn content(&self, ctx: &CallCtx, write: &FilesWrite) -> Option<Vec<u8>> {
        let FilesWrite::Put { sha256, size, .. } = write else {
            return None;
        };
        let whose = (ctx.tenant.clone(), sha256.clone());
        let content = self.0.spool.lock().unwrap().get(&whose).cloned();
        content.filter(|content| content.len() as u64 == *size)
    }
}

fn apply(write: &FilesWrite, content: Option<Vec<u8>>) -> stuga_sdk::Result<FilesAck> {
    let existed = sdk::stat(write.key())?.is_some();
    let info = match write {
        FilesWrite::Put {
            path,
            content_type,
            metadata,
            expected,
            ..
        } => {
            let content = content.ok_or_else(|| {
                stuga_sdk::Error::not_found("the content was not spooled; spool it first")
            })?;
            let options = sdk::PutOptions::new().content_type(content_type);
            let options = metadata.iter().fold(options, |options, (name, value)| {
                options.metadata(name, value)
            });
            let options = match *expected {
                Expected::Any => options,
                Expected::Absent => options.if_absent(),
                Expected::Version(version) => options.if_version(version),
            };
            if content.len() > CONTENT_MAX_BYTES {
                let mut upload = sdk::upload(path)?;
                upload.append(&content)?;
                return Ok(FilesAck {
                    info: Some(info(upload.finish_with(&options)?)),
                    existed,
                });
            }
            Some(info(sdk::put_with(path, &content, &options)?))
        }
        FilesWrite::Delete { path } => {
            sdk::delete(path)?;
            None
        }
        FilesWrite::Restore { path, version } => Some(info(sdk::restore(path, *version)?)),
        FilesWrite::Purge { path } => {
            let existed = sdk::purge(path)?;
            return Ok(FilesAck {
                info: None,
                existed,
            });
        }
    };
    Ok(FilesAck { info, existed })
}

#[async_trait]
impl Files for FilesOf {
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        check_content("files.spool", content.len())?;
        let host = stuga_sdk::mock::Host::new();
        let put = host.run(|| sdk::put("spooled", content));
        let put = put.map_err(|e| super::core_error("files.spool", &e))?;
        let (sha256, size) = (put.sha256, put.size);
        let mut spool = self.0.spool.lock().unwrap();
        spool.insert((ctx.tenant.clone(), sha256.clone()), content.to_vec());
        Ok(Spooled { sha256, size })
    }

    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        let host = stuga_sdk::mock::Host::new();
        let upload = host.run(|| sdk::upload("spooled"));
        let upload = upload.map_err(|e| super::core_error("files.begin-upload", &e))?;
        Ok(Box::new(UploadOf {
            host,
            upload,
            tenant: ctx.tenant.clone(),
            spool: Arc::clone(&self.0.spool),
        }))
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        let found = self.0.run(ctx, "files.get", || sdk::get(path))?;
        Ok(found.map(file))
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        Ok(self.0.run(ctx, "files.stat", || sdk::stat(path))?.map(info))
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let page = self
            .0
            .run(ctx, "files.list", || sdk::list(prefix, cursor, limit))?;
        Ok(Page {
            files: page.files.into_iter().map(info).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn list_versions(
        &self,
        ctx: &CallCtx,
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        let list = || sdk::list_versions(path, cursor, limit);
        let page = self.0.run(ctx, "files.list-versions", list)?;
        let version = |version: sdk::FileVersion| FileVersion {
            info: info(version.info),
            ended_at: version.ended_at.map(Timestamp::from_millis),
        };
        Ok(VersionPage {
            versions: page.versions.into_iter().map(version).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>> {
        let get = || sdk::get_version(path, version);
        Ok(self.0.run(ctx, "files.get-version", get)?.map(file))
    }

    async fn read_range(
        &self,
        ctx: &CallCtx,
        path: &str,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>> {
        let read = || sdk::read_range(path, version, offset, len);
        let part = self.0.run(ctx, "files.read-range", read)?;
        Ok(part.map(|part| Part {
            info: info(part.info),
            content: part.content,
        }))
    }
}

/// An upload on a host of its own, whose file is the spooled content.
struct UploadOf {
    host: stuga_sdk::mock::Host,
    upload: sdk::Upload,
    tenant: TenantId,
    spool: super::Spool,
}

#[async_trait]
impl Upload for UploadOf {
    async fn append(&mut self, _: &CallCtx, part: &[u8]) -> Result<()> {
        // The SDK cuts what is too large into parts; a backend refuses it.
        check_part("files.upload.append", part.len())?;
        let appended = self.host.run(|| self.upload.append(part));
        appended.map_err(|e| super::core_error("files.upload.append", &e))
    }

    async fn finish(&mut self, _: &CallCtx) -> Result<Spooled> {
        let options = sdk::PutOptions::new();
        let read = |host: &stuga_sdk::mock::Host| {
            host.run(|| sdk::open("spooled").map(|reader| reader.into_iter().flatten().collect()))
        };
        let stored = self.host.run(|| self.upload.finish_with(&options));
        let stored = stored.map_err(|e| super::core_error("files.upload.finish", &e))?;
        let parts: stuga_sdk::Result<Vec<stuga_sdk::Result<Vec<u8>>>> = read(&self.host);
        let parts: Vec<Vec<u8>> = parts
            .unwrap()
            .into_iter()
            .map(|part| part.unwrap())
            .collect();
        let whose = (self.tenant.clone(), stored.sha256.clone());
        self.spool.lock().unwrap().insert(whose, parts.concat());
        Ok(Spooled {
            sha256: stored.sha256,
            size: stored.size,
        })
    }
}

fn file(file: sdk::File) -> File {
    File {
        info: info(file.info),
        content: file.content,
    }
}

fn info(info: sdk::FileInfo) -> FileInfo {
    FileInfo {
        path: info.path,
        size: info.size,
        content_type: info.content_type,
        sha256: info.sha256,
        version: info.version,
        created_at: Timestamp::from_millis(info.created_at),
        updated_at: Timestamp::from_millis(info.updated_at),
        metadata: info.metadata,
    }
}
