//! Spool, put, get, stat and delete.

use std::time::Duration;

use super::{AllFiles, ctx, put, put_as};
use crate::files::{Expected, Files, FilesAck, FilesWrite, Spooled};
use crate::testkit::suite::{Case, cases};
use crate::{Clock, ErrorKind};

/// SHA-256 of nothing and of "abc", as FIPS 180-2 gives them.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        a_path_that_was_never_written_is_absent,
        a_spooled_content_is_known_by_its_digest,
        a_spooled_content_is_no_file_yet,
        spooling_twice_is_spooling_once,
        a_content_is_read_back_byte_for_byte,
        what_was_put_is_known_without_reading,
        a_put_replaces_content_and_metadata_at_once,
        every_put_gives_a_larger_version,
        versions_grow_across_a_delete,
        created_at_stays_while_the_file_stands,
        created_at_begins_anew_after_a_delete,
        a_delete_says_whether_there_was_one,
        files_of_equal_content_do_not_share_their_fate,
        a_content_outlives_the_hour_as_long_as_a_file_names_it,
        a_spooled_content_waits_an_hour_for_its_put,
        a_put_of_what_was_not_spooled_is_not_found,
        a_put_with_another_size_than_spooled_is_not_found,
    ]
}

async fn a_path_that_was_never_written_is_absent(files: AllFiles) {
    assert_eq!(files.get("nothing").await, None);
    assert_eq!(files.stat("nothing").await, None);
}

async fn a_spooled_content_is_known_by_its_digest(files: AllFiles) {
    for (content, sha256) in [("", SHA256_OF_NOTHING), ("abc", SHA256_OF_ABC)] {
        let size = content.len() as u64;
        let expected = Spooled {
            sha256: sha256.to_owned(),
            size,
        };
        assert_eq!(files.spool(content).await, expected);
    }
}

async fn a_spooled_content_is_no_file_yet(files: AllFiles) {
    files.spool("abc").await;
    assert!(files.paths("", 10).await.is_empty());
}

async fn spooling_twice_is_spooling_once(files: AllFiles) {
    let first = files.spool("abc").await;
    assert_eq!(files.spool("abc").await, first);
    files.try_apply(&put("f", &first)).await.unwrap();
    assert_eq!(files.spool("abc").await, first);
    assert_eq!(files.get("f").await.unwrap().content, b"abc");
}

async fn a_content_is_read_back_byte_for_byte(files: AllFiles) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    for content in [b"".as_slice(), b"\0", &every_byte, &large] {
        let info = files.put("f", content).await.info.unwrap();
        let file = files.get("f").await.unwrap();
        assert!(file.content == content);
        assert_eq!(file.info, info);
    }
}

async fn what_was_put_is_known_without_reading(files: AllFiles) {
    let spooled = files.spool("abc").await;
    let write = put_as(
        "notes/a.md",
        &spooled,
        "text/markdown",
        &[("a", "1"), ("b", "två")],
    );
    let info = files.try_apply(&write).await.unwrap().info.unwrap();
    assert_eq!(files.stat("notes/a.md").await.as_ref(), Some(&info));
    assert_eq!(
        files.list_all(&ctx(), "", 10).await,
        std::slice::from_ref(&info)
    );
    assert_eq!(info.path, "notes/a.md");
    assert_eq!((info.size, info.sha256.as_str()), (3, SHA256_OF_ABC));
    assert_eq!(info.content_type, "text/markdown");
    let metadata = [("a", "1"), ("b", "två")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(info.metadata, metadata);
    assert_eq!(info.created_at, files.clock.now());
    assert_eq!(info.updated_at, files.clock.now());
}

async fn a_put_replaces_content_and_metadata_at_once(files: AllFiles) {
    let old = files.spool("old, and longer").await;
    let write = put_as("f", &old, "text/markdown", &[("a", "1")]);
    assert!(!files.try_apply(&write).await.unwrap().existed);
    assert!(files.put("f", "new").await.existed);
    let file = files.get("f").await.unwrap();
    assert_eq!(file.content, b"new");
    assert_eq!(file.info.content_type, "text/plain");
    assert!(file.info.metadata.is_empty());
    assert_eq!(files.paths("", 10).await, ["f"]);
}

async fn every_put_gives_a_larger_version(files: AllFiles) {
    let mut last = 0;
    for _ in 0..4 {
        let version = files.put("f", "the same").await.info.unwrap().version;
        assert!(version > last, "{version} after {last}");
        last = version;
    }
}

async fn versions_grow_across_a_delete(files: AllFiles) {
    let before = files.put("f", "a").await.info.unwrap().version;
    files.delete("f").await;
    assert!(files.put("f", "a").await.info.unwrap().version > before);
}

async fn created_at_stays_while_the_file_stands(files: AllFiles) {
    let created = files.clock.now();
    files.put("f", "a").await;
    files.clock.advance(Duration::from_millis(7));
    let info = files.put("f", "b").await.info.unwrap();
    assert_eq!(info.created_at, created);
    assert_eq!(info.updated_at, files.clock.now());
    assert_eq!(files.stat("f").await, Some(info));
}

async fn created_at_begins_anew_after_a_delete(files: AllFiles) {
    files.put("f", "a").await;
    files.clock.advance(Duration::from_millis(7));
    files.delete("f").await;
    let info = files.put("f", "a").await.info.unwrap();
    assert_eq!(info.created_at, files.clock.now());
}

async fn a_delete_says_whether_there_was_one(files: AllFiles) {
    let answer = |existed| FilesAck {
        info: None,
        existed,
    };
    assert_eq!(files.delete("f").await, answer(false));
    files.put("f", "a").await;
    assert_eq!(files.delete("f").await, answer(true));
    assert_eq!(files.delete("f").await, answer(false));
    assert_eq!(files.get("f").await, None);
    assert_eq!(files.stat("f").await, None);
    assert!(files.paths("", 10).await.is_empty());
}

async fn files_of_equal_content_do_not_share_their_fate(files: AllFiles) {
    files.put("one", "same").await;
    files.put("two", "same").await;
    files.delete("one").await;
    files.put("three", "same").await;
    files.put("three", "other").await;
    a_day_with_writes(&files).await;
    assert_eq!(files.get("two").await.unwrap().content, b"same");
    assert_eq!(files.get("three").await.unwrap().content, b"other");
}

async fn a_content_outlives_the_hour_as_long_as_a_file_names_it(files: AllFiles) {
    files.put("f", "a").await;
    a_day_with_writes(&files).await;
    assert_eq!(files.get("f").await.unwrap().content, b"a");
}

/// Lets time pass and gives the backend occasions to tidy up.
async fn a_day_with_writes(files: &AllFiles) {
    for _ in 0..24 {
        files.clock.advance(Duration::from_secs(3_601));
        files.put("tick", "tock").await;
    }
}

async fn a_spooled_content_waits_an_hour_for_its_put(files: AllFiles) {
    let spooled = files.spool("patience").await;
    files.clock.advance(Duration::from_secs(3_599));
    files.put("something", "else").await;
    files.try_apply(&put("f", &spooled)).await.unwrap();
    assert_eq!(files.get("f").await.unwrap().content, b"patience");
    // Once it lost its name, it may be spooled and wait again.
    files.delete("f").await;
    files.clock.advance(Duration::from_secs(3_599));
    let again = files.spool("patience").await;
    files.clock.advance(Duration::from_secs(3_599));
    files.put("something", "different").await;
    files.try_apply(&put("f", &again)).await.unwrap();
    assert_eq!(files.get("f").await.unwrap().content, b"patience");
}

async fn a_put_of_what_was_not_spooled_is_not_found(files: AllFiles) {
    let never = Spooled {
        sha256: SHA256_OF_ABC.to_owned(),
        size: 3,
    };
    let error = files.try_apply(&put("f", &never)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(files.stat("f").await, None);
}

async fn a_put_with_another_size_than_spooled_is_not_found(files: AllFiles) {
    let spooled = files.spool("abc").await;
    for size in [0, 2, 4, u64::MAX] {
        let wrong = FilesWrite::Put {
            path: "f".to_owned(),
            sha256: spooled.sha256.clone(),
            size,
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            expected: Expected::Any,
        };
        let error = files.try_apply(&wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{size}: {error}");
    }
    assert_eq!(files.stat("f").await, None);
}
