//! What this host does in the cloud's place: one way to the cloud for each capability that lies there, the journal of
//! what it took meanwhile, and what operators say of both.
//!
//! [`crate::wire`] fills it, the host tends it ([`Fallback::start`]), the API and the commands show it ([`view`]). Without a
//! cloud it is empty, and nothing of it runs.

mod explain;
mod herald;
mod kept;
mod operate;
mod tend;
pub mod view;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stuga_core::journal::Journal;
use stuga_core::{Backend, Capability, CapabilityName, Clock, Grants, TenantId, Write};
use stuga_resilience::{
    Breaker, Failover, Gossip, HealthSettings, Modes, Probe, Replay, Route, Sides,
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::FailoverSettings;
use crate::tenants;

use herald::Transitions;
use kept::Kept;
use tend::Measured;

pub(crate) use herald::{Herald, STATES, name};
pub use kept::Word;
pub use operate::Operator;
pub use tend::Figures;

/// What this host does in the cloud's place.
pub struct Fallback {
    settings: Mutex<FailoverSettings>,
    /// How the cloud is watched, for the one who does.
    health: watch::Sender<HealthSettings>,
    modes: Arc<Modes>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    herald: Arc<Herald>,
    /// What operators said of capabilities of all tenants; what they say of one tenant is in the modes.
    isolated: Mutex<BTreeMap<CapabilityName, Word>>,
    /// What of both outlives the process.
    kept: Kept,
    /// By capability, in the order in which they were added.
    lanes: Vec<Lane>,
    probe: Option<Arc<dyn Probe>>,
    gossip: Option<Arc<dyn Gossip>>,
    measured: Mutex<Measured>,
}

/// One capability that lies in the cloud.
struct Lane {
    route: Arc<Route>,
    /// None where this host keeps what it takes.
    replay: Option<Arc<Replay>>,
    transitions: Arc<Transitions>,
}

impl Fallback {
    /// One without any capability.
    pub(crate) fn new(
        settings: FailoverSettings,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        data_dir: &Path,
    ) -> Self {
        Self {
            health: watch::Sender::new(settings.health),
            settings: Mutex::new(settings),
            modes: Arc::default(),
            journal,
            clock,
            herald: Arc::default(),
            isolated: Mutex::default(),
            kept: Kept::at(data_dir),
            lanes: Vec::new(),
            probe: None,
            gossip: None,
            measured: Mutex::default(),
        }
    }

    /// Stands behind a capability's cloud. What `sides` makes of the way there becomes the facade.
    pub(crate) fn behind<C: Capability + ?Sized>(
        &mut self,
        sides: impl FnOnce(Arc<Route>) -> Sides<C>,
    ) -> Failover<C> {
        let capability = <C::Write as Write>::CAPABILITY;
        let mut lane = self.lane(capability);
        let facade = Failover::sides(sides(Arc::clone(&lane.route)));
        let settings = self.settings().of(capability).replay;
        lane.replay = Replay::of(&facade, settings).map(Arc::new);
        self.lanes.push(lane);
        facade
    }

    /// Watches the cloud of something that is no backend.
    #[cfg(feature = "aws")]
    pub(crate) fn watch(&mut self, capability: CapabilityName) -> Arc<Route> {
        let lane = self.lane(capability);
        let route = Arc::clone(&lane.route);
        self.lanes.push(lane);
        route
    }

    /// Asks the cloud with `probe` when nobody else does.
    #[cfg(feature = "aws")]
    pub(crate) fn probed(&mut self, probe: Arc<dyn Probe>) {
        self.probe = Some(probe);
    }

    /// Tells other hosts of the cloud, and listens to them.
    #[cfg(feature = "aws")]
    pub(crate) fn heard(&mut self, gossip: Arc<dyn Gossip>) {
        self.gossip = Some(gossip);
    }

    fn lane(&self, capability: CapabilityName) -> Lane {
        let settings = self.settings().of(capability);
        let transitions = Arc::new(Transitions::default());
        let breaker = Breaker::new(settings.breaker, Box::new(random));
        let (herald, clock) = (Arc::clone(&self.herald), Arc::clone(&self.clock));
        let counted = Arc::clone(&transitions);
        let breaker = breaker.observed(Box::new(move |transition| {
            counted.count(transition.to);
            herald.breaker(capability, transition, clock.now());
        }));
        let route = Route::new(
            capability,
            Arc::new(breaker),
            settings.budget,
            Arc::clone(&self.journal),
            Arc::clone(&self.modes),
            Arc::clone(&self.clock),
        );
        Lane {
            route: Arc::new(route),
            replay: None,
            transitions,
        }
    }

    /// Goes by other settings from the next call on, and says whether any of them differ from those before. Breakers keep their
    /// states, and journals what they hold.
    pub(crate) fn set(&self, settings: FailoverSettings) -> bool {
        let mut known = self.settings();
        if *known == settings {
            return false;
        }
        for lane in &self.lanes {
            let capability = lane.route.capability();
            let (before, now) = (known.of(capability), settings.of(capability));
            if before.breaker != now.breaker || before.budget != now.budget {
                lane.route.set(now.breaker, now.budget);
            }
            if let Some(replay) = &lane.replay
                && before.replay != now.replay
            {
                replay.set(now.replay);
            }
        }
        self.health.send_replace(settings.health);
        *known = settings;
        true
    }

    fn settings(&self) -> MutexGuard<'_, FailoverSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to the cloud of a capability; none when it lies on this host.
    pub fn route(&self, capability: CapabilityName) -> Option<&Arc<Route>> {
        let mut routes = self.lanes.iter().map(|lane| &lane.route);
        routes.find(|route| route.capability() == capability)
    }

    /// The capabilities that lie in the cloud.
    pub fn capabilities(&self) -> impl Iterator<Item = CapabilityName> {
        self.lanes.iter().map(|lane| lane.route.capability())
    }

    /// Who hears what happens.
    pub(crate) fn herald(&self) -> &Arc<Herald> {
        &self.herald
    }

    /// Sets what a tenant's file says, from its next call on.
    pub(crate) fn set_tenant(&self, tenant: &TenantId, failover: &tenants::Failover) {
        let local = failover.local.iter().copied().collect();
        self.modes.set_local(tenant, local);
    }

    /// Whether everything of `grants` that lies in the cloud answers a tenant's reads from there: whoever runs elsewhere,
    /// and knows the cloud alone, then sees what it would see here.
    pub(crate) async fn is_seen_elsewhere(&self, tenant: &TenantId, grants: Grants) -> bool {
        for lane in &self.lanes {
            let capability = lane.route.capability();
            if capability == CapabilityName::Jobs || !grants.allows(capability) {
                continue;
            }
            match lane.route.tenant_status(tenant).await {
                Ok(status) if status.reads == Backend::Cloud => {}
                Ok(_) => return false,
                Err(error) => {
                    tracing::warn!(%tenant, %capability, %error, "a journal cannot be read");
                    return false;
                }
            }
        }
        true
    }

    /// What an operator said of a capability of all tenants.
    fn word(&self, capability: CapabilityName) -> Option<Word> {
        self.isolated().get(&capability).cloned()
    }

    fn isolated(&self) -> MutexGuard<'_, BTreeMap<CapabilityName, Word>> {
        self.isolated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number between 0 and 1, new each time.
fn random() -> f64 {
    const BITS: u32 = 48;
    // The last 16 bits of the first half say which version the id is of.
    let random = Uuid::new_v4().as_u64_pair().0 >> (u64::BITS - BITS);
    random as f64 / (1_u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_lie_between_nothing_and_one_and_differ() {
        let numbers: Vec<f64> = (0..1_000).map(|_| random()).collect();
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        assert!(numbers.iter().any(|n| *n < 0.1) && numbers.iter().any(|n| *n > 0.9));
    }
}
