//! Which tenants have something to do, found without opening their stores: one empty file for each, named like it.
//!
//! A mark is derived: the truth stands in the tenant's store. It is set inside the transaction that adds work, before
//! that commits, and removed inside a transaction of its own that sees no work left (see `Tenant::alone`). SQLite lets
//! one such transaction run at a time, in whatever process. So there is work without a mark at no moment, not even after
//! a crash; a mark without work is found and removed by the next look. Its time of modification changes whenever work is
//! added, which tells a server that the command line has added some.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cap_std::fs::{Dir, OpenOptions};
use stuga_core::TenantId;
use tokio::sync::Notify;

/// Marks of one kind, and who hears of those that this process sets.
pub(crate) struct Marks {
    directory: Dir,
    changed: Mutex<BTreeSet<TenantId>>,
    bell: Notify,
}

impl Marks {
    /// Opens or creates the directory of the marks of that kind.
    pub(crate) fn open(root: &Dir, kind: &str) -> io::Result<Self> {
        let path = Path::new("pending").join(kind);
        root.create_dir_all(&path)?;
        for directory in [Path::new("."), Path::new("pending")] {
            root.open(directory)?.sync_all()?;
        }
        Ok(Self {
            directory: root.open_dir(&path)?,
            changed: Mutex::default(),
            bell: Notify::new(),
        })
    }

    /// Says that the tenant has something to do. Survives a loss of power once it returns. Blocks.
    pub(crate) fn set(&self, tenant: &TenantId) -> io::Result<()> {
        let name = tenant.as_str();
        let existing = self
            .directory
            .open_with(name, OpenOptions::new().write(true));
        match existing {
            Ok(mark) => mark.into_std().set_modified(SystemTime::now()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.directory.create(name)?;
                self.directory.open(".")?.sync_all()
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the tenant's mark away. Blocks.
    pub(crate) fn remove(&self, tenant: &TenantId) -> io::Result<()> {
        match self.directory.remove_file(tenant.as_str()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Every tenant with a mark, and a number that changes when work is added. Blocks.
    pub(crate) fn list(&self) -> io::Result<Vec<(TenantId, u64)>> {
        let mut all = Vec::new();
        for entry in self.directory.entries()? {
            let entry = entry?;
            // What is no tenant's name was not put there by a host.
            let name = entry.file_name();
            let Some(tenant) = name.to_str().and_then(|name| TenantId::new(name).ok()) else {
                continue;
            };
            match entry.metadata().and_then(|mark| mark.modified()) {
                Ok(time) => all.push((tenant, stamp(time.into_std()))),
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Tells whoever waits in [`Marks::changed`] that something of the tenant changed.
    pub(crate) fn ring(&self, tenant: &TenantId) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(tenant.clone());
        drop(changed);
        self.bell.notify_one();
    }

    /// The next tenant that was rung for. Each ring is heard by one.
    pub(crate) async fn changed(&self) -> TenantId {
        loop {
            let rung = self
                .changed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_first();
            match rung {
                Some(tenant) => {
                    // Others that wait, or this one's next turn, find the rest.
                    self.bell.notify_one();
                    return tenant;
                }
                None => self.bell.notified().await,
            }
        }
    }
}

fn stamp(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;

    fn marks(directory: &Path) -> Marks {
        let root = Dir::open_ambient_dir(directory, ambient_authority()).unwrap();
        Marks::open(&root, "jobs").unwrap()
    }

    #[test]
    fn a_mark_stays_until_it_is_removed_and_says_when_work_was_added() {
        let directory = tempfile::tempdir().unwrap();
        let tenant = TenantId::new("acme").unwrap();
        let (here, beside) = (marks(directory.path()), marks(directory.path()));
        assert!(here.list().unwrap().is_empty());
        here.set(&tenant).unwrap();
        let first = beside.list().unwrap();
        assert_eq!(first[0].0, tenant);
        here.set(&tenant).unwrap();
        let second = beside.list().unwrap();
        assert_eq!(second.len(), 1);
        assert_ne!(second[0].1, first[0].1, "it was touched");
        beside.remove(&tenant).unwrap();
        here.remove(&tenant).unwrap();
        assert!(here.list().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_no_tenant_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let marks = marks(directory.path());
        for name in ["README.md", "A", "-"] {
            std::fs::write(directory.path().join("pending/jobs").join(name), "").unwrap();
        }
        assert!(marks.list().unwrap().is_empty());
    }

    #[tokio::test]
    async fn every_tenant_that_was_rung_for_is_heard_of() {
        let directory = tempfile::tempdir().unwrap();
        let marks = marks(directory.path());
        let tenants = ["a", "b", "c"].map(|name| TenantId::new(name).unwrap());
        for tenant in tenants.iter().chain(&tenants) {
            marks.ring(tenant);
        }
        for tenant in &tenants {
            assert_eq!(marks.changed().await, *tenant);
        }
    }
}
