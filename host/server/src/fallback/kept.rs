//! What operators said of the cloud, kept over a restart: an isolation that a crash would lift is none.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use stuga_core::{CapabilityName, Error, Result, Timestamp};
use stuga_resilience::Isolation;

use crate::atomic;

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Said {
    /// Capabilities that are isolated for all tenants.
    pub(super) hosts: BTreeMap<CapabilityName, Word>,
    /// Isolations and drills of tenants.
    pub(super) tenants: Vec<Isolation>,
}

/// An operator's word on a capability of all tenants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Word {
    /// Since when.
    pub since: Timestamp,
    /// Who wants it and what for.
    pub why: String,
}

/// The file that it is kept in.
pub(super) struct Kept {
    path: PathBuf,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Kept {
    /// In a data directory; nothing is touched yet.
    pub(super) fn at(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join("isolations.json"),
            changing: Mutex::default(),
        }
    }

    /// What is kept; nothing when nothing ever was.
    ///
    /// # Errors
    /// `Internal` when the file cannot be read or is damaged.
    pub(super) fn read(&self) -> Result<Said> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| self.failed(error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Said::default()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Keeps what `say` says when its turn has come. Durable when it returns.
    ///
    /// # Errors
    /// `Internal` when the file cannot be written.
    pub(super) fn write(&self, say: impl FnOnce() -> Said) -> Result<()> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_vec_pretty(&say()).map_err(|error| self.failed(error))?;
        atomic::write(&self.path, &text).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let error = error.into();
        let path = self.path.display();
        let message = format!("{path}, which keeps isolations, cannot be used: {error}");
        Error::internal("failover.isolations", message).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::TenantId;

    use super::*;

    #[test]
    fn what_was_said_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Kept::at(dir.path()).read().unwrap(), Said::default());
        let word = Word {
            since: Timestamp::from_millis(7),
            why: "mona: repair".to_owned(),
        };
        let said = Said {
            hosts: BTreeMap::from([(CapabilityName::Files, word)]),
            tenants: vec![Isolation {
                tenant: TenantId::new("acme").unwrap(),
                capability: CapabilityName::Memory,
                since: Timestamp::from_millis(5),
                until: None,
                why: "mona: move".to_owned(),
            }],
        };
        Kept::at(dir.path()).write(|| said.clone()).unwrap();
        assert_eq!(Kept::at(dir.path()).read().unwrap(), said);
        fs::write(dir.path().join("isolations.json"), "{").unwrap();
        let damaged = Kept::at(dir.path()).read().unwrap_err();
        assert!(damaged.message().contains("isolations.json"), "{damaged}");
    }
}
