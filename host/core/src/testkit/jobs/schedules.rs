//! Schedules are put, replaced, listed and deleted. That they make jobs is proved with the queue.

use super::{Desks, ctx, schedule, unschedule};
use crate::jobs::{JobAck, JobWrite, Jobs, Options, SCHEDULES_MAX, Schedule};
use crate::testkit::suite::{Case, cases};
use crate::{ErrorKind, Timestamp};

pub(super) fn cases() -> Vec<Case<dyn Jobs>> {
    cases![
        a_schedule_is_listed_with_its_next_time,
        a_schedule_is_replaced_under_its_name,
        a_deleted_schedule_is_gone,
        a_time_that_never_comes_is_invalid,
        an_agent_has_a_bounded_number_of_schedules,
    ]
}

/// 06:30 in Stockholm on the day after the one at which the suite's clock stands: 2023-11-15 05:30 UTC.
const HALF_PAST_SIX: Timestamp = Timestamp::from_millis(1_700_026_200_000);

async fn a_schedule_is_listed_with_its_next_time(desks: Desks) {
    let ack = desks.apply(&schedule("nightly", "30 6 * * *")).await;
    let scheduled = JobAck::Scheduled {
        next_at: HALF_PAST_SIX,
        existed: false,
    };
    assert_eq!(ack, scheduled);
    let listed = desks.backend.schedules(&ctx()).await.unwrap();
    let expected = Schedule {
        name: "nightly".to_owned(),
        cron: "30 6 * * *".to_owned(),
        time_zone: "Europe/Stockholm".to_owned(),
        kind: "copy".to_owned(),
        input: "[1]".to_owned(),
        next_at: HALF_PAST_SIX,
    };
    assert_eq!(listed, [expected]);
}

async fn a_schedule_is_replaced_under_its_name(desks: Desks) {
    for name in ["b", "a"] {
        desks.apply(&schedule(name, "@daily")).await;
    }
    let ack = desks.apply(&schedule("a", "30 6 * * *")).await;
    let replaced = JobAck::Scheduled {
        next_at: HALF_PAST_SIX,
        existed: true,
    };
    assert_eq!(ack, replaced);
    let listed = desks.backend.schedules(&ctx()).await.unwrap();
    let crons: Vec<_> = listed
        .iter()
        .map(|s| (s.name.as_str(), s.cron.as_str()))
        .collect();
    assert_eq!(crons, [("a", "30 6 * * *"), ("b", "@daily")]);
}

async fn a_deleted_schedule_is_gone(desks: Desks) {
    desks.apply(&schedule("a", "@daily")).await;
    for existed in [true, false] {
        let ack = desks.apply(&unschedule("a")).await;
        assert_eq!(ack, JobAck::Unscheduled { existed });
    }
    assert!(desks.backend.schedules(&ctx()).await.unwrap().is_empty());
}

async fn a_time_that_never_comes_is_invalid(desks: Desks) {
    let error = desks.try_apply(&schedule("a", "0 0 30 2 *")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(desks.backend.schedules(&ctx()).await.unwrap().is_empty());
}

async fn an_agent_has_a_bounded_number_of_schedules(desks: Desks) {
    for n in 0..SCHEDULES_MAX {
        desks.apply(&schedule(&format!("s-{n}"), "@daily")).await;
    }
    let error = desks.try_apply(&schedule("over", "@daily")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::QuotaExceeded);
    let again = JobWrite::PutSchedule {
        name: "s-0".to_owned(),
        cron: "@hourly".to_owned(),
        time_zone: "UTC".to_owned(),
        kind: "copy".to_owned(),
        input: "1".to_owned(),
        options: Options::default(),
    };
    desks.apply(&again).await;
    let listed = desks.backend.schedules(&ctx()).await.unwrap();
    assert_eq!(listed.len(), SCHEDULES_MAX);
}
