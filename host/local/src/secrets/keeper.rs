//! Who opens the tenants' keys: a key service where the host has one, else the host's master key file.
//!
//! New keys are the service's. A key that a master key sealed opens as ever until a rotation replaces it, so a service can be
//! given to a host that has secrets already. A wrapped key never becomes a sealed one.

use std::sync::Arc;

use rusqlite::Row;
use stuga_core::keys::{KeyUse, KeyWrap};
use stuga_core::{Error, Result, TenantId};

use super::master::MasterKeyFile;
use super::seal::{Bound, Key};
use super::vault::damaged;

/// What stands before the name of the service that wrapped a key. No id of a master key begins so, but by a chance of 2^-40.
const WRAPPED_BY: &[u8] = b"wrap:";

/// A tenant's key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct StoredKey {
    /// The id of a master key, or [`WRAPPED_BY`] and the name of a service.
    pub(super) sealed_by: Vec<u8>,
    pub(super) sealed: Vec<u8>,
}

impl StoredKey {
    /// The key in the columns `sealed_by` and `sealed`, of which the first is the column `at`.
    pub(super) fn of_row(row: &Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            sealed_by: row.get(at)?,
            sealed: row.get(at + 1)?,
        })
    }

    /// The name of the service that wrapped it; none when a master key sealed it.
    pub(super) fn service(&self) -> Option<&[u8]> {
        self.sealed_by.strip_prefix(WRAPPED_BY)
    }
}

/// What opens and makes tenants' keys.
#[derive(Clone)]
pub(crate) struct Keeper {
    master: MasterKeyFile,
    service: Option<Arc<dyn KeyWrap>>,
}

impl Keeper {
    /// One with this file, and with this service if there is one.
    pub(crate) fn new(master: MasterKeyFile, service: Option<Arc<dyn KeyWrap>>) -> Self {
        Self { master, service }
    }

    /// The master keys, which seal what must open without the service as well.
    pub(super) fn master(&self) -> &MasterKeyFile {
        &self.master
    }

    /// Whether new keys are wrapped by a service.
    pub(super) fn has_service(&self) -> bool {
        self.service.is_some()
    }

    /// Opens a key that a master key sealed; none when a service wrapped it. Blocks.
    pub(super) fn open_sealed(
        &self,
        operation: &'static str,
        tenant: &TenantId,
        stored: &StoredKey,
    ) -> Result<Option<Key>> {
        if stored.service().is_some() {
            return Ok(None);
        }
        let masters = self.master.read(operation)?;
        masters
            .find(operation, &stored.sealed_by)?
            .open(operation, &Bound::tenant_key(tenant), &stored.sealed)?
            .and_then(|key| Key::from_bytes(&key))
            .map(Some)
            .ok_or_else(|| damaged(operation))
    }

    /// Opens a key that a service wrapped.
    pub(super) async fn open_wrapped(&self, used: KeyUse<'_>, stored: &StoredKey) -> Result<Key> {
        let service = self.service_of(used.operation, stored)?;
        service.open(used, &stored.sealed).await.map(Key::from)
    }

    /// Asks the service whether the key still opens.
    pub(super) async fn renew(&self, used: KeyUse<'_>, stored: &StoredKey) -> Result<()> {
        let service = self.service_of(used.operation, stored)?;
        service.renew(used, &stored.sealed).await
    }

    /// A new key that the service wrapped; none without one.
    pub(super) async fn make_wrapped(&self, used: KeyUse<'_>) -> Result<Option<(Key, StoredKey)>> {
        let Some(service) = &self.service else {
            return Ok(None);
        };
        let made = service.make(used).await?;
        let stored = StoredKey {
            sealed_by: [WRAPPED_BY, service.name().as_bytes()].concat(),
            sealed: made.wrapped,
        };
        Ok(Some((Key::from(made.plain), stored)))
    }

    /// A new key that the current master key sealed; makes that when there is none. Blocks.
    pub(super) fn make_sealed(
        &self,
        operation: &'static str,
        tenant: &TenantId,
    ) -> Result<(Key, StoredKey)> {
        let masters = self.master.read_or_create(operation)?;
        let (id, master) = masters.current(operation)?;
        let key = Key::random(operation)?;
        let stored = StoredKey {
            sealed_by: id.to_vec(),
            sealed: master.seal(operation, &Bound::tenant_key(tenant), key.as_bytes())?,
        };
        Ok((key, stored))
    }

    fn service_of(&self, operation: &'static str, stored: &StoredKey) -> Result<&dyn KeyWrap> {
        let name = stored.service().unwrap_or_default();
        let service = self.service.as_deref();
        let service = service.filter(|service| service.name().as_bytes() == name);
        service.ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            Error::unavailable(
                operation,
                format!("the tenant's key was wrapped by {name}, which this host does not have; the operator must configure it again"),
            )
        })
    }
}
