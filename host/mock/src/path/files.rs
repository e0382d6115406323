//! The operations of files. Contents are spooled on both sides, so that either can take the put that names them.

use async_trait::async_trait;
use stuga_core::files::{
    File, FileInfo, Files, FilesAck, FilesWrite, Page, Part, Spooled, Upload, VersionPage,
};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Path;
use crate::faults::Effect;

/// What faults may name.
pub(super) const OPERATIONS: &[&str] = &[
    "files.spool",
    "files.begin-upload",
    "files.get",
    "files.stat",
    "files.list",
    "files.list-versions",
    "files.get-version",
    "files.read-range",
    "files.put",
    "files.delete",
    "files.restore",
    "files.purge",
];

#[async_trait]
impl Capability for Path<dyn Files> {
    type Write = FilesWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        self.write(ctx, id, write).await
    }
}

#[async_trait]
impl Files for Path<dyn Files> {
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        if let Some(Effect { error, .. }) = self.common.faults.strike(ctx, "files.spool").await {
            return Err(error);
        }
        if let Some(side) = &self.cloud {
            side.backend.spool(ctx, content).await?;
        }
        self.local.spool(ctx, content).await
    }

    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        let struck = self.common.faults.strike(ctx, "files.begin-upload").await;
        if let Some(Effect { error, .. }) = struck {
            return Err(error);
        }
        let local = self.local.begin_upload(ctx).await?;
        let Some(side) = &self.cloud else {
            return Ok(local);
        };
        let cloud = side.backend.begin_upload(ctx).await?;
        Ok(Box::new(Both { local, cloud }))
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        self.read(ctx, "files.get", |files| async move {
            files.get(ctx, path).await
        })
        .await
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        self.read(ctx, "files.stat", |files| async move {
            files.stat(ctx, path).await
        })
        .await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        self.read(ctx, "files.list", |files| async move {
            files.list(ctx, prefix, cursor, limit).await
        })
        .await
    }

    async fn list_versions(
        &self,
        ctx: &CallCtx,
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        self.read(ctx, "files.list-versions", |files| async move {
            files.list_versions(ctx, path, cursor, limit).await
        })
        .await
    }

    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>> {
        self.read(ctx, "files.get-version", |files| async move {
            files.get_version(ctx, path, version).await
        })
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
        self.read(ctx, "files.read-range", |files| async move {
            files.read_range(ctx, path, version, offset, len).await
        })
        .await
    }
}

/// An upload that goes to both sides.
struct Both {
    local: Box<dyn Upload>,
    cloud: Box<dyn Upload>,
}

#[async_trait]
impl Upload for Both {
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()> {
        self.cloud.append(ctx, part).await?;
        self.local.append(ctx, part).await
    }

    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled> {
        self.cloud.finish(ctx).await?;
        self.local.finish(ctx).await
    }
}
