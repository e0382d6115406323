//! Items of memory.

use std::path::Path;

use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::{CallCtx, Result};

use super::{PAGE, compare, unreadable};
use crate::compare::{Differences, Findings};
use crate::scenario::{ExpectMemory, StateMemory};

pub(super) async fn lay(
    memory: &dyn Memory,
    ctx: &CallCtx,
    items: &[StateMemory],
    folder: &Path,
) -> Result<()> {
    for item in items {
        let put = MemoryWrite::Put {
            key: item.key.clone(),
            value: item.content().bytes(folder).map_err(unreadable)?,
            ttl: item.ttl.map(|ttl| ttl.0),
            expected: Expected::Any,
        };
        memory.apply(ctx, ctx.next_write_id()?, &put).await?;
    }
    Ok(())
}

pub(super) async fn look(
    memory: &dyn Memory,
    ctx: &CallCtx,
    expected: &[ExpectMemory],
    folder: &Path,
    found: &mut Findings,
) -> Result<()> {
    for expect in expected {
        let at = format!("memory {:?}", expect.key);
        if let Some(count) = expect.count {
            let there = count_items(memory, ctx, &expect.key).await?;
            if there != count {
                let (count, there) = (format!("{count} items"), format!("{there} items"));
                Differences::new(at, found).add("", count, there);
            }
            continue;
        }
        match (memory.get(ctx, &expect.key).await?, expect.absent) {
            (None, true) => {}
            (None, false) => Differences::new(at, found).add("", "an item", "nothing"),
            (Some(_), true) => Differences::new(at, found).add("", "nothing", "an item"),
            (Some(item), false) => compare(&at, &expect.kept(), &item.value, folder, found),
        }
    }
    Ok(())
}

async fn count_items(memory: &dyn Memory, ctx: &CallCtx, prefix: &str) -> Result<usize> {
    let (mut count, mut cursor) = (0, None);
    loop {
        let page = memory.list(ctx, prefix, cursor.as_deref(), PAGE).await?;
        count += page.items.len();
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(count);
        }
    }
}
