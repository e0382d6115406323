//! A host: what is wired on it, and how it starts again after a crash.

use std::sync::Arc;
use std::time::Duration;

use stuga_core::memory::Memory;
use stuga_core::testkit::Dice;
use stuga_core::{CapabilityName, Clock};
use stuga_resilience::{
    Breaker, BreakerSettings, BudgetSettings, Failover, HealthSettings, Modes, Monitor, Replay,
    ReplaySettings, Route, Sides,
};
use tokio::sync::watch;

use crate::cloud::{Cart, Cloud, Reach, Tutor};
use crate::life::{HostClock, Life};
use crate::local::Local;
use crate::store::Store;

/// A host, dead or alive.
pub(crate) struct Host {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<HostClock>,
    cloud: Arc<Cloud>,
    dice: Dice,
    running: watch::Sender<Option<Arc<Running>>>,
}

/// A host while it lives.
pub(crate) struct Running {
    pub(crate) facade: Failover<dyn Memory>,
    pub(crate) life: Arc<Life>,
}

impl Host {
    pub(crate) fn new(cloud: Arc<Cloud>, clock: HostClock, dice: Dice) -> Arc<Self> {
        let store = Arc::<Store>::default();
        store.lock().forgets = true;
        Arc::new(Self {
            store,
            clock: Arc::new(clock),
            cloud,
            dice,
            running: watch::Sender::new(None),
        })
    }

    /// The host as soon as it lives.
    pub(crate) async fn up(&self) -> Arc<Running> {
        let mut running = self.running.subscribe();
        let running = running.wait_for(Option::is_some).await.unwrap();
        running.clone().unwrap()
    }

    /// Lives, dies and lives again, as long as it is polled.
    pub(crate) async fn live(&self) {
        loop {
            let (running, replay, monitor) = self.start();
            self.running.send_replace(Some(Arc::clone(&running)));
            let work = futures::future::join(replay.run(), monitor.run());
            tokio::select! {
                biased;
                () = running.life.ended() => {}
                _ = work => {}
            }
            drop((replay, monitor));
            self.running.send_replace(None);
            tokio::time::sleep(self.dice.millis(1, 4_000)).await;
        }
    }

    fn start(&self) -> (Arc<Running>, Replay, Monitor) {
        let life = Life::new(Some(self.dice.fork()));
        let local = Local {
            store: Arc::clone(&self.store),
            life: Arc::clone(&life),
            clock: Arc::clone(&self.clock),
        };
        let cloud = Reach {
            cloud: Arc::clone(&self.cloud),
            life: Arc::clone(&life),
            clock: Arc::clone(&self.clock),
        };
        let jitter = self.dice.fork();
        let breaker = Breaker::new(BreakerSettings::default(), Box::new(move || jitter.share()));
        let settings = ReplaySettings {
            entry: Duration::from_secs(10),
            ..ReplaySettings::default()
        };
        let wired = wire(local, cloud, breaker, settings);
        let facade = wired.facade;
        (
            Arc::new(Running { facade, life }),
            wired.replay,
            wired.monitor,
        )
    }
}

/// What stands between clients and the two sides.
pub(crate) struct Wired {
    pub(crate) facade: Failover<dyn Memory>,
    pub(crate) replay: Replay,
    pub(crate) monitor: Monitor,
}

pub(crate) fn wire(
    local: Local,
    cloud: Reach,
    breaker: Breaker,
    settings: ReplaySettings,
) -> Wired {
    let route = Arc::new(Route::new(
        CapabilityName::Memory,
        Arc::new(breaker),
        BudgetSettings::default(),
        Arc::new(local.clone()),
        Arc::new(Modes::default()),
        Arc::clone(&local.clock) as Arc<dyn Clock>,
    ));
    let cart = Arc::new(Cart {
        cloud: Arc::clone(&cloud.cloud),
        takes: Duration::from_secs(10),
    });
    let tutor = Arc::new(Tutor {
        cloud: cloud.clone(),
        copy: Arc::clone(&local.store),
    });
    let sides: Sides<dyn Memory> = Sides::new(
        Arc::new(cloud.clone()),
        Arc::new(cloud.clone()),
        Arc::new(local.clone()),
        Arc::new(local),
        Arc::clone(&route),
    );
    let facade = Failover::sides(sides.carried(cart).taught(tutor));
    Wired {
        replay: Replay::of(&facade, settings).unwrap(),
        monitor: Monitor::new(
            vec![route],
            Arc::new(cloud),
            watch::channel(HealthSettings::default()).1,
        ),
        facade,
    }
}
