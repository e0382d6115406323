//! Secrets over the SDK's functions. They are the tenant's, so all its agents share one mock host here.

use async_trait::async_trait;
use stuga_core::secrets::{
    Removal, SecretInfo, SecretStore, SecretValue, SecretWrite, Secrets, check_name,
};
use stuga_core::testkit::ctx;
use stuga_core::{CallCtx, Capability, Error, Result, TenantId, Timestamp, WriteId};
use stuga_sdk::mock::Host;
use stuga_sdk::{ErrorKind, secrets as sdk};

use super::{Mock, core_error};

/// Secrets of the mock hosts.
pub(crate) struct SecretsOf(pub(crate) Mock);

/// The context of the one agent that stands for its tenant.
fn of_tenant(tenant: &TenantId) -> CallCtx {
    ctx(tenant.as_str(), "any")
}

/// None for what is not found.
fn found<T>(result: stuga_sdk::Result<T>) -> stuga_sdk::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

impl SecretsOf {
    /// Makes a change once. `said` tells it from others.
    fn change<T: serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        tenant: &TenantId,
        id: WriteId,
        operation: &'static str,
        said: String,
        change: impl FnOnce(&Host) -> stuga_sdk::Result<T>,
    ) -> Result<T> {
        let host = self.0.host(&of_tenant(tenant));
        self.0.once_as(tenant, id, operation, said, || {
            change(&host).map_err(|e| core_error(operation, &e))
        })
    }
}

#[async_trait]
impl Capability for SecretsOf {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Secrets for SecretsOf {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        let find = || match version {
            None => found(sdk::get(name)),
            Some(version) => found(sdk::get_version(name, version)),
        };
        let found = self.0.run(&of_tenant(&ctx.tenant), "secrets.get", find)?;
        Ok(found.map(|secret| SecretInfo {
            name: secret.name(),
            version: secret.version(),
            created_at: Timestamp::from_millis(secret.created_at()),
        }))
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        let reveal = || found(sdk::get_version(name, version).and_then(|secret| secret.reveal()));
        let found = self
            .0
            .run(&of_tenant(&ctx.tenant), "secrets.reveal", reveal)?;
        found
            .map(|value| SecretValue::new(value.as_bytes().to_vec()))
            .transpose()
    }
}

#[async_trait]
impl SecretStore for SecretsOf {
    async fn set(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        value: &SecretValue,
    ) -> Result<SecretInfo> {
        let said = format!("set {name} {:?}", value.reveal());
        let version = self.change(tenant, id, "secrets.set", said, |host| {
            host.set_secret(name, value.reveal())
        })?;
        let listed = self.list(tenant).await?;
        let set = listed
            .into_iter()
            .find(|info| info.name == name && info.version == version);
        set.ok_or_else(|| Error::internal("secrets.set", "what was set is not there"))
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<SecretInfo>> {
        let listed = self.0.host(&of_tenant(tenant)).secrets().into_iter();
        Ok(listed
            .map(|(name, version, at)| SecretInfo {
                name,
                version,
                created_at: Timestamp::from_millis(at),
            })
            .collect())
    }

    async fn remove(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        what: Removal,
    ) -> Result<u64> {
        check_name("secrets.remove", name)?;
        let said = format!("remove {name} {what:?}");
        self.change(tenant, id, "secrets.remove", said, |host| {
            let all = host.secrets().into_iter();
            let versions: Vec<u64> = all.filter(|s| s.0 == name).map(|s| s.1).collect();
            let newest = versions.first().copied();
            let meant = versions.into_iter().filter(|version| match what {
                Removal::All => true,
                Removal::Older => Some(*version) != newest,
                Removal::Version(one) => *version == one,
            });
            Ok(meant.filter(|v| host.remove_secret(name, *v)).count() as u64)
        })
    }

    /// A mock encrypts nothing.
    async fn rotate(&self, tenant: &TenantId, _: WriteId) -> Result<u64> {
        Ok(self.list(tenant).await?.len() as u64)
    }
}
