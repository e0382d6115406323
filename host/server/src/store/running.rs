//! Which version of which plugin each tenant runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use semver::Version;
use serde::{Deserialize, Serialize};
use stuga_core::{AgentName, Error, Result, TenantId, Timestamp};

use super::{Store, digest, failed};
use crate::atomic;
use crate::tenants::{PluginEntry, Tenant};

/// The file that is touched after every change.
pub const CHANGED: &str = ".changed";

/// The version of a plugin that a tenant runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// Which version.
    pub version: Version,
    /// SHA-256 of the component in hexadecimal digits.
    pub digest: String,
    /// When a command loaded it.
    pub loaded_at: Timestamp,
}

/// What a tenant runs, by plugin.
pub type RunningSet = BTreeMap<AgentName, Running>;

impl Store {
    fn running_path(&self, tenant: &TenantId) -> PathBuf {
        self.data_dir
            .join("tenants")
            .join(tenant.as_str())
            .join("plugins.json")
    }

    /// What commands made a tenant run; none as long as its file decides.
    ///
    /// # Errors
    /// `Internal` when the file cannot be read or is damaged.
    pub fn running(&self, tenant: &TenantId) -> Result<Option<RunningSet>> {
        let path = self.running_path(tenant);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| failed("plugin.running", &path, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("plugin.running", &path, error)),
        }
    }

    /// The version of a plugin that a tenant runs: what a command loaded, else what the tenant's file names, else the
    /// highest in the store; none when a command unloaded it.
    ///
    /// # Errors
    /// `NotFound` when the store has no such version.
    pub fn resolve(
        &self,
        running: Option<&RunningSet>,
        entry: &PluginEntry,
    ) -> Result<Option<Version>> {
        if let Some(running) = running {
            return Ok(running
                .get(&entry.name)
                .map(|running| running.version.clone()));
        }
        let versions = self.versions(&entry.name)?;
        let wanted = match &entry.version {
            Some(version) => versions.iter().find(|v| *v == version),
            None => versions.last(),
        };
        wanted
            .cloned()
            .map(Some)
            .ok_or_else(|| self.missing(&entry.name, entry.version.as_ref()))
    }

    /// Makes a tenant run a version from now on.
    ///
    /// # Errors
    /// `Internal` when the files cannot be written.
    pub fn load(&self, tenant: &Tenant, name: &AgentName, running: Running) -> Result<()> {
        self.change(tenant, |set| {
            set.insert(name.clone(), running);
            Ok(())
        })
    }

    /// Makes a tenant run a plugin no longer. The store keeps its versions.
    ///
    /// # Errors
    /// `NotFound` when the tenant does not run it.
    pub fn unload(&self, tenant: &Tenant, name: &AgentName) -> Result<Running> {
        let mut removed = None;
        self.change(tenant, |set| {
            removed = set.remove(name);
            match removed {
                Some(_) => Ok(()),
                None => {
                    let known: Vec<&str> = set.keys().map(AgentName::as_str).collect();
                    let known = if known.is_empty() {
                        "nothing".to_owned()
                    } else {
                        known.join(", ")
                    };
                    Err(Error::not_found(
                        "plugin.unload",
                        format!("tenant {} does not run {name}; it runs {known}", tenant.id),
                    ))
                }
            }
        })?;
        removed.ok_or_else(|| {
            Error::internal("plugin.unload", "the plugin vanished while it was unloaded")
        })
    }

    fn change(
        &self,
        tenant: &Tenant,
        change: impl FnOnce(&mut RunningSet) -> Result<()>,
    ) -> Result<()> {
        let path = self.running_path(&tenant.id);
        let write_failed = |error| failed("plugin.running", &path, error);
        let _lock = atomic::lock(&self.data_dir).map_err(write_failed)?;
        let mut set = match self.running(&tenant.id)? {
            Some(set) => set,
            None => self.decided_by_file(tenant)?,
        };
        change(&mut set)?;
        let text = serde_json::to_vec_pretty(&set)
            .map_err(|error| failed("plugin.running", &path, error))?;
        atomic::write(&path, &text).map_err(write_failed)?;
        self.touch()
    }

    /// What the tenant's file alone makes it run, so that the first command changes one plugin and not all.
    fn decided_by_file(&self, tenant: &Tenant) -> Result<RunningSet> {
        let mut set = RunningSet::new();
        for entry in &tenant.plugins {
            if let Ok(Some(version)) = self.resolve(None, entry) {
                let digest = digest(&self.get(&entry.name, &version)?);
                set.insert(
                    entry.name.clone(),
                    Running {
                        version,
                        digest,
                        loaded_at: Timestamp::default(),
                    },
                );
            }
        }
        Ok(set)
    }

    fn touch(&self) -> Result<()> {
        let path = self.plugins_dir().join(CHANGED);
        fs::create_dir_all(self.plugins_dir())
            .and_then(|()| fs::write(&path, b""))
            .map_err(|error| failed("plugin.running", &path, error))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tenants::check;

    fn tenant() -> Tenant {
        check::read_text(
            Path::new("acme.yaml"),
            "id: acme\nplugins:\n  - name: echo\n  - name: other\n",
        )
        .unwrap()
    }

    #[test]
    fn the_first_unload_removes_one_plugin_and_keeps_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let tenant = tenant();
        for plugin in &tenant.plugins {
            for version in [Version::new(1, 9, 0), Version::new(1, 10, 0)] {
                store.put(&plugin.name, &version, b"wasm").unwrap();
            }
        }
        assert_eq!(
            store.resolve(None, &tenant.plugins[0]).unwrap(),
            Some(Version::new(1, 10, 0)),
            "highest, not last by name"
        );
        assert_eq!(
            store
                .unload(&tenant, &tenant.plugins[0].name)
                .unwrap()
                .version,
            Version::new(1, 10, 0)
        );
        let running = store.running(&tenant.id).unwrap().unwrap();
        assert_eq!(
            store.resolve(Some(&running), &tenant.plugins[0]).unwrap(),
            None
        );
        assert_eq!(
            store.resolve(Some(&running), &tenant.plugins[1]).unwrap(),
            Some(Version::new(1, 10, 0))
        );
        assert!(
            store
                .unload(&tenant, &tenant.plugins[0].name)
                .unwrap_err()
                .message()
                .contains("it runs other")
        );
        assert!(dir.path().join("plugins").join(CHANGED).exists());
    }
}
