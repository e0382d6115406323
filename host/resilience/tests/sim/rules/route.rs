//! Who answers, how long that takes, and what is counted.

use std::time::Duration;

use futures::future::join_all;
use stuga_core::memory::{Expected, MemoryWrite};
use stuga_core::{Backend, BreakerState, CallCtx, Clock, ErrorKind};
use stuga_resilience::{BudgetSettings, Counted, Pass, Why};
use tokio::time::{Instant, timeout};

use super::{PATIENT, SECOND, Stage, acme, other, place, put, seconds};
use crate::cloud::Weather;
use crate::store::id;

fn backend(ctx: &CallCtx) -> Backend {
    ctx.receipt.snapshot()[0].backend
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_away_costs_one_caller_a_wait_and_the_next_ones_little() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::BlackHole);
    let mut waits = Vec::new();
    for _ in 0..7 {
        let (ctx, began) = (stage.ctx(&acme(), PATIENT), Instant::now());
        stage.get(&ctx, "a").await.unwrap();
        assert_eq!(backend(&ctx), Backend::Local);
        waits.push(began.elapsed().as_millis());
    }
    assert_eq!(waits, [3_000, 300, 300, 300, 300, 0, 0]);
    assert_eq!(stage.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_trip_wakes_the_calls_that_wait_for_the_cloud() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::BlackHole);
    let contexts: Vec<_> = (0..20).map(|_| stage.ctx(&acme(), PATIENT)).collect();
    let calls = join_all(contexts.iter().map(|ctx| stage.get(ctx, "a")));
    let trip = async {
        seconds(1).await;
        for _ in 0..stage.breaker().settings().consecutive_failures {
            stage.breaker().try_acquire().ok().unwrap().failed();
        }
    };
    let began = Instant::now();
    let (answers, ()) = futures::future::join(calls, trip).await;
    assert_eq!(began.elapsed(), SECOND);
    assert!(answers.iter().all(Result::is_ok));
    assert!(contexts.iter().all(|ctx| backend(ctx) == Backend::Local));
    assert_eq!(stage.counts().cloud_failed, 0, "they were not at fault");
}

#[tokio::test(start_paused = true)]
async fn a_trip_wakes_nobody_who_has_all_its_time_for_the_cloud() {
    let stage = Stage::new();
    let settings = stage.breaker().settings();
    let budget = BudgetSettings::until_deadline();
    stage.route().set((*settings).clone(), budget);
    stage.cloud.become_(Weather::BlackHole);
    let ctx = stage.ctx(&acme(), PATIENT);
    let get = stage.get(&ctx, "a");
    let trip = async {
        seconds(1).await;
        for _ in 0..settings.consecutive_failures {
            stage.breaker().try_acquire().ok().unwrap().failed();
        }
        assert_eq!(stage.state(), BreakerState::Open);
        seconds(1).await;
        stage.cloud.become_(Weather::Steady);
    };
    let began = Instant::now();
    let (answer, ()) = futures::future::join(get, trip).await;
    answer.unwrap();
    assert_eq!(began.elapsed(), PATIENT);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_goes_away_counts_for_nothing() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::BlackHole);
    for _ in 0..50 {
        let ctx = stage.ctx(&acme(), PATIENT);
        let get = stage.get(&ctx, "a");
        assert!(timeout(Duration::from_millis(10), get).await.is_err());
    }
    assert_eq!(stage.counts(), Counted::default());
    let snapshot = stage.breaker().snapshot();
    assert_eq!((snapshot.calls, snapshot.state), (0, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_cloud_is_its_answer_and_nothing_of_it_is_done_here() {
    let stage = Stage::new();
    let first = stage.put(&acme(), "a").await.unwrap();
    let write = MemoryWrite::Put {
        key: "a".to_owned(),
        value: Vec::new(),
        ttl: None,
        expected: Expected::Version(first.version + 1),
    };
    let ctx = stage.ctx(&acme(), PATIENT);
    let refused = stage.wired.facade.write(&ctx, &write).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let used = &ctx.receipt.snapshot()[0];
    assert_eq!((used.backend, used.attempts), (Backend::Cloud, 1));
    assert!(stage.waiting(&acme()).is_empty() && stage.agrees(&acme(), "a"));
    let counts = stage.counts();
    assert_eq!((counts.cloud_answered, counts.cloud_failed), (2, 0));
    assert!(!stage.breaker().is_suspect());
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_time_still_counts_what_is_certain() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::Refusing);
    for _ in 0..5 {
        let ctx = stage.ctx(&acme(), Duration::from_millis(50));
        stage.get(&ctx, "a").await.unwrap();
    }
    assert_eq!(stage.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_reads_here_while_a_write_of_it_waits_and_others_in_the_cloud() {
    let stage = Stage::new();
    stage.note(&acme(), &["a"]).await;
    let status = stage.route().tenant_status(&acme()).await.unwrap();
    assert_eq!(
        (status.reads, status.why),
        (Backend::Local, Some(Why::Waiting))
    );
    let (mine, others) = (stage.ctx(&acme(), PATIENT), stage.ctx(&other(), PATIENT));
    assert!(stage.get(&mine, "a").await.unwrap().is_some());
    assert!(stage.get(&others, "a").await.unwrap().is_none());
    assert_eq!(
        (backend(&mine), backend(&others)),
        (Backend::Local, Backend::Cloud)
    );
    stage.wired.replay.pass().await.unwrap();
    let mine = stage.ctx(&acme(), PATIENT);
    stage.get(&mine, "a").await.unwrap();
    assert_eq!(backend(&mine), Backend::Cloud);
}

#[tokio::test(start_paused = true)]
async fn while_entries_wait_other_keys_are_written_through_and_theirs_wait_behind_them() {
    let stage = Stage::new();
    stage.note(&acme(), &["a"]).await;
    let ctx = stage.ctx(&acme(), PATIENT);
    stage.wired.facade.write(&ctx, &put("b", 7)).await.unwrap();
    assert_eq!(backend(&ctx), Backend::Cloud);
    assert_eq!(ctx.receipt.snapshot()[0].pending, 0);
    let ctx = stage.ctx(&acme(), PATIENT);
    stage.wired.facade.write(&ctx, &put("a", 8)).await.unwrap();
    assert_eq!(backend(&ctx), Backend::Local);
    assert_eq!(ctx.receipt.snapshot()[0].pending, 1);
    assert_eq!(stage.waiting(&acme()), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_landed_unheard_is_one_write_with_the_version_that_was_acknowledged() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::Deaf);
    let ack = stage.put(&acme(), "a").await.unwrap();
    assert_eq!(stage.effects("a"), [1], "it landed");
    assert!(!stage.agrees(&acme(), "a"), "under another version");
    stage.cloud.become_(Weather::Steady);
    stage.wired.replay.pass().await.unwrap();
    assert!(stage.agrees(&acme(), "a"));
    let ctx = stage.ctx(&acme(), PATIENT);
    let item = stage.get(&ctx, "a").await.unwrap().unwrap();
    assert_eq!(item.version, ack.version);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_this_host_after_a_cloud_that_kept_silent_says_that_it_may_have_landed() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::Deaf);
    stage.store.lock().cap = Some(0);
    let refused = stage.put(&acme(), "a").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    assert_eq!(stage.effects("a"), [1]);
    stage.cloud.become_(Weather::Refusing);
    let refused = stage.put(&acme(), "a").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_copy_follows_the_cloud_when_the_clock_is_set_back() {
    let stage = Stage::new();
    stage.put(&acme(), "a").await.unwrap();
    let delete = MemoryWrite::Delete {
        key: "a".to_owned(),
    };
    let ctx = stage.ctx(&acme(), PATIENT);
    stage.wired.facade.write(&ctx, &delete).await.unwrap();
    stage.clock.jump(-3_600_000);
    stage.put(&acme(), "a").await.unwrap();
    assert!(stage.agrees(&acme(), "a"));
}

#[tokio::test(start_paused = true)]
async fn writes_of_one_key_wait_for_each_other_no_longer_than_their_callers_have_time() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::BlackHole);
    let (patient, hurried) = (stage.ctx(&acme(), PATIENT), stage.ctx(&acme(), SECOND));
    let began = Instant::now();
    let first = async {
        let written = stage.wired.facade.write(&patient, &put("a", 1)).await;
        (written, began.elapsed())
    };
    let second = async {
        let written = stage.wired.facade.write(&hurried, &put("a", 2)).await;
        (written, began.elapsed())
    };
    let ((first, _), (second, waited)) = futures::future::join(first, second).await;
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(waited, SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_says_how_old_it_may_be_whatever_the_clock_shows() {
    let stage = Stage::new();
    stage.put(&acme(), "a").await.unwrap();
    stage.cloud.become_(Weather::Refusing);
    seconds(100).await;
    stage.clock.jump(-3_600_000);
    let ctx = stage.ctx(&acme(), PATIENT);
    stage.get(&ctx, "a").await.unwrap();
    let staleness = ctx.receipt.snapshot()[0].staleness_ms.unwrap();
    assert!((100_000..101_000).contains(&staleness), "{staleness}");
}

#[tokio::test(start_paused = true)]
async fn a_content_that_takes_long_to_carry_is_left_to_the_replay_and_not_held_against_the_cloud() {
    let stage = Stage::new();
    stage.cloud.loses(Some("a"));
    let began = Instant::now();
    stage.put(&acme(), "a").await.unwrap();
    let waited = began.elapsed();
    assert_eq!(
        waited,
        Duration::from_millis(3_020),
        "to hear of it, and one call"
    );
    assert_eq!(stage.waiting(&acme()), ["a"]);
    assert_eq!(stage.breaker().snapshot().totals.failures, 0);
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
    assert!(stage.agrees(&acme(), "a"));
    assert!(!stage.cloud.lacks("a"), "it was carried");
}

#[tokio::test(start_paused = true)]
async fn a_condition_is_judged_once_by_the_side_that_acknowledges_it() {
    let stage = Stage::new();
    let cas = |expected| MemoryWrite::Put {
        key: "a".to_owned(),
        value: Vec::new(),
        ttl: None,
        expected,
    };
    let first = stage.put(&acme(), "a").await.unwrap();
    stage.breaker().isolate();
    let ctx = stage.ctx(&acme(), PATIENT);
    let write = cas(Expected::Version(first.version));
    let second = stage.wired.facade.write(&ctx, &write).await.unwrap();
    let ctx = stage.ctx(&acme(), PATIENT);
    let refused = stage.wired.facade.write(&ctx, &write).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    stage.note(&acme(), &[]).await;
    stage.wired.replay.pass().await.unwrap();
    let ctx = stage.ctx(&acme(), PATIENT);
    let write = cas(Expected::Version(second.version));
    stage.wired.facade.write(&ctx, &write).await.unwrap();
    assert_eq!(stage.effects("a").len(), 3);
}

/// Has another host begin what the one on the stage has never heard of.
fn begin_elsewhere(stage: &Stage, key: &str) {
    let begin = MemoryWrite::Put {
        key: key.to_owned(),
        value: b"begun".to_vec(),
        ttl: None,
        expected: Expected::Absent,
    };
    let mut cloud = stage.cloud.store.lock();
    let (place, now) = (place(&acme(), key), stage.clock.now());
    cloud.apply(&place, id(1_000_000), &begin, now).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_write_to_what_another_host_began_is_read_here_when_the_cloud_goes_away() {
    let stage = Stage::new();
    begin_elsewhere(&stage, "thread-0");
    let ack = stage.put(&acme(), "thread-0").await.unwrap();
    assert_eq!(stage.counts().copies_taught, 1);
    assert_eq!(stage.counts().copies_missed, 0);
    stage.breaker().isolate();
    let ctx = stage.ctx(&acme(), PATIENT);
    let found = stage.get(&ctx, "thread-0").await.unwrap().unwrap();
    assert_eq!(
        (backend(&ctx), found.version),
        (Backend::Local, ack.version)
    );
    stage.breaker().release();
    stage.put(&acme(), "thread-0").await.unwrap();
    assert_eq!(stage.counts().copies_taught, 1, "it is known by now");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_cannot_ask_the_cloud_what_a_write_belongs_to_says_that_it_misses_it() {
    let stage = Stage::new();
    begin_elsewhere(&stage, "thread-0");
    let ctx = stage.ctx(&acme(), PATIENT);
    let write = put("thread-0", 7);
    let written = stage.wired.facade.write(&ctx, &write);
    // The write is answered after 20 ms; whatever is asked then is refused.
    let away = async {
        tokio::time::sleep(Duration::from_millis(15)).await;
        stage.cloud.become_(Weather::Refusing);
    };
    let (written, ()) = futures::future::join(written, away).await;
    written.unwrap();
    let used = &ctx.receipt.snapshot()[0];
    assert_eq!((used.backend, used.pending), (Backend::Cloud, 0));
    let degraded = used.degraded.as_deref().unwrap();
    assert!(degraded.contains("misses a write"), "{degraded}");
    assert_eq!(stage.counts().copies_missed, 1);
    stage.cloud.become_(Weather::Steady);
    let ack = stage.put(&acme(), "thread-0").await.unwrap();
    stage.breaker().isolate();
    let found = stage.get(&ctx, "thread-0").await.unwrap().unwrap();
    assert_eq!(found.version, ack.version, "the next write made it good");
}
