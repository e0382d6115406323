//! The facade before two sides, in every state of the breaker: guests meet one contract, whoever answers.
//!
//! The cloud's side is a second set of local backends, so that only the facade is judged here: the breaker, the copy, the
//! journal and the replay are those of a host with a real cloud. What AWS answers is the matter of the suites of `host/aws`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::files::Files;
use stuga_core::journal::{Backlog, Entry, EntryInfo, EntryState, Journal, Settled};
use stuga_core::testkit::{self, Fixture, ManualClock, prove};
use stuga_core::{AgentName, BreakerState, CapabilityName, Clock, Result, TenantId};
use stuga_local::Local;
use stuga_resilience::{
    Breaker, BreakerSettings, BudgetSettings, Failover, FileCarrier, Modes, Pass, Replay,
    ReplaySettings, Route, Sides,
};
use tempfile::TempDir;

use crate::facade::{FacadeFiles, FacadeMemory, FacadeRecords, FacadeSearch, FacadeSessions};
use crate::open_local_by;

/// After how many calls a cloud that flaps changes its mind.
const FLAPS_EVERY: u64 = 3;

/// How the breaker stands while a sentence is proven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed,
    Open,
    HalfOpen,
    Isolated,
    Flapping,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Closed,
        Self::Open,
        Self::HalfOpen,
        Self::Isolated,
        Self::Flapping,
    ];

    fn breaker(self) -> Breaker {
        let settings = BreakerSettings {
            consecutive_failures: 1,
            open_for: Duration::from_secs(86_400),
            open_for_max: Duration::from_secs(86_400),
            // A cloud that flaps is back with the first answer; one that is half open stays so.
            probes: if self == Self::HalfOpen { u32::MAX } else { 1 },
            // How busy the machine is says nothing of the cloud.
            slow_call: Duration::from_secs(86_400),
            ..BreakerSettings::default()
        };
        let breaker = Breaker::new(settings, Box::new(|| 0.5));
        match self {
            Self::Closed | Self::Flapping => {}
            Self::Open => breaker.try_acquire().ok().unwrap().failed(),
            Self::HalfOpen => {
                breaker.isolate();
                breaker.release();
            }
            Self::Isolated => breaker.isolate(),
        }
        breaker
    }
}

/// Two sides on fresh data directories that live by one clock.
struct TwoSides {
    here: Local,
    cloud: Local,
    state: State,
    clock: Arc<dyn Clock>,
    /// Kept here and not by the journal, which the replay itself keeps.
    replay: OnceLock<Arc<Replay>>,
    _directories: [TempDir; 2],
}

fn two_sides(state: State) -> (TwoSides, Arc<ManualClock>) {
    let clock = crate::clock();
    let (here, directory) = open_local_by(&clock);
    let (cloud, other) = open_local_by(&clock);
    let sides = TwoSides {
        here,
        cloud,
        state,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        replay: OnceLock::new(),
        _directories: [directory, other],
    };
    (sides, clock)
}

impl TwoSides {
    fn route(&self, capability: CapabilityName) -> (Arc<Route>, Arc<Flaps>) {
        let breaker = Arc::new(self.state.breaker());
        let flaps = Arc::new(Flaps {
            journal: self.here.journal(),
            breaker: (self.state == State::Flapping).then(|| Arc::clone(&breaker)),
            calls: AtomicU64::new(0),
            replay: OnceLock::new(),
        });
        let route = Arc::new(Route::new(
            capability,
            breaker,
            BudgetSettings::until_deadline(),
            Arc::clone(&flaps) as _,
            Arc::new(Modes::default()),
            Arc::clone(&self.clock),
        ));
        (route, flaps)
    }
}

/// The facade over two sides of one capability.
macro_rules! facade {
    ($sides:expr, $field:ident, $name:ident) => {
        facade!($sides, $field, $name, |two, _: &TwoSides| two)
    };
    ($sides:expr, $field:ident, $name:ident, $also:expr) => {{
        let sides: &TwoSides = &$sides;
        let (route, flaps) = sides.route(CapabilityName::$name);
        let (cloud, here) = (sides.cloud.$field(), sides.here.$field());
        let two = Sides::new(
            Arc::clone(&cloud) as _,
            Arc::clone(&cloud) as _,
            Arc::clone(&here) as _,
            Arc::clone(&here),
            route,
        );
        let facade = Failover::sides($also(two, sides));
        let replay = Replay::of(&facade, ReplaySettings::default()).unwrap();
        flaps.replayed(sides.replay.get_or_init(|| Arc::new(replay)));
        facade
    }};
}

/// A journal that has the cloud come and go with the calls that ask it.
///
/// A write is noted and the next call finds it waiting; when the cloud is back, what waits is there before it answers.
struct Flaps {
    journal: Arc<dyn Journal>,
    /// None when nothing flaps.
    breaker: Option<Arc<Breaker>>,
    calls: AtomicU64,
    replay: OnceLock<Weak<Replay>>,
}

impl Flaps {
    fn replayed(&self, replay: &Arc<Replay>) {
        assert!(self.replay.set(Arc::downgrade(replay)).is_ok());
    }

    async fn flap(&self, tenant: &TenantId) -> Result<()> {
        let Some(breaker) = &self.breaker else {
            return Ok(());
        };
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match (call / FLAPS_EVERY) % 2 {
            0 => breaker.isolate(),
            _ if breaker.state() == BreakerState::Isolated => {
                breaker.release();
                breaker.try_acquire().ok().unwrap().succeeded();
                // On a task of its own: the replay asks this journal in its turn.
                let replay = self.replay.get().and_then(Weak::upgrade).unwrap();
                assert_eq!(Box::pin(replay.drain(tenant)).await?, Pass::Drained);
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for Flaps {
    async fn backlog(&self, tenant: &TenantId, capability: CapabilityName) -> Result<Backlog> {
        self.flap(tenant).await?;
        self.journal.backlog(tenant, capability).await
    }

    async fn waits(
        &self,
        tenant: &TenantId,
        capability: CapabilityName,
        agent: &AgentName,
        key: &str,
    ) -> Result<bool> {
        self.journal.waits(tenant, capability, agent, key).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>> {
        self.journal.tenants().await
    }

    async fn next(
        &self,
        tenant: &TenantId,
        capability: CapabilityName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        self.journal.next(tenant, capability, after, limit).await
    }

    async fn settle(&self, tenant: &TenantId, seq: u64, settled: Settled) -> Result<()> {
        self.journal.settle(tenant, seq, settled).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        state: EntryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EntryInfo>> {
        self.journal.list(tenant, state, after, limit).await
    }

    async fn find(&self, tenant: &TenantId, seq: u64) -> Result<Option<Entry>> {
        self.journal.find(tenant, seq).await
    }

    async fn retry(&self, tenant: &TenantId, seq: u64) -> Result<bool> {
        self.journal.retry(tenant, seq).await
    }

    async fn discard(&self, tenant: &TenantId, seq: u64) -> Result<bool> {
        self.journal.discard(tenant, seq).await
    }
}

/// One sentence after the other in every state.
macro_rules! proves {
    ($test:ident, $suite:ident, $dress:ident, $field:ident, $name:ident $(, $also:expr)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            for state in State::ALL {
                println!("{state:?}");
                prove(testkit::$suite::cases(), || {
                    let (sides, clock) = two_sides(state);
                    let facade = facade!(sides, $field, $name $(, $also)?);
                    Fixture::new(Arc::new($dress(facade)) as _, clock).keeping(sides)
                })
                .await;
            }
        }
    };
}

proves!(
    memory_keeps_its_contract_in_every_state,
    memory,
    FacadeMemory,
    memory,
    Memory
);
proves!(
    sessions_keep_their_contract_in_every_state,
    sessions,
    FacadeSessions,
    sessions,
    Sessions
);
proves!(
    records_keep_their_contract_in_every_state,
    records,
    FacadeRecords,
    records,
    Records
);
proves!(
    search_keeps_its_contract_in_every_state,
    search,
    FacadeSearch,
    search,
    Search
);
proves!(
    files_keep_their_contract_in_every_state,
    files,
    FacadeFiles,
    files,
    Files,
    |two: Sides<dyn Files>, sides: &TwoSides| two.carried(Arc::new(FileCarrier::new(
        sides.here.files() as _,
        sides.cloud.files() as _,
    )))
);
