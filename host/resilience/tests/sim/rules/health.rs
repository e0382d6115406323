//! A host that nobody calls knows how the cloud is.

use stuga_core::BreakerState::{Closed, Open};
use tokio::time::Instant;

use super::{SECOND, Stage, acme, seconds};
use crate::cloud::Weather;

#[tokio::test(start_paused = true)]
async fn an_idle_host_opens_its_breaker_and_closes_it_again() {
    for weather in [Weather::Refusing, Weather::BlackHole] {
        let stage = Stage::new();
        stage.while_running(seconds(20)).await;
        assert_eq!(stage.state(), Closed);
        stage.cloud.become_(weather);
        let began = Instant::now();
        let mut state = stage.breaker().watch();
        let opened = async {
            state.wait_for(|state| *state == Open).await.unwrap();
            began.elapsed()
        };
        let opened = stage.while_running(opened).await;
        assert!(opened <= 20 * SECOND, "{weather:?}: {opened:?}");
        stage.while_running(seconds(30)).await;
        stage.cloud.become_(Weather::Steady);
        let began = Instant::now();
        let closed = async {
            state.wait_for(|state| *state == Closed).await.unwrap();
            began.elapsed()
        };
        let closed = stage.while_running(closed).await;
        // The open time has grown meanwhile.
        assert!(closed <= 40 * SECOND, "{weather:?}: {closed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_host_finds_out_though_its_clock_is_set_back() {
    let stage = Stage::new();
    stage.while_running(seconds(20)).await;
    stage.clock.jump(-3_600_000);
    stage.cloud.become_(Weather::Refusing);
    stage.while_running(seconds(20)).await;
    assert_eq!(stage.state(), Open);
}

#[tokio::test(start_paused = true)]
async fn a_busy_host_is_not_asked_how_its_cloud_is() {
    let stage = Stage::new();
    let work = async {
        for _ in 0..100 {
            stage.put(&acme(), "a").await.unwrap();
            tokio::time::sleep(SECOND).await;
        }
    };
    stage.while_running(work).await;
    assert_eq!(stage.calls(), 100, "each call of the cloud was a client's");
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_while_the_cloud_was_away_is_back_soon_after_it() {
    let stage = Stage::new();
    stage.cloud.become_(Weather::BlackHole);
    for _ in 0..20 {
        stage.put(&acme(), "a").await.unwrap();
    }
    stage.while_running(seconds(3)).await;
    stage.cloud.become_(Weather::Steady);
    stage.while_running(seconds(20)).await;
    assert!(stage.waiting(&acme()).is_empty());
    assert!(stage.agrees(&acme(), "a"));
}
