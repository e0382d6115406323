//! The contract of files.
//!
//! Every sentence of `wit/files.wit` and of [`crate::files`] that a backend must keep is a case here.

mod bounds;
mod conditions;
mod isolation;
mod listing;
mod ranges;
mod repetition;
mod uploads;
mod versions;
mod writes;

use super::suite::{Case, Fixture};
use crate::files::{Expected, File, FileInfo, Files, FilesAck, FilesWrite, Spooled};
use crate::{CallCtx, Result};

/// All cases.
pub fn cases() -> Vec<Case<dyn Files>> {
    let mut all = writes::cases();
    all.extend(conditions::cases());
    all.extend(listing::cases());
    all.extend(bounds::cases());
    all.extend(repetition::cases());
    all.extend(versions::cases());
    all.extend(ranges::cases());
    all.extend(uploads::cases());
    all.extend(isolation::cases());
    all
}

type AllFiles = Fixture<dyn Files>;

/// A new invocation of the tenant and agent that a case uses when it does not matter which.
fn ctx() -> CallCtx {
    super::ctx("acme", "scribe")
}

/// A put of a content that was spooled, without metadata.
fn put(path: &str, spooled: &Spooled) -> FilesWrite {
    put_as(path, spooled, "text/plain", &[])
}

fn put_as(
    path: &str,
    spooled: &Spooled,
    content_type: &str,
    metadata: &[(&str, &str)],
) -> FilesWrite {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    FilesWrite::Put {
        path: path.to_owned(),
        sha256: spooled.sha256.clone(),
        size: spooled.size,
        content_type: content_type.to_owned(),
        metadata: metadata.iter().map(owned).collect(),
        expected: Expected::Any,
    }
}

/// A put of a content that was spooled, on a condition.
fn put_if(expected: Expected, path: &str, spooled: &Spooled) -> FilesWrite {
    let mut write = put(path, spooled);
    if let FilesWrite::Put { expected: of, .. } = &mut write {
        *of = expected;
    }
    write
}

fn delete(path: &str) -> FilesWrite {
    FilesWrite::Delete {
        path: path.to_owned(),
    }
}

impl AllFiles {
    async fn spool(&self, content: impl AsRef<[u8]>) -> Spooled {
        self.backend.spool(&ctx(), content.as_ref()).await.unwrap()
    }

    /// Applies a write in an invocation of its own.
    async fn try_apply(&self, write: &FilesWrite) -> Result<FilesAck> {
        let ctx = ctx();
        let id = ctx.next_write_id()?;
        self.backend.apply(&ctx, id, write).await
    }

    /// Spools and puts as another tenant or agent.
    async fn put_by(&self, ctx: &CallCtx, path: &str, content: &str) -> FileInfo {
        let spooled = self.backend.spool(ctx, content.as_bytes()).await.unwrap();
        let id = ctx.next_write_id().unwrap();
        let ack = self.backend.apply(ctx, id, &put(path, &spooled)).await;
        ack.unwrap().info.unwrap()
    }

    async fn put(&self, path: &str, content: impl AsRef<[u8]>) -> FilesAck {
        let spooled = self.spool(content).await;
        self.try_apply(&put(path, &spooled)).await.unwrap()
    }

    async fn delete(&self, path: &str) -> FilesAck {
        self.try_apply(&delete(path)).await.unwrap()
    }

    async fn get(&self, path: &str) -> Option<File> {
        self.backend.get(&ctx(), path).await.unwrap()
    }

    async fn stat(&self, path: &str) -> Option<FileInfo> {
        self.backend.stat(&ctx(), path).await.unwrap()
    }

    /// Reads a whole listing, page by page, and checks what holds for every listing.
    async fn list_all(&self, ctx: &CallCtx, prefix: &str, limit: u32) -> Vec<FileInfo> {
        let mut files: Vec<FileInfo> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10_000 {
            let page = self
                .backend
                .list(ctx, prefix, cursor.as_deref(), limit)
                .await
                .unwrap();
            assert!(
                page.files.len() <= limit as usize,
                "a page is over the limit"
            );
            files.extend(page.files);
            let in_order = files.windows(2).all(|pair| pair[0].path < pair[1].path);
            assert!(in_order, "paths are out of order or appear twice");
            cursor = page.next_cursor;
            if cursor.is_none() {
                return files;
            }
        }
        panic!("the listing does not end");
    }

    async fn paths(&self, prefix: &str, limit: u32) -> Vec<String> {
        let files = self.list_all(&ctx(), prefix, limit).await;
        files.into_iter().map(|info| info.path).collect()
    }
}
