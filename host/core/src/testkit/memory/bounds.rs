//! Limits at the limit and one beyond, and hostile arguments.

use std::time::Duration;

use super::{Memories, ctx, delete, put, put_for, put_if};
use crate::memory::{Expected, KEY_MAX_BYTES, Memory, PAGE_MAX_ITEMS, TTL_MAX, VALUE_MAX_BYTES};
use crate::testkit::suite::{Case, cases};
use crate::{ErrorKind, Result};

/// Keys that mean something to somebody else: a shell, a file system, a database, a terminal.
const HOSTILE_KEYS: [&str; 16] = [
    "../other",
    "/etc/passwd",
    "a/../../b",
    "'; DROP TABLE memory_item; --",
    "\"",
    "%",
    "_",
    "*",
    "\\",
    "acme",
    "acme/scribe/k",
    " ",
    "NULL",
    "\u{202e}txt",
    "e\u{301}",
    "é",
];

pub(super) fn cases() -> Vec<Case<dyn Memory>> {
    cases![
        keys_are_taken_up_to_their_limit,
        keys_that_break_the_rules_are_invalid_everywhere,
        hostile_keys_are_just_keys,
        values_are_taken_up_to_their_limit,
        a_ttl_of_nothing_or_over_a_century_is_invalid,
        a_page_of_nothing_or_of_too_much_is_invalid,
        an_invalid_write_leaves_nothing_and_its_id_free,
    ]
}

fn assert_invalid(result: Result<impl std::fmt::Debug>, what: &str) {
    let what: String = what.escape_debug().take(40).collect();
    let error = result.expect_err(&what);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
}

async fn keys_are_taken_up_to_their_limit(memory: Memories) {
    for key in ["k".repeat(KEY_MAX_BYTES), "å".repeat(KEY_MAX_BYTES / 2)] {
        memory.apply(&put(&key, "a")).await;
        assert_eq!(memory.get(&key).await.unwrap().key, key);
        assert_eq!(memory.keys(&key, 1).await, [key.as_str()]);
        assert!(memory.apply(&delete(&key)).await.existed);
    }
}

async fn keys_that_break_the_rules_are_invalid_everywhere(memory: Memories) {
    let too_long = "k".repeat(KEY_MAX_BYTES + 1);
    let two_bytes_each = "å".repeat(KEY_MAX_BYTES / 2 + 1);
    let huge = "k".repeat(10_000);
    for bad in [
        "\0",
        "a\0b",
        "a\nb",
        "\r",
        "\t",
        "a\u{7f}",
        "\u{85}",
        &too_long,
        &two_bytes_each,
        &huge,
    ] {
        assert_invalid(memory.try_apply(&put(bad, "a")).await, bad);
        let expecting = put_if(Expected::Absent, bad, "a");
        assert_invalid(memory.try_apply(&expecting).await, bad);
        assert_invalid(memory.try_apply(&delete(bad)).await, bad);
        assert_invalid(memory.backend.get(&ctx(), bad).await, bad);
        assert_invalid(memory.backend.list(&ctx(), bad, None, 1).await, bad);
    }
    assert_invalid(memory.try_apply(&put("", "a")).await, "empty");
    assert_invalid(memory.try_apply(&delete("")).await, "empty");
    assert_invalid(memory.backend.get(&ctx(), "").await, "empty");
}

async fn hostile_keys_are_just_keys(memory: Memories) {
    for key in HOSTILE_KEYS {
        memory.apply(&put(key, key)).await;
    }
    for key in HOSTILE_KEYS {
        assert_eq!(memory.get(key).await.unwrap().value, key.as_bytes());
    }
    assert_eq!(memory.keys("", 3).await.len(), HOSTILE_KEYS.len());
    for key in HOSTILE_KEYS {
        assert!(memory.apply(&delete(key)).await.existed, "{key}");
    }
    assert!(memory.keys("", 3).await.is_empty());
}

async fn values_are_taken_up_to_their_limit(memory: Memories) {
    let mut value = vec![0x5a; VALUE_MAX_BYTES];
    memory.apply(&put("k", &value)).await;
    assert!(memory.get("k").await.unwrap().value == value);
    value.push(0);
    assert_invalid(memory.try_apply(&put("k", &value)).await, "value");
    assert_eq!(memory.get("k").await.unwrap().value.len(), VALUE_MAX_BYTES);
}

async fn a_ttl_of_nothing_or_over_a_century_is_invalid(memory: Memories) {
    for ttl in [
        Duration::ZERO,
        Duration::from_nanos(999_999),
        TTL_MAX + Duration::from_millis(1),
        Duration::MAX,
    ] {
        assert_invalid(memory.try_apply(&put_for(ttl, "k", "a")).await, "ttl");
    }
    assert_eq!(memory.get("k").await, None);
}

async fn a_page_of_nothing_or_of_too_much_is_invalid(memory: Memories) {
    for limit in [0, PAGE_MAX_ITEMS + 1, u32::MAX] {
        let result = memory.backend.list(&ctx(), "", None, limit).await;
        assert_invalid(result, &limit.to_string());
    }
}

async fn an_invalid_write_leaves_nothing_and_its_id_free(memory: Memories) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let bad = put_for(Duration::ZERO, "k", "a");
    assert_invalid(memory.backend.apply(&ctx, id, &bad).await, "ttl");
    assert_eq!(memory.get("k").await, None);
    memory
        .backend
        .apply(&ctx, id, &put("k", "b"))
        .await
        .unwrap();
    assert_eq!(memory.get("k").await.unwrap().value, b"b");
}
