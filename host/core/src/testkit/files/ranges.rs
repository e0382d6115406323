//! Reading a content in parts.

use super::{AllFiles, ctx};
use crate::ErrorKind;
use crate::files::{Files, Part, RANGE_MAX_BYTES};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        a_part_is_exactly_what_was_asked_for,
        a_part_ends_where_the_content_ends,
        a_part_of_nothing_is_none,
        parts_of_one_version_are_not_mixed_with_another,
        a_part_says_what_the_whole_is,
        parts_are_taken_up_to_their_limit,
        paths_of_parts_are_checked,
    ]
}

impl AllFiles {
    async fn range(&self, version: Option<u64>, offset: u64, len: u32) -> Option<Part> {
        self.backend
            .read_range(&ctx(), "f", version, offset, len)
            .await
            .unwrap()
    }
}

async fn a_part_is_exactly_what_was_asked_for(files: AllFiles) {
    files.put("f", "0123456789").await;
    for (offset, len, part) in [
        (0, 10, "0123456789"),
        (0, 1, "0"),
        (3, 4, "3456"),
        (9, 1, "9"),
    ] {
        let read = files.range(None, offset, len).await.unwrap();
        assert_eq!(read.content, part.as_bytes(), "{offset} {len}");
    }
}

async fn a_part_ends_where_the_content_ends(files: AllFiles) {
    files.put("f", "0123456789").await;
    let limit = u32::try_from(RANGE_MAX_BYTES).unwrap();
    for (offset, len, part) in [
        (8, 10, "89"),
        (0, limit, "0123456789"),
        (10, 1, ""),
        (11, 1, ""),
        (u64::MAX, limit, ""),
        (3, 0, ""),
    ] {
        let read = files.range(None, offset, len).await.unwrap();
        assert_eq!(read.content, part.as_bytes(), "{offset} {len}");
    }
}

async fn a_part_of_nothing_is_none(files: AllFiles) {
    assert_eq!(files.range(None, 0, 1).await, None);
    let version = files.put("f", "a").await.info.unwrap().version;
    for other in [0, version + 1, u64::MAX] {
        assert_eq!(files.range(Some(other), 0, 1).await, None);
    }
    files.delete("f").await;
    assert_eq!(files.range(None, 0, 1).await, None);
    assert_eq!(
        files.range(Some(version), 0, 1).await.unwrap().content,
        b"a"
    );
}

async fn parts_of_one_version_are_not_mixed_with_another(files: AllFiles) {
    files.put("f", "old content").await;
    let first = files.range(None, 0, 4).await.unwrap();
    files.put("f", "NEW CONTENT").await;
    let rest = files.range(Some(first.info.version), 4, 100).await.unwrap();
    assert_eq!(rest.info, first.info);
    assert_eq!([first.content, rest.content].concat(), b"old content");
}

async fn a_part_says_what_the_whole_is(files: AllFiles) {
    let info = files.put("f", "0123456789").await.info;
    assert_eq!(files.range(None, 2, 2).await.map(|part| part.info), info);
}

async fn parts_are_taken_up_to_their_limit(files: AllFiles) {
    let content: Vec<u8> = (0..=255_u8).cycle().take(RANGE_MAX_BYTES + 1).collect();
    files.put("f", &content).await;
    let limit = u32::try_from(RANGE_MAX_BYTES).unwrap();
    let part = files.range(None, 1, limit).await.unwrap();
    assert!(part.content == content[1..]);
    for len in [limit + 1, u32::MAX] {
        let error = files.backend.read_range(&ctx(), "f", None, 0, len).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid, "{len}");
    }
}

async fn paths_of_parts_are_checked(files: AllFiles) {
    for bad in ["", "/", "../x", "a/../b", "a\0b"] {
        let error = files.backend.read_range(&ctx(), bad, None, 0, 1).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
}
