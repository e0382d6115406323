//! Files as a guest reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::files::{
    File, FileInfo, Files, FilesAck, FilesWrite, Page, Part, Spooled, Upload, VersionPage,
};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_resilience::Failover;

use super::write_as;

/// Files as a guest reaches them.
pub(crate) struct FacadeFiles(pub(crate) Failover<dyn Files>);

#[async_trait]
impl Capability for FacadeFiles {
    type Write = FilesWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Files for FacadeFiles {
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        self.0.spool(ctx, content).await
    }

    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        self.0.begin_upload(ctx).await
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        let read = |files: Arc<dyn Files>| async move { files.get(ctx, path).await };
        self.0.read(ctx, "files.get", path, read).await
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        let read = |files: Arc<dyn Files>| async move { files.stat(ctx, path).await };
        self.0.read(ctx, "files.stat", path, read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        let read =
            |files: Arc<dyn Files>| async move { files.list(ctx, prefix, cursor, limit).await };
        self.0
            .read(ctx, "files.list", &(prefix, cursor, limit), read)
            .await
    }

    async fn list_versions(
        &self,
        ctx: &CallCtx,
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        let read = |files: Arc<dyn Files>| async move {
            files.list_versions(ctx, path, cursor, limit).await
        };
        self.0
            .read(ctx, "files.list-versions", &(path, cursor, limit), read)
            .await
    }

    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>> {
        let read =
            |files: Arc<dyn Files>| async move { files.get_version(ctx, path, version).await };
        self.0
            .read(ctx, "files.get-version", &(path, version), read)
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
        let read = |files: Arc<dyn Files>| async move {
            files.read_range(ctx, path, version, offset, len).await
        };
        self.0
            .read(ctx, "files.read-range", &(path, version, offset, len), read)
            .await
    }
}
