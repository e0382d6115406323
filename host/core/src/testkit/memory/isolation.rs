//! Two tenants with two agents each, all using the same keys.

use super::{Memories, delete, put, put_if};
use crate::CallCtx;
use crate::memory::{Expected, Memory};
use crate::testkit::ctx;
use crate::testkit::suite::{Case, cases};

/// Names chosen so that any way to glue tenant and agent together would make two of them equal.
const SCOPES: [(&str, &str); 4] = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "b-c")];

pub(super) fn cases() -> Vec<Case<dyn Memory>> {
    cases![
        nobody_reads_what_another_wrote,
        nobody_lists_what_another_wrote,
        nobody_deletes_what_another_wrote,
        nobody_meets_anothers_version,
        a_cursor_of_another_shows_nothing_of_it,
        a_write_id_of_another_tenant_is_not_used_up,
    ]
}

fn everybody() -> Vec<CallCtx> {
    SCOPES.map(|(tenant, agent)| ctx(tenant, agent)).into()
}

fn mark(ctx: &CallCtx) -> String {
    format!("{} of {}", ctx.agent, ctx.tenant)
}

async fn write_the_same_keys(memory: &Memories) {
    for ctx in everybody() {
        for key in ["k1", "k2", "k3"] {
            memory
                .try_apply_as(&ctx, &put(key, mark(&ctx)))
                .await
                .unwrap();
        }
    }
}

async fn nobody_reads_what_another_wrote(memory: Memories) {
    let all = everybody();
    memory
        .try_apply_as(&all[0], &put("k", "secret"))
        .await
        .unwrap();
    for other in &all[1..] {
        assert_eq!(memory.backend.get(other, "k").await.unwrap(), None);
    }
    write_the_same_keys(&memory).await;
    for ctx in all {
        let item = memory.backend.get(&ctx, "k1").await.unwrap().unwrap();
        assert_eq!(item.value, mark(&ctx).into_bytes());
    }
}

async fn nobody_lists_what_another_wrote(memory: Memories) {
    let all = everybody();
    memory
        .try_apply_as(&all[0], &put("k", "secret"))
        .await
        .unwrap();
    for other in &all[1..] {
        assert!(memory.list_all(other, "", 10).await.is_empty());
    }
    write_the_same_keys(&memory).await;
    for ctx in &all[1..] {
        let items = memory.list_all(ctx, "k", 2).await;
        assert_eq!(items.len(), 3);
        for item in items {
            assert_eq!(item.value, mark(ctx).into_bytes());
        }
    }
}

async fn nobody_deletes_what_another_wrote(memory: Memories) {
    let all = everybody();
    memory
        .try_apply_as(&all[0], &put("k", "mine"))
        .await
        .unwrap();
    for other in &all[1..] {
        let ack = memory.try_apply_as(other, &delete("k")).await.unwrap();
        assert!(!ack.existed);
    }
    assert!(memory.backend.get(&all[0], "k").await.unwrap().is_some());
}

async fn nobody_meets_anothers_version(memory: Memories) {
    for ctx in everybody() {
        let create = put_if(Expected::Absent, "k", mark(&ctx));
        let ack = memory.try_apply_as(&ctx, &create).await.unwrap();
        assert!(!ack.existed);
    }
}

async fn a_cursor_of_another_shows_nothing_of_it(memory: Memories) {
    write_the_same_keys(&memory).await;
    let all = everybody();
    let page = memory.backend.list(&all[0], "k", None, 1).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    for other in &all[1..] {
        // Refusing it is as good as taking it for the own keys.
        if let Ok(page) = memory.backend.list(other, "k", Some(&cursor), 10).await {
            for item in page.items {
                assert_eq!(item.value, mark(other).into_bytes());
            }
        }
    }
}

async fn a_write_id_of_another_tenant_is_not_used_up(memory: Memories) {
    let (one, other) = (ctx("a", "b"), ctx("a-b", "b"));
    let id = one.next_write_id().unwrap();
    memory
        .backend
        .apply(&one, id, &put("k", "one"))
        .await
        .unwrap();
    let ack = memory
        .backend
        .apply(&other, id, &put("k", "other"))
        .await
        .unwrap();
    assert!(!ack.existed);
    let item = memory.backend.get(&other, "k").await.unwrap().unwrap();
    assert_eq!(item.value, b"other");
}
