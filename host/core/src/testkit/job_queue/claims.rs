//! What is claimed, and in which order.

use std::time::Duration;

use super::{ONE_MS, Shops, ctx, lease, leases, tenant};
use crate::jobs::queue::CLAIM_MAX;
use crate::jobs::{DELAY_MAX, JobWrite, Options, PRIORITY_STEP, Priority, State};
use crate::testkit::job_queue::JobSides;
use crate::testkit::suite::{Case, cases};
use crate::{CallCtx, ErrorKind};

pub(super) fn cases() -> Vec<Case<JobSides>> {
    cases![
        a_due_job_is_claimed_once,
        a_claimed_job_is_seen_running,
        a_delayed_job_is_claimed_from_its_moment_on,
        jobs_are_claimed_in_the_order_in_which_they_became_due,
        a_higher_priority_goes_first_and_an_old_job_does_not_wait_forever,
        no_more_is_claimed_than_there_are_leases,
        only_jobs_of_the_agents_that_are_named_are_claimed,
        a_tenants_claim_sees_no_other_tenants_jobs,
        a_cancelled_job_is_not_claimed,
        a_tenant_with_work_is_pending_until_a_look_finds_none,
        a_submission_is_heard_of,
        too_many_leases_at_once_are_invalid,
    ]
}

async fn a_due_job_is_claimed_once(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    let now = shops.now();
    let job = shops.claim_one(1).await;
    assert_eq!(job.token, lease(1).token);
    assert_eq!((job.id.as_str(), job.kind.as_str()), (id.as_str(), "copy"));
    assert_eq!((job.agent.as_str(), job.input.as_str()), ("scribe", "1"));
    assert_eq!((job.attempt, job.began_at, job.deadline), (1, now, None));
    let claims = shops.claim(&[lease(2)]).await;
    assert!(claims.jobs.is_empty());
    let lease_ends = now.saturating_add(super::LEASE);
    assert_eq!(claims.next_at, Some(lease_ends), "when it may be lost");
}

async fn a_claimed_job_is_seen_running(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.clock.advance(ONE_MS);
    shops.claim_one(1).await;
    let info = shops.get(&id).await.unwrap().info;
    assert_eq!(info.state, State::Running);
    assert_eq!(info.began_at, Some(shops.now()));
}

async fn a_delayed_job_is_claimed_from_its_moment_on(shops: Shops) {
    let delay = Duration::from_secs(60);
    let options = Options {
        delay,
        deadline: Some(Duration::from_secs(5)),
        ..Options::default()
    };
    shops.submit(options).await;
    let due_at = shops.now().saturating_add(delay);
    shops.clock.advance(delay - ONE_MS);
    let claims = shops.claim(&[lease(1)]).await;
    assert!(claims.jobs.is_empty());
    assert_eq!(claims.next_at, Some(due_at));
    shops.clock.advance(ONE_MS);
    let job = shops.claim_one(1).await;
    assert_eq!(job.deadline, Some(Duration::from_secs(5)));
}

async fn jobs_are_claimed_in_the_order_in_which_they_became_due(shops: Shops) {
    let delayed = |ms| Options {
        delay: Duration::from_millis(ms),
        ..Options::default()
    };
    let mut ids = Vec::new();
    for ms in [3, 1, 2, 0, 0] {
        ids.push(shops.submit(delayed(ms)).await);
    }
    shops.clock.advance(Duration::from_secs(1));
    let order = [3, 4, 1, 2, 0].map(|n: usize| ids[n].clone());
    assert_eq!(shops.claim_all(1).await, order);
}

async fn a_higher_priority_goes_first_and_an_old_job_does_not_wait_forever(shops: Shops) {
    let of = |priority| Options {
        priority,
        ..Options::default()
    };
    let old = shops.submit(of(Priority::Low)).await;
    shops.clock.advance(2 * PRIORITY_STEP + ONE_MS);
    let low = shops.submit(of(Priority::Low)).await;
    let normal = shops.submit(of(Priority::Normal)).await;
    let high = shops.submit(of(Priority::High)).await;
    assert_eq!(shops.claim_all(1).await, [old, high, normal, low]);
}

async fn no_more_is_claimed_than_there_are_leases(shops: Shops) {
    for _ in 0..5 {
        shops.submit(Options::default()).await;
    }
    let claims = shops.claim(&leases(1..4)).await;
    assert_eq!((claims.jobs.len(), claims.waiting), (3, 2));
    assert!(
        claims.next_at.is_some_and(|at| at <= shops.now()),
        "more is due"
    );
    assert!(shops.claim(&[]).await.jobs.is_empty());
    assert_eq!(shops.claim(&leases(4..9)).await.jobs.len(), 2);
}

async fn submit_as(shops: &Shops, ctx: &CallCtx) {
    let write = JobWrite::Submit {
        kind: "copy".to_owned(),
        input: "1".to_owned(),
        options: Options::default(),
    };
    let id = ctx.next_write_id().unwrap();
    shops.backend.jobs.apply(ctx, id, &write).await.unwrap();
}

async fn only_jobs_of_the_agents_that_are_named_are_claimed(shops: Shops) {
    for name in ["scribe", "clerk"] {
        submit_as(&shops, &crate::testkit::ctx("acme", name)).await;
    }
    let none = shops.claim_for("acme", &["nobody"], &leases(1..9)).await;
    let none = none.unwrap();
    assert_eq!((none.jobs.len(), none.next_at), (0, None));
    assert!(shops.is_pending().await, "others have work");
    let jobs = shops.claim(&leases(1..9)).await.jobs;
    let agents: Vec<_> = jobs.iter().map(|job| job.agent.as_str()).collect();
    assert_eq!(agents, ["scribe"]);
    let both = ["clerk", "scribe"];
    let rest = shops.claim_for("acme", &both, &leases(9..20)).await;
    assert_eq!(rest.unwrap().jobs.len(), 1);
}

async fn a_tenants_claim_sees_no_other_tenants_jobs(shops: Shops) {
    submit_as(&shops, &crate::testkit::ctx("globex", "scribe")).await;
    assert!(shops.claim(&leases(1..9)).await.jobs.is_empty());
    let claims = shops.claim_for("globex", &["scribe"], &[lease(1)]).await;
    assert_eq!(claims.unwrap().jobs.len(), 1);
    // The token of one tenant's job is nothing to another.
    let settled = shops.settle(1, super::failed()).await;
    assert_eq!(settled, crate::jobs::queue::Settled::Lost);
}

async fn a_cancelled_job_is_not_claimed(shops: Shops) {
    let id = shops.submit(Options::default()).await;
    shops.apply(&crate::testkit::jobs::cancel(&id)).await;
    let claims = shops.claim(&[lease(1)]).await;
    assert_eq!((claims.jobs.len(), claims.next_at), (0, None));
}

async fn a_tenant_with_work_is_pending_until_a_look_finds_none(shops: Shops) {
    assert!(!shops.is_pending().await);
    shops.backend.jobs.get(&ctx(), "x").await.unwrap();
    assert!(!shops.is_pending().await, "a read is no work");
    let later = Options {
        delay: DELAY_MAX,
        ..Options::default()
    };
    let id = shops.submit(later).await;
    shops.claim(&[lease(1)]).await;
    assert!(shops.is_pending().await, "it waits");
    let stamp = shops.backend.queue.pending().await.unwrap();
    shops.submit(Options::default()).await;
    let touched = shops.backend.queue.pending().await.unwrap();
    assert_ne!(stamp, touched, "more came");
    shops.apply(&crate::testkit::jobs::cancel(&id)).await;
    shops.claim_one(1).await;
    shops.claim(&[lease(2)]).await;
    assert!(shops.is_pending().await, "one runs");
    shops
        .settle(1, crate::jobs::queue::Outcome::Succeeded("1".to_owned()))
        .await;
    shops.claim(&[lease(2)]).await;
    assert!(!shops.is_pending().await);
    shops.submit(Options::default()).await;
    assert!(shops.is_pending().await, "again");
}

async fn a_submission_is_heard_of(shops: Shops) {
    let queue = std::sync::Arc::clone(&shops.backend);
    let heard = tokio::spawn(async move { queue.queue.changed().await });
    shops.submit(Options::default()).await;
    assert_eq!(heard.await.unwrap(), tenant("acme"));
}

async fn too_many_leases_at_once_are_invalid(shops: Shops) {
    let leases = leases(1..CLAIM_MAX as u128 + 2);
    let claims = shops.claim_for("acme", &["scribe"], &leases).await;
    assert_eq!(claims.unwrap_err().kind(), ErrorKind::Invalid);
}
