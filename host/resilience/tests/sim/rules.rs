//! Single rules, each on a stage of one host and one cloud, in steady weather unless a test says otherwise.

mod health;
mod model;
mod replay;
mod route;
mod tenants;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stuga_core::journal::{EntryInfo, EntryState};
use stuga_core::memory::{Expected, Item, MemoryAck, MemoryWrite};
use stuga_core::testkit::Dice;
use stuga_core::{BreakerState, CallCtx, ErrorKind, Result, TenantId};
use stuga_resilience::{Breaker, BreakerSettings, Counted, ReplaySettings, Route};
use tokio::time::Instant;

use crate::cloud::{Cloud, Curse, Reach, Weather};
use crate::host::{Wired, wire};
use crate::life::{HostClock, Life};
use crate::local::Local;
use crate::session::ctx;
use crate::store::{Place, Store};
use crate::world::tenant;

const SECOND: Duration = Duration::from_secs(1);
const PATIENT: Duration = Duration::from_secs(30);

/// One host and its cloud.
struct Stage {
    cloud: Arc<Cloud>,
    store: Arc<Store>,
    clock: Arc<HostClock>,
    wired: Wired,
    next: AtomicU64,
}

impl Stage {
    fn new() -> Self {
        Self::with(ReplaySettings::default())
    }

    fn with(settings: ReplaySettings) -> Self {
        let cloud = Cloud::new(Dice::new(1), None, 0);
        cloud.become_(Weather::Steady);
        let (store, life) = (Arc::<Store>::default(), Life::new(None));
        store.lock().forgets = true;
        let clock = Arc::new(HostClock::new(0));
        let local = Local {
            store: Arc::clone(&store),
            life: Arc::clone(&life),
            clock: Arc::clone(&clock),
        };
        let reach = Reach {
            cloud: Arc::clone(&cloud),
            life,
            clock: Arc::clone(&clock),
        };
        let breaker = BreakerSettings {
            jitter: 0.0,
            ..BreakerSettings::default()
        };
        let breaker = Breaker::new(breaker, Box::new(|| 0.5));
        Self {
            wired: wire(local, reach, breaker, settings),
            cloud,
            store,
            clock,
            next: AtomicU64::new(1),
        }
    }

    fn route(&self) -> &Arc<Route> {
        self.wired.facade.route().unwrap()
    }

    fn breaker(&self) -> &Breaker {
        self.route().breaker()
    }

    fn state(&self) -> BreakerState {
        self.breaker().state()
    }

    fn counts(&self) -> Counted {
        self.route().status().counts
    }

    fn calls(&self) -> u64 {
        self.cloud.calls.load(Ordering::Relaxed)
    }

    fn curse(&self, key: &str, kind: ErrorKind, after: Option<Duration>) {
        self.cloud.curses(Some(Curse {
            key: key.to_owned(),
            kind,
            after,
            ends: true,
        }));
    }

    /// A call that is made from now on.
    fn ctx(&self, tenant: &TenantId, patience: Duration) -> CallCtx {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = place(tenant, "any");
        ctx(&place, number, Instant::now() + patience)
    }

    /// Puts a value that says which write of all it is.
    async fn put(&self, tenant: &TenantId, key: &str) -> Result<MemoryAck> {
        let ctx = self.ctx(tenant, PATIENT);
        let put = put(key, self.next.load(Ordering::Relaxed));
        self.wired.facade.write(&ctx, &put).await
    }

    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        let get =
            |memory: Arc<dyn stuga_core::memory::Memory>| async move { memory.get(ctx, key).await };
        self.wired.facade.read(ctx, "memory.get", key, get).await
    }

    /// Notes a put of each key, as if the cloud were away for a moment.
    async fn note(&self, tenant: &TenantId, keys: &[&str]) {
        self.breaker().isolate();
        for key in keys {
            self.put(tenant, key).await.unwrap();
        }
        self.breaker().release();
        for _ in 0..self.breaker().settings().probes {
            self.breaker().try_acquire().ok().unwrap().succeeded();
        }
        assert_eq!(self.state(), BreakerState::Closed);
    }

    fn entries(&self, tenant: &TenantId, state: EntryState) -> Vec<EntryInfo> {
        let store = self.store.lock();
        let entries = store.of(tenant, state);
        entries.map(|entry| entry.info.clone()).collect()
    }

    fn waiting(&self, tenant: &TenantId) -> Vec<String> {
        let waiting = self.entries(tenant, EntryState::Waiting).into_iter();
        waiting.map(|entry| entry.key).collect()
    }

    /// How often each write came to be at a key in the cloud, in order.
    fn effects(&self, key: &str) -> Vec<u128> {
        let cloud = self.cloud.store.lock();
        let of_key = cloud.effects.iter().filter(|(place, _)| place.2 == key);
        of_key
            .map(|(_, id)| id.invocation.as_uuid().as_u128())
            .collect()
    }

    /// The same value on both sides.
    fn agrees(&self, tenant: &TenantId, key: &str) -> bool {
        let place = place(tenant, key);
        let value = |store: &Store| store.lock().item(&place).map(|i| (i.value, i.version));
        value(&self.store) == value(&self.cloud.store)
    }

    /// Does something while replay and monitor run.
    async fn while_running<T>(&self, story: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            told = story => told,
            () = self.wired.replay.run() => panic!("the replay ended"),
            () = self.wired.monitor.run() => panic!("the monitor ended"),
        }
    }
}

fn place(tenant: &TenantId, key: &str) -> Place {
    let agent = stuga_core::AgentName::new("notes").unwrap();
    (tenant.clone(), agent, key.to_owned())
}

fn put(key: &str, number: u64) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: number.to_string().into_bytes(),
        ttl: None,
        expected: Expected::Any,
    }
}

fn acme() -> TenantId {
    tenant(0)
}

fn other() -> TenantId {
    tenant(1)
}

async fn seconds(seconds: u32) {
    tokio::time::sleep(seconds * SECOND).await;
}
