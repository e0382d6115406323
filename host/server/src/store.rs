//! Where plugins lie, and which of them each tenant runs. Plain files, so that commands need no server.
//!
//! `plugins/<name>/<version>.wasm` never changes once written. `tenants/<id>/plugins.json` says what a tenant runs; as
//! long as there is none, the tenant's file does. Who changes either touches `plugins/.changed`, which a running
//! server watches: watching the tenants' own directories would wake it for every write of their databases.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use semver::Version;
use serde::{Deserialize, Serialize};
use stuga_core::{AgentName, Error, Result, TenantId, Timestamp};

use crate::atomic;
use crate::tenants::{PluginEntry, Tenant};

/// Largest component that is taken into the store.
pub const COMPONENT_MAX_BYTES: u64 = 64 << 20;

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

/// A component in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Stored {
    /// The plugin.
    pub name: AgentName,
    /// Its version.
    pub version: Version,
    /// Bytes.
    pub size: u64,
}

/// The plugins of one data directory.
#[derive(Clone, Debug)]
pub struct Store {
    data_dir: PathBuf,
}

/// SHA-256 in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

impl Store {
    /// The store of a data directory; nothing is touched yet.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
        }
    }

    /// The directory of all plugins.
    pub fn plugins_dir(&self) -> PathBuf {
        self.data_dir.join("plugins")
    }

    fn component_path(&self, name: &AgentName, version: &Version) -> PathBuf {
        self.plugins_dir()
            .join(name.as_str())
            .join(format!("{version}.wasm"))
    }

    fn running_path(&self, tenant: &TenantId) -> PathBuf {
        self.data_dir
            .join("tenants")
            .join(tenant.as_str())
            .join("plugins.json")
    }

    /// Keeps a component. Keeping the same bytes again is no change.
    ///
    /// # Errors
    /// `Conflict` when other bytes are kept under that version already.
    pub fn put(&self, name: &AgentName, version: &Version, component: &[u8]) -> Result<()> {
        let path = self.component_path(name, version);
        match fs::read(&path) {
            Ok(kept) if kept == component => Ok(()),
            Ok(_) => Err(Error::conflict(
                "plugin.load",
                format!(
                    "{name} {version} is in the store with other content; a version never changes, so give the new build a new version"
                ),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                atomic::write(&path, component).map_err(|error| failed("plugin.load", &path, error))
            }
            Err(error) => Err(failed("plugin.load", &path, error)),
        }
    }

    /// The bytes of a component.
    ///
    /// # Errors
    /// `NotFound` with the versions that there are.
    pub fn get(&self, name: &AgentName, version: &Version) -> Result<Vec<u8>> {
        let path = self.component_path(name, version);
        fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.missing(name, Some(version)),
            _ => failed("plugin.store", &path, error),
        })
    }

    /// The versions of a plugin, lowest first; empty when the store does not have it.
    ///
    /// # Errors
    /// `Internal` when the directory cannot be read.
    pub fn versions(&self, name: &AgentName) -> Result<Vec<Version>> {
        let directory = self.plugins_dir().join(name.as_str());
        let mut versions: Vec<Version> = entries(&directory)?
            .iter()
            .filter_map(|path| {
                Version::parse(path.file_name()?.to_str()?.strip_suffix(".wasm")?).ok()
            })
            .collect();
        versions.sort();
        Ok(versions)
    }

    /// Every component in the store, by name and version.
    ///
    /// # Errors
    /// `Internal` when a directory cannot be read.
    pub fn list(&self) -> Result<Vec<Stored>> {
        let mut stored = Vec::new();
        for directory in entries(&self.plugins_dir())? {
            let Some(name) = directory
                .file_name()
                .and_then(|name| AgentName::new(name.to_str()?).ok())
            else {
                continue;
            };
            for version in self.versions(&name)? {
                let path = self.component_path(&name, &version);
                let size = fs::metadata(&path)
                    .map_err(|error| failed("plugin.list", &path, error))?
                    .len();
                stored.push(Stored {
                    name: name.clone(),
                    version,
                    size,
                });
            }
        }
        stored.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Ok(stored)
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

    fn missing(&self, name: &AgentName, version: Option<&Version>) -> Error {
        let what = version.map_or_else(|| name.to_string(), |version| format!("{name} {version}"));
        let versions = self.versions(name).unwrap_or_default();
        let help = if versions.is_empty() {
            "bring it in with `stuga plugin load TENANT FILE`".to_owned()
        } else {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            format!("there is {}", versions.join(", "))
        };
        Error::not_found(
            "plugin.store",
            format!("{what} is not in the plugin store; {help}"),
        )
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("plugin.store", directory, error)),
    };
    listed
        .map(|entry| {
            Ok(entry
                .map_err(|error| failed("plugin.store", directory, error))?
                .path())
        })
        .collect()
}

fn failed(
    operation: &'static str,
    path: &Path,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let error = error.into();
    Error::internal(
        operation,
        format!("{} cannot be used: {error}", path.display()),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::check;

    fn name() -> AgentName {
        AgentName::new("echo").unwrap()
    }

    fn tenant() -> Tenant {
        check::read_text(
            Path::new("acme.yaml"),
            "id: acme\nplugins:\n  - name: echo\n  - name: other\n",
        )
        .unwrap()
    }

    #[test]
    fn a_version_never_changes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let version = Version::new(1, 0, 0);
        store.put(&name(), &version, b"one").unwrap();
        store.put(&name(), &version, b"one").unwrap();
        let error = store.put(&name(), &version, b"two").unwrap_err();
        assert_eq!(error.kind(), stuga_core::ErrorKind::Conflict);
        assert_eq!(store.get(&name(), &version).unwrap(), b"one");
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
            store.unload(&tenant, &name()).unwrap().version,
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
                .unload(&tenant, &name())
                .unwrap_err()
                .message()
                .contains("it runs other")
        );
        assert!(dir.path().join("plugins").join(CHANGED).exists());
    }

    #[test]
    fn a_missing_version_names_those_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert!(
            store
                .get(&name(), &Version::new(1, 0, 0))
                .unwrap_err()
                .message()
                .contains("stuga plugin load")
        );
        store.put(&name(), &Version::new(2, 0, 0), b"x").unwrap();
        assert!(
            store
                .get(&name(), &Version::new(1, 0, 0))
                .unwrap_err()
                .message()
                .contains("there is 2.0.0")
        );
    }
}
