//! Writes that come again under their id.

use std::time::Duration;

use super::{Desks, cancel, ctx, keyed, requeue, schedule, submit, unschedule};
use crate::ErrorKind;
use crate::jobs::Jobs;
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Jobs>> {
    cases![
        a_repeated_submission_makes_no_second_job,
        a_repeated_change_answers_the_same,
        another_write_under_a_used_id_is_a_conflict,
        a_write_that_failed_may_come_again_under_its_id,
    ]
}

async fn a_repeated_submission_makes_no_second_job(desks: Desks) {
    for write in [submit("1"), keyed("k", "1")] {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let ack = desks.backend.apply(&ctx, id, &write).await.unwrap();
        desks.clock.advance(Duration::from_secs(1));
        let again = desks.backend.apply(&ctx, id, &write).await.unwrap();
        assert_eq!(again, ack);
    }
    assert_eq!(desks.ids(None, 10).await.len(), 2);
}

async fn a_repeated_change_answers_the_same(desks: Desks) {
    let job = desks.submit("1").await;
    for write in [cancel(&job), schedule("a", "@daily"), unschedule("a")] {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let ack = desks.backend.apply(&ctx, id, &write).await.unwrap();
        let again = desks.backend.apply(&ctx, id, &write).await.unwrap();
        assert_eq!(again, ack);
    }
}

async fn another_write_under_a_used_id_is_a_conflict(desks: Desks) {
    let job = desks.submit("0").await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    desks.backend.apply(&ctx, id, &submit("1")).await.unwrap();
    for other in [
        submit("2"),
        keyed("k", "1"),
        cancel(&job),
        requeue(&job),
        schedule("a", "@daily"),
        unschedule("a"),
    ] {
        let error = desks.backend.apply(&ctx, id, &other).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{other:?}");
    }
    assert_eq!(desks.ids(None, 10).await.len(), 2);
}

async fn a_write_that_failed_may_come_again_under_its_id(desks: Desks) {
    desks.apply(&keyed("k", "1")).await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = keyed("k", "2");
    let refused = desks.backend.apply(&ctx, id, &write).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let [job] = desks.ids(None, 10).await.try_into().unwrap();
    desks.apply(&cancel(&job)).await;
    desks.clock.advance(Duration::from_secs(60));
    desks.backend.apply(&ctx, id, &write).await.unwrap();
}
