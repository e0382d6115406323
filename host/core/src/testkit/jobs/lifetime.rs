//! Jobs are submitted, waited for, cancelled and forgotten.

use std::time::Duration;

use tokio::time::Instant;

use super::{Desks, cancel, ctx, keyed, requeue, submit, submit_with};
use crate::jobs::{Job, JobAck, JobInfo, JobWrite, Jobs, Options, Priority, Progress, State};
use crate::testkit::suite::{Case, cases};
use crate::{Clock, ErrorKind};

const ONE_MS: Duration = Duration::from_millis(1);

pub(super) fn cases() -> Vec<Case<dyn Jobs>> {
    cases![
        a_job_is_read_as_it_was_submitted,
        each_submission_is_a_job_of_its_own,
        a_key_answers_the_job_that_it_was_used_for,
        a_key_of_another_submission_is_a_conflict_that_names_the_job,
        a_key_is_free_again_once_its_job_is_gone,
        a_cancelled_job_stays_cancelled,
        an_absent_job_is_not_found,
        only_a_dead_job_is_queued_again,
        a_job_that_does_not_run_makes_no_progress,
        a_job_is_absent_once_its_retention_has_passed,
        waiting_for_a_job_that_has_ended_answers_at_once,
        waiting_for_a_job_that_does_not_end_ends_at_its_moment,
    ]
}

async fn a_job_is_read_as_it_was_submitted(desks: Desks) {
    let delay = Duration::from_millis(250);
    let options = Options {
        delay,
        priority: Priority::High,
        ..Options::default()
    };
    let now = desks.clock.now();
    let ack = desks.apply(&submit_with(r#"{"å": 1}"#, options)).await;
    let id = super::new_id(ack);
    let info = JobInfo {
        id: id.clone(),
        kind: "copy".to_owned(),
        state: State::Waiting,
        priority: Priority::High,
        attempt: 1,
        submitted_at: now,
        due_at: now.saturating_add(delay),
        began_at: None,
        ended_at: None,
        progress: None,
        failure: None,
        schedule: None,
    };
    let job = Job {
        info: info.clone(),
        input: r#"{"å": 1}"#.to_owned(),
        output: None,
    };
    assert_eq!(desks.get(&id).await, Some(job));
    let page = desks.page(None, None, 10).await.unwrap();
    assert_eq!(page.jobs, [info]);
    assert_eq!(page.next_cursor, None);
}

async fn each_submission_is_a_job_of_its_own(desks: Desks) {
    let ids = [desks.submit("1").await, desks.submit("1").await];
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        crate::jobs::check_job_id("jobs.get", &id).unwrap();
        assert_eq!(desks.state(&id).await, Some(State::Waiting));
    }
}

async fn a_key_answers_the_job_that_it_was_used_for(desks: Desks) {
    let id = super::new_id(desks.apply(&keyed("k", "1")).await);
    let again = desks.apply(&keyed("k", "1")).await;
    let existed = JobAck::Submitted {
        id: id.clone(),
        existed: true,
    };
    assert_eq!(again, existed);
    desks.apply(&cancel(&id)).await;
    assert_eq!(desks.apply(&keyed("k", "1")).await, existed, "ended");
    assert_eq!(desks.ids(None, 10).await, [id]);
}

async fn a_key_of_another_submission_is_a_conflict_that_names_the_job(desks: Desks) {
    let id = super::new_id(desks.apply(&keyed("k", "1")).await);
    let error = desks.try_apply(&keyed("k", "2")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.context_value("job"), Some(id.as_str()));
    let other = super::new_id(desks.apply(&keyed("l", "2")).await);
    assert_eq!(desks.ids(None, 10).await, [other, id]);
}

async fn a_key_is_free_again_once_its_job_is_gone(desks: Desks) {
    let id = super::new_id(desks.apply(&keyed("k", "1")).await);
    desks.apply(&cancel(&id)).await;
    desks.clock.advance(Duration::from_secs(60));
    let other = super::new_id(desks.apply(&keyed("k", "2")).await);
    assert_ne!(other, id);
    assert_eq!(desks.ids(None, 10).await, [other]);
}

async fn a_cancelled_job_stays_cancelled(desks: Desks) {
    let id = desks.submit("1").await;
    let now = desks.clock.now();
    let ack = desks.apply(&cancel(&id)).await;
    assert_eq!(ack, JobAck::Cancelled { was_open: true });
    desks.clock.advance(ONE_MS);
    let ack = desks.apply(&cancel(&id)).await;
    assert_eq!(ack, JobAck::Cancelled { was_open: false });
    let info = desks.get(&id).await.unwrap().info;
    assert_eq!(info.state, State::Cancelled);
    assert_eq!(info.ended_at, Some(now));
}

async fn an_absent_job_is_not_found(desks: Desks) {
    assert_eq!(desks.get("nobody").await, None);
    let until = Instant::now() + Duration::from_secs(3_600);
    let waited = desks.backend.wait(&ctx(), "nobody", until).await;
    assert_eq!(waited.unwrap(), None, "there is nothing to wait for");
    let progress = JobWrite::ReportProgress {
        id: "nobody".to_owned(),
        attempt: 1,
        progress: Progress {
            percent: 1,
            note: String::new(),
        },
    };
    for write in [cancel("nobody"), requeue("nobody"), progress] {
        let error = desks.try_apply(&write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{write:?}");
    }
}

async fn only_a_dead_job_is_queued_again(desks: Desks) {
    let id = desks.submit("1").await;
    let error = desks.try_apply(&requeue(&id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    desks.apply(&cancel(&id)).await;
    let error = desks.try_apply(&requeue(&id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.context_value("state"), Some("cancelled"));
    assert_eq!(desks.state(&id).await, Some(State::Cancelled));
}

async fn a_job_that_does_not_run_makes_no_progress(desks: Desks) {
    let id = desks.submit("1").await;
    let write = JobWrite::ReportProgress {
        id: id.clone(),
        attempt: 1,
        progress: Progress {
            percent: 50,
            note: "half".to_owned(),
        },
    };
    let error = desks.try_apply(&write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(desks.get(&id).await.unwrap().info.progress, None);
}

async fn a_job_is_absent_once_its_retention_has_passed(desks: Desks) {
    let options = Options {
        retention: Some(Duration::from_secs(10)),
        ..Options::default()
    };
    let id = super::new_id(desks.apply(&submit_with("1", options)).await);
    desks.clock.advance(Duration::from_secs(60));
    assert_eq!(
        desks.state(&id).await,
        Some(State::Waiting),
        "counted from the end"
    );
    desks.apply(&cancel(&id)).await;
    desks.clock.advance(Duration::from_secs(10) - ONE_MS);
    assert_eq!(desks.state(&id).await, Some(State::Cancelled));
    desks.clock.advance(ONE_MS);
    assert_eq!(desks.get(&id).await, None);
    assert!(desks.ids(None, 10).await.is_empty());
    let error = desks.try_apply(&cancel(&id)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn waiting_for_a_job_that_has_ended_answers_at_once(desks: Desks) {
    let id = desks.submit("1").await;
    desks.apply(&cancel(&id)).await;
    let until = Instant::now() + Duration::from_secs(3_600);
    let job = desks.backend.wait(&ctx(), &id, until).await.unwrap();
    assert_eq!(job.map(|job| job.info.state), Some(State::Cancelled));
}

async fn waiting_for_a_job_that_does_not_end_ends_at_its_moment(desks: Desks) {
    let ack = desks.apply(&submit("1")).await;
    let id = super::new_id(ack);
    let job = desks.backend.wait(&ctx(), &id, Instant::now()).await;
    let state = job.unwrap().map(|job| job.info.state);
    assert_eq!(state, Some(State::Waiting));
}
