//! Secrets on SQLite, sealed: each value by its tenant's key, that by a master key of the host.
//!
//! What opens a value is spread over two places: the tenant's database and the master key file. One without the other
//! tells names, versions and lengths, and no value.

use async_trait::async_trait;
use stuga_core::secrets::{
    Removal, SecretInfo, SecretStore, SecretValue, SecretWrite, Secrets, check_name,
};
use stuga_core::{CallCtx, Capability, CapabilityName, Result, TenantId, WriteId};

use crate::Local;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::call::Failure;
use crate::error;

mod master;
mod seal;
pub(crate) mod sealer;
mod vault;

pub(crate) use master::MasterKeyFile;

/// Secrets of all tenants on this host.
pub struct LocalSecrets {
    pub(crate) local: Local,
    pub(crate) master: MasterKeyFile,
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
        let (id, name, master) = (ctx.tenant.clone(), name.to_owned(), self.master.clone());
        self.local
            .read(ctx, OPERATION, move |reading| -> Result<_, Failure> {
                let Some((sealed, key)) = vault::sealed_value(reading.conn, &name, version)? else {
                    return Ok(None);
                };
                let key = key.open(OPERATION, &id, &master.read(OPERATION)?)?;
                let value = vault::open_value(OPERATION, &id, (&name, version), &sealed, &key)?;
                Ok(Some(value))
            })
            .await
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
        let tenant = self.local.tenant(tenant).await?;
        let master = self.master.clone();
        let masters = tenant
            .blocking(OPERATION, move || master.read_or_create(OPERATION))
            .await?;
        tenant
            .write(OPERATION, weight, move |tx| {
                let key = vault::key(tx, OPERATION, &whose, &masters)?;
                // The bare digest of a short value could be guessed, and it is kept in the clear.
                let fingerprint = key.fingerprint(value.reveal());
                let digest = digest(OPERATION, &[name.as_bytes(), fingerprint.as_ref()]);
                applied::once(tx, OPERATION, id, digest, |tx| {
                    vault::set(tx, OPERATION, &whose, &key, &name, &value)
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
        let whose = tenant.clone();
        let tenant = self.local.tenant(tenant).await?;
        let master = self.master.clone();
        let masters = tenant
            .blocking(OPERATION, move || master.read_or_create(OPERATION))
            .await?;
        tenant
            .write(OPERATION, 0, move |tx| {
                applied::once(tx, OPERATION, id, digest(OPERATION, &[]), |tx| {
                    vault::rotate(tx, OPERATION, &whose, &masters)
                })
            })
            .await
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
