//! Bringing what runs in step with the files: tenants, their plugins and keys.
//!
//! What did not change stays as it is. A tenant whose file is broken, and an agent whose new version cannot be readied,
//! keep running as before, with a line in the log that says why. An agent that has a grant which the tenant no longer
//! gives does not go on: taking a grant away always takes effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use stuga_core::{AgentName, Error, Result};
use stuga_runtime::{AgentSettings, JobCheck, Kinds, Limits, Skills};

use super::admission::Admission;
use super::compiled::Compiled;
use super::plan::{Plan, TenantPlan, Wanted};
use super::snapshot::Recipe;
use super::{Host, RunningAgent, RunningTenant, Snapshot};
use crate::tenants::{PluginEntry, Tenant};

/// What a reload changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reloaded {
    /// Agents that were readied anew.
    pub deployed: usize,
    /// Tenant files and agents that could not be taken.
    pub failed: usize,
}

impl Host {
    /// Reads the tenants and what they run, and swaps in what changed. One reload runs at a time.
    ///
    /// # Errors
    /// When the tenants directory cannot be read; what runs stays.
    pub async fn reload(&self) -> Result<Reloaded> {
        let mut compiled = self.compiled.lock().await;
        let plan = self.plan().await?;
        for diagnostic in &plan.diagnostics {
            tracing::error!(%diagnostic, "tenant file is broken; what ran before goes on");
        }
        let before = self.snapshot();
        let mut next = Snapshot::default();
        let mut reloaded = Reloaded {
            failed: plan.broken.len(),
            ..Reloaded::default()
        };
        for tenant in plan.broken.iter().filter_map(|id| before.tenants.get(id)) {
            next.insert(Arc::clone(tenant));
        }
        for plan in plan.tenants {
            let tenant_before = before.tenants.get(&plan.tenant.id);
            let running = self
                .ready(plan, tenant_before, &mut compiled, &mut reloaded)
                .await;
            next.insert(Arc::new(running));
        }
        compiled.sweep();
        drop(before);
        self.current.store(Arc::new(next));
        self.metrics.reload(reloaded.failed);
        Ok(reloaded)
    }

    async fn plan(&self) -> Result<Plan> {
        let (directory, store, only) = (
            self.tenants_dir.clone(),
            self.store.clone(),
            self.only.clone(),
        );
        let read =
            tokio::task::spawn_blocking(move || Plan::read(&directory, &store, only.as_ref()))
                .await;
        read.map_err(std::io::Error::other)
            .and_then(|plan| plan)
            .map_err(|error| {
                let path = self.tenants_dir.display();
                Error::internal(
                    "tenants.load",
                    format!("tenants directory {path} cannot be read: {error}"),
                )
                .with_source(error)
            })
    }

    async fn ready(
        &self,
        plan: TenantPlan,
        before: Option<&Arc<RunningTenant>>,
        compiled: &mut Compiled,
        reloaded: &mut Reloaded,
    ) -> RunningTenant {
        let mut running = RunningTenant::new(plan.tenant, before);
        let tenant = Arc::clone(&running.tenant);
        self.backends.set_limits(&tenant.id, &tenant.limits);
        self.backends.set_retention(&tenant.id, &tenant.retention);
        self.backends.set_failover(&tenant.id, &tenant.failover);
        for (entry, wanted) in plan.agents {
            let agent_before = before.and_then(|before| before.agents.get(&entry.name));
            let readied = match wanted {
                Ok(wanted) => {
                    self.ready_agent(&tenant, &entry, &wanted, agent_before, compiled)
                        .await
                }
                Err(reason) => Err(reason),
            };
            match readied {
                Ok(agent) => {
                    let kept = agent_before.is_some_and(|before| Arc::ptr_eq(before, &agent));
                    reloaded.deployed += usize::from(!kept);
                    running.agents.insert(entry.name, agent);
                }
                Err(reason) => {
                    if let Some(agent) = agent_before.filter(|agent| agent.is_within(&entry)) {
                        running.agents.insert(entry.name.clone(), Arc::clone(agent));
                    }
                    running.fail(entry.name, reason, before);
                }
            }
        }
        for (name, reason) in plan.refused {
            running.fail(name, reason, before);
        }
        reloaded.failed += running.failed.len();
        running
    }

    /// The agent for an entry: the one that runs when nothing changed, else a new one.
    async fn ready_agent(
        &self,
        tenant: &Tenant,
        entry: &PluginEntry,
        wanted: &Wanted,
        before: Option<&Arc<RunningAgent>>,
        compiled: &mut Compiled,
    ) -> Result<Arc<RunningAgent>, String> {
        let Wanted { version, digest } = wanted;
        let plugin = self
            .plugin(&entry.name, version, digest.as_deref(), compiled)
            .await?;
        let made_of = Recipe {
            digest: plugin.digest().to_owned(),
            entry: entry.clone(),
            limits: tenant.limits.clone(),
        };
        if let Some(before) = before.filter(|before| before.made_of == made_of) {
            return Ok(Arc::clone(before));
        }
        let skills = Skills::compile(plugin.manifest())?;
        let kinds = Kinds::compile(plugin.manifest())?;
        let job_check = JobCheck::new(move |kind, input| kinds.check(kind, input));
        let deployed = self
            .runtime
            .deploy(
                plugin,
                settings(tenant, entry, job_check),
                self.capabilities.clone(),
            )
            .await;
        let agent = deployed.map_err(|error| error.to_string())?;
        tracing::info!(tenant = %tenant.id, agent = %entry.name, %version, "agent ready");
        if before.is_none_or(|before| before.made_of.digest != made_of.digest) {
            self.deployed(&tenant.id, &entry.name, version, &made_of.digest);
        }
        Ok(Arc::new(RunningAgent {
            agent,
            skills,
            made_of,
        }))
    }
}

impl RunningTenant {
    /// A tenant without agents, with what outlives a reload.
    fn new(tenant: Tenant, before: Option<&Arc<Self>>) -> Self {
        let gate = before
            .map(|before| &before.admission)
            .filter(|gate| gate.fits(&tenant.limits));
        Self {
            agents: BTreeMap::new(),
            failed: BTreeMap::new(),
            admission: gate.map_or_else(|| Arc::new(Admission::new(&tenant.limits)), Arc::clone),
            recordings: before
                .filter(|_| tenant.record.is_some())
                .map_or_else(Arc::default, |before| Arc::clone(&before.recordings)),
            recents: before.map_or_else(Arc::default, |before| Arc::clone(&before.recents)),
            tenant: Arc::new(tenant),
        }
    }

    /// Notes why an agent cannot be readied. The log has it once, not at every reload.
    fn fail(&mut self, agent: AgentName, reason: String, before: Option<&Arc<Self>>) {
        let known = before.and_then(|before| before.failed.get(&agent));
        if known != Some(&reason) {
            tracing::error!(tenant = %self.tenant.id, %agent, reason, "agent cannot be readied");
        }
        self.failed.insert(agent, reason);
    }
}

impl Snapshot {
    fn insert(&mut self, running: Arc<RunningTenant>) {
        for key in &running.tenant.keys {
            self.keys
                .insert(key.id.clone(), (Arc::clone(&running), key.hash));
        }
        for identity in &running.tenant.identities {
            self.identities
                .insert(identity.clone(), Arc::clone(&running));
        }
        self.tenants.insert(running.id().clone(), running);
    }
}

pub(super) fn settings(tenant: &Tenant, entry: &PluginEntry, job_check: JobCheck) -> AgentSettings {
    AgentSettings {
        tenant: tenant.id.clone(),
        agent: entry.name.clone(),
        grants: entry.grants,
        config: entry.config.clone(),
        secrets: entry.secrets.clone(),
        limits: Limits {
            memory_bytes: tenant.limits.memory,
            deadline: tenant.limits.deadline,
            output_bytes: usize::try_from(tenant.limits.answer_bytes).unwrap_or(usize::MAX),
            waiting: tenant.limits.waiting_calls,
        },
        instance: entry.instance,
        max_instances: entry.max_instances,
        max_invocations: entry.max_invocations,
        idle: entry.idle,
        job_check,
    }
}
