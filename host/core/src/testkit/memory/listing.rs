//! Listings: order, prefixes, pages, cursors, and writers beside them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Memories, ctx, delete, put};
use crate::ErrorKind;
use crate::memory::{Memory, PAGE_MAX_BYTES, PAGE_MAX_ITEMS, VALUE_MAX_BYTES};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Memory>> {
    cases![
        keys_come_in_the_order_of_their_bytes,
        a_prefix_takes_exactly_the_keys_that_begin_with_it,
        a_prefix_is_no_pattern,
        a_listing_hands_out_whole_items,
        pages_follow_each_other_without_gap_or_repetition,
        the_largest_page_is_taken,
        an_empty_listing_has_no_cursor,
        a_page_is_bounded_by_the_bytes_of_its_values,
        an_item_written_between_pages_appears_at_most_once,
        listings_beside_writers_stay_in_order,
        a_cursor_belongs_to_its_prefix,
        text_that_is_no_cursor_is_invalid,
    ]
}

async fn fill(memory: &Memories, keys: &[&str]) {
    for key in keys {
        memory.apply(&put(key, key)).await;
    }
}

async fn keys_come_in_the_order_of_their_bytes(memory: Memories) {
    let mut keys = [
        "b",
        "a",
        "B",
        "aa",
        "a b",
        "a/b",
        "a.b",
        "å",
        "ä",
        "z",
        "~",
        "0",
        "10",
        "9",
        "\u{ffff}",
        "\u{10000}",
        "\u{7ff}",
    ];
    fill(&memory, &keys).await;
    keys.sort_unstable();
    for limit in [1, 4, 1_000] {
        assert_eq!(memory.keys("", limit).await, keys);
    }
}

async fn a_prefix_takes_exactly_the_keys_that_begin_with_it(memory: Memories) {
    fill(
        &memory,
        &[
            "a",
            "ab",
            "ab/1",
            "ab/2",
            "ac",
            "b",
            "å",
            "å/1",
            "\u{10ffff}x",
        ],
    )
    .await;
    for (prefix, keys) in [
        ("a", vec!["a", "ab", "ab/1", "ab/2", "ac"]),
        ("ab", vec!["ab", "ab/1", "ab/2"]),
        ("ab/", vec!["ab/1", "ab/2"]),
        ("ab/1", vec!["ab/1"]),
        ("ab/12", vec![]),
        ("å", vec!["å", "å/1"]),
        ("\u{10ffff}", vec!["\u{10ffff}x"]),
        ("zzz", vec![]),
    ] {
        assert_eq!(memory.keys(prefix, 1).await, keys, "{prefix:?} by 1");
        assert_eq!(memory.keys(prefix, 1_000).await, keys, "{prefix:?}");
    }
}

async fn a_prefix_is_no_pattern(memory: Memories) {
    fill(&memory, &["a%", "a_", "a*", "a?", "ab", "A%", "a[b]"]).await;
    for prefix in ["a%", "a_", "a*", "a?", "a["] {
        let keys = memory.keys(prefix, 10).await;
        assert!(keys.len() == 1 && keys[0].starts_with(prefix), "{keys:?}");
    }
    assert!(memory.keys("%", 10).await.is_empty());
}

async fn a_listing_hands_out_whole_items(memory: Memories) {
    fill(&memory, &["a", "b"]).await;
    let items = memory.list_all(&ctx(), "", 10).await;
    assert_eq!(items.len(), 2);
    for item in items {
        assert_eq!(memory.get(&item.key).await, Some(item));
    }
}

async fn pages_follow_each_other_without_gap_or_repetition(memory: Memories) {
    let keys: Vec<String> = (0..23).map(|n| format!("k{n:02}")).collect();
    for key in &keys {
        memory.apply(&put(key, "x")).await;
    }
    for limit in [1, 2, 7, 22, 23, 24] {
        assert_eq!(memory.keys("k", limit).await, keys, "by {limit}");
    }
}

async fn the_largest_page_is_taken(memory: Memories) {
    fill(&memory, &["a", "b"]).await;
    assert_eq!(memory.keys("", PAGE_MAX_ITEMS).await, ["a", "b"]);
}

async fn an_empty_listing_has_no_cursor(memory: Memories) {
    let page = memory.backend.list(&ctx(), "", None, 10).await.unwrap();
    assert!(page.items.is_empty() && page.next_cursor.is_none());
}

async fn a_page_is_bounded_by_the_bytes_of_its_values(memory: Memories) {
    let large = vec![7_u8; VALUE_MAX_BYTES];
    let keys = ["a", "b", "c", "d", "e", "f"];
    for key in keys {
        memory.apply(&put(key, &large)).await;
    }
    let page = memory.backend.list(&ctx(), "", None, 1_000).await.unwrap();
    let bytes: usize = page.items.iter().map(|item| item.value.len()).sum();
    assert!(!page.items.is_empty() && bytes <= PAGE_MAX_BYTES, "{bytes}");
    assert!(page.next_cursor.is_some());
    assert_eq!(memory.keys("", 1_000).await, keys);
}

async fn an_item_written_between_pages_appears_at_most_once(memory: Memories) {
    fill(&memory, &["b", "d", "f", "h"]).await;
    let first = memory.backend.list(&ctx(), "", None, 2).await.unwrap();
    let seen: Vec<_> = first.items.iter().map(|item| item.key.clone()).collect();
    let cursor = first.next_cursor.unwrap();
    // Rewritten, deleted and put again, new before and after the page's end.
    fill(&memory, &["b", "f"]).await;
    memory.apply(&delete("d")).await;
    fill(&memory, &["d", "a", "g"]).await;
    let rest = memory
        .backend
        .list(&ctx(), "", Some(&cursor), 1_000)
        .await
        .unwrap();
    let keys: Vec<_> = seen
        .iter()
        .cloned()
        .chain(rest.items.into_iter().map(|item| item.key))
        .collect();
    let unique: BTreeSet<_> = keys.iter().collect();
    assert_eq!(unique.len(), keys.len(), "{keys:?}");
    for stayed in ["b", "f", "h"] {
        assert!(unique.contains(&stayed.to_owned()), "{stayed} in {keys:?}");
    }
}

async fn listings_beside_writers_stay_in_order(memory: Memories) {
    let fixed: Vec<String> = (0..20).map(|n| format!("note/{n:02}")).collect();
    for key in &fixed {
        memory.apply(&put(key, "x")).await;
    }
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let backend = Arc::clone(&memory.backend);
            tokio::spawn(async move {
                for n in 0..30 {
                    let ctx = ctx();
                    let key = format!("note/{:02}+{writer}", n % 20);
                    let write = match n % 3 {
                        2 => delete(&key),
                        _ => put(&key, "y"),
                    };
                    let id = ctx.next_write_id().unwrap();
                    backend.apply(&ctx, id, &write).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..5 {
        // `keys` checks order and repetition.
        let mut keys = memory.keys("note/", 3).await;
        keys.retain(|key| !key.contains('+'));
        assert_eq!(keys, fixed, "what nobody touches is in every listing");
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn a_cursor_belongs_to_its_prefix(memory: Memories) {
    fill(&memory, &["ab1", "ab2", "ab3"]).await;
    let page = memory.backend.list(&ctx(), "a", None, 1).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    for other in ["", "ab", "ab1", "b"] {
        let result = memory.backend.list(&ctx(), other, Some(&cursor), 1).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid, "{other:?}");
    }
    let same = memory.backend.list(&ctx(), "a", Some(&cursor), 1).await;
    assert_eq!(same.unwrap().items[0].key, "ab2");
}

async fn text_that_is_no_cursor_is_invalid(memory: Memories) {
    fill(&memory, &["a", "b", "c"]).await;
    let page = memory.backend.list(&ctx(), "", None, 1).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    let half = &cursor[..cursor.len() / 2];
    let doubled = format!("{cursor}{cursor}!");
    let long = "a".repeat(100_000);
    for bad in ["", " ", "a", "\0", "å", "../../x", half, &doubled, &long] {
        let result = memory.backend.list(&ctx(), "", Some(bad), 1).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad:.20}");
    }
}
