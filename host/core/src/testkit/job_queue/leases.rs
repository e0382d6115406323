//! Holders that live, die and come back.

use super::{JobSides, LEASE, ONE_MS, Shops, ctx, failed, lease, tenant};
use crate::ErrorKind;
use crate::jobs::queue::{Outcome, Settled};
use crate::jobs::{JobWrite, Options, Progress, State};
use crate::lease::{Held, LOSSES_MAX};
use crate::retry::RetryPolicy;
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<JobSides>> {
    cases![
        a_lost_attempt_comes_again_under_its_number_and_time,
        a_lease_that_is_prolonged_is_not_lost,
        a_holder_that_lost_its_lease_is_not_heard,
        an_attempt_that_is_lost_too_often_counts_as_failed,
        a_job_that_is_given_back_comes_again_at_once,
        a_running_job_that_is_cancelled_is_lost_to_its_holder,
        progress_is_shown_for_the_attempt_that_runs_only,
    ]
}

async fn prolong(shops: &Shops, number: u128) -> Held {
    let queue = &shops.backend.queue;
    let held = queue.prolong(&tenant("acme"), &lease(number)).await;
    held.unwrap()
}

async fn a_lost_attempt_comes_again_under_its_number_and_time(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    let first = shops.claim_one(1).await;
    shops.clock.advance(LEASE - ONE_MS);
    assert!(shops.claim(&[lease(2)]).await.jobs.is_empty());
    shops.clock.advance(ONE_MS);
    let second = shops.claim_one(2).await;
    assert_eq!((second.id.as_str(), second.attempt), (id.as_str(), 1));
    assert_eq!(second.began_at, first.began_at);
    assert_eq!((first.losses, second.losses), (0, 1));
}

async fn a_lease_that_is_prolonged_is_not_lost(shops: Shops) {
    shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    for _ in 0..5 {
        shops.clock.advance(LEASE - ONE_MS);
        assert_eq!(prolong(&shops, 1).await, Held::Yes);
        assert!(shops.claim(&[lease(2)]).await.jobs.is_empty());
    }
    let done = Outcome::Succeeded("1".to_owned());
    assert_eq!(shops.settle(1, done).await, Settled::Succeeded);
    assert_eq!(prolong(&shops, 1).await, Held::No);
}

async fn a_holder_that_lost_its_lease_is_not_heard(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    shops.clock.advance(LEASE);
    shops.claim_one(2).await;
    assert_eq!(prolong(&shops, 1).await, Held::No);
    for late in [
        Outcome::Succeeded("\"late\"".to_owned()),
        failed(),
        Outcome::Released,
    ] {
        assert_eq!(shops.settle(1, late).await, Settled::Lost);
        assert_eq!(shops.state(&id).await, State::Running);
    }
    let done = Outcome::Succeeded("\"mine\"".to_owned());
    assert_eq!(shops.settle(2, done).await, Settled::Succeeded);
    let output = shops.get(&id).await.unwrap().output;
    assert_eq!(output.as_deref(), Some("\"mine\""));
}

async fn an_attempt_that_is_lost_too_often_counts_as_failed(shops: Shops) {
    let options = Options {
        retry: RetryPolicy::ONCE,
        ..Options::default()
    };
    let id = shops.submit(options).await;
    for number in 0..=LOSSES_MAX {
        assert_eq!(shops.claim_one(u128::from(number)).await.attempt, 1);
        shops.clock.advance(LEASE);
    }
    assert!(shops.claim(&[lease(99)]).await.jobs.is_empty());
    let info = shops.get(&id).await.unwrap().info;
    assert_eq!(info.state, State::Dead);
    assert_eq!(info.failure.unwrap().kind, ErrorKind::Internal);
}

async fn a_job_that_is_given_back_comes_again_at_once(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    let first = shops.claim_one(1).await;
    // As often as it likes: a host that is stopped in good order is no loss.
    for number in 1..10 {
        assert_eq!(
            shops.settle(number, Outcome::Released).await,
            Settled::Released
        );
        assert_eq!(shops.state(&id).await, State::Waiting);
        assert_eq!(shops.get(&id).await.unwrap().info.began_at, None);
        shops.clock.advance(ONE_MS);
        let again = shops.claim_one(number + 1).await;
        assert_eq!((again.attempt, again.began_at), (1, first.began_at));
    }
}

async fn a_running_job_that_is_cancelled_is_lost_to_its_holder(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    shops.apply(&crate::testkit::jobs::cancel(&id)).await;
    assert_eq!(prolong(&shops, 1).await, Held::No);
    let done = Outcome::Succeeded("1".to_owned());
    assert_eq!(shops.settle(1, done).await, Settled::Lost);
    assert_eq!(shops.state(&id).await, State::Cancelled);
    shops.clock.advance(LEASE);
    assert!(shops.claim(&[lease(2)]).await.jobs.is_empty());
}

async fn progress_is_shown_for_the_attempt_that_runs_only(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    let report = |attempt, percent| JobWrite::ReportProgress {
        id: id.clone(),
        attempt,
        progress: Progress {
            percent,
            note: "halvvägs".to_owned(),
        },
    };
    shops.apply(&report(1, 50)).await;
    let shown = shops.get(&id).await.unwrap().info.progress;
    let expected = Progress {
        percent: 50,
        note: "halvvägs".to_owned(),
    };
    assert_eq!(shown, Some(expected));
    shops.settle(1, failed()).await;
    shops.clock.advance(LEASE);
    shops.claim_one(2).await;
    let ctx = ctx();
    let write_id = ctx.next_write_id().unwrap();
    let write = report(1, 99);
    let late = shops.backend.jobs.apply(&ctx, write_id, &write).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict);
}
