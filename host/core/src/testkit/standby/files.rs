//! Files that are taken over. Their contents are spooled on either side first.

use std::sync::Arc;
use std::time::Duration;

use super::{Dice, Sides, ctx};
use crate::ErrorKind;
use crate::files::{Expected, FileInfo, Files, FilesWrite, Spooled};
use crate::standby::Adopted;
use crate::testkit::suite::{Case, Fixture, cases};

/// All cases.
pub fn cases() -> Vec<Case<Sides<dyn Files, FilesWrite>>> {
    cases![
        a_file_and_its_versions_read_the_same_on_both_sides,
        a_content_that_is_not_stored_is_not_found,
        a_repeated_adoption_changes_nothing,
        the_larger_version_stays_and_the_other_is_an_earlier_one,
        a_removal_makes_an_earlier_version,
        a_removal_leaves_what_was_written_later,
        what_was_removed_since_does_not_come_back,
        a_purge_leaves_nothing_of_what_it_purged,
        a_restored_version_is_taken_over,
        conditions_are_not_asked_again,
        what_landed_without_anybody_hearing_of_it_is_not_made_twice,
        a_write_made_here_later_gets_a_larger_version,
        many_writes_in_any_order_and_any_number_of_times_end_alike,
    ]
}

type Both = Fixture<Sides<dyn Files, FilesWrite>>;

fn put_if(expected: Expected, path: &str, spooled: Spooled) -> FilesWrite {
    FilesWrite::Put {
        path: path.to_owned(),
        sha256: spooled.sha256,
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        metadata: vec![("lang".to_owned(), "sv".to_owned())],
        expected,
    }
}

fn delete(path: &str) -> FilesWrite {
    FilesWrite::Delete {
        path: path.to_owned(),
    }
}

async fn all(files: &Arc<dyn Files>) -> Vec<FileInfo> {
    let page = files.list(&ctx(), "", None, 1_000).await.unwrap();
    assert_eq!(page.next_cursor, None, "a case has few files");
    page.files
}

/// Every kept version of a path, the newest first.
async fn versions(files: &Arc<dyn Files>, path: &str) -> Vec<FileInfo> {
    let page = files.list_versions(&ctx(), path, None, 1_000).await;
    let versions = page.unwrap().versions.into_iter();
    versions.map(|version| version.info).collect()
}

impl Both {
    /// A put of a content that both sides have.
    async fn put(&self, path: &str, content: &str) -> FilesWrite {
        self.put_if(Expected::Any, path, content).await
    }

    async fn put_if(&self, expected: Expected, path: &str, content: &str) -> FilesWrite {
        for side in [&self.backend.from, &self.backend.to] {
            side.spool(&ctx(), content.as_bytes()).await.unwrap();
        }
        let spooled = self.backend.from.spool(&ctx(), content.as_bytes()).await;
        put_if(expected, path, spooled.unwrap())
    }

    async fn there(&self, path: &str) -> Option<String> {
        let file = self.backend.to.get(&ctx(), path).await.unwrap()?;
        Some(String::from_utf8(file.content).unwrap())
    }

    /// Both sides have the same files and versions.
    async fn agree(&self) {
        let (from, to) = (&self.backend.from, &self.backend.to);
        let files = all(from).await;
        assert_eq!(all(to).await, files);
        for file in files {
            let kept = versions(from, &file.path).await;
            assert_eq!(versions(to, &file.path).await, kept);
        }
    }
}

async fn a_file_and_its_versions_read_the_same_on_both_sides(both: Both) {
    let write = both.put("a.txt", "ett").await;
    both.follow(write).await;
    both.clock.advance(Duration::from_secs(5));
    let write = both.put("a.txt", "två").await;
    both.follow(write).await;
    let write = both.put("mapp/b.txt", "").await;
    both.follow(write).await;
    assert_eq!(both.there("a.txt").await.unwrap(), "två");
    assert_eq!(versions(&both.backend.to, "a.txt").await.len(), 2);
    both.agree().await;
}

async fn a_content_that_is_not_stored_is_not_found(both: Both) {
    let spooled = both.backend.from.spool(&ctx(), b"only there").await;
    let write = put_if(Expected::Any, "a.txt", spooled.unwrap());
    let made = both.make(write).await;
    let refused = both.try_adopt(&made).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(both.there("a.txt").await, None);
    both.backend.to.spool(&ctx(), b"only there").await.unwrap();
    both.stands(&made).await;
    both.agree().await;
}

async fn a_repeated_adoption_changes_nothing(both: Both) {
    let write = both.put("a.txt", "ett").await;
    let first = both.follow(write).await;
    both.stands(&first).await;
    both.agree().await;
    let write = both.put("a.txt", "två").await;
    both.follow(write).await;
    both.adopt(&first).await;
    both.agree().await;
}

async fn the_larger_version_stays_and_the_other_is_an_earlier_one(both: Both) {
    let write = both.put("a.txt", "earlier").await;
    let earlier = both.make(write).await;
    let write = both.put("a.txt", "later").await;
    let later = both.make(write).await;
    both.stands(&later).await;
    assert_eq!(both.adopt(&earlier).await, Adopted::Superseded);
    assert_eq!(both.there("a.txt").await.unwrap(), "later");
    let kept = versions(&both.backend.to, "a.txt").await;
    assert_eq!(kept, versions(&both.backend.from, "a.txt").await);
    let version = earlier.made.ack.info.unwrap().version;
    let lost = both.backend.to.get_version(&ctx(), "a.txt", version).await;
    assert_eq!(lost.unwrap().unwrap().content, b"earlier");
}

async fn a_removal_makes_an_earlier_version(both: Both) {
    let write = both.put("a.txt", "ett").await;
    both.follow(write).await;
    let removal = both.follow(delete("a.txt")).await;
    assert_eq!(both.there("a.txt").await, None);
    both.stands(&removal).await;
    let kept = versions(&both.backend.from, "a.txt").await;
    assert_eq!(versions(&both.backend.to, "a.txt").await, kept);
    assert_eq!(kept.len(), 1);
    both.follow(delete("never-there.txt")).await;
}

async fn a_removal_leaves_what_was_written_later(both: Both) {
    let write = both.put("a.txt", "ett").await;
    both.follow(write).await;
    let removal = both.make(delete("a.txt")).await;
    both.tick();
    let write = both.put("a.txt", "här").await;
    both.make_there(write).await;
    assert_eq!(both.adopt(&removal).await, Adopted::Superseded);
    assert_eq!(both.there("a.txt").await.unwrap(), "här");
}

async fn what_was_removed_since_does_not_come_back(both: Both) {
    let write = both.put("a.txt", "ett").await;
    let first = both.follow(write).await;
    both.follow(delete("a.txt")).await;
    both.adopt(&first).await;
    assert_eq!(both.there("a.txt").await, None);
    assert_eq!(versions(&both.backend.to, "a.txt").await.len(), 1);
}

async fn a_purge_leaves_nothing_of_what_it_purged(both: Both) {
    for content in ["ett", "två"] {
        let write = both.put("a.txt", content).await;
        both.follow(write).await;
    }
    let purge = FilesWrite::Purge {
        path: "a.txt".to_owned(),
    };
    let purged = both.follow(purge).await;
    assert_eq!(both.there("a.txt").await, None);
    assert!(versions(&both.backend.to, "a.txt").await.is_empty());
    both.tick();
    let write = both.put("a.txt", "ny").await;
    both.make_there(write).await;
    both.adopt(&purged).await;
    assert_eq!(both.there("a.txt").await.unwrap(), "ny");
}

async fn a_restored_version_is_taken_over(both: Both) {
    let write = both.put("a.txt", "ett").await;
    let first = both.follow(write).await;
    let write = both.put("a.txt", "två").await;
    both.follow(write).await;
    let version = first.made.ack.info.unwrap().version;
    both.follow(FilesWrite::Restore {
        path: "a.txt".to_owned(),
        version,
    })
    .await;
    assert_eq!(both.there("a.txt").await.unwrap(), "ett");
    both.agree().await;
}

async fn conditions_are_not_asked_again(both: Both) {
    let write = both.put("a.txt", "här").await;
    both.make_there(write).await;
    both.tick();
    let write = both.put_if(Expected::Absent, "a.txt", "där").await;
    both.follow(write).await;
    assert_eq!(both.there("a.txt").await.unwrap(), "där");
    let kept = versions(&both.backend.to, "a.txt").await;
    assert_eq!(kept.len(), 2, "what stood here is an earlier version");
}

async fn what_landed_without_anybody_hearing_of_it_is_not_made_twice(both: Both) {
    let write = both.put_if(Expected::Absent, "a.txt", "en gång").await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    both.backend.to.apply(&ctx, id, &write).await.unwrap();
    let made = both.make_under(ctx, id, write).await;
    both.stands(&made).await;
    both.agree().await;
}

async fn a_write_made_here_later_gets_a_larger_version(both: Both) {
    let write = both.put("a.txt", "ett").await;
    let made = both.follow(write).await;
    let write = both.put("a.txt", "två").await;
    let here = both.make_there(write).await.info.unwrap();
    assert!(here.version > made.made.ack.info.unwrap().version);
}

async fn many_writes_in_any_order_and_any_number_of_times_end_alike(both: Both) {
    let mut dice = Dice(13);
    let mut made = Vec::new();
    for n in 0..24 {
        let path = ["a.txt", "b.txt"][dice.roll(2)];
        let write = both.put(path, &format!("content {n}")).await;
        made.push(both.make(write).await);
    }
    for _ in 0..2 {
        dice.shuffle(&mut made);
        for done in &made {
            both.adopt(done).await;
        }
    }
    for path in ["a.txt", "b.txt"] {
        let seen = |info: FileInfo| (info.version, info.sha256, info.updated_at);
        let (from, to) = (&both.backend.from, &both.backend.to);
        let from: Vec<_> = versions(from, path).await.into_iter().map(seen).collect();
        let to: Vec<_> = versions(to, path).await.into_iter().map(seen).collect();
        assert_eq!(to, from, "{path}");
    }
}
