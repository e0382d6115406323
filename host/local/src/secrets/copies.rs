//! Copies of the secrets that this host reads in a cloud, whichever that is, sealed in its own store, so that agents go on
//! while the cloud is away.
//!
//! What was never read here cannot be read then. A copy follows this host's own changes at once, and those of others when
//! the secret is read the next time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stuga_core::secrets::{Removal, SecretInfo, SecretStore, SecretValue, SecretWrite, Secrets};
use stuga_core::{CallCtx, Capability, Error, InvocationId, Result, TenantId, WriteId};
use uuid::Uuid;

use super::LocalSecrets;

/// Secrets of which this process remembers what it has copied; more are copied again.
const KNOWN_MAX: usize = 16_384;

/// The cloud's secrets, copied as they are read.
pub struct CopiedSecrets<S: ?Sized> {
    cloud: Arc<S>,
    local: Arc<LocalSecrets>,
    /// What was copied last of each secret.
    known: Mutex<HashMap<(TenantId, String), Known>>,
}

#[derive(Clone, Default)]
struct Known {
    /// The latest version that the cloud named; none before it was asked.
    latest: Option<Option<u64>>,
    /// Versions whose values are copied.
    values: Vec<u64>,
}

/// The copies, as they are read while the cloud is away: what there is no copy of is `Unavailable`, as it may exist.
pub struct SecretCopies {
    local: Arc<LocalSecrets>,
}

impl SecretCopies {
    /// The copies in `local`.
    pub fn new(local: Arc<LocalSecrets>) -> Self {
        Self { local }
    }
}

impl<S: Secrets + ?Sized> CopiedSecrets<S> {
    /// The secrets of `cloud`, with copies in `local`.
    pub fn new(cloud: Arc<S>, local: Arc<LocalSecrets>) -> Self {
        Self {
            cloud,
            local,
            known: Mutex::default(),
        }
    }

    fn known(&self, tenant: &TenantId, name: &str) -> Known {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&(tenant.clone(), name.to_owned()));
        known.cloned().unwrap_or_default()
    }

    fn know(&self, tenant: &TenantId, name: &str, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), name.to_owned());
        if known.len() >= KNOWN_MAX && !known.contains_key(&key) {
            known.clear();
        }
        change(known.entry(key).or_default());
    }

    /// Removes copies of what is no longer there, by what the cloud says of the latest version.
    async fn follow(&self, tenant: &TenantId, name: &str, latest: Option<u64>) -> Result<()> {
        for kept in self.local.list(tenant).await? {
            if kept.name == name && latest.is_none_or(|latest| kept.version > latest) {
                let what = Removal::Version(kept.version);
                self.local.remove(tenant, host_write(), name, what).await?;
            }
        }
        self.know(tenant, name, |known| {
            known.latest = Some(latest);
            known
                .values
                .retain(|value| latest.is_some_and(|latest| *value <= latest));
        });
        Ok(())
    }

    async fn copy(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: u64,
        value: &SecretValue,
    ) -> Result<()> {
        // The cloud has just been asked for it.
        if let Some(info) = self.cloud.find(ctx, name, Some(version)).await? {
            self.local.keep(&ctx.tenant, &info, value).await?;
            self.know(&ctx.tenant, name, |known| known.values.push(version));
        }
        Ok(())
    }
}

#[async_trait]
impl<S: Secrets + ?Sized> Capability for CopiedSecrets<S> {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl<S: Secrets + ?Sized> Secrets for CopiedSecrets<S> {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        let found = self.cloud.find(ctx, name, version).await?;
        let latest = found.as_ref().map(|info| info.version);
        if version.is_none() && self.known(&ctx.tenant, name).latest != Some(latest) {
            said(
                self.follow(&ctx.tenant, name, latest).await,
                &ctx.tenant,
                name,
            );
        }
        Ok(found)
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        let value = self.cloud.reveal(ctx, name, version).await?;
        if let Some(value) = &value
            && !self.known(&ctx.tenant, name).values.contains(&version)
        {
            said(
                self.copy(ctx, name, version, value).await,
                &ctx.tenant,
                name,
            );
        }
        Ok(value)
    }
}

#[async_trait]
impl Capability for SecretCopies {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Secrets for SecretCopies {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        let found = self.local.find(ctx, name, version).await?;
        // That there is no copy does not mean that there is no secret.
        found.map(Some).ok_or_else(|| not_copied("secrets.get"))
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        let found = self.local.reveal(ctx, name, version).await?;
        found.map(Some).ok_or_else(|| not_copied("secrets.reveal"))
    }
}

/// The operator's secrets in the cloud, whose copies follow.
#[async_trait]
impl<S: Secrets + SecretStore + ?Sized> SecretStore for CopiedSecrets<S> {
    async fn set(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        value: &SecretValue,
    ) -> Result<SecretInfo> {
        let info = self.cloud.set(tenant, id, name, value).await?;
        let kept = self.local.keep(tenant, &info, value).await;
        if kept.is_ok() {
            self.know(tenant, name, |known| known.values.push(info.version));
        }
        said(kept, tenant, name);
        Ok(info)
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<SecretInfo>> {
        self.cloud.list(tenant).await
    }

    async fn remove(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        what: Removal,
    ) -> Result<u64> {
        let removed = self.cloud.remove(tenant, id, name, what).await?;
        // What the operator takes away must not come back in an outage.
        self.local.remove(tenant, id, name, what).await?;
        self.know(tenant, name, |known| *known = Known::default());
        Ok(removed)
    }

    async fn rotate(&self, tenant: &TenantId, id: WriteId) -> Result<u64> {
        let count = self.cloud.rotate(tenant, id).await?;
        self.local.rotate(tenant, id).await?;
        Ok(count)
    }
}

fn not_copied(operation: &'static str) -> Error {
    Error::unavailable(
        operation,
        "the cloud is away, and this host has no copy of the secret: it has not read it before",
    )
}

/// A copy that cannot be kept is missed in an outage, and no reason to fail now.
fn said(kept: Result<()>, tenant: &TenantId, name: &str) {
    if let Err(error) = kept {
        tracing::warn!(%tenant, secret = name, %error, causes = error.causes(), "a secret has no copy on this host");
    }
}

/// The id of a change that nobody repeats.
fn host_write() -> WriteId {
    WriteId {
        invocation: InvocationId::from_uuid(Uuid::now_v7()),
        call: 0,
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::ErrorKind;
    use stuga_core::SystemClock;
    use stuga_core::testkit::ctx;
    use tempfile::TempDir;

    use super::*;
    use crate::{Local, LocalConfig};

    /// A store; another host's stands for the cloud here.
    fn store() -> (TempDir, Arc<LocalSecrets>) {
        let dir = TempDir::new().unwrap();
        let local = Local::open(dir.path(), Arc::new(SystemClock), LocalConfig::default());
        (dir, local.unwrap().secrets())
    }

    fn tenant() -> TenantId {
        TenantId::new("acme").unwrap()
    }

    async fn revealed(side: &dyn Secrets, version: u64) -> Result<Option<String>> {
        let value = side.reveal(&ctx("acme", "scribe"), "k", version).await?;
        Ok(value.map(|value| String::from_utf8(value.reveal().to_vec()).unwrap()))
    }

    async fn set(store: &dyn SecretStore, text: &str) -> SecretInfo {
        let value = SecretValue::new(text.into()).unwrap();
        let set = store.set(&tenant(), host_write(), "k", &value).await;
        set.unwrap()
    }

    async fn remove(store: &dyn SecretStore, what: Removal) -> u64 {
        let removed = store.remove(&tenant(), host_write(), "k", what).await;
        removed.unwrap()
    }

    #[tokio::test]
    async fn what_was_read_once_can_be_read_while_the_cloud_is_away() {
        let ((_there, cloud), (_here, local)) = (store(), store());
        let copied = CopiedSecrets::new(Arc::clone(&cloud), Arc::clone(&local));
        let copies = SecretCopies::new(local);
        let first = set(&*cloud, "one").await;
        let ctx = ctx("acme", "scribe");
        let unread = copies.find(&ctx, "k", None).await.unwrap_err();
        assert_eq!(unread.kind(), ErrorKind::Unavailable);
        let found = copied.find(&ctx, "k", None).await.unwrap();
        assert_eq!(found.as_ref(), Some(&first));
        assert_eq!(revealed(&copied, 1).await.unwrap().unwrap(), "one");
        assert_eq!(copies.find(&ctx, "k", None).await.unwrap(), Some(first));
        assert_eq!(revealed(&copies, 1).await.unwrap().unwrap(), "one");
        let unread = revealed(&copies, 2).await.unwrap_err();
        assert_eq!(unread.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_copy_goes_with_its_secret_whoever_removes_it() {
        let ((_there, cloud), (_here, local)) = (store(), store());
        let copied = CopiedSecrets::new(Arc::clone(&cloud), Arc::clone(&local));
        for text in ["one", "two"] {
            set(&copied, text).await;
        }
        assert_eq!(local.list(&tenant()).await.unwrap().len(), 2);
        // The operator, here.
        assert_eq!(remove(&copied, Removal::Version(1)).await, 1);
        assert_eq!(local.list(&tenant()).await.unwrap().len(), 1);
        // Another host: noticed when somebody asks, also by a process that has just begun.
        assert_eq!(remove(&*cloud, Removal::All).await, 1);
        let fresh = CopiedSecrets::new(cloud, Arc::clone(&local));
        let found = fresh.find(&ctx("acme", "scribe"), "k", None).await.unwrap();
        assert_eq!(found, None);
        assert!(local.list(&tenant()).await.unwrap().is_empty());
    }
}
