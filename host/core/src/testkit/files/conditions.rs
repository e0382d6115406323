//! Puts on a condition.

use super::{AllFiles, put_if};
use crate::files::{Expected, Files};
use crate::testkit::suite::{Case, cases};
use crate::{ErrorKind, Result};

/// How many writers race for one version.
const RACERS: usize = 16;

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        a_file_is_replaced_at_the_expected_version,
        another_version_is_a_conflict_that_names_the_actual_one,
        a_version_of_an_absent_path_is_a_conflict_that_says_absent,
        absence_holds_for_a_fresh_and_for_a_deleted_path,
        absence_of_a_file_that_stands_is_a_conflict_that_names_its_version,
        a_conflict_changes_nothing,
        of_racing_writers_exactly_one_wins,
        of_racing_creators_exactly_one_wins,
    ]
}

fn assert_conflict(result: Result<impl std::fmt::Debug>, actual: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(error.context_value("version"), Some(actual), "{error}");
}

impl AllFiles {
    async fn put_if(
        &self,
        expected: Expected,
        path: &str,
        content: &str,
    ) -> Result<crate::files::FilesAck> {
        let spooled = self.spool(content).await;
        self.try_apply(&put_if(expected, path, &spooled)).await
    }

    async fn version(&self, path: &str) -> u64 {
        self.stat(path).await.unwrap().version
    }
}

async fn a_file_is_replaced_at_the_expected_version(files: AllFiles) {
    files.put("f", "a").await;
    let expected = Expected::Version(files.version("f").await);
    let ack = files.put_if(expected, "f", "b").await.unwrap();
    assert!(ack.existed);
    assert_eq!(files.get("f").await.unwrap().content, b"b");
}

async fn another_version_is_a_conflict_that_names_the_actual_one(files: AllFiles) {
    files.put("f", "a").await;
    let first = files.version("f").await;
    files.put("f", "b").await;
    let second = files.version("f").await;
    for wrong in [first, second + 1, 0, u64::MAX] {
        let result = files.put_if(Expected::Version(wrong), "f", "c").await;
        assert_conflict(result, &second.to_string());
    }
}

async fn a_version_of_an_absent_path_is_a_conflict_that_says_absent(files: AllFiles) {
    files.put("f", "a").await;
    let version = files.version("f").await;
    files.delete("f").await;
    for (path, version) in [("f", version), ("never", 0), ("never", u64::MAX)] {
        let result = files.put_if(Expected::Version(version), path, "b").await;
        assert_conflict(result, "absent");
    }
}

async fn absence_holds_for_a_fresh_and_for_a_deleted_path(files: AllFiles) {
    let ack = files.put_if(Expected::Absent, "f", "a").await.unwrap();
    assert!(!ack.existed);
    files.delete("f").await;
    files.put_if(Expected::Absent, "f", "b").await.unwrap();
    assert_eq!(files.get("f").await.unwrap().content, b"b");
}

async fn absence_of_a_file_that_stands_is_a_conflict_that_names_its_version(files: AllFiles) {
    files.put("f", "a").await;
    let version = files.version("f").await;
    let result = files.put_if(Expected::Absent, "f", "b").await;
    assert_conflict(result, &version.to_string());
}

async fn a_conflict_changes_nothing(files: AllFiles) {
    files.put("f", "a").await;
    let before = files.get("f").await;
    for wrong in [Expected::Absent, Expected::Version(u64::MAX)] {
        files.put_if(wrong, "f", "b").await.unwrap_err();
    }
    assert_eq!(files.get("f").await, before);
    files
        .put_if(Expected::Version(1), "g", "b")
        .await
        .unwrap_err();
    assert_eq!(files.paths("", 10).await, ["f"]);
}

async fn of_racing_writers_exactly_one_wins(files: AllFiles) {
    files.put("f", "a").await;
    let expected = Expected::Version(files.version("f").await);
    assert_eq!(race(&files, expected).await, 1);
}

async fn of_racing_creators_exactly_one_wins(files: AllFiles) {
    assert_eq!(race(&files, Expected::Absent).await, 1);
}

/// How many of the racers succeed; the content that stands is a winner's.
async fn race(files: &AllFiles, expected: Expected) -> usize {
    let mut racers = Vec::new();
    for racer in 0..RACERS {
        let spooled = files.spool(racer.to_string()).await;
        let backend = std::sync::Arc::clone(&files.backend);
        racers.push(tokio::spawn(async move {
            let ctx = super::ctx();
            let id = ctx.next_write_id().unwrap();
            let write = put_if(expected, "f", &spooled);
            backend.apply(&ctx, id, &write).await
        }));
    }
    let mut winners = Vec::new();
    for (racer, task) in racers.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(_) => winners.push(racer.to_string().into_bytes()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert!(winners.contains(&files.get("f").await.unwrap().content));
    winners.len()
}
