//! Bringing what runs in step with the files: tenants, their plugins and keys.
//!
//! What did not change stays as it is. A tenant whose file is broken, and an agent whose new version cannot be readied,
//! keep running as before, with a line in the log that says why.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use semver::Version;
use stuga_core::{AgentName, Error, Result};
use stuga_runtime::{AgentSettings, Limits, Plugin};

use super::admission::Admission;
use super::schema::Skills;
use super::snapshot::Recipe;
use super::{Host, RunningAgent, RunningTenant, Snapshot};
use crate::store::RunningSet;
use crate::tenants::{self, PluginEntry, Tenant};

/// Compiled plugins that are in use somewhere. A version never changes, so name and version find it.
#[derive(Default)]
pub(super) struct Deployed(HashMap<(AgentName, Version), Weak<Plugin>>);

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
        let mut deployed = self.deployed.lock().await;
        let directory = self.tenants_dir.clone();
        let read = tokio::task::spawn_blocking(move || tenants::check::read_dir(&directory)).await;
        let loaded = read
            .map_err(std::io::Error::other)
            .and_then(|read| read)
            .map_err(|error| {
                let path = self.tenants_dir.display();
                Error::internal(
                    "tenants.load",
                    format!("tenants directory {path} cannot be read: {error}"),
                )
                .with_source(error)
            })?;
        let before = self.snapshot();
        let mut reloaded = Reloaded {
            failed: loaded.broken.len(),
            ..Reloaded::default()
        };
        for diagnostic in &loaded.diagnostics {
            tracing::error!(%diagnostic, "tenant file is broken; what ran before goes on");
        }
        let mut next = Snapshot::default();
        for id in &loaded.broken {
            if let Some(tenant) = before.tenants.get(id) {
                next.insert(Arc::clone(tenant));
            }
        }
        for (id, tenant) in loaded.tenants {
            if self.only.as_ref().is_none_or(|only| *only == id) {
                let running = self
                    .ready(
                        tenant,
                        before.tenants.get(&id),
                        &mut deployed,
                        &mut reloaded,
                    )
                    .await;
                next.insert(Arc::new(running));
            }
        }
        deployed.0.retain(|_, plugin| plugin.strong_count() > 0);
        drop(before);
        self.current.store(Arc::new(next));
        self.metrics.reload(reloaded.failed);
        Ok(reloaded)
    }

    async fn ready(
        &self,
        tenant: Tenant,
        before: Option<&Arc<RunningTenant>>,
        deployed: &mut Deployed,
        reloaded: &mut Reloaded,
    ) -> RunningTenant {
        self.backends.set_quotas(&tenant.id, &tenant.limits.storage);
        let mut running = RunningTenant {
            agents: BTreeMap::new(),
            failed: BTreeMap::new(),
            admission: before
                .filter(|before| before.admission.fits(&tenant.limits))
                .map_or_else(
                    || Arc::new(Admission::new(&tenant.limits)),
                    |before| Arc::clone(&before.admission),
                ),
            recents: before.map_or_else(Arc::default, |before| Arc::clone(&before.recents)),
            tenant: Arc::new(tenant),
        };
        let tenant = Arc::clone(&running.tenant);
        let set = match self.store.running(&tenant.id) {
            Ok(set) => set,
            Err(error) => {
                tracing::error!(tenant = %tenant.id, %error, "what the tenant runs cannot be read; what ran before goes on");
                reloaded.failed += 1;
                running.agents = before
                    .map(|before| before.agents.clone())
                    .unwrap_or_default();
                return running;
            }
        };
        for entry in &tenant.plugins {
            let agent_before = before.and_then(|before| before.agents.get(&entry.name));
            match self
                .ready_agent(
                    &tenant,
                    entry,
                    set.as_ref(),
                    agent_before,
                    deployed,
                    reloaded,
                )
                .await
            {
                Ok(Some(agent)) => {
                    running.agents.insert(entry.name.clone(), agent);
                }
                Ok(None) => {}
                Err(reason) => {
                    tracing::error!(tenant = %tenant.id, agent = %entry.name, reason, "agent cannot be readied");
                    reloaded.failed += 1;
                    if let Some(agent) = agent_before {
                        running.agents.insert(entry.name.clone(), Arc::clone(agent));
                    }
                    running.failed.insert(entry.name.clone(), reason);
                }
            }
        }
        for name in set
            .iter()
            .flat_map(RunningSet::keys)
            .filter(|name| tenant.plugin(name.as_str()).is_none())
        {
            let reason = format!(
                "loaded, but the tenant's file has no entry for it; {}",
                entry_snippet(name)
            );
            tracing::error!(tenant = %tenant.id, agent = %name, reason, "agent cannot be readied");
            reloaded.failed += 1;
            running.failed.insert(name.clone(), reason);
        }
        running
    }

    /// The agent for an entry: the one that runs when nothing changed, else a new one; none when it is unloaded.
    async fn ready_agent(
        &self,
        tenant: &Tenant,
        entry: &PluginEntry,
        set: Option<&RunningSet>,
        before: Option<&Arc<RunningAgent>>,
        deployed: &mut Deployed,
        reloaded: &mut Reloaded,
    ) -> Result<Option<Arc<RunningAgent>>, String> {
        let Some(version) = self
            .store
            .resolve(set, entry)
            .map_err(|error| error.message().to_owned())?
        else {
            return Ok(None);
        };
        let expected = set
            .and_then(|set| set.get(&entry.name))
            .map(|running| running.digest.as_str());
        let plugin = self
            .plugin(&entry.name, &version, expected, deployed)
            .await?;
        let made_of = Recipe {
            digest: plugin.digest().to_owned(),
            entry: entry.clone(),
            limits: tenant.limits.clone(),
        };
        if let Some(before) = before.filter(|before| before.made_of == made_of) {
            return Ok(Some(Arc::clone(before)));
        }
        let skills = Skills::compile(plugin.manifest())?;
        let settings = settings(tenant, entry);
        let agent = self
            .runtime
            .deploy(plugin, settings, self.backends.capabilities())
            .await
            .map_err(|error| error.to_string())?;
        reloaded.deployed += 1;
        tracing::info!(tenant = %tenant.id, agent = %entry.name, %version, "agent ready");
        Ok(Some(Arc::new(RunningAgent {
            agent,
            skills,
            made_of,
        })))
    }

    async fn plugin(
        &self,
        name: &AgentName,
        version: &Version,
        expected: Option<&str>,
        deployed: &mut Deployed,
    ) -> Result<Arc<Plugin>, String> {
        let key = (name.clone(), version.clone());
        if let Some(plugin) = deployed.0.get(&key).and_then(Weak::upgrade)
            && expected.is_none_or(|digest| digest == plugin.digest())
        {
            return Ok(plugin);
        }
        let (store, wanted) = (self.store.clone(), key.clone());
        let read = tokio::task::spawn_blocking(move || store.get(&wanted.0, &wanted.1)).await;
        let component = read
            .map_err(|error| error.to_string())?
            .map_err(|error| error.message().to_owned())?;
        let plugin = self
            .runtime
            .load(component)
            .await
            .map_err(|error| error.to_string())?;
        if expected.is_some_and(|digest| digest != plugin.digest()) {
            return Err(format!(
                "{name} {version} in the store is not what was loaded: its digest is {}; load it again",
                plugin.digest()
            ));
        }
        let manifest = plugin.manifest();
        if manifest.name != *name || manifest.version != version.to_string() {
            return Err(format!(
                "{name} {version} in the store says of itself that it is {} {}; load it again",
                manifest.name, manifest.version
            ));
        }
        deployed.0.insert(key, Arc::downgrade(&plugin));
        Ok(plugin)
    }
}

impl Snapshot {
    fn insert(&mut self, running: Arc<RunningTenant>) {
        for key in &running.tenant.keys {
            self.keys
                .insert(key.id.clone(), (Arc::clone(&running), key.hash));
        }
        self.tenants.insert(running.id().clone(), running);
    }
}

pub(super) fn settings(tenant: &Tenant, entry: &PluginEntry) -> AgentSettings {
    AgentSettings {
        tenant: tenant.id.clone(),
        agent: entry.name.clone(),
        grants: entry.grants,
        config: entry.config.clone(),
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
    }
}

/// The lines that let a tenant run a plugin, for messages.
pub(super) fn entry_snippet(name: &AgentName) -> String {
    format!("add to its `plugins:`\n  - name: {name}\n    grants: [memory, files]")
}
