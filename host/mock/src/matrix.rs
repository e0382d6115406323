//! The facades of a host with a cloud, in one state of the matrix: as `Cloud::stand_before` of the server makes them before AWS.

use std::collections::BTreeMap;
use std::sync::Arc;

use stuga_core::a2a::Mailbox;
use stuga_core::files::Files;
use stuga_core::memory::Memory;
use stuga_core::model::Model;
use stuga_core::records::Records;
use stuga_core::search::Search;
use stuga_core::secrets::Secrets;
use stuga_core::sessions::Sessions;
use stuga_core::{Capability, CapabilityName, Clock, Write};
use stuga_local::Local;
use stuga_resilience::{
    BudgetSettings, Capabilities, Failover, FileCarrier, Modes, Replay, ReplaySettings, Route,
    SearchTeacher, SessionTeacher, Sides,
};

use crate::attendant::Lane;
use crate::cloud::{CatchingUp, Cloud, Telling};
use crate::state::{Health, State};

/// What lies in the cloud and is no copy: each side's own.
pub(crate) struct Apart {
    pub(crate) mailbox: Arc<dyn Mailbox>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) secrets: Arc<dyn Secrets>,
}

/// The ways to the clouds of a world, while they are made.
struct Ways<'w> {
    state: State,
    local: &'w Local,
    clock: &'w Arc<dyn Clock>,
    lanes: BTreeMap<CapabilityName, Lane>,
}

/// Where both sides of a capability lie.
struct Both<'b> {
    cloud: &'b Local,
    local: &'b Local,
    health: &'b Arc<Health>,
}

/// Puts `cloud` before the capabilities of a host without one, and says what there is to tend on the way. Jobs stay with the
/// host.
pub(crate) fn stand_before(
    capabilities: &mut Capabilities,
    (cloud, local): (&Local, &Local),
    (there, here): (Apart, Apart),
    state: State,
    clock: &Arc<dyn Clock>,
) -> BTreeMap<CapabilityName, Lane> {
    let mut ways = Ways {
        state,
        local,
        clock,
        lanes: BTreeMap::new(),
    };
    /// Two sides that tell each other of their writes.
    macro_rules! together {
        ($field:ident, $of:ident) => {
            together!($field, $of, |two, _, _| two)
        };
        ($field:ident, $of:ident, $also:expr) => {
            capabilities.$field = ways.behind(|health, route| {
                let (there, here) = (cloud.$field(), local.$field());
                let replica = Arc::new(CatchingUp::<<dyn $of as Capability>::Write> {
                    replica: Arc::clone(&there) as _,
                    health: Arc::clone(health),
                });
                let there: Arc<dyn $of> = Arc::new(Cloud::<dyn $of> {
                    backend: there,
                    health: Arc::clone(health),
                });
                let also: fn(Sides<dyn $of>, Arc<dyn $of>, &Both<'_>) -> Sides<dyn $of> = $also;
                let two = Sides::new(
                    Arc::clone(&there),
                    replica,
                    Arc::clone(&here) as _,
                    here,
                    route,
                );
                let both = Both {
                    cloud,
                    local,
                    health,
                };
                also(two, there, &both)
            });
        };
    }
    /// Two sides that know nothing of each other.
    macro_rules! apart {
        ($field:ident, $of:ident) => {
            capabilities.$field = ways.behind(|health, route| {
                let there: Arc<dyn $of> = Arc::new(Cloud::<dyn $of> {
                    backend: there.$field,
                    health: Arc::clone(health),
                });
                Sides::apart(there, here.$field, route)
            });
        };
    }
    together!(files, Files, |two, there, both| {
        two.carried(Arc::new(FileCarrier::new(both.local.files(), there)))
    });
    together!(memory, Memory);
    together!(records, Records);
    together!(search, Search, |two, there, both| {
        two.taught(Arc::new(SearchTeacher::new(there, both.local.search())))
    });
    together!(sessions, Sessions, |two, _, both| {
        let there = Telling {
            sessions: both.cloud.sessions(),
            health: Arc::clone(both.health),
        };
        two.taught(Arc::new(SessionTeacher::new(
            Arc::new(there),
            both.local.sessions(),
        )))
    });
    apart!(mailbox, Mailbox);
    apart!(model, Model);
    apart!(secrets, Secrets);
    ways.lanes
}

impl Ways<'_> {
    /// The facade before two sides; `sides` makes them of the cloud's health and of the way there.
    fn behind<C: Capability + ?Sized>(
        &mut self,
        sides: impl FnOnce(&Arc<Health>, Arc<Route>) -> Sides<C>,
    ) -> Failover<C> {
        let capability = C::Write::CAPABILITY;
        let health = Arc::new(Health::new(self.state));
        let route = Arc::new(Route::new(
            capability,
            Arc::new(self.state.breaker()),
            BudgetSettings::until_deadline(),
            self.local.journal(),
            Arc::new(Modes::default()),
            Arc::clone(self.clock),
        ));
        let facade = Failover::sides(sides(&health, Arc::clone(&route)));
        let lane = Lane {
            state: self.state,
            health,
            route,
            replay: Replay::of(&facade, one_by_one()),
            moving: tokio::sync::Mutex::default(),
        };
        self.lanes.insert(capability, lane);
        facade
    }
}

/// A replay that takes one entry after the other, without a pause: so that the same scenario has the same bytes.
fn one_by_one() -> ReplaySettings {
    ReplaySettings {
        keys: 1,
        per_second: u32::MAX,
        ..ReplaySettings::default()
    }
}
