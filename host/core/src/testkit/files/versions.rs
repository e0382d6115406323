//! Earlier versions: listed, read, restored, purged.

use std::time::Duration;

use super::{AllFiles, ctx, put_as};
use crate::files::{
    EARLIER_VERSIONS_MAX, FileVersion, Files, FilesAck, FilesWrite, PAGE_MAX_FILES,
};
use crate::testkit::suite::{Case, cases};
use crate::{Clock, ErrorKind, Result};

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        a_path_that_was_never_written_has_no_versions,
        the_version_that_stands_has_not_ended,
        what_is_replaced_stays_as_an_earlier_version,
        what_is_deleted_stays_as_an_earlier_version,
        so_many_earlier_versions_are_kept_and_no_more,
        pages_of_versions_follow_each_other,
        a_cursor_of_versions_belongs_to_its_path,
        a_version_is_read_whole,
        a_version_of_another_path_is_none,
        a_restored_version_is_a_new_one,
        a_deleted_file_comes_back,
        the_oldest_version_can_be_restored_when_there_is_no_room_for_one_more,
        restoring_what_is_not_kept_is_not_found,
        a_repeated_restore_answers_the_same_and_changes_nothing,
        a_purge_leaves_nothing,
        versions_keep_growing_after_a_purge,
        arguments_about_versions_are_checked,
    ]
}

fn restore(path: &str, version: u64) -> FilesWrite {
    FilesWrite::Restore {
        path: path.to_owned(),
        version,
    }
}

fn purge(path: &str) -> FilesWrite {
    FilesWrite::Purge {
        path: path.to_owned(),
    }
}

impl AllFiles {
    /// Reads all versions, page by page, and checks what holds for every such listing.
    async fn versions(&self, path: &str, limit: u32) -> Vec<FileVersion> {
        let mut versions: Vec<FileVersion> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..1_000 {
            let page = self
                .backend
                .list_versions(&ctx(), path, cursor.as_deref(), limit)
                .await
                .unwrap();
            assert!(page.versions.len() <= limit as usize, "over the limit");
            versions.extend(page.versions);
            let newest_first = versions
                .windows(2)
                .all(|pair| pair[0].info.version > pair[1].info.version);
            assert!(newest_first, "out of order or twice");
            assert!(versions.iter().skip(1).all(|v| v.ended_at.is_some()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return versions;
            }
        }
        panic!("the listing does not end");
    }

    async fn content_of(&self, path: &str, version: u64) -> Option<String> {
        let file = self.backend.get_version(&ctx(), path, version).await;
        let file = file.unwrap()?;
        assert_eq!(
            (file.info.path.as_str(), file.info.version),
            (path, version)
        );
        Some(String::from_utf8(file.content).unwrap())
    }

    async fn restore(&self, path: &str, version: u64) -> Result<FilesAck> {
        self.try_apply(&restore(path, version)).await
    }
}

async fn a_path_that_was_never_written_has_no_versions(files: AllFiles) {
    assert!(files.versions("f", 10).await.is_empty());
    assert_eq!(files.content_of("f", 1).await, None);
}

async fn the_version_that_stands_has_not_ended(files: AllFiles) {
    let info = files.put("f", "a").await.info.unwrap();
    let stands = FileVersion {
        info,
        ended_at: None,
    };
    assert_eq!(files.versions("f", 10).await, [stands]);
}

async fn what_is_replaced_stays_as_an_earlier_version(files: AllFiles) {
    let spooled = files.spool("old").await;
    let write = put_as("f", &spooled, "text/markdown", &[("a", "1")]);
    let old = files.try_apply(&write).await.unwrap().info.unwrap();
    files.clock.advance(Duration::from_millis(7));
    let new = files.put("f", "new").await.info.unwrap();
    let [stands, earlier] = &files.versions("f", 10).await[..] else {
        panic!("not two versions");
    };
    assert_eq!((&stands.info, stands.ended_at), (&new, None));
    assert_eq!(
        (&earlier.info, earlier.ended_at),
        (&old, Some(files.clock.now()))
    );
}

async fn what_is_deleted_stays_as_an_earlier_version(files: AllFiles) {
    let info = files.put("f", "a").await.info.unwrap();
    files.clock.advance(Duration::from_millis(7));
    files.delete("f").await;
    let version = info.version;
    let ended = FileVersion {
        info,
        ended_at: Some(files.clock.now()),
    };
    assert_eq!(files.versions("f", 10).await, [ended]);
    assert_eq!(files.get("f").await, None);
    files.clock.advance(Duration::from_secs(2 * 3_600));
    files.put("occasion", "to tidy up").await;
    assert_eq!(files.content_of("f", version).await.unwrap(), "a");
}

async fn so_many_earlier_versions_are_kept_and_no_more(files: AllFiles) {
    let mut given = Vec::new();
    for n in 0..EARLIER_VERSIONS_MAX + 3 {
        given.push(files.put("f", n.to_string()).await.info.unwrap().version);
    }
    let kept = files.versions("f", PAGE_MAX_FILES).await;
    let kept: Vec<u64> = kept.iter().rev().map(|v| v.info.version).collect();
    assert_eq!(kept, given[2..]);
    assert_eq!(files.content_of("f", given[1]).await, None);
    assert_eq!(files.content_of("f", given[2]).await.unwrap(), "2");
}

async fn pages_of_versions_follow_each_other(files: AllFiles) {
    for n in 0..7 {
        files.put("f", n.to_string()).await;
    }
    files.put("f2", "another").await;
    let all = files.versions("f", 10).await;
    assert_eq!(all.len(), 7);
    for limit in [1, 3, 6, 7, PAGE_MAX_FILES] {
        assert_eq!(files.versions("f", limit).await, all, "by {limit}");
    }
}

async fn a_cursor_of_versions_belongs_to_its_path(files: AllFiles) {
    for path in ["f", "f", "g", "g"] {
        files.put(path, "x").await;
    }
    let page = files.backend.list_versions(&ctx(), "f", None, 1).await;
    let cursor = page.unwrap().next_cursor.unwrap();
    let of_files = files.backend.list(&ctx(), "", None, 1).await.unwrap();
    let of_files = of_files.next_cursor.unwrap();
    let long = "a".repeat(100_000);
    for (path, bad) in [("g", &*cursor), ("f", &of_files), ("f", ""), ("f", &long)] {
        let ctx = ctx();
        let result = files.backend.list_versions(&ctx, path, Some(bad), 1).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{path} {bad:.20}");
    }
}

async fn a_version_is_read_whole(files: AllFiles) {
    let old = files.put("f", "old").await.info.unwrap();
    let new = files.put("f", "new").await.info.unwrap();
    for (info, content) in [(&old, "old"), (&new, "new")] {
        let file = files.backend.get_version(&ctx(), "f", info.version).await;
        let file = file.unwrap().unwrap();
        assert_eq!(&file.info, info);
        assert_eq!(file.content, content.as_bytes());
    }
}

async fn a_version_of_another_path_is_none(files: AllFiles) {
    let of_f = files.put("f", "a").await.info.unwrap().version;
    let of_g = files.put("g", "b").await.info.unwrap().version;
    for (path, version) in [("f", of_g), ("g", of_f), ("f", 0), ("f", u64::MAX)] {
        assert_eq!(files.content_of(path, version).await, None);
    }
}

async fn a_restored_version_is_a_new_one(files: AllFiles) {
    let created = files.clock.now();
    let spooled = files.spool("old").await;
    let write = put_as("f", &spooled, "text/markdown", &[("a", "1")]);
    let old = files.try_apply(&write).await.unwrap().info.unwrap();
    let replaced = files.put("f", "new").await.info.unwrap();
    files.clock.advance(Duration::from_millis(7));
    let ack = files.restore("f", old.version).await.unwrap();
    let info = ack.info.unwrap();
    assert!(ack.existed && info.version > replaced.version);
    assert_eq!(info.content_type, "text/markdown");
    assert_eq!((&info.sha256, info.size), (&old.sha256, old.size));
    assert_eq!(info.metadata, old.metadata);
    assert_eq!(
        (info.created_at, info.updated_at),
        (created, files.clock.now())
    );
    let file = files.get("f").await.unwrap();
    assert_eq!((file.info, &file.content[..]), (info, b"old".as_slice()));
    assert_eq!(files.versions("f", 10).await.len(), 3);
}

async fn a_deleted_file_comes_back(files: AllFiles) {
    let version = files.put("f", "a").await.info.unwrap().version;
    files.delete("f").await;
    files.clock.advance(Duration::from_secs(2 * 3_600));
    let ack = files.restore("f", version).await.unwrap();
    assert!(!ack.existed);
    assert_eq!(ack.info.unwrap().created_at, files.clock.now());
    files.clock.advance(Duration::from_secs(2 * 3_600));
    files.put("occasion", "to tidy up").await;
    assert_eq!(files.get("f").await.unwrap().content, b"a");
}

async fn the_oldest_version_can_be_restored_when_there_is_no_room_for_one_more(files: AllFiles) {
    let oldest = files.put("f", "oldest").await.info.unwrap().version;
    for n in 0..EARLIER_VERSIONS_MAX {
        files.put("f", n.to_string()).await;
    }
    files.restore("f", oldest).await.unwrap();
    files.clock.advance(Duration::from_secs(2 * 3_600));
    files.put("occasion", "to tidy up").await;
    assert_eq!(files.get("f").await.unwrap().content, b"oldest");
    assert_eq!(files.content_of("f", oldest).await, None);
}

async fn restoring_what_is_not_kept_is_not_found(files: AllFiles) {
    let of_g = files.put("g", "b").await.info.unwrap().version;
    files.put("f", "a").await;
    for version in [0, of_g, u64::MAX] {
        let error = files.restore("f", version).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{version}: {error}");
    }
    assert_eq!(files.versions("f", 10).await.len(), 1);
}

async fn a_repeated_restore_answers_the_same_and_changes_nothing(files: AllFiles) {
    let old = files.put("f", "old").await.info.unwrap().version;
    files.put("f", "new").await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = restore("f", old);
    let ack = files.backend.apply(&ctx, id, &write).await.unwrap();
    files.put("f", "newest").await;
    let before = files.versions("f", 10).await;
    assert_eq!(files.backend.apply(&ctx, id, &write).await.unwrap(), ack);
    assert_eq!(files.versions("f", 10).await, before);
    let other = files.backend.apply(&ctx, id, &restore("f", old + 1)).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
}

async fn a_purge_leaves_nothing(files: AllFiles) {
    let answer = |existed| FilesAck {
        info: None,
        existed,
    };
    files.put("f", "old").await;
    let version = files.put("f", "new").await.info.unwrap().version;
    files.put("f2", "stays").await;
    assert_eq!(files.try_apply(&purge("f")).await.unwrap(), answer(true));
    assert_eq!(files.get("f").await, None);
    assert!(files.versions("f", 10).await.is_empty());
    assert_eq!(files.content_of("f", version).await, None);
    assert_eq!(files.try_apply(&purge("f")).await.unwrap(), answer(false));
    // Earlier versions alone are something as well.
    files.put("f", "again").await;
    files.delete("f").await;
    assert_eq!(files.try_apply(&purge("f")).await.unwrap(), answer(true));
    assert_eq!(files.get("f2").await.unwrap().content, b"stays");
}

async fn versions_keep_growing_after_a_purge(files: AllFiles) {
    let before = files.put("f", "a").await.info.unwrap().version;
    files.try_apply(&purge("f")).await.unwrap();
    assert!(files.put("f", "a").await.info.unwrap().version > before);
}

async fn arguments_about_versions_are_checked(files: AllFiles) {
    let invalid = |result: Result<()>, what: &str| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid, "{what}");
    };
    for bad in ["", "/", "../x", "a/../b", "a\0b"] {
        invalid(files.restore(bad, 1).await.map(drop), bad);
        invalid(files.try_apply(&purge(bad)).await.map(drop), bad);
        let version = files.backend.get_version(&ctx(), bad, 1).await;
        invalid(version.map(drop), bad);
        let page = files.backend.list_versions(&ctx(), bad, None, 1).await;
        invalid(page.map(drop), bad);
    }
    for limit in [0, PAGE_MAX_FILES + 1, u32::MAX] {
        let page = files.backend.list_versions(&ctx(), "f", None, limit).await;
        invalid(page.map(drop), "limit");
    }
}
