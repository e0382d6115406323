//! Compare-and-set.

use super::{Memories, delete, put, put_if};
use crate::memory::{Expected, Memory};
use crate::testkit::suite::{Case, cases};
use crate::{ErrorKind, Result};

/// How many writers race for one version.
const RACERS: usize = 16;

pub(super) fn cases() -> Vec<Case<dyn Memory>> {
    cases![
        a_value_is_set_at_the_expected_version,
        another_version_is_a_conflict_that_names_the_actual_one,
        a_version_of_an_absent_key_is_a_conflict_that_says_absent,
        absence_holds_for_a_fresh_and_for_a_deleted_key,
        absence_of_a_key_that_stands_is_a_conflict_that_names_its_version,
        no_version_is_too_large_to_be_expected,
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

async fn a_value_is_set_at_the_expected_version(memory: Memories) {
    let first = memory.apply(&put("k", "a")).await.version;
    let second = memory
        .apply(&put_if(Expected::Version(first), "k", "b"))
        .await;
    assert!(second.existed && second.version > first);
    assert_eq!(memory.get("k").await.unwrap().value, b"b");
}

async fn another_version_is_a_conflict_that_names_the_actual_one(memory: Memories) {
    let first = memory.apply(&put("k", "a")).await.version;
    let second = memory.apply(&put("k", "b")).await.version;
    for wrong in [first, second + 1, 0] {
        let result = memory
            .try_apply(&put_if(Expected::Version(wrong), "k", "c"))
            .await;
        assert_conflict(result, &second.to_string());
    }
}

async fn a_version_of_an_absent_key_is_a_conflict_that_says_absent(memory: Memories) {
    let version = memory.apply(&put("k", "a")).await.version;
    memory.apply(&delete("k")).await;
    for (key, version) in [("k", version), ("never", 1), ("never", 0)] {
        let result = memory
            .try_apply(&put_if(Expected::Version(version), key, "b"))
            .await;
        assert_conflict(result, "absent");
    }
}

async fn absence_holds_for_a_fresh_and_for_a_deleted_key(memory: Memories) {
    assert!(
        !memory
            .apply(&put_if(Expected::Absent, "k", "a"))
            .await
            .existed
    );
    memory.apply(&delete("k")).await;
    memory.apply(&put_if(Expected::Absent, "k", "b")).await;
    assert_eq!(memory.get("k").await.unwrap().value, b"b");
}

async fn absence_of_a_key_that_stands_is_a_conflict_that_names_its_version(memory: Memories) {
    let version = memory.apply(&put("k", "a")).await.version;
    let result = memory.try_apply(&put_if(Expected::Absent, "k", "b")).await;
    assert_conflict(result, &version.to_string());
}

async fn no_version_is_too_large_to_be_expected(memory: Memories) {
    let expected = Expected::Version(u64::MAX);
    let result = memory.try_apply(&put_if(expected, "k", "a")).await;
    assert_conflict(result, "absent");
}

async fn a_conflict_changes_nothing(memory: Memories) {
    memory.apply(&put("k", "a")).await;
    let before = memory.get("k").await;
    memory
        .try_apply(&put_if(Expected::Absent, "k", "b"))
        .await
        .unwrap_err();
    memory
        .try_apply(&put_if(Expected::Version(u64::MAX), "k", "c"))
        .await
        .unwrap_err();
    assert_eq!(memory.get("k").await, before);
}

async fn of_racing_writers_exactly_one_wins(memory: Memories) {
    let version = memory.apply(&put("k", "a")).await.version;
    assert_eq!(race(&memory, Expected::Version(version)).await, 1);
}

async fn of_racing_creators_exactly_one_wins(memory: Memories) {
    assert_eq!(race(&memory, Expected::Absent).await, 1);
}

/// How many of the racers succeed; the value that stands is a winner's.
async fn race(memory: &Memories, expected: Expected) -> usize {
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let backend = std::sync::Arc::clone(&memory.backend);
            tokio::spawn(async move {
                let ctx = super::ctx();
                let id = ctx.next_write_id().unwrap();
                let write = put_if(expected, "k", racer.to_string());
                backend.apply(&ctx, id, &write).await
            })
        })
        .collect();
    let mut winners = Vec::new();
    for (racer, task) in racers.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(_) => winners.push(racer.to_string().into_bytes()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert!(winners.contains(&memory.get("k").await.unwrap().value));
    winners.len()
}
