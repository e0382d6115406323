//! What shall run, by the files: read in one go, away from the threads that serve requests.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use semver::Version;
use stuga_core::{AgentName, TenantId};

use crate::store::{RunningSet, Store};
use crate::tenants::{PluginEntry, Tenant, check};
use crate::yaml::Diagnostic;

/// What shall run, and what is wrong with the rest.
pub(super) struct Plan {
    pub(super) tenants: Vec<TenantPlan>,
    /// Tenants whose file is there but not sound.
    pub(super) broken: Vec<TenantId>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What one tenant shall run.
pub(super) struct TenantPlan {
    pub(super) tenant: Tenant,
    pub(super) agents: Vec<(PluginEntry, Result<Wanted, String>)>,
    /// Plugins that were loaded by command and may not run.
    pub(super) refused: BTreeMap<AgentName, String>,
}

/// Which component.
pub(super) struct Wanted {
    pub(super) version: Version,
    /// Its digest, when a command loaded it.
    pub(super) digest: Option<String>,
}

impl Plan {
    /// Reads the tenants' files and what commands loaded; of `only` that tenant, if it is given.
    ///
    /// # Errors
    /// When the tenants directory cannot be read.
    pub(super) fn read(
        directory: &Path,
        store: &Store,
        only: Option<&TenantId>,
    ) -> io::Result<Self> {
        let loaded = check::read_dir(directory)?;
        let wanted = |tenant: &Tenant| only.is_none_or(|only| *only == tenant.id);
        Ok(Self {
            tenants: loaded
                .tenants
                .into_values()
                .filter(wanted)
                .map(|tenant| TenantPlan::read(tenant, store))
                .collect(),
            broken: loaded.broken,
            diagnostics: loaded.diagnostics,
        })
    }
}

impl TenantPlan {
    fn read(tenant: Tenant, store: &Store) -> Self {
        let set = store
            .running(&tenant.id)
            .map_err(|error| error.message().to_owned());
        let agents = tenant
            .plugins
            .iter()
            .filter_map(|entry| {
                let wanted = match &set {
                    Ok(set) => Wanted::read(set.as_ref(), entry, store).transpose()?,
                    Err(reason) => Err(reason.clone()),
                };
                Some((entry.clone(), wanted))
            })
            .collect();
        let loaded = set.iter().flatten().flat_map(RunningSet::keys);
        let refused = loaded
            .filter(|name| tenant.plugin(name.as_str()).is_none())
            .map(|name| {
                let snippet = entry_snippet(name);
                (
                    name.clone(),
                    format!("loaded, but the tenant's file has no entry for it; {snippet}"),
                )
            })
            .collect();
        Self {
            agents,
            refused,
            tenant,
        }
    }
}

impl Wanted {
    fn read(
        set: Option<&RunningSet>,
        entry: &PluginEntry,
        store: &Store,
    ) -> Result<Option<Self>, String> {
        let version = store
            .resolve(set, entry)
            .map_err(|error| error.message().to_owned())?;
        let digest = set
            .and_then(|set| set.get(&entry.name))
            .map(|running| running.digest.clone());
        Ok(version.map(|version| Self { version, digest }))
    }
}

/// The lines that let a tenant run a plugin, for messages.
pub(super) fn entry_snippet(name: &AgentName) -> String {
    format!(
        "add to its `plugins:`\n  - name: {name}\n    grants: [memory, files]  # `stuga plugin inspect FILE` lists what it imports"
    )
}
