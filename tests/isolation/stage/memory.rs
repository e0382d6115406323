//! What everybody does with `memory`.

use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::{CallCtx, Capability};

use super::{Heard, KEYS, Stage, mark, put, put_if, values};

impl Stage {
    pub(super) async fn memory_of(&self, owner: &CallCtx) -> Vec<String> {
        let items = self
            .local
            .memory()
            .list(owner, "", None, 1_000)
            .await
            .unwrap()
            .items;
        items.iter().map(|item| format!("{item:?}")).collect()
    }

    pub(super) async fn use_memory(&self, ctx: &CallCtx, heard: &mut Heard) {
        let memory = self.local.memory();
        let mut cursors = vec![None];
        for prefix in ["", "k", "k/"] {
            let page = memory.list(ctx, prefix, None, 1).await;
            cursors.extend(page.iter().map(|page| page.next_cursor.clone()));
            heard.hear(
                "memory.list",
                page.map(|page| values(page.items.into_iter().map(|item| item.value))),
            );
        }
        for cursor in cursors.iter().flatten() {
            let page = memory.list(ctx, "k", Some(cursor), 10).await;
            heard.hear(
                "memory.list",
                page.map(|page| values(page.items.into_iter().map(|item| item.value))),
            );
        }
        for key in KEYS {
            let item = memory.get(ctx, key).await;
            heard.hear(
                "memory.get",
                item.map(|item| values(item.into_iter().map(|item| item.value))),
            );
            let mut writes = vec![
                put(key, &mark(ctx)),
                put_if(Expected::Absent, key, "absent"),
            ];
            // Versions that others may have.
            writes
                .extend((0..40).map(|version| put_if(Expected::Version(version), key, "guessed")));
            writes.push(MemoryWrite::Delete {
                key: key.to_owned(),
            });
            for write in writes {
                let id = ctx.next_write_id().unwrap();
                heard.hear(
                    operation(&write),
                    memory.apply(ctx, id, &write).await.map(|ack| ack.existed),
                );
            }
        }
    }
}

/// The function of `wit/memory.wit` that makes such a write.
fn operation(write: &MemoryWrite) -> &'static str {
    match write {
        MemoryWrite::Put {
            expected: Expected::Any,
            ..
        } => "memory.put",
        MemoryWrite::Put { .. } => "memory.compare-and-set",
        MemoryWrite::Delete { .. } => "memory.delete",
    }
}
