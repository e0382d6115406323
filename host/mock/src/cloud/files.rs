//! The operations of files.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::files::{
    File, FileInfo, Files, FilesAck, FilesWrite, Page, Part, Spooled, Upload, VersionPage,
};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;
use crate::state::Health;

#[async_trait]
impl Capability for Cloud<dyn Files> {
    type Write = FilesWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        self.make(ctx, id, write).await
    }
}

#[async_trait]
impl Files for Cloud<dyn Files> {
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        self.up("files.spool")?.spool(ctx, content).await
    }

    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        let upload = self.up("files.begin-upload")?.begin_upload(ctx).await?;
        let health = Arc::clone(&self.health);
        Ok(Box::new(Sending { upload, health }))
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        self.up("files.get")?.get(ctx, path).await
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        self.up("files.stat")?.stat(ctx, path).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        self.up("files.list")?
            .list(ctx, prefix, cursor, limit)
            .await
    }

    async fn list_versions(
        &self,
        ctx: &CallCtx,
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        self.up("files.list-versions")?
            .list_versions(ctx, path, cursor, limit)
            .await
    }

    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>> {
        self.up("files.get-version")?
            .get_version(ctx, path, version)
            .await
    }

    async fn read_range(
        &self,
        ctx: &CallCtx,
        path: &str,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>> {
        self.up("files.read-range")?
            .read_range(ctx, path, version, offset, len)
            .await
    }
}

/// An upload that ends when the cloud goes away in the middle.
struct Sending {
    upload: Box<dyn Upload>,
    health: Arc<Health>,
}

#[async_trait]
impl Upload for Sending {
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()> {
        self.health.check("files.upload.append")?;
        self.upload.append(ctx, part).await
    }

    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled> {
        self.health.check("files.upload.finish")?;
        self.upload.finish(ctx).await
    }
}
