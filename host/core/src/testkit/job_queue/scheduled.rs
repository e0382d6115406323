//! Schedules make their jobs.

use std::time::Duration;

use super::{JobSides, Shops, ctx, lease};
use crate::jobs::State;
use crate::jobs::queue::Outcome;
use crate::testkit::jobs::schedule;
use crate::testkit::suite::{Case, cases};

const HOUR: Duration = Duration::from_secs(3_600);
/// The suite's clock begins at 22:13:20; the next full hour is that much away.
const TO_THE_HOUR: Duration = Duration::from_secs(46 * 60 + 40);

pub(super) fn cases() -> Vec<Case<JobSides>> {
    cases![
        a_schedule_makes_a_job_at_its_time,
        times_that_passed_unseen_make_one_job,
        no_job_is_made_while_the_last_one_has_not_ended,
        a_deleted_schedule_makes_no_more_jobs,
        a_schedule_keeps_its_tenant_pending,
    ]
}

async fn end(shops: &Shops, number: u128) {
    let outcome = Outcome::Succeeded("1".to_owned());
    shops.settle(number, outcome).await;
}

async fn a_schedule_makes_a_job_at_its_time(shops: Shops) {
    shops.apply(&schedule("hourly", "0 * * * *")).await;
    let first = shops.now().saturating_add(TO_THE_HOUR);
    let claims = shops.claim(&[lease(1)]).await;
    assert_eq!((claims.jobs.len(), claims.next_at), (0, Some(first)));
    shops.clock.advance(TO_THE_HOUR);
    for number in 1..4 {
        let job = shops.claim_one(number).await;
        assert_eq!((job.kind.as_str(), job.input.as_str()), ("copy", "[1]"));
        let info = shops.get(&job.id).await.unwrap().info;
        assert_eq!(info.schedule.as_deref(), Some("hourly"));
        assert_eq!(info.submitted_at, shops.now());
        end(&shops, number).await;
        assert!(
            shops.claim(&[lease(99)]).await.jobs.is_empty(),
            "once a time"
        );
        shops.clock.advance(HOUR);
    }
}

async fn times_that_passed_unseen_make_one_job(shops: Shops) {
    shops.apply(&schedule("hourly", "0 * * * *")).await;
    shops.clock.advance(10 * HOUR);
    shops.claim_one(1).await;
    end(&shops, 1).await;
    let claims = shops.claim(&[lease(2)]).await;
    assert!(claims.jobs.is_empty());
    let next = shops.now().saturating_add(TO_THE_HOUR);
    assert_eq!(claims.next_at, Some(next));
}

async fn no_job_is_made_while_the_last_one_has_not_ended(shops: Shops) {
    shops.apply(&schedule("hourly", "0 * * * *")).await;
    shops.clock.advance(TO_THE_HOUR);
    // It is made and waits, for nobody takes it.
    shops.claim(&[]).await;
    shops.clock.advance(HOUR);
    let jobs = shops.claim_all(1).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(shops.state(&jobs[0]).await, State::Running);
    end(&shops, 1).await;
    shops.clock.advance(HOUR);
    assert_eq!(shops.claim_all(10).await.len(), 1, "it goes on");
}

async fn a_deleted_schedule_makes_no_more_jobs(shops: Shops) {
    shops.apply(&schedule("hourly", "0 * * * *")).await;
    let delete = crate::jobs::JobWrite::DeleteSchedule {
        name: "hourly".to_owned(),
    };
    shops.apply(&delete).await;
    shops.clock.advance(10 * HOUR);
    let claims = shops.claim(&[lease(1)]).await;
    assert_eq!((claims.jobs.len(), claims.next_at), (0, None));
}

async fn a_schedule_keeps_its_tenant_pending(shops: Shops) {
    shops.apply(&schedule("hourly", "0 * * * *")).await;
    shops.claim(&[lease(1)]).await;
    assert!(shops.is_pending().await);
    assert_eq!(shops.backend.jobs.schedules(&ctx()).await.unwrap().len(), 1);
}
