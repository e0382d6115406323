//! Files: rows in SQLite that name contents by digest.
//!
//! The order that keeps a crash harmless: the content is entered as unnamed, then written and fsynced, then a put names
//! it in a transaction. So a row never names a content that is not there, and no content is there that is not entered.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::cursor::{self, Listing};
use stuga_core::files::{
    Contents, File, FileInfo, Files, FilesWrite, PATH_MAX_BYTES, Page, Part, Spooled, Upload,
    VersionPage, check_content, check_limit, check_path, check_prefix, check_range, check_whole,
};
use stuga_core::{CallCtx, Result};

use crate::Local;
use crate::call::Failure;
use crate::content;
use crate::effects::sides;
use crate::tenant::{Tenant, within};

mod adopt;
mod effects;
mod naming;
mod queries;
mod upload;
mod versions;

pub(crate) use naming::{hold, let_go, sweep};

/// Files of all tenants on this host.
pub struct LocalFiles {
    pub(crate) local: Local,
}

sides!(LocalFiles, FilesWrite);

#[async_trait]
impl Files for LocalFiles {
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        const OPERATION: &str = "files.spool";
        check_content(OPERATION, content.len())?;
        let size = content.len() as u64;
        let content = content.to_vec();
        within(ctx, OPERATION, async {
            let tenant = self.local.tenant(&ctx.tenant).await?;
            let (content, sha256) = tenant
                .blocking(OPERATION, move || {
                    let sha256 = content::digest(&content);
                    Ok((content, sha256))
                })
                .await?;
            let entered = sha256.clone();
            tenant
                .write(OPERATION, 0, move |tx| {
                    naming::enter(tx, OPERATION, &entered, size)
                })
                .await?;
            let store = Arc::clone(&tenant);
            tenant
                .blocking(OPERATION, move || {
                    store.content().store(OPERATION, &sha256, &content)?;
                    Ok(Spooled { sha256, size })
                })
                .await
        })
        .await
    }

    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        const OPERATION: &str = "files.begin-upload";
        within(ctx, OPERATION, async {
            let tenant = self.local.tenant(&ctx.tenant).await?;
            let upload = upload::LocalUpload::begin(OPERATION, tenant).await?;
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
        .await
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        self.whole(ctx, "files.get", path, None).await
    }

    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>> {
        self.whole(ctx, "files.get-version", path, Some(version))
            .await
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        const OPERATION: &str = "files.stat";
        check_path(OPERATION, path)?;
        let path = path.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::stat(reading.conn, &reading.scope, &path)
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
        const OPERATION: &str = "files.list";
        check_prefix(OPERATION, prefix)?;
        check_limit(OPERATION, limit)?;
        let after = cursor
            .map(|c| cursor::decode(OPERATION, Listing::Files, prefix, c, PATH_MAX_BYTES))
            .transpose()?;
        let prefix = prefix.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::list(reading.conn, &reading.scope, &prefix, after, limit)
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
        const OPERATION: &str = "files.list-versions";
        const CURSOR_MAX_BYTES: usize = PATH_MAX_BYTES + queries::CURSOR_VERSION_BYTES;
        check_path(OPERATION, path)?;
        check_limit(OPERATION, limit)?;
        let before = cursor
            .map(|cursor| {
                let listing = Listing::FileVersions;
                let last = cursor::decode(OPERATION, listing, path, cursor, CURSOR_MAX_BYTES)?;
                queries::decode_version(path, &last).ok_or_else(|| cursor::malformed(OPERATION))
            })
            .transpose()?;
        let path = path.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::versions(reading.conn, &reading.scope, &path, before, limit)
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
        const OPERATION: &str = "files.read-range";
        check_path(OPERATION, path)?;
        check_range(OPERATION, len)?;
        self.read_content(ctx, OPERATION, path, version, move |tenant, info| {
            let store = tenant.content();
            let content = store.load_range(OPERATION, &info.sha256, info.size, offset, len)?;
            Ok(Part { info, content })
        })
        .await
    }
}

#[async_trait]
impl Contents for LocalFiles {
    async fn content(
        &self,
        ctx: &CallCtx,
        content: &Spooled,
        offset: u64,
        len: u32,
    ) -> Result<Option<Vec<u8>>> {
        const OPERATION: &str = "files.content";
        check_range(OPERATION, len)?;
        let (sha256, size) = (content.sha256.clone(), content.size);
        within(ctx, OPERATION, async {
            let tenant = self.local.tenant(&ctx.tenant).await?;
            let store = Arc::clone(&tenant);
            tenant
                .blocking(OPERATION, move || {
                    let content = store.content();
                    if !content.holds(OPERATION, &sha256, size)? {
                        return Ok(None);
                    }
                    let part = content.load_range(OPERATION, &sha256, size, offset, len)?;
                    Ok(Some(part))
                })
                .await
        })
        .await
    }
}

impl LocalFiles {
    /// A version of a path, or the file that stands there, with its whole content.
    async fn whole(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        path: &str,
        version: Option<u64>,
    ) -> Result<Option<File>> {
        check_path(operation, path)?;
        self.read_content(ctx, operation, path, version, move |tenant, info| {
            check_whole(operation, info.size)?;
            let content = tenant.content().load(operation, &info.sha256, info.size)?;
            Ok(File { info, content })
        })
        .await
    }

    /// Hands what is known of a version to `read`, which reads its content.
    async fn read_content<T: Send + 'static>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        path: &str,
        version: Option<u64>,
        read: impl FnOnce(&Tenant, FileInfo) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let path = path.to_owned();
        self.local
            .read(ctx, operation, move |reading| {
                let info = queries::stat_version(reading.conn, &reading.scope, &path, version)?;
                // A content stays for an hour after it lost its name, so it cannot go before it is read.
                Ok::<_, Failure>(info.map(|info| read(reading.tenant, info)).transpose()?)
            })
            .await
    }
}
