//! Files.

use std::path::Path;

use stuga_core::files::{DEFAULT_CONTENT_TYPE, Expected, Files, FilesWrite};
use stuga_core::{CallCtx, Result};

use super::{PAGE, compare, metadata, unreadable};
use crate::compare::{Differences, Findings};
use crate::scenario::{ExpectFile, StateFile};

pub(super) async fn lay(
    files: &dyn Files,
    ctx: &CallCtx,
    state: &[StateFile],
    folder: &Path,
) -> Result<()> {
    for file in state {
        let content = file.content().bytes(folder).map_err(unreadable)?;
        let spooled = files.spool(ctx, &content).await?;
        let content_type = file.content_type.as_deref();
        let put = FilesWrite::Put {
            path: file.path.clone(),
            sha256: spooled.sha256,
            size: spooled.size,
            content_type: content_type.unwrap_or(DEFAULT_CONTENT_TYPE).to_owned(),
            metadata: metadata(&file.metadata),
            expected: Expected::Any,
        };
        files.apply(ctx, ctx.next_write_id()?, &put).await?;
    }
    Ok(())
}

pub(super) async fn look(
    files: &dyn Files,
    ctx: &CallCtx,
    expected: &[ExpectFile],
    folder: &Path,
    found: &mut Findings,
) -> Result<()> {
    for expect in expected {
        let at = format!("file {:?}", expect.path);
        if let Some(count) = expect.count {
            let there = count_files(files, ctx, &expect.path).await?;
            if there != count {
                let (count, there) = (format!("{count} files"), format!("{there} files"));
                Differences::new(at, found).add("", count, there);
            }
            continue;
        }
        match (files.get(ctx, &expect.path).await?, expect.absent) {
            (None, true) => {}
            (None, false) => Differences::new(at, found).add("", "a file", "nothing"),
            (Some(_), true) => Differences::new(at, found).add("", "nothing", "a file"),
            (Some(file), false) => {
                compare(&at, &expect.kept(), &file.content, folder, found);
                if let Some(wanted) = &expect.content_type
                    && *wanted != file.info.content_type
                {
                    let mut differences = Differences::new(at, found);
                    differences.add(" content_type", wanted, &file.info.content_type);
                }
            }
        }
    }
    Ok(())
}

async fn count_files(files: &dyn Files, ctx: &CallCtx, prefix: &str) -> Result<usize> {
    let (mut count, mut cursor) = (0, None);
    loop {
        let page = files.list(ctx, prefix, cursor.as_deref(), PAGE).await?;
        count += page.files.len();
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(count);
        }
    }
}
