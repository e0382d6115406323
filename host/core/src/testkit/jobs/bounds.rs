//! What no backend takes.

use std::time::Duration;

use tokio::time::Instant;

use super::{Desks, cancel, ctx, requeue, schedule, submit, submit_with, unschedule};
use crate::ErrorKind;
use crate::jobs::{
    DEADLINE_MAX, DELAY_MAX, INPUT_MAX_BYTES, JobWrite, Jobs, NOTE_MAX_BYTES, Options,
    PAGE_MAX_JOBS, Progress, RETENTION_MAX,
};
use crate::retry::RetryPolicy;
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Jobs>> {
    cases![
        wrong_ids_and_names_are_invalid,
        an_input_that_is_too_large_or_no_json_is_invalid,
        options_out_of_bounds_are_invalid,
        options_at_their_bounds_are_taken,
        a_schedule_that_is_none_is_invalid,
        progress_out_of_bounds_is_invalid,
        a_page_has_at_least_one_and_at_most_a_thousand_jobs,
    ]
}

async fn wrong_ids_and_names_are_invalid(desks: Desks) {
    let long = "x".repeat(101);
    for id in ["", "-a", "a/b", "å", "a b", "a\0", long.as_str()] {
        let got = desks.backend.get(&ctx(), id).await.unwrap_err();
        let waited = desks.backend.wait(&ctx(), id, Instant::now()).await;
        assert_eq!(got.kind(), ErrorKind::Invalid, "{id:?}");
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Invalid, "{id:?}");
        for write in [cancel(id), requeue(id)] {
            let error = desks.try_apply(&write).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{write:?}");
        }
    }
    for name in ["", "-a", "A", "a/b", "å", long.as_str()] {
        let kind = JobWrite::Submit {
            kind: name.to_owned(),
            input: "1".to_owned(),
            options: Options::default(),
        };
        for write in [kind, schedule(name, "@daily"), unschedule(name)] {
            let error = desks.try_apply(&write).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{write:?}");
        }
    }
}

async fn an_input_that_is_too_large_or_no_json_is_invalid(desks: Desks) {
    let large = format!("\"{}\"", "x".repeat(INPUT_MAX_BYTES - 1));
    for input in ["", "{", "nope", "1 2", large.as_str()] {
        let error = desks.try_apply(&submit(input)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{} bytes", input.len());
    }
    let largest = format!("\"{}\"", "x".repeat(INPUT_MAX_BYTES - 2));
    let id = desks.submit(&largest).await;
    assert_eq!(desks.get(&id).await.unwrap().input, largest);
}

async fn options_out_of_bounds_are_invalid(desks: Desks) {
    let ms = Duration::from_millis(1);
    let base = Options::default();
    let retry = |attempts, base, cap| RetryPolicy {
        attempts,
        base,
        cap,
    };
    let key = |key: &str| Options {
        idempotency_key: Some(key.to_owned()),
        ..Options::default()
    };
    let wrong = [
        Options {
            delay: DELAY_MAX + ms,
            ..base.clone()
        },
        Options {
            deadline: Some(Duration::from_millis(9)),
            ..base.clone()
        },
        Options {
            deadline: Some(DEADLINE_MAX + ms),
            ..base.clone()
        },
        Options {
            retention: Some(RETENTION_MAX + ms),
            ..base.clone()
        },
        Options {
            retry: retry(0, ms, ms),
            ..base.clone()
        },
        Options {
            retry: retry(101, ms, ms),
            ..base.clone()
        },
        Options {
            retry: retry(2, Duration::ZERO, ms),
            ..base.clone()
        },
        Options {
            retry: retry(2, 2 * ms, ms),
            ..base
        },
        key(""),
        key("a b"),
        key("å"),
        key(&"x".repeat(256)),
    ];
    for options in wrong {
        let error = desks.try_apply(&submit_with("1", options.clone())).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid, "{options:?}");
    }
    assert!(desks.ids(None, 10).await.is_empty());
}

async fn options_at_their_bounds_are_taken(desks: Desks) {
    let options = Options {
        delay: DELAY_MAX,
        deadline: Some(DEADLINE_MAX),
        retention: Some(RETENTION_MAX),
        retry: RetryPolicy {
            attempts: 100,
            base: Duration::from_millis(1),
            cap: crate::retry::BACKOFF_MAX,
        },
        idempotency_key: Some("x".repeat(255)),
        ..Options::default()
    };
    desks.apply(&submit_with("1", options)).await;
}

async fn a_schedule_that_is_none_is_invalid(desks: Desks) {
    let JobWrite::PutSchedule {
        name,
        cron,
        kind,
        input,
        options,
        ..
    } = schedule("a", "@daily")
    else {
        unreachable!("it is a schedule")
    };
    let elsewhere = JobWrite::PutSchedule {
        time_zone: "Europe/Atlantis".to_owned(),
        name,
        cron,
        kind,
        input,
        options,
    };
    let mut wrong = vec![elsewhere];
    for cron in ["", "daily", "* * * *", "0 0 0 * * *", "99 * * * *"] {
        wrong.push(schedule("a", cron));
    }
    let options = [
        Options {
            delay: Duration::from_millis(1),
            ..Options::default()
        },
        Options {
            idempotency_key: Some("k".to_owned()),
            ..Options::default()
        },
    ];
    for options in options {
        wrong.push(JobWrite::PutSchedule {
            name: "a".to_owned(),
            cron: "@daily".to_owned(),
            time_zone: "UTC".to_owned(),
            kind: "copy".to_owned(),
            input: "1".to_owned(),
            options,
        });
    }
    for write in wrong {
        let error = desks.try_apply(&write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{write:?}");
    }
}

async fn progress_out_of_bounds_is_invalid(desks: Desks) {
    let id = desks.submit("1").await;
    for (percent, note) in [(101, String::new()), (1, "x".repeat(NOTE_MAX_BYTES + 1))] {
        let write = JobWrite::ReportProgress {
            id: id.clone(),
            attempt: 1,
            progress: Progress { percent, note },
        };
        let error = desks.try_apply(&write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

async fn a_page_has_at_least_one_and_at_most_a_thousand_jobs(desks: Desks) {
    for limit in [0, PAGE_MAX_JOBS + 1] {
        let error = desks.page(None, None, limit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
