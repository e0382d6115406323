//! Pages and cursors.

use super::super::suite::{Case, cases};
use super::{Shelf, put, text, words};
use crate::ErrorKind;
use crate::search::{DOCUMENT_MAX_BYTES, PAGE_MAX_BYTES, Query, Search, WINDOW_MAX_HITS};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        pages_follow_each_other_without_gap_or_repetition,
        a_cursor_belongs_to_its_query,
        a_page_is_bounded_in_bytes,
        paging_ends_at_the_window,
    ]
}

async fn filled(shelf: Shelf, count: usize) -> Shelf {
    let shelf = shelf.with_index().await;
    let all: Vec<usize> = (0..count).collect();
    for some in all.chunks(200) {
        let changes = some
            .iter()
            .map(|n| put(&format!("{n:04}"), vec![text("stuga")]));
        shelf.change(changes.collect()).await;
    }
    shelf
}

async fn pages_follow_each_other_without_gap_or_repetition(shelf: Shelf) {
    let shelf = filled(shelf, 25).await;
    let expected: Vec<String> = (0..25).map(|n| format!("{n:04}")).collect();
    for limit in [1, 7, 25, 100] {
        for query in [Query::default(), words("stugan")] {
            let query = Query { limit, ..query };
            assert_eq!(shelf.all_pages(&query).await, expected, "{limit}");
        }
    }
}

async fn a_cursor_belongs_to_its_query(shelf: Shelf) {
    let shelf = filled(shelf, 5).await;
    let first = Query {
        limit: 2,
        ..words("stuga")
    };
    let cursor = shelf.query(&first).await.next_cursor;
    assert!(cursor.is_some());
    let on = Query {
        limit: 3,
        cursor: cursor.clone(),
        ..words("stuga")
    };
    assert_eq!(shelf.found(&on).await, ["0002", "0003", "0004"]);
    let other = Query {
        cursor,
        ..words("båt")
    };
    let nonsense = |cursor: &str| Query {
        cursor: Some(cursor.to_owned()),
        ..words("stuga")
    };
    for bad in [
        other,
        nonsense(""),
        nonsense("nonsense"),
        nonsense(&"f".repeat(4_000)),
    ] {
        let refused = shelf.try_query(&bad).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{:?}", bad.cursor);
    }
}

async fn a_page_is_bounded_in_bytes(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let large = "x".repeat(DOCUMENT_MAX_BYTES - 100);
    let count = PAGE_MAX_BYTES / DOCUMENT_MAX_BYTES + 4;
    for n in 0..count {
        shelf
            .change(vec![put(&format!("{n:02}"), vec![text(&large)])])
            .await;
    }
    let query = Query {
        limit: 100,
        ..Query::default()
    };
    let page = shelf.query(&query).await;
    assert!(page.hits.len() < count && !page.hits.is_empty());
    assert_eq!(shelf.all_pages(&query).await.len(), count);
}

async fn paging_ends_at_the_window(shelf: Shelf) {
    let shelf = filled(shelf, WINDOW_MAX_HITS + 10).await;
    let query = Query {
        limit: 90,
        ..Query::default()
    };
    assert_eq!(shelf.query(&query).await.total, WINDOW_MAX_HITS as u64 + 10);
    assert_eq!(shelf.all_pages(&query).await.len(), WINDOW_MAX_HITS);
}
