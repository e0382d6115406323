//! The way back.

use std::time::Duration;

use stuga_core::ErrorKind;
use stuga_core::journal::EntryState::{Parked, Superseded};
use stuga_core::journal::Journal;
use stuga_resilience::{Pass, ReplaySettings};
use tokio::time::{Instant, timeout};

use super::{SECOND, Stage, acme, seconds};
use crate::cloud::{LIGHT, LIGHT_AND_LOST, Weather};
use crate::local::Local;

#[tokio::test(start_paused = true)]
async fn entries_of_a_key_go_in_order_and_keys_go_side_by_side() {
    let stage = Stage::new();
    stage.note(&acme(), &["a", "b", "a", "c", "a", "b"]).await;
    let began = Instant::now();
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
    assert_eq!(began.elapsed(), Duration::from_millis(60), "three of a key");
    assert_eq!(stage.effects("a"), [1, 3, 5]);
    assert_eq!(stage.effects("b"), [2, 6]);
    assert!(stage.waiting(&acme()).is_empty());
    assert!(["a", "b", "c"].iter().all(|key| stage.agrees(&acme(), key)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_entry_holds_the_later_ones_of_its_key_and_no_others() {
    let stage = Stage::new();
    stage.note(&acme(), &["a", "b", "a", "b"]).await;
    stage.curse("a", ErrorKind::Denied, None);
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Refused);
    assert_eq!(stage.waiting(&acme()), ["a", "a"]);
    assert_eq!(stage.effects("b"), [2, 4]);
    let entries = stage.entries(&acme(), stuga_core::journal::EntryState::Waiting);
    let refusals: Vec<_> = entries.iter().map(|entry| entry.refusals).collect();
    assert_eq!(refusals, [1, 0], "the second was not even tried");
    assert_eq!(
        entries[0].reason.as_deref(),
        Some("memory.adopt: cursed"),
        "an operator sees why"
    );
    stage.cloud.curses(None);
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
    assert_eq!(stage.effects("a"), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_is_light_is_brought_and_of_all_else_the_cloud_is_asked_first() {
    for (key, asked) in [(LIGHT, 1), ("a", 2)] {
        let stage = Stage::new();
        stage.cloud.loses(Some(key));
        stage.note(&acme(), &[key]).await;
        let before = stage.calls();
        assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
        assert_eq!(stage.calls() - before, asked, "{key}");
        assert!(stage.agrees(&acme(), key));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_light_and_not_kept_here_either_is_left_to_the_clouds_answer() {
    let stage = Stage::new();
    stage.note(&acme(), &[LIGHT_AND_LOST]).await;
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
    assert!(stage.agrees(&acme(), LIGHT_AND_LOST), "the cloud had it");

    let stage = Stage::new();
    stage.cloud.loses(Some(LIGHT_AND_LOST));
    stage.note(&acme(), &[LIGHT_AND_LOST]).await;
    stage.wired.replay.pass().await.unwrap();
    let entries = stage.entries(&acme(), Parked);
    assert_eq!(entries.len(), 1, "nobody has it, so an operator must look");
    let reason = entries[0].reason.as_deref();
    assert_eq!(reason, Some("cart.carry: it is not kept here either"));
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_held_over_all_pages_of_a_long_journal() {
    let stage = Stage::new();
    let keys = (0..1_200).map(|n| if n % 2 == 0 { "a" } else { "b" });
    stage.note(&acme(), &keys.collect::<Vec<_>>()).await;
    stage.curse("a", ErrorKind::Denied, None);
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Refused);
    assert_eq!(stage.waiting(&acme()).len(), 600);
    assert_eq!(stage.effects("b").len(), 600);
    assert_eq!(stage.counts().refused, 1, "one was tried");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_parked_and_holds_nothing_up() {
    let stage = Stage::new();
    stage.note(&acme(), &["a"]).await;
    stage.curse("a", ErrorKind::Invalid, None);
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
    stage.cloud.curses(None);
    let parked = stage.entries(&acme(), Parked);
    assert_eq!(parked.len(), 1);
    assert_eq!(stage.counts().parked, 1);
    // The key is free: what is written next goes to the cloud, and the operator's other try loses against it.
    stage.put(&acme(), "a").await.unwrap();
    assert_eq!(stage.effects("a"), [2]);
    let local = Local {
        store: std::sync::Arc::clone(&stage.store),
        life: crate::life::Life::new(None),
        clock: std::sync::Arc::clone(&stage.clock),
    };
    assert!(local.retry(&acme(), parked[0].seq).await.unwrap());
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
    assert_eq!(stage.entries(&acme(), Superseded).len(), 1);
    assert_eq!(stage.effects("a"), [2]);
    assert!(stage.agrees(&acme(), "a"));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_too_often_is_parked_with_what_waits_behind_it() {
    let stage = Stage::new();
    stage.note(&acme(), &["a", "a", "a", "a"]).await;
    stage.curse("a", ErrorKind::Denied, None);
    stage.while_running(seconds(180)).await;
    assert_eq!(stage.entries(&acme(), Parked).len(), 4);
    let counts = stage.counts();
    assert_eq!((counts.refused, counts.parked), (7, 4));
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_cloud_cannot_serve_holds_up_its_key_alone_and_is_never_parked() {
    let stage = Stage::new();
    stage.note(&acme(), &["a", "b", "c", "d"]).await;
    stage.curse("a", ErrorKind::Unavailable, None);
    stage.while_running(seconds(2)).await;
    assert_eq!(stage.waiting(&acme()), ["a"]);
    stage.while_running(seconds(600)).await;
    assert_eq!(stage.waiting(&acme()), ["a"]);
    stage.cloud.curses(None);
    stage.while_running(seconds(61)).await;
    assert_eq!(stage.effects("a"), [1]);
}

#[tokio::test(start_paused = true)]
async fn no_more_entries_begin_in_a_second_than_may() {
    let stage = Stage::with(ReplaySettings {
        per_second: 10,
        ..ReplaySettings::default()
    });
    let keys: Vec<_> = (0..21).map(|key| key.to_string()).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    stage.note(&acme(), &keys).await;
    let began = Instant::now();
    stage.wired.replay.pass().await.unwrap();
    let took = began.elapsed();
    assert!(took >= 2 * SECOND, "{took:?}");
    assert!(took < 2 * SECOND + Duration::from_millis(50), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_keys_go_at_a_time_than_may() {
    let stage = Stage::with(ReplaySettings {
        keys: 2,
        ..ReplaySettings::default()
    });
    stage.note(&acme(), &["a", "b", "c", "d", "e"]).await;
    let began = Instant::now();
    stage.wired.replay.pass().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(60));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_has_too_much_to_do_is_left_alone_as_long_as_it_asks_and_no_longer_than_a_minute()
 {
    for (asks, left_alone) in [(5, 5), (1_000_000, 60)] {
        let stage = Stage::new();
        stage.note(&acme(), &["a"]).await;
        let asks = Some(asks * SECOND);
        stage.curse("a", ErrorKind::RateLimited, asks);
        let story = async {
            seconds(2).await;
            let calls = stage.calls();
            stage.cloud.curses(None);
            seconds(left_alone - 2).await;
            assert_eq!(stage.waiting(&acme()), ["a"]);
            seconds(2).await;
            assert!(stage.waiting(&acme()).is_empty());
            stage.calls() - calls
        };
        let calls = stage.while_running(story).await;
        // One for the entry, and what the monitor asks.
        assert!(calls <= 1 + u64::from(left_alone) / 5, "{calls}");
        assert_eq!(stage.counts().refused, 0, "that says nothing of the entry");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_is_dropped_in_the_middle_begins_again_and_repeats_no_effect() {
    let stage = Stage::new();
    stage.note(&acme(), &["a", "a", "a", "b", "b"]).await;
    // Longer than the first entry takes, and shorter than the second: the second lands and nobody hears of it.
    for millis in [25, 15, 12] {
        let cut = Duration::from_millis(millis);
        assert!(timeout(cut, stage.wired.replay.pass()).await.is_err());
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Drained);
    let mut effects = stage.effects("a");
    effects.dedup();
    assert_eq!(effects, [1, 2, 3]);
    assert!(stage.waiting(&acme()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_written_all_the_time_becomes_empty_and_its_writers_go_back_to_the_cloud() {
    let stage = Stage::new();
    stage.note(&acme(), &["hot"; 60]).await;
    let writers = futures::future::join_all((0..4).map(|_| write_forever(&stage)));
    let story = async {
        tokio::select! {
            _ = writers => {}
            () = seconds(30) => {}
        }
    };
    stage.while_running(story).await;
    let (noted, answered) = (stage.counts().noted, stage.counts().cloud_answered);
    assert!(stage.waiting(&acme()).is_empty(), "{noted} were noted");
    let story = async {
        tokio::select! {
            () = write_forever(&stage) => {}
            () = seconds(5) => {}
        }
    };
    stage.while_running(story).await;
    assert_eq!(stage.counts().noted, noted, "nothing more is noted");
    assert!(stage.counts().cloud_answered >= answered + 90);
}

async fn write_forever(stage: &Stage) {
    loop {
        stage.put(&acme(), "hot").await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_has_just_closed_is_given_a_moment_before_the_replay_begins() {
    let stage = Stage::new();
    stage.note(&acme(), &["a"]).await;
    stage.while_running(tokio::time::sleep(SECOND)).await;
    assert_eq!(stage.waiting(&acme()), ["a"]);
    stage.while_running(tokio::time::sleep(SECOND / 10)).await;
    assert!(stage.waiting(&acme()).is_empty());
    // Later it does not wait again for what is noted while the breaker is closed.
    let story = async {
        seconds(60).await;
        stage.cloud.become_(Weather::Deaf);
        stage.put(&acme(), "b").await.unwrap();
        stage.cloud.become_(Weather::Steady);
        tokio::time::sleep(SECOND / 10).await;
    };
    stage.while_running(story).await;
    assert!(stage.waiting(&acme()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_flaps_is_asked_a_few_times_a_minute() {
    let stage = Stage::new();
    stage.note(&acme(), &["a"; 200]).await;
    stage.cloud.become_(Weather::Flapping);
    stage.while_running(seconds(60)).await;
    let calls = stage.calls();
    stage.while_running(seconds(600)).await;
    let calls = stage.calls() - calls;
    assert!(calls < 1_200, "{calls} calls in ten minutes");
    stage.cloud.become_(Weather::Steady);
    stage.while_running(seconds(80)).await;
    assert!(stage.waiting(&acme()).is_empty());
    let mut effects = stage.effects("a");
    effects.dedup();
    assert_eq!(effects, (1..=200).collect::<Vec<_>>());
}
