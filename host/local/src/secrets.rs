//! Secrets on SQLite, sealed: each value by its tenant's key, that by a key service or a master key of the host.
//!
//! What opens a value is spread over two places: the tenant's database, and the service or the master key file. One without
//! the other tells names, versions and lengths, and no value. A tenant's key is opened before the transaction that uses it,
//! because a service takes its time, and the transaction looks whether it is still that one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::keys::KeyUse;
use stuga_core::secrets::{
    Removal, SecretInfo, SecretStore, SecretValue, SecretWrite, Secrets, check_name,
};
use stuga_core::{CallCtx, Capability, CapabilityName, Error, Result, TenantId, WriteId};
use tokio::time::Instant;

use crate::Local;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::call::Failure;
use crate::error;
use crate::tenant::Tenant;
use crate::tx::WriteTx;

mod copies;
mod keeper;
mod master;
mod seal;
pub(crate) mod sealer;
mod vault;

pub use copies::{CopiedSecrets, SecretCopies};
pub(crate) use keeper::Keeper;
use keeper::StoredKey;
pub(crate) use master::MasterKeyFile;
use master::MasterKeys;
use seal::Key;

/// Longest wait for a key service in what no invocation asked for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts of a change whose key was replaced by another process meanwhile, which takes a rotation each time.
const TURNS: u32 = 4;

/// Secrets of all tenants on this host.
pub struct LocalSecrets {
    pub(crate) local: Local,
    pub(crate) keeper: Keeper,
}

/// How a tenant's key lies on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyAtRest {
    /// The tenant has none: it never had a secret, or this host has no key service.
    None,
    /// Sealed by a master key, though this host has a key service: a rotation wraps it.
    Sealed,
    /// Wrapped by the service, which was asked just now and opened it.
    Wrapped,
}

impl LocalSecrets {
    /// Keeps a value that another side has given, under that side's version and time, so that it can be read here while that
    /// side is away. Keeping it again changes nothing; of a secret the newest [`stuga_core::secrets::VERSIONS_MAX`] stay.
    ///
    /// # Errors
    /// As [`SecretStore::set`].
    pub async fn keep(
        &self,
        tenant: &TenantId,
        info: &SecretInfo,
        value: &SecretValue,
    ) -> Result<()> {
        const OPERATION: &str = "secrets.keep";
        check_name(OPERATION, &info.name)?;
        let (whose, info) = (tenant.clone(), info.clone());
        let value = SecretValue::new(value.reveal().to_vec())?;
        let weight = value.reveal().len();
        self.with_key(tenant, OPERATION, weight, move |tx, key| {
            vault::put(tx, OPERATION, &whose, key, &info, &value)
        })
        .await
    }

    /// Asks the key service whether the tenant's key still opens, so that it is kept in this process for an outage, or
    /// forgotten when the service refuses.
    ///
    /// # Errors
    /// As [`stuga_core::keys::KeyWrap::renew`], and when the store cannot be read.
    pub async fn renew_key(&self, tenant: &TenantId) -> Result<KeyAtRest> {
        const OPERATION: &str = "secrets.renew";
        if !self.keeper.has_service() {
            return Ok(KeyAtRest::None);
        }
        let store = self.local.tenant(tenant).await?;
        let stored = store.read(OPERATION, |_, conn| {
            vault::stored_key(conn).map_err(|e| error::sqlite(OPERATION, e))
        });
        let Some(stored) = stored.await? else {
            return Ok(KeyAtRest::None);
        };
        if stored.service().is_none() {
            return Ok(KeyAtRest::Sealed);
        }
        self.keeper.renew(used(OPERATION, tenant), &stored).await?;
        Ok(KeyAtRest::Wrapped)
    }

    /// The tenant's key, opened; none when there is none.
    async fn opened(
        &self,
        store: &Arc<Tenant>,
        operation: &'static str,
    ) -> Result<Option<(Key, StoredKey)>> {
        let (keeper, whose) = (self.keeper.clone(), store.id().clone());
        let found = store.read(operation, move |_, conn| {
            let stored = vault::stored_key(conn).map_err(|e| error::sqlite(operation, e))?;
            let Some(stored) = stored else {
                return Ok(None);
            };
            let key = keeper.open_sealed(operation, &whose, &stored)?;
            Ok(Some((key, stored)))
        });
        let Some((key, stored)) = found.await? else {
            return Ok(None);
        };
        let key = match key {
            Some(key) => key,
            None => {
                let used = used(operation, store.id());
                self.keeper.open_wrapped(used, &stored).await?
            }
        };
        Ok(Some((key, stored)))
    }

    /// A new key for the tenant. Nothing is stored.
    async fn made(&self, store: &Arc<Tenant>, operation: &'static str) -> Result<(Key, StoredKey)> {
        let made = self.keeper.make_wrapped(used(operation, store.id()));
        if let Some(made) = made.await? {
            return Ok(made);
        }
        let (keeper, whose) = (self.keeper.clone(), store.id().clone());
        store
            .blocking(operation, move || keeper.make_sealed(operation, &whose))
            .await
    }

    /// Runs `work` in a transaction with the tenant's key, which is made when there is none. It may run again when another
    /// process replaces the key, and then nothing of its earlier run stands.
    async fn with_key<T, F>(
        &self,
        tenant: &TenantId,
        operation: &'static str,
        weight: usize,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut WriteTx<'_>, &Key) -> Result<T> + Send + Sync + 'static,
    {
        let store = self.local.tenant(tenant).await?;
        let work = Arc::new(work);
        for _ in 0..TURNS {
            let (key, before, new) = match self.opened(&store, operation).await? {
                Some((key, stored)) => (key, Some(stored), None),
                None => {
                    let (key, stored) = self.made(&store, operation).await?;
                    (key, None, Some(stored))
                }
            };
            let work = Arc::clone(&work);
            let done = store.write(operation, weight, move |tx| {
                if !vault::is_unchanged(tx, operation, before.as_ref())? {
                    return Ok(None);
                }
                if let Some(new) = &new {
                    vault::put_key(tx, operation, new)?;
                }
                work(tx, &key).map(Some)
            });
            if let Some(done) = done.await? {
                return Ok(done);
            }
        }
        Err(replaced(operation))
    }

    /// The master keys, when the tenant's journal has keys that they seal.
    async fn masters_of_journal(
        &self,
        store: &Arc<Tenant>,
        operation: &'static str,
    ) -> Result<Option<MasterKeys>> {
        let master = self.keeper.master().clone();
        let masters = store.read(operation, move |_, conn| {
            let has_keys = sealer::has_keys(conn).map_err(|e| error::sqlite(operation, e))?;
            has_keys.then(|| master.read(operation)).transpose()
        });
        masters.await
    }
}

fn used<'a>(operation: &'static str, tenant: &'a TenantId) -> KeyUse<'a> {
    KeyUse {
        operation,
        tenant,
        deadline: Instant::now() + PATIENCE,
    }
}

/// Every turn met another key.
fn replaced(operation: &'static str) -> Error {
    Error::conflict(
        operation,
        "the tenant's key is being replaced by others all the time; try again",
    )
}

#[async_trait]
impl Capability for LocalSecrets {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Secrets for LocalSecrets {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        const OPERATION: &str = "secrets.get";
        check_name(OPERATION, name)?;
        let name = name.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                vault::find(reading.conn, &name, version)
            })
            .await
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        const OPERATION: &str = "secrets.reveal";
        check_name(OPERATION, name)?;
        let (id, keeper, asked) = (ctx.tenant.clone(), self.keeper.clone(), name.to_owned());
        let found = self
            .local
            .read(ctx, OPERATION, move |reading| -> Result<_, Failure> {
                let Some((sealed, key)) = vault::sealed_value(reading.conn, &asked, version)?
                else {
                    return Ok(None);
                };
                let opened = keeper.open_sealed(OPERATION, &id, &key)?;
                Ok(Some((sealed, key, opened)))
            });
        let Some((sealed, key, opened)) = found.await? else {
            return Ok(None);
        };
        let key = match opened {
            Some(key) => key,
            None => {
                let used = KeyUse {
                    operation: OPERATION,
                    tenant: &ctx.tenant,
                    deadline: ctx.deadline,
                };
                self.keeper.open_wrapped(used, &key).await?
            }
        };
        vault::open_value(OPERATION, &ctx.tenant, (name, version), &sealed, &key).map(Some)
    }
}

#[async_trait]
impl SecretStore for LocalSecrets {
    async fn set(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        value: &SecretValue,
    ) -> Result<SecretInfo> {
        const OPERATION: &str = "secrets.set";
        check_name(OPERATION, name)?;
        let (whose, name) = (tenant.clone(), name.to_owned());
        // A copy that is wiped as well: the writer may outlive this call.
        let value = SecretValue::new(value.reveal().to_vec())?;
        let weight = value.reveal().len();
        self.with_key(tenant, OPERATION, weight, move |tx, key| {
            // The bare digest of a short value could be guessed, and it is kept in the clear.
            let fingerprint = key.fingerprint(value.reveal());
            let digest = digest(OPERATION, &[name.as_bytes(), fingerprint.as_ref()]);
            applied::once(tx, OPERATION, id, digest, |tx| {
                vault::set(tx, OPERATION, &whose, key, &name, &value)
            })
        })
        .await
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<SecretInfo>> {
        const OPERATION: &str = "secrets.list";
        let tenant = self.local.tenant(tenant).await?;
        tenant
            .read(OPERATION, |_, conn| {
                vault::list(conn).map_err(|e| error::sqlite(OPERATION, e))
            })
            .await
    }

    async fn remove(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        what: Removal,
    ) -> Result<u64> {
        const OPERATION: &str = "secrets.remove";
        check_name(OPERATION, name)?;
        let name = name.to_owned();
        let (which, version) = match what {
            Removal::All => (&b"all"[..], 0),
            Removal::Older => (&b"older"[..], 0),
            Removal::Version(version) => (&b"version"[..], version),
        };
        let digest = digest(OPERATION, &[name.as_bytes(), which, &version.to_le_bytes()]);
        let tenant = self.local.tenant(tenant).await?;
        tenant
            .write(OPERATION, 0, move |tx| {
                applied::once(tx, OPERATION, id, digest, |tx| {
                    vault::remove(tx, OPERATION, &name, what)
                })
            })
            .await
    }

    async fn rotate(&self, tenant: &TenantId, id: WriteId) -> Result<u64> {
        const OPERATION: &str = "secrets.rotate";
        let store = self.local.tenant(tenant).await?;
        for _ in 0..TURNS {
            let old = self.opened(&store, OPERATION).await?;
            let (new, stored) = self.made(&store, OPERATION).await?;
            let masters = self.masters_of_journal(&store, OPERATION).await?;
            let whose = tenant.clone();
            let rotated = store.write(OPERATION, 0, move |tx| {
                let before = old.as_ref().map(|(_, stored)| stored);
                let has_begun = masters.is_none() && sealer::latest(tx, OPERATION)?.is_some();
                if has_begun || !vault::is_unchanged(tx, OPERATION, before)? {
                    return Ok(None);
                }
                applied::once(tx, OPERATION, id, digest(OPERATION, &[]), |tx| {
                    if let Some(masters) = &masters {
                        sealer::rotate(tx, OPERATION, &whose, masters)?;
                    }
                    vault::put_key(tx, OPERATION, &stored)?;
                    match &old {
                        Some((old, _)) => vault::reseal(tx, OPERATION, &whose, old, &new),
                        // Without a key there are no values.
                        None => Ok(0),
                    }
                })
                .map(Some)
            });
            if let Some(count) = rotated.await? {
                return Ok(count);
            }
        }
        Err(replaced(OPERATION))
    }
}

/// Tells an operator's change from any other under its id.
fn digest(operation: &'static str, parts: &[&[u8]]) -> WriteDigest {
    parts
        .iter()
        .fold(
            DigestBuilder::of_operator(CapabilityName::Secrets, operation),
            |digest, part| digest.part(part),
        )
        .finish()
}
