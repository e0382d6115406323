//! Tenants beside each other: what is wrong with one does not reach another.

use std::time::Duration;

use stuga_core::{CapabilityName, Clock, ErrorKind};
use stuga_resilience::Pass;

use super::{SECOND, Stage, acme, other, seconds};
use crate::cloud::Weather;
use crate::world::tenant;

#[tokio::test(start_paused = true)]
async fn what_the_cloud_refuses_of_one_tenant_delays_no_other() {
    let stage = Stage::new();
    stage.note(&acme(), &["a"]).await;
    stage.curse("a", ErrorKind::Denied, None);
    let story = async {
        seconds(40).await;
        assert_eq!(stage.waiting(&acme()), ["a"], "it rests longer and longer");
        stage.cloud.become_(Weather::Deaf);
        stage.put(&other(), "b").await.unwrap();
        stage.cloud.become_(Weather::Steady);
        assert_eq!(stage.waiting(&other()), ["b"]);
        tokio::time::sleep(SECOND / 10).await;
        assert!(stage.waiting(&other()).is_empty());
        assert_eq!(stage.waiting(&acme()), ["a"]);
    };
    stage.while_running(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_read_delays_no_other() {
    let stage = Stage::new();
    stage.note(&acme(), &["a"]).await;
    stage.note(&other(), &["b"]).await;
    stage.store.lock().damaged = Some(acme());
    assert!(stage.wired.replay.pass().await.is_err());
    assert_eq!(stage.waiting(&acme()), ["a"]);
    assert!(stage.waiting(&other()).is_empty());
    stage.note(&other(), &["c"]).await;
    let story = async {
        seconds(100).await;
        assert!(stage.waiting(&other()).is_empty());
        stage.store.lock().damaged = None;
        seconds(61).await;
        assert!(stage.waiting(&acme()).is_empty());
    };
    stage.while_running(story).await;
}

#[tokio::test(start_paused = true)]
async fn a_large_journal_of_one_tenant_holds_back_no_small_one() {
    let stage = Stage::new();
    let keys: Vec<_> = (0..3_000).map(|key| key.to_string()).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    stage.note(&acme(), &keys).await;
    stage.note(&other(), &["b"]).await;
    stage
        .while_running(tokio::time::sleep(SECOND + SECOND / 5))
        .await;
    assert!(stage.waiting(&other()).is_empty());
    let waiting = stage.waiting(&acme()).len();
    assert!((1..3_000).contains(&waiting), "{waiting}");
    stage.while_running(seconds(6)).await;
    assert!(stage.waiting(&acme()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_one_tenant_that_takes_long_delays_no_other() {
    let stage = Stage::new();
    // To be carried takes ten seconds.
    stage.cloud.loses(Some("large"));
    stage.note(&acme(), &["large"]).await;
    let story = async {
        seconds(2).await;
        stage.cloud.become_(Weather::Deaf);
        stage.put(&other(), "b").await.unwrap();
        stage.cloud.become_(Weather::Steady);
        tokio::time::sleep(SECOND / 10).await;
        assert!(stage.waiting(&other()).is_empty());
        assert_eq!(stage.waiting(&acme()), ["large"]);
        seconds(10).await;
        assert!(stage.waiting(&acme()).is_empty());
    };
    stage.while_running(story).await;
}

#[tokio::test(start_paused = true)]
async fn more_tenants_than_are_replayed_at_a_time_all_have_their_turn() {
    let stage = Stage::new();
    let keys: Vec<_> = (0..300).map(|key| key.to_string()).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    for number in 0..20 {
        stage.note(&tenant(number), &keys).await;
    }
    stage.while_running(seconds(12)).await;
    assert!((0..20).all(|number| stage.waiting(&tenant(number)).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_in_a_drill_is_replayed_soon_after_it_and_others_are_not_in_one() {
    let stage = Stage::new();
    let (now, lasts) = (stage.clock.now(), Some(20 * SECOND));
    let modes = stage.route().modes();
    modes
        .isolate(&acme(), CapabilityName::Memory, now, lasts, "drill")
        .unwrap();
    stage.put(&acme(), "a").await.unwrap();
    stage.put(&other(), "a").await.unwrap();
    assert_eq!(stage.effects("a"), [2], "the other goes to the cloud");
    assert_eq!(stage.wired.replay.pass().await.unwrap(), Pass::Stopped);
    let story = async {
        seconds(19).await;
        assert_eq!(stage.waiting(&acme()), ["a"]);
        seconds(3).await;
        assert!(stage.waiting(&acme()).is_empty());
    };
    stage.while_running(story).await;
    assert_eq!(stage.effects("a"), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn callers_without_time_do_not_take_the_cloud_from_others() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::Slow);
    for _ in 0..200 {
        let ctx = stage.ctx(&acme(), Duration::from_millis(50));
        assert!(stage.get(&ctx, "a").await.is_ok(), "this host answers");
    }
    assert_eq!(stage.breaker().snapshot().totals.failures, 0);
    assert!(!stage.breaker().is_suspect());
    stage.cloud.become_(Weather::Steady);
    let ctx = stage.ctx(&other(), SECOND);
    stage.get(&ctx, "a").await.unwrap();
    assert_eq!(stage.counts().cloud_answered, 1);
}
