//! Listings: order, prefixes, pages and cursors.

use super::{AllFiles, ctx};
use crate::ErrorKind;
use crate::files::{Files, PAGE_MAX_FILES};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        paths_come_in_the_order_of_their_bytes,
        a_prefix_takes_exactly_the_paths_that_begin_with_it,
        a_prefix_is_no_pattern,
        pages_follow_each_other_without_gap_or_repetition,
        a_file_written_between_pages_appears_at_most_once,
        a_cursor_belongs_to_its_prefix,
        text_that_is_no_cursor_is_invalid,
    ]
}

async fn fill(files: &AllFiles, paths: &[&str]) {
    for path in paths {
        files.put(path, path).await;
    }
}

async fn paths_come_in_the_order_of_their_bytes(files: AllFiles) {
    let mut paths = [
        "b",
        "a",
        "B",
        "a/b",
        "a.b",
        "a b",
        "å",
        "ä",
        "z",
        "10",
        "9",
        "\u{10000}",
    ];
    fill(&files, &paths).await;
    paths.sort_unstable();
    for limit in [1, 5, PAGE_MAX_FILES] {
        assert_eq!(files.paths("", limit).await, paths);
    }
}

async fn a_prefix_takes_exactly_the_paths_that_begin_with_it(files: AllFiles) {
    fill(&files, &["a", "ab", "ab/1", "ab/2", "ac/x", "å/1"]).await;
    for (prefix, paths) in [
        ("a", vec!["a", "ab", "ab/1", "ab/2", "ac/x"]),
        ("ab/", vec!["ab/1", "ab/2"]),
        ("ab/1", vec!["ab/1"]),
        ("ab/12", vec![]),
        ("å", vec!["å/1"]),
        ("z", vec![]),
    ] {
        assert_eq!(files.paths(prefix, 1).await, paths, "{prefix:?} by 1");
        assert_eq!(files.paths(prefix, 10).await, paths, "{prefix:?}");
    }
}

async fn a_prefix_is_no_pattern(files: AllFiles) {
    fill(&files, &["a%", "a_", "a*", "a?", "ab", "A%"]).await;
    for prefix in ["a%", "a_", "a*", "a?"] {
        assert_eq!(files.paths(prefix, 10).await, [prefix]);
    }
}

async fn pages_follow_each_other_without_gap_or_repetition(files: AllFiles) {
    let paths: Vec<String> = (0..11).map(|n| format!("d/{n:02}")).collect();
    for path in &paths {
        files.put(path, "x").await;
    }
    for limit in [1, 3, 10, 11, 12] {
        assert_eq!(files.paths("d/", limit).await, paths, "by {limit}");
    }
}

async fn a_file_written_between_pages_appears_at_most_once(files: AllFiles) {
    fill(&files, &["b", "d", "f"]).await;
    let first = files.backend.list(&ctx(), "", None, 1).await.unwrap();
    let cursor = first.next_cursor.unwrap();
    fill(&files, &["a", "b", "f", "g"]).await;
    files.delete("d").await;
    let rest = files.backend.list(&ctx(), "", Some(&cursor), 10).await;
    let rest: Vec<_> = rest.unwrap().files.into_iter().map(|f| f.path).collect();
    assert!(!rest.contains(&"b".to_owned()), "{rest:?}");
    assert!(rest.contains(&"f".to_owned()), "{rest:?}");
}

async fn a_cursor_belongs_to_its_prefix(files: AllFiles) {
    fill(&files, &["ab1", "ab2"]).await;
    let page = files.backend.list(&ctx(), "a", None, 1).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    for other in ["", "ab", "ab1", "b"] {
        let result = files.backend.list(&ctx(), other, Some(&cursor), 1).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid, "{other:?}");
    }
    let same = files.backend.list(&ctx(), "a", Some(&cursor), 1).await;
    assert_eq!(same.unwrap().files[0].path, "ab2");
}

async fn text_that_is_no_cursor_is_invalid(files: AllFiles) {
    fill(&files, &["a", "b"]).await;
    let long = "a".repeat(100_000);
    for bad in ["", " ", "a", "\0", "å", "../../x", "/etc/passwd", &long] {
        let result = files.backend.list(&ctx(), "", Some(bad), 1).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid, "{bad:.20}");
    }
}
