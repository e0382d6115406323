//! What runs at one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use stuga_core::{AgentName, Grants, TenantId};
use stuga_runtime::{Agent, Skills};

use super::admission::Admission;
use super::recent::Recents;
use super::recordings::Recordings;
use crate::tenants::{PluginEntry, Tenant, keys};

/// Every tenant and key. Swapped as a whole, never changed.
#[derive(Default)]
pub struct Snapshot {
    pub(super) tenants: BTreeMap<TenantId, Arc<RunningTenant>>,
    pub(super) keys: HashMap<String, (Arc<RunningTenant>, [u8; keys::HASH_BYTES])>,
    pub(super) identities: HashMap<String, Arc<RunningTenant>>,
}

/// A tenant that runs.
pub struct RunningTenant {
    pub(super) tenant: Arc<Tenant>,
    pub(super) agents: BTreeMap<AgentName, Arc<RunningAgent>>,
    pub(super) failed: BTreeMap<AgentName, String>,
    pub(super) admission: Arc<Admission>,
    pub(super) recents: Arc<Recents>,
    pub(super) recordings: Arc<Recordings>,
}

/// An agent that is ready.
pub struct RunningAgent {
    pub(super) agent: Agent,
    pub(super) skills: Skills,
    pub(super) made_of: Recipe,
}

/// What an agent was made of: when it is the same after a reload, the agent stays as it is.
#[derive(Clone, PartialEq)]
pub(super) struct Recipe {
    pub(super) digest: String,
    pub(super) entry: PluginEntry,
    pub(super) limits: crate::tenants::Limits,
}

/// Sums over all tenants, for metrics and readiness.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Tenants.
    pub tenants: usize,
    /// Agents that are ready.
    pub agents: usize,
    /// Agents that could not be readied.
    pub agents_failed: usize,
    /// Instances at rest.
    pub warm: u64,
    /// Calls that run.
    pub busy: u64,
    /// Calls that wait for an instance.
    pub waiting: u64,
}

impl Snapshot {
    /// The tenant of that id.
    pub fn tenant(&self, id: &str) -> Option<&Arc<RunningTenant>> {
        TenantId::new(id).ok().and_then(|id| self.tenants.get(&id))
    }

    /// All tenants by id.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<RunningTenant>> {
        self.tenants.values()
    }

    /// The tenant that a key id belongs to, and the key's hash.
    pub fn key(&self, id: &str) -> Option<&(Arc<RunningTenant>, [u8; keys::HASH_BYTES])> {
        self.keys.get(id)
    }

    /// The tenant whose client a gateway knows by that name.
    pub fn identity(&self, identity: &str) -> Option<&Arc<RunningTenant>> {
        self.identities.get(identity)
    }

    /// Sums over all tenants.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            tenants: self.tenants.len(),
            ..Totals::default()
        };
        for tenant in self.tenants.values() {
            totals.agents += tenant.agents.len();
            totals.agents_failed += tenant.failed.len();
            for agent in tenant.agents.values() {
                let stats = agent.agent.stats();
                totals.warm += u64::from(stats.warm);
                totals.busy += u64::from(stats.busy);
                totals.waiting += u64::from(stats.waiting);
            }
        }
        totals
    }

    pub(super) fn trim(&self) {
        for agent in self
            .tenants
            .values()
            .flat_map(|tenant| tenant.agents.values())
        {
            agent.agent.trim();
        }
    }
}

impl RunningTenant {
    /// The tenant as its file describes it.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Its id.
    pub fn id(&self) -> &TenantId {
        &self.tenant.id
    }

    /// Its agents by name.
    pub fn agents(&self) -> &BTreeMap<AgentName, Arc<RunningAgent>> {
        &self.agents
    }

    /// Agents that should run and do not, with why.
    pub fn failed(&self) -> &BTreeMap<AgentName, String> {
        &self.failed
    }

    /// What it was asked lately.
    pub fn recents(&self) -> &Arc<Recents> {
        &self.recents
    }

    /// Recordings of its latest invocations.
    pub fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// Who may call now.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }
}

impl RunningAgent {
    /// The agent.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Its name within the tenant.
    pub fn name(&self) -> &AgentName {
        &self.made_of.entry.name
    }

    /// What it is granted.
    pub fn grants(&self) -> Grants {
        self.made_of.entry.grants
    }

    /// Whether the entry still gives everything that this one was made with.
    pub(super) fn is_within(&self, entry: &PluginEntry) -> bool {
        let own = &self.made_of.entry;
        own.grants.is_within(entry.grants) && own.secrets.is_subset(&entry.secrets)
    }
}
