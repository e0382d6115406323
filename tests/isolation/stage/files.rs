//! What everybody does with `files`.

use stuga_core::files::{Files, FilesWrite};
use stuga_core::memory::Expected;
use stuga_core::{CallCtx, Capability, Result, Write};

use super::{Heard, KEYS, Stage, everybody, mark, values};

impl Stage {
    pub(super) async fn furnish_files(&self, ctx: &CallCtx) {
        for key in KEYS {
            let content = format!("{key} {}", mark(ctx));
            let write = self.spool(ctx, key, &content).await.unwrap();
            let id = ctx.next_write_id().unwrap();
            self.local.files().apply(ctx, id, &write).await.unwrap();
        }
    }

    pub(super) async fn files_of(&self, owner: &CallCtx) -> Vec<String> {
        let files = self.local.files();
        let mut all = Vec::new();
        for info in files.list(owner, "", None, 1_000).await.unwrap().files {
            let file = files.get(owner, &info.path).await.unwrap();
            all.push(format!("{info:?} {file:?}"));
        }
        for path in KEYS {
            let page = files.list_versions(owner, path, None, 1_000).await.unwrap();
            for version in page.versions {
                let number = version.info.version;
                let file = files.get_version(owner, path, number).await.unwrap();
                all.push(format!("{version:?} {file:?}"));
            }
        }
        all
    }

    pub(super) async fn use_files(&self, ctx: &CallCtx, heard: &mut Heard) {
        let files = self.local.files();
        self.use_uploads(ctx, heard).await;
        for prefix in ["", "k", "k/"] {
            let page = files.list(ctx, prefix, None, 1).await;
            heard.hear("files.list", page.map(|page| format!("{:?}", page.files)));
        }
        for path in KEYS {
            heard.hear("files.stat", files.stat(ctx, path).await);
            self.use_versions(ctx, path, heard).await;
            let file = files.get(ctx, path).await;
            heard.hear(
                "files.get",
                file.map(|file| values(file.into_iter().map(|file| file.content))),
            );
            // The very content that another has at this path, named without having it.
            for owner in everybody()
                .iter()
                .filter(|owner| owner.tenant != ctx.tenant)
            {
                let content = format!("{path} {}", mark(owner));
                let mut named = self.spool(ctx, path, "anything").await.unwrap();
                if let FilesWrite::Put { sha256, size, .. } = &mut named {
                    *sha256 = digest(&content);
                    *size = content.len() as u64;
                }
                let id = ctx.next_write_id().unwrap();
                let stolen = files.apply(ctx, id, &named).await;
                assert!(
                    stolen.is_err(),
                    "{} named a content of {}",
                    mark(ctx),
                    mark(owner)
                );
            }
            let write = self.spool(ctx, path, &mark(ctx)).await.unwrap();
            // Versions that others may have.
            let guesses = (0..40).map(Expected::Version).chain([Expected::Absent]);
            for guess in guesses {
                let mut write = write.clone();
                if let FilesWrite::Put { expected, .. } = &mut write {
                    *expected = guess;
                }
                let id = ctx.next_write_id().unwrap();
                heard.hear(
                    "files.put",
                    files.apply(ctx, id, &write).await.map(|ack| ack.existed),
                );
            }
            let delete = FilesWrite::Delete {
                path: path.to_owned(),
            };
            let purge = FilesWrite::Purge {
                path: path.to_owned(),
            };
            for write in [write, delete, purge] {
                let id = ctx.next_write_id().unwrap();
                heard.hear(
                    write.operation(),
                    files.apply(ctx, id, &write).await.map(|ack| ack.existed),
                );
            }
        }
    }

    /// Uploads, drops and finishes contents with the mark of the agent.
    async fn use_uploads(&self, ctx: &CallCtx, heard: &mut Heard) {
        let files = self.local.files();
        let mark = mark(ctx);
        let mut dropped = files.begin_upload(ctx).await.unwrap();
        heard.hear(
            "files.begin-upload",
            dropped.append(ctx, mark.as_bytes()).await,
        );
        drop(dropped);
        let mut upload = files.begin_upload(ctx).await.unwrap();
        heard.hear("files.append", upload.append(ctx, mark.as_bytes()).await);
        heard.hear("files.finish", upload.finish(ctx).await);
        heard.hear("files.append", upload.append(ctx, mark.as_bytes()).await);
    }

    async fn use_versions(&self, ctx: &CallCtx, path: &str, heard: &mut Heard) {
        let files = self.local.files();
        let page = files.list_versions(ctx, path, None, 1).await;
        let cursor = page.iter().find_map(|page| page.next_cursor.clone());
        heard.hear("files.list-versions", page.map(|page| page.versions));
        if let Some(cursor) = cursor {
            let page = files.list_versions(ctx, path, Some(&cursor), 100).await;
            heard.hear("files.list-versions", page.map(|page| page.versions));
        }
        heard.hear(
            "files.read-range",
            files.read_range(ctx, path, None, 0, 1_000).await,
        );
        // Versions that others may have.
        for version in 0..40 {
            let file = files.get_version(ctx, path, version).await;
            heard.hear(
                "files.get-version",
                file.map(|file| values(file.into_iter().map(|file| file.content))),
            );
            let part = files.read_range(ctx, path, Some(version), 0, 1_000).await;
            heard.hear(
                "files.read-range",
                part.map(|part| values(part.into_iter().map(|part| part.content))),
            );
            let write = FilesWrite::Restore {
                path: path.to_owned(),
                version,
            };
            let id = ctx.next_write_id().unwrap();
            let restored = files.apply(ctx, id, &write).await;
            heard.hear("files.restore", restored.map(|ack| ack.existed));
        }
    }

    async fn spool(&self, ctx: &CallCtx, path: &str, content: &str) -> Result<FilesWrite> {
        let spooled = self.local.files().spool(ctx, content.as_bytes()).await?;
        Ok(FilesWrite::Put {
            path: path.to_owned(),
            sha256: spooled.sha256,
            size: spooled.size,
            content_type: "text/plain".to_owned(),
            metadata: vec![("by".to_owned(), mark(ctx))],
            expected: Expected::Any,
        })
    }
}

/// SHA-256 as anybody can compute it.
fn digest(content: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(content))
}
