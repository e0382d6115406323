//! Put, get and delete.

use std::time::Duration;

use super::{Memories, delete, put};
use crate::Clock;
use crate::memory::{Memory, MemoryAck};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Memory>> {
    cases![
        a_key_that_was_never_written_is_absent,
        a_value_is_read_back_byte_for_byte,
        a_put_replaces_what_stood_there,
        the_ack_names_the_version_that_is_read,
        every_put_gives_a_larger_version,
        versions_grow_across_a_delete,
        a_delete_says_what_it_removed,
        deleting_what_is_absent_succeeds,
        created_at_stays_while_the_item_stands,
        created_at_begins_anew_after_a_delete,
    ]
}

async fn a_key_that_was_never_written_is_absent(memory: Memories) {
    assert_eq!(memory.get("nothing").await, None);
}

async fn a_value_is_read_back_byte_for_byte(memory: Memories) {
    let every_byte: Vec<u8> = (0..=255).collect();
    for value in [b"".as_slice(), b"\0", &every_byte, "måndag".as_bytes()] {
        memory.apply(&put("k", value)).await;
        let item = memory.get("k").await.unwrap();
        assert_eq!((item.key.as_str(), item.value.as_slice()), ("k", value));
    }
}

async fn a_put_replaces_what_stood_there(memory: Memories) {
    assert!(!memory.apply(&put("k", "first, and longer")).await.existed);
    assert!(memory.apply(&put("k", "second")).await.existed);
    assert_eq!(memory.get("k").await.unwrap().value, b"second");
    assert_eq!(memory.keys("", 10).await, ["k"]);
}

async fn the_ack_names_the_version_that_is_read(memory: Memories) {
    for value in ["a", "b"] {
        let ack = memory.apply(&put("k", value)).await;
        assert_eq!(memory.get("k").await.unwrap().version, ack.version);
    }
}

async fn every_put_gives_a_larger_version(memory: Memories) {
    let mut last = 0;
    for _ in 0..5 {
        let version = memory.apply(&put("k", "the same")).await.version;
        assert!(version > last, "{version} after {last}");
        last = version;
        memory.apply(&put("another", "x")).await;
    }
}

async fn versions_grow_across_a_delete(memory: Memories) {
    let before = memory.apply(&put("k", "a")).await.version;
    memory.apply(&delete("k")).await;
    assert!(memory.apply(&put("k", "a")).await.version > before);
}

async fn a_delete_says_what_it_removed(memory: Memories) {
    let version = memory.apply(&put("k", "a")).await.version;
    let ack = memory.apply(&delete("k")).await;
    assert_eq!(
        ack,
        MemoryAck {
            version,
            existed: true
        }
    );
    assert_eq!(memory.get("k").await, None);
    assert!(memory.keys("", 10).await.is_empty());
}

async fn deleting_what_is_absent_succeeds(memory: Memories) {
    let nothing = MemoryAck {
        version: 0,
        existed: false,
    };
    assert_eq!(memory.apply(&delete("k")).await, nothing);
    memory.apply(&put("k", "a")).await;
    memory.apply(&delete("k")).await;
    assert_eq!(memory.apply(&delete("k")).await, nothing);
}

async fn created_at_stays_while_the_item_stands(memory: Memories) {
    let created = memory.clock.now();
    memory.apply(&put("k", "a")).await;
    memory.clock.advance(Duration::from_millis(7));
    memory.apply(&put("k", "b")).await;
    let item = memory.get("k").await.unwrap();
    assert_eq!(item.created_at, created);
    assert_eq!(item.updated_at, memory.clock.now());
    assert_eq!(item.expires_at, None);
}

async fn created_at_begins_anew_after_a_delete(memory: Memories) {
    memory.apply(&put("k", "a")).await;
    memory.clock.advance(Duration::from_millis(7));
    memory.apply(&delete("k")).await;
    memory.apply(&put("k", "b")).await;
    let item = memory.get("k").await.unwrap();
    assert_eq!(item.created_at, memory.clock.now());
}
