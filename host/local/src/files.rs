//! Files: rows in SQLite that name contents by digest.
//!
//! The order that keeps a crash harmless: the content is entered as unnamed, then written and fsynced, then a put names
//! it in a transaction. So a row never names a content that is not there, and no content is there that is not entered.

use async_trait::async_trait;
use stuga_core::files::{
    File, FileInfo, Files, FilesAck, FilesWrite, PATH_MAX_BYTES, Page, Spooled, check_content,
    check_limit, check_path, check_prefix,
};
use stuga_core::{CallCtx, Capability, Result, Write, WriteId};

use crate::Local;
use crate::content;
use crate::cursor::{self, Listing};
use crate::error;
use crate::scope::Scope;
use crate::tenant::within;

mod effects;
mod queries;

pub(crate) use effects::sweep;

/// Files of all tenants on this host.
pub(crate) struct LocalFiles {
    pub(crate) local: Local,
}

#[async_trait]
impl Capability for LocalFiles {
    type Write = FilesWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        write.check()?;
        let operation = write.operation();
        let scope = Scope::of(ctx);
        let digest = effects::digest(&scope, write);
        let write = write.clone();
        within(ctx, operation, async {
            let tenant = self.local.tenant(&scope.tenant).await?;
            tenant
                .write(operation, effects::weight(&write), move |tx| {
                    effects::apply_in(tx, &scope, id, digest, &write)
                })
                .await
        })
        .await
    }
}

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
                    effects::enter(tx, OPERATION, &entered, size)
                })
                .await?;
            let store = std::sync::Arc::clone(&tenant);
            tenant
                .blocking(OPERATION, move || {
                    store.content().store(OPERATION, &sha256, &content)?;
                    Ok(Spooled { sha256, size })
                })
                .await
        })
        .await
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        const OPERATION: &str = "files.get";
        check_path(OPERATION, path)?;
        let (scope, path) = (Scope::of(ctx), path.to_owned());
        within(ctx, OPERATION, async {
            let tenant = self.local.tenant(&scope.tenant).await?;
            tenant
                .read(OPERATION, move |tenant, conn| {
                    let info = queries::stat(conn, &scope, &path)
                        .map_err(|e| error::sqlite(OPERATION, e))?;
                    // A content stays for an hour after it lost its name, so it cannot go between these two lines.
                    let Some(info) = info else { return Ok(None) };
                    let content = tenant.content().load(OPERATION, &info.sha256, info.size)?;
                    Ok(Some(File { info, content }))
                })
                .await
        })
        .await
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        const OPERATION: &str = "files.stat";
        check_path(OPERATION, path)?;
        let (scope, path) = (Scope::of(ctx), path.to_owned());
        within(ctx, OPERATION, async {
            let tenant = self.local.tenant(&scope.tenant).await?;
            tenant
                .read(OPERATION, move |_, conn| {
                    queries::stat(conn, &scope, &path).map_err(|e| error::sqlite(OPERATION, e))
                })
                .await
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
        let (scope, prefix) = (Scope::of(ctx), prefix.to_owned());
        within(ctx, OPERATION, async {
            let tenant = self.local.tenant(&scope.tenant).await?;
            tenant
                .read(OPERATION, move |_, conn| {
                    queries::list(conn, &scope, &prefix, after, limit)
                        .map_err(|e| error::sqlite(OPERATION, e))
                })
                .await
        })
        .await
    }
}
