//! Jobs are listed, all of them or those of one state.

use super::{Desks, cancel};
use crate::ErrorKind;
use crate::jobs::{Jobs, State};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Jobs>> {
    cases![
        jobs_are_listed_last_submitted_first,
        jobs_of_one_state_are_listed_alone,
        a_cursor_belongs_to_its_state,
        a_job_that_changes_between_pages_appears_at_most_once,
    ]
}

async fn jobs_are_listed_last_submitted_first(desks: Desks) {
    assert!(desks.ids(None, 1).await.is_empty());
    let mut submitted = Vec::new();
    for n in 0..5 {
        submitted.insert(0, desks.submit(&n.to_string()).await);
    }
    for limit in [1, 2, 5, 1_000] {
        assert_eq!(desks.ids(None, limit).await, submitted);
    }
}

async fn jobs_of_one_state_are_listed_alone(desks: Desks) {
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(desks.submit(&n.to_string()).await);
    }
    for id in [&ids[0], &ids[2]] {
        desks.apply(&cancel(id)).await;
    }
    let cancelled = [ids[2].clone(), ids[0].clone()];
    assert_eq!(desks.ids(Some(State::Cancelled), 1).await, cancelled);
    let waiting = [ids[3].clone(), ids[1].clone()];
    assert_eq!(desks.ids(Some(State::Waiting), 1).await, waiting);
    for state in [State::Running, State::Succeeded, State::Dead] {
        assert!(desks.ids(Some(state), 10).await.is_empty());
    }
}

async fn a_cursor_belongs_to_its_state(desks: Desks) {
    for n in 0..3 {
        desks.submit(&n.to_string()).await;
    }
    let page = desks.page(None, None, 1).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    for (state, cursor) in [
        (Some(State::Waiting), cursor.as_str()),
        (None, ""),
        (None, "nonsense"),
    ] {
        let error = desks.page(state, Some(cursor), 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{cursor:?}");
    }
}

async fn a_job_that_changes_between_pages_appears_at_most_once(desks: Desks) {
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(desks.submit(&n.to_string()).await);
    }
    let page = desks.page(Some(State::Waiting), None, 2).await.unwrap();
    desks.submit("4").await;
    desks.apply(&cancel(&ids[1])).await;
    let cursor = page.next_cursor.as_deref();
    let rest = desks.page(Some(State::Waiting), cursor, 10).await.unwrap();
    let rest: Vec<_> = rest.jobs.into_iter().map(|job| job.id).collect();
    assert_eq!(rest, [ids[0].clone()]);
}
