//! Every transition, on paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stuga_core::BreakerState::{Closed, HalfOpen, Isolated, Open};
use tokio::time::{advance, timeout};

use super::{Breaker, BreakerSettings};

fn breaker(change: impl FnOnce(&mut BreakerSettings)) -> Breaker {
    let mut settings = BreakerSettings {
        jitter: 0.0,
        ..BreakerSettings::default()
    };
    change(&mut settings);
    Breaker::new(settings, Box::new(|| 0.5))
}

fn fail(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        breaker.try_acquire().ok().unwrap().failed();
    }
}

fn succeed(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        breaker.try_acquire().ok().unwrap().succeeded();
    }
}

async fn seconds(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_trip_it_and_a_success_between_them_does_not_count_as_one() {
    let breaker = breaker(|_| {});
    fail(&breaker, 4);
    succeed(&breaker, 1);
    fail(&breaker, 4);
    assert_eq!(breaker.state(), Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn answers_that_break_off_in_a_row_trip_it_whatever_succeeds_between_them() {
    let breaker = breaker(|_| {});
    for _ in 0..4 {
        succeed(&breaker, 3);
        breaker.broke_off(0);
    }
    assert_eq!(breaker.state(), Closed);
    assert!(breaker.is_suspect());
    breaker.came_whole(0);
    for _ in 0..4 {
        succeed(&breaker, 3);
        breaker.broke_off(0);
    }
    assert_eq!(breaker.state(), Closed, "one came to its end between them");
    succeed(&breaker, 1);
    breaker.broke_off(0);
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn after_a_trip_by_broken_answers_the_first_one_trips_it_again_until_one_came_whole() {
    let breaker = breaker(|_| {});
    let closes = async |trips: u64| {
        seconds(60).await;
        succeed(&breaker, 3);
        assert_eq!((breaker.state(), breaker.trips()), (Closed, trips));
    };
    for _ in 0..5 {
        breaker.broke_off(0);
    }
    assert_eq!(breaker.state(), Open);
    closes(1).await;
    breaker.broke_off(1);
    assert_eq!(breaker.state(), Open);
    closes(2).await;
    breaker.came_whole(2);
    breaker.broke_off(2);
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_began_before_a_trip_tells_nothing_and_one_that_breaks_half_open_trips_it() {
    let breaker = breaker(|_| {});
    fail(&breaker, 5);
    seconds(2).await;
    succeed(&breaker, 1);
    breaker.broke_off(0);
    assert_eq!(
        (breaker.state(), breaker.snapshot().totals.late),
        (HalfOpen, 1)
    );
    breaker.broke_off(1);
    assert_eq!(breaker.state(), Open);
    breaker.broke_off(2);
    assert_eq!(breaker.snapshot().totals.late, 2, "while it is open");
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_failures_trips_it_only_with_enough_calls() {
    let breaker = breaker(|s| {
        s.consecutive_failures = 1_000;
        s.minimum_calls = 10;
    });
    fail(&breaker, 9);
    assert_eq!(breaker.state(), Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn failures_outside_the_window_are_forgotten() {
    let breaker = breaker(|s| {
        s.consecutive_failures = 1_000;
        s.minimum_calls = 10;
    });
    fail(&breaker, 9);
    seconds(31).await;
    fail(&breaker, 9);
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn slow_successes_trip_it() {
    let breaker = breaker(|s| s.minimum_calls = 5);
    for _ in 0..5 {
        let permit = breaker.try_acquire().ok().unwrap();
        seconds(2).await;
        permit.succeeded();
    }
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn it_probes_after_its_open_time_and_closes_when_all_probes_succeed() {
    let breaker = breaker(|_| {});
    fail(&breaker, 5);
    let refused = breaker.try_acquire().err().unwrap();
    assert_eq!(refused.state, Open);
    assert_eq!(refused.retry_after, Some(Duration::from_secs(2)));
    seconds(2).await;
    succeed(&breaker, 2);
    assert_eq!(breaker.state(), HalfOpen);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_no_more_through_than_its_probes() {
    let breaker = breaker(|_| {});
    fail(&breaker, 5);
    seconds(2).await;
    let probes: Vec<_> = (0..3)
        .map(|_| breaker.try_acquire().ok().unwrap())
        .collect();
    assert_eq!(breaker.try_acquire().err().unwrap().state, HalfOpen);
    for probe in probes {
        probe.succeeded();
    }
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_opens_it_for_longer() {
    let breaker = breaker(|_| {});
    fail(&breaker, 5);
    seconds(2).await;
    fail(&breaker, 1);
    assert_eq!(breaker.state(), Open);
    seconds(3).await;
    assert_eq!(breaker.try_acquire().err().unwrap().state, Open);
    seconds(1).await;
    succeed(&breaker, 3);
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_flaps_is_asked_less_and_less_often_until_it_was_calm_for_long() {
    let breaker = breaker(|_| {});
    let open_for = |breaker: &Breaker| breaker.snapshot().open_for.unwrap().as_secs();
    for grown in [2, 4, 8, 16] {
        fail(&breaker, 5);
        assert_eq!(open_for(&breaker), grown);
        seconds(grown).await;
        succeed(&breaker, 3);
        // A moment of health is no recovery.
        seconds(59).await;
    }
    seconds(1).await;
    fail(&breaker, 5);
    assert_eq!(open_for(&breaker), 2, "it was calm for a minute");
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_opens_it_again() {
    let breaker = breaker(|_| {});
    fail(&breaker, 5);
    seconds(2).await;
    let probe = breaker.try_acquire().ok().unwrap();
    seconds(2).await;
    probe.succeeded();
    assert_eq!(breaker.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_is_a_cancel_and_frees_its_probe() {
    let breaker = breaker(|_| {});
    for _ in 0..100 {
        drop(breaker.try_acquire());
    }
    assert_eq!(breaker.snapshot().calls, 0);
    fail(&breaker, 5);
    seconds(2).await;
    for _ in 0..100 {
        drop(breaker.try_acquire().ok().unwrap());
    }
    assert_eq!(breaker.state(), HalfOpen);
    succeed(&breaker, 3);
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn results_of_calls_from_before_the_trip_tell_nothing() {
    let breaker = breaker(|_| {});
    let early: Vec<_> = (0..10)
        .map(|_| breaker.try_acquire().ok().unwrap())
        .collect();
    fail(&breaker, 5);
    seconds(2).await;
    let probe = breaker.try_acquire().ok().unwrap();
    for permit in early {
        permit.failed();
    }
    assert_eq!(breaker.state(), HalfOpen);
    assert_eq!(breaker.snapshot().totals.late, 10);
    probe.succeeded();
    succeed(&breaker, 2);
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn isolation_holds_until_it_is_released_and_then_probes_decide() {
    let breaker = breaker(|_| {});
    let before = breaker.try_acquire().ok().unwrap();
    breaker.isolate();
    before.succeeded();
    seconds(10_000).await;
    let refused = breaker.try_acquire().err().unwrap();
    assert_eq!((refused.state, refused.retry_after), (Isolated, None));
    breaker.release();
    assert_eq!(breaker.state(), HalfOpen);
    succeed(&breaker, 3);
    assert_eq!(breaker.state(), Closed);
    breaker.release();
    assert_eq!(breaker.state(), Closed);
}

#[tokio::test(start_paused = true)]
async fn in_shadow_mode_it_counts_what_it_would_refuse_and_refuses_nothing() {
    let breaker = breaker(|s| s.metrics_only = true);
    fail(&breaker, 5);
    assert_eq!(breaker.state(), Open);
    succeed(&breaker, 7);
    assert_eq!(breaker.snapshot().totals.not_permitted, 7);
    breaker.isolate();
    assert_eq!(breaker.try_acquire().err().unwrap().state, Isolated);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_state_window_and_the_rest_of_the_open_time() {
    let breaker = breaker(|_| {});
    succeed(&breaker, 3);
    fail(&breaker, 1);
    let closed = breaker.snapshot();
    assert_eq!(
        (closed.calls, closed.failures, closed.open_for),
        (4, 1, None)
    );
    fail(&breaker, 4);
    seconds(1).await;
    let open = breaker.snapshot();
    assert_eq!(open.state, Open);
    assert_eq!(open.for_, Duration::from_secs(1));
    assert_eq!(open.open_for, Some(Duration::from_secs(1)));
    assert_eq!((open.totals.successes, open.totals.failures), (3, 5));
}

#[tokio::test(start_paused = true)]
async fn every_change_of_state_is_told_in_order_and_no_other() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let breaker = breaker(|_| {}).observed(Box::new(move |transition| {
        hears.lock().unwrap().push((transition.from, transition.to));
    }));
    let watch = breaker.watch();
    fail(&breaker, 5);
    seconds(2).await;
    fail(&breaker, 1);
    breaker.isolate();
    breaker.isolate();
    breaker.release();
    breaker.release();
    succeed(&breaker, 3);
    breaker.isolate();
    breaker.release();
    breaker.isolate();
    let expected = [
        (Closed, Open),
        (Open, HalfOpen),
        (HalfOpen, Open),
        (Open, Isolated),
        (Isolated, HalfOpen),
        (HalfOpen, Closed),
        (Closed, Isolated),
        (Isolated, HalfOpen),
        (HalfOpen, Isolated),
    ];
    assert_eq!(*told.lock().unwrap(), expected);
    assert_eq!(*watch.borrow(), Isolated);
}

#[tokio::test(start_paused = true)]
async fn a_release_without_an_isolation_changes_nothing() {
    let breaker = breaker(|_| {});
    fail(&breaker, 5);
    breaker.release();
    assert_eq!(breaker.state(), Open);
    seconds(2).await;
    succeed(&breaker, 1);
    breaker.release();
    succeed(&breaker, 2);
    assert_eq!(breaker.state(), Closed, "the first probe still counts");
}

/// Whether a call under way would be woken now.
async fn is_woken(breaker: &Breaker) -> bool {
    timeout(Duration::from_millis(1), breaker.tripped())
        .await
        .is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_trip_and_an_isolation_wake_calls_under_way() {
    let breaker = breaker(|_| {});
    assert!(!is_woken(&breaker).await);
    let (woken, ()) = tokio::join!(is_woken(&breaker), async { fail(&breaker, 5) });
    assert!(woken, "while it waits");
    assert!(is_woken(&breaker).await, "and from the start");
    seconds(2).await;
    drop(breaker.try_acquire());
    assert!(!is_woken(&breaker).await, "half open it may be waited for");
    breaker.isolate();
    assert!(is_woken(&breaker).await);
}

#[tokio::test(start_paused = true)]
async fn in_shadow_mode_only_an_isolation_wakes_calls() {
    let breaker = breaker(|s| s.metrics_only = true);
    fail(&breaker, 5);
    assert_eq!(breaker.state(), Open);
    assert!(!is_woken(&breaker).await);
    breaker.isolate();
    assert!(is_woken(&breaker).await);
}

#[tokio::test(start_paused = true)]
async fn it_is_suspect_after_a_failure_until_a_success_and_while_it_probes() {
    let breaker = breaker(|_| {});
    assert!(!breaker.is_suspect());
    fail(&breaker, 1);
    assert!(breaker.is_suspect());
    drop(breaker.try_acquire());
    assert!(breaker.is_suspect(), "a cancel says nothing");
    succeed(&breaker, 1);
    assert!(!breaker.is_suspect());
    fail(&breaker, 5);
    seconds(2).await;
    succeed(&breaker, 1);
    assert!(breaker.is_suspect(), "half open");
    succeed(&breaker, 2);
    assert!(!breaker.is_suspect());
}

#[tokio::test(start_paused = true)]
async fn other_settings_hold_from_the_next_call_on_and_leave_the_state() {
    let breaker = breaker(|_| {});
    fail(&breaker, 2);
    let changed = BreakerSettings {
        consecutive_failures: 3,
        jitter: 0.0,
        open_for: Duration::from_secs(10),
        ..BreakerSettings::default()
    };
    breaker.set(changed.clone());
    assert_eq!(breaker.state(), Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), Open, "the third failure in a row");
    breaker.set(BreakerSettings {
        open_for: Duration::from_secs(1),
        ..changed
    });
    seconds(9).await;
    assert!(breaker.try_acquire().is_err(), "its end was set before");
    seconds(1).await;
    assert!(breaker.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn with_fewer_probes_a_half_open_breaker_begins_to_count_anew() {
    let breaker = breaker(|_| {});
    fail(&breaker, 5);
    seconds(2).await;
    succeed(&breaker, 2);
    let late = breaker.try_acquire().ok().unwrap();
    breaker.set(BreakerSettings {
        probes: 1,
        ..BreakerSettings::default()
    });
    late.failed();
    assert_eq!(breaker.state(), HalfOpen, "it was for another number");
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), Closed);
}
