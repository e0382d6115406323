//! How attempts and jobs end.

use std::time::Duration;

use tokio::time::Instant;

use super::{JobSides, ONE_MS, Shops, ctx, failed, lease};
use crate::ErrorKind;
use crate::jobs::queue::{Outcome, Settled};
use crate::jobs::{DEAD_RETENTION, OUTPUT_MAX_BYTES, Options, State};
use crate::lease::Failure;
use crate::retry::{Next, RetryPolicy};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<JobSides>> {
    cases![
        a_job_that_succeeded_keeps_its_output_and_does_not_run_again,
        an_end_that_is_told_twice_is_the_same_end,
        a_failed_attempt_is_followed_by_the_next_after_its_wait,
        a_job_whose_attempts_are_used_up_is_dead,
        a_final_failure_leaves_no_attempt,
        a_dead_job_is_queued_again_with_all_its_attempts,
        a_dead_job_stays_two_weeks,
        a_wait_ends_when_the_job_does,
        an_output_that_is_too_large_is_invalid,
    ]
}

fn done(output: &str) -> Outcome {
    Outcome::Succeeded(output.to_owned())
}

async fn a_job_that_succeeded_keeps_its_output_and_does_not_run_again(shops: Shops) {
    let options = Options {
        retention: Some(Duration::from_secs(100)),
        ..Options::default()
    };
    let id = shops.submit(options).await;
    shops.claim_one(1).await;
    shops.clock.advance(ONE_MS);
    assert_eq!(shops.settle(1, done("{\"a\":1}")).await, Settled::Succeeded);
    let job = shops.get(&id).await.unwrap();
    assert_eq!(job.output.as_deref(), Some("{\"a\":1}"));
    assert_eq!(job.info.state, State::Succeeded);
    assert_eq!(job.info.ended_at, Some(shops.now()));
    shops.clock.advance(Duration::from_secs(100) - ONE_MS);
    let claims = shops.claim(&[lease(2)]).await;
    assert_eq!((claims.jobs.len(), claims.next_at), (0, None));
    assert!(shops.get(&id).await.is_some());
    shops.clock.advance(ONE_MS);
    assert!(shops.get(&id).await.is_none());
}

async fn an_end_that_is_told_twice_is_the_same_end(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    shops.settle(1, done("1")).await;
    assert_eq!(shops.settle(1, done("1")).await, Settled::Succeeded);
    assert_eq!(shops.settle(1, failed()).await, Settled::Lost);
    assert_eq!(shops.settle(1, Outcome::Released).await, Settled::Lost);
    assert_eq!(shops.state(&id).await, State::Succeeded);
    let never = shops.settle(77, done("1")).await;
    assert_eq!(never, Settled::Lost, "nobody holds by that token");
}

async fn a_failed_attempt_is_followed_by_the_next_after_its_wait(shops: Shops) {
    let options = Options {
        retry: RetryPolicy {
            attempts: 4,
            base: Duration::from_millis(1_000),
            cap: Duration::from_millis(3_000),
        },
        ..Options::default()
    };
    let id = shops.submit(options).await;
    // `failed` rolls the highest number, which makes the wait the longest one but a millisecond.
    for (attempt, wait) in [(1, 999), (2, 1_999), (3, 2_999)] {
        let claimed = shops.claim_one(u128::from(attempt)).await;
        assert_eq!(claimed.attempt, attempt);
        assert_eq!(claimed.began_at, shops.now(), "a new attempt, a new time");
        let wait = Duration::from_millis(wait);
        let settled = shops.settle(u128::from(attempt), failed()).await;
        assert_eq!(settled, Settled::Failed(Next::Retry(wait)));
        let info = shops.get(&id).await.unwrap().info;
        assert_eq!((info.state, info.attempt), (State::Waiting, attempt + 1));
        let failure = info.failure.unwrap();
        assert_eq!(failure.kind, ErrorKind::Unavailable);
        assert_eq!(failure.message, "the lake is frozen");
        shops.clock.advance(wait - ONE_MS);
        assert!(shops.claim(&[lease(99)]).await.jobs.is_empty());
        shops.clock.advance(ONE_MS);
    }
    shops.claim_one(4).await;
    shops.settle(4, done("1")).await;
    let info = shops.get(&id).await.unwrap().info;
    assert_eq!((info.state, info.failure), (State::Succeeded, None));
}

async fn a_job_whose_attempts_are_used_up_is_dead(shops: Shops) {
    let options = Options {
        retry: RetryPolicy::ONCE,
        ..Options::default()
    };
    let id = shops.submit(options).await;
    shops.claim_one(1).await;
    let settled = shops.settle(1, failed()).await;
    assert_eq!(settled, Settled::Failed(Next::GiveUp));
    assert_eq!(shops.settle(1, failed()).await, settled, "told twice");
    let info = shops.get(&id).await.unwrap().info;
    assert_eq!((info.state, info.attempt), (State::Dead, 1));
    assert_eq!(info.ended_at, Some(shops.now()));
    assert!(shops.claim(&[lease(2)]).await.jobs.is_empty());
}

async fn a_final_failure_leaves_no_attempt(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    let failure = Failure::new(ErrorKind::Invalid, "no such lake").finally();
    let settled = shops.settle(1, Outcome::Failed { failure, roll: 0 }).await;
    assert_eq!(settled, Settled::Failed(Next::GiveUp));
    assert_eq!(shops.state(&id).await, State::Dead);
}

async fn a_dead_job_is_queued_again_with_all_its_attempts(shops: Shops) {
    let options = Options {
        retry: RetryPolicy {
            attempts: 2,
            base: ONE_MS,
            cap: ONE_MS,
        },
        ..Options::default()
    };
    let id = shops.submit(options).await;
    let mut number = 0;
    for round in 0..2 {
        for try_ in 1..=2 {
            number += 1;
            let job = shops.claim_one(number).await;
            // The numbers go on, so that no attempt is taken for an earlier one.
            assert_eq!(job.attempt, round * 2 + try_);
            shops.settle(number, failed()).await;
            shops.clock.advance(ONE_MS);
        }
        assert_eq!(shops.state(&id).await, State::Dead);
        shops.apply(&crate::testkit::jobs::requeue(&id)).await;
        let info = shops.get(&id).await.unwrap().info;
        assert_eq!((info.state, info.ended_at), (State::Waiting, None));
    }
    shops.claim_one(9).await;
    shops.settle(9, done("1")).await;
    assert_eq!(shops.state(&id).await, State::Succeeded);
}

async fn a_dead_job_stays_two_weeks(shops: Shops) {
    let options = Options {
        retry: RetryPolicy::ONCE,
        retention: Some(ONE_MS),
        ..Options::default()
    };
    let id = shops.submit(options).await;
    shops.claim_one(1).await;
    shops.settle(1, failed()).await;
    shops.clock.advance(DEAD_RETENTION - ONE_MS);
    assert_eq!(shops.state(&id).await, State::Dead);
    shops.clock.advance(ONE_MS);
    assert!(shops.get(&id).await.is_none());
}

async fn a_wait_ends_when_the_job_does(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    let (backend, waited_for) = (std::sync::Arc::clone(&shops.backend), id.clone());
    let waiting = tokio::spawn(async move {
        let until = Instant::now() + Duration::from_secs(3_600);
        backend.jobs.wait(&ctx(), &waited_for, until).await
    });
    // Whether it waits already or not, it must see the end.
    tokio::task::yield_now().await;
    shops.settle(1, done("\"klar\"")).await;
    let job = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!(job.output.as_deref(), Some("\"klar\""));
}

async fn an_output_that_is_too_large_is_invalid(shops: Shops) {
    shops.submit(Options::default()).await;
    shops.claim_one(1).await;
    let output = format!("\"{}\"", "x".repeat(OUTPUT_MAX_BYTES - 1));
    let settled = shops.try_settle(1, Outcome::Succeeded(output)).await;
    assert_eq!(settled.unwrap_err().kind(), ErrorKind::Invalid);
}
