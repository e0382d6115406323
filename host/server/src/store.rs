//! Where plugins lie, and which of them each tenant runs. Plain files, so that commands need no server.
//!
//! `plugins/<name>/<version>.wasm` never changes once written. `tenants/<id>/plugins.json` says what a tenant runs; as
//! long as there is none, the tenant's file does. Who changes either touches `plugins/.changed`, which a running
//! server watches: watching the tenants' own directories would wake it for every write of their databases.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use semver::Version;
use serde::Serialize;
use stuga_core::{AgentName, Error, Result};

use crate::atomic;

mod running;

pub use running::{CHANGED, Running, RunningSet};

/// Largest component that is taken into the store.
pub const COMPONENT_MAX_BYTES: u64 = 64 << 20;

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

    fn name() -> AgentName {
        AgentName::new("echo").unwrap()
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
