//! Two hosts that hear each other, on paused time.

use std::sync::atomic::{AtomicI64, Ordering};

use futures::stream;
use stuga_core::BreakerState::{Closed, HalfOpen, Open};
use stuga_core::journal::{Backlog, Entry, EntryInfo, EntryState, Journal, Settled};
use stuga_core::{AgentName, Clock, Error, TenantId};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::*;
use crate::breaker::{Breaker, BreakerSettings};
use crate::{BudgetSettings, Modes};

/// Every host hears every host, itself as well.
struct Air(broadcast::Sender<Observation>);

#[async_trait]
impl Gossip for Air {
    async fn publish(&self, observation: Observation) -> Result<()> {
        let heard = self.0.send(observation);
        heard.map_err(|e| Error::unavailable("gossip", "nobody listens").with_source(e))?;
        Ok(())
    }

    async fn observations(&self) -> Result<BoxStream<'static, Observation>> {
        let heard = self.0.subscribe();
        Ok(stream::unfold(heard, |mut heard| async move {
            let next = heard.recv().await.ok()?;
            Some((next, heard))
        })
        .boxed())
    }
}

/// A clock that may be wrong.
struct Wall(Instant, AtomicI64);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let right = i64::try_from(self.0.elapsed().as_millis()).unwrap();
        let shown = 1_000_000 + right + self.1.load(Ordering::Relaxed);
        Timestamp::from_millis(u64::try_from(shown).unwrap())
    }
}

/// A journal without entries.
struct Empty;

#[async_trait]
impl Journal for Empty {
    async fn backlog(&self, _: &TenantId, _: CapabilityName) -> Result<Backlog> {
        Ok(Backlog::default())
    }
    async fn waits(&self, _: &TenantId, _: CapabilityName, _: &AgentName, _: &str) -> Result<bool> {
        Ok(false)
    }
    async fn tenants(&self) -> Result<Vec<TenantId>> {
        Ok(Vec::new())
    }
    async fn next(&self, _: &TenantId, _: CapabilityName, _: u64, _: u32) -> Result<Vec<Entry>> {
        Ok(Vec::new())
    }
    async fn settle(&self, _: &TenantId, _: u64, _: Settled) -> Result<()> {
        Ok(())
    }
    async fn list(&self, _: &TenantId, _: EntryState, _: u64, _: u32) -> Result<Vec<EntryInfo>> {
        Ok(Vec::new())
    }
    async fn find(&self, _: &TenantId, _: u64) -> Result<Option<Entry>> {
        Ok(None)
    }
    async fn retry(&self, _: &TenantId, _: u64) -> Result<bool> {
        Ok(false)
    }
    async fn discard(&self, _: &TenantId, _: u64) -> Result<bool> {
        Ok(false)
    }
}

fn host(wrong_by: i64) -> Arc<Route> {
    let settings = BreakerSettings {
        jitter: 0.0,
        open_for_max: Duration::from_secs(600),
        ..BreakerSettings::default()
    };
    Arc::new(Route::new(
        CapabilityName::Memory,
        Arc::new(Breaker::new(settings, Box::new(|| 0.5))),
        BudgetSettings::default(),
        Arc::new(Empty),
        Arc::new(Modes::default()),
        Arc::new(Wall(Instant::now(), AtomicI64::new(wrong_by))),
    ))
}

fn fail(host: &Route, times: u32) {
    for _ in 0..times {
        host.breaker().try_acquire().ok().unwrap().failed();
    }
}

fn succeed(host: &Route, times: u32) {
    for _ in 0..times {
        host.breaker().try_acquire().ok().unwrap().succeeded();
    }
}

/// Plays a story of two hosts that hear each other; the second one's clock is wrong.
async fn told<T>(wrong_by: i64, story: impl AsyncFnOnce(&Route, &Route) -> T) -> T {
    let air: Arc<dyn Gossip> = Arc::new(Air(broadcast::channel(16).0));
    let (one, two) = (host(0), host(wrong_by));
    let first = Neighbours::new(vec![Arc::clone(&one)], Arc::clone(&air));
    let second = Neighbours::new(vec![Arc::clone(&two)], air);
    let story = async {
        heard().await;
        story(&one, &two).await
    };
    tokio::select! {
        told = story => told,
        () = first.run() => panic!("a host went silent"),
        () = second.run() => panic!("a host went silent"),
    }
}

/// Lets what was told be heard.
async fn heard() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn another_hosts_trouble_makes_a_host_suspect_and_two_failures_of_its_own_open_it() {
    told(0, async |one, two| {
        fail(one, 5);
        heard().await;
        assert_eq!(
            (one.breaker().state(), two.breaker().state()),
            (Open, Closed)
        );
        assert!(two.breaker().is_suspect());
        fail(two, 1);
        assert_eq!(two.breaker().state(), Closed);
        fail(two, 1);
        assert_eq!(two.breaker().state(), Open);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_reaches_the_cloud_shakes_the_warning_off() {
    told(0, async |one, two| {
        fail(one, 5);
        heard().await;
        succeed(two, 1);
        assert!(!two.breaker().is_suspect());
        fail(two, 4);
        assert_eq!(two.breaker().state(), Closed, "it counts as ever");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_warning_ends_by_itself() {
    told(0, async |one, two| {
        fail(one, 5);
        sleep(Duration::from_secs(11)).await;
        assert!(!two.breaker().is_suspect());
        fail(two, 4);
        assert_eq!(two.breaker().state(), Closed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_hosts_recovery_lets_a_host_probe_sooner_and_once() {
    told(0, async |one, two| {
        let seconds = |seconds| sleep(Duration::from_secs(seconds));
        // Its open time has grown to 32 seconds.
        for grown in [2, 4, 8, 16] {
            fail(two, if grown == 2 { 5 } else { 1 });
            seconds(grown).await;
        }
        fail(two, 1);
        fail(one, 5);
        seconds(3).await;
        assert!(two.breaker().try_acquire().is_err());
        succeed(one, 3);
        heard().await;
        assert_eq!(one.breaker().state(), Closed);
        assert_eq!(two.breaker().state(), Open, "nothing heard closes it");
        // It finds the cloud still away, and the next recovery it hears of comes too soon after.
        fail(two, 1);
        two.breaker().hear(Closed);
        assert!(two.breaker().try_acquire().is_err());
        seconds(2).await;
        two.breaker().hear(Closed);
        drop(two.breaker().try_acquire().ok().unwrap());
        assert_eq!(two.breaker().state(), HalfOpen);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_old_or_from_a_clock_that_is_far_off_is_not_listened_to() {
    for wrong_by in [-60_000, 60_000] {
        told(wrong_by, async |one, two| {
            fail(one, 5);
            heard().await;
            assert!(!two.breaker().is_suspect(), "{wrong_by}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_isolates_on_one_host_is_nothing_to_another() {
    told(0, async |one, two| {
        one.breaker().isolate();
        heard().await;
        assert!(!two.breaker().is_suspect());
        two.breaker().isolate();
        one.breaker().release();
        succeed(one, 3);
        heard().await;
        assert_eq!(two.breaker().state(), stuga_core::BreakerState::Isolated);
    })
    .await;
}
