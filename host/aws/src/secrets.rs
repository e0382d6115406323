//! Secrets in Secrets Manager: one secret of AWS for each name, encrypted under the tenant's KMS key.
//!
//! A version of ours is a version of theirs with a label that says its number and when it was set (`index`). A value that
//! somebody rotated in AWS is taken over as the next version when it is first seen. What was read is kept in this process for
//! `aws.secrets.cache_ttl`, in memory that is wiped: a rotation is seen after that time at the latest, this host's own
//! changes at once. Reads at the same time of the same secret ask AWS once.

mod applied;
mod index;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use stuga_core::secrets::{SecretInfo, SecretValue, SecretWrite, Secrets, check_name};
use stuga_core::{CallCtx, Capability, Error, Result, TenantId, WriteId};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Shared;
use crate::call::call_until;
use crate::clients::TenantClients;
use crate::error::{absent, damaged};
use index::{Index, Known};

/// Most bytes of values that this process keeps.
const VALUES_MAX_BYTES: u64 = 64 << 20;
/// Most secrets whose versions this process knows.
const INDICES_MAX: u64 = 16_384;
/// Longest wait for one answer in what no invocation asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A secret as it was at some change of this host's: after the next one nothing of before is found.
type Key = (TenantId, String, u64);

/// Secrets of all tenants in Secrets Manager.
pub struct SecretsManager {
    shared: Arc<Shared>,
    /// The versions of a secret, by its name.
    indices: Cache<Key, Arc<Index>>,
    /// Values, by the version's id in AWS, under which there is never another one.
    values: Cache<Key, Arc<SecretValue>>,
    /// Counts this host's own changes.
    changes: AtomicU64,
    /// One change at a time.
    changing: Mutex<store::Counts>,
}

impl SecretsManager {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let ttl = shared.config.secrets.as_ref().map(|s| s.cache_ttl);
        let ttl = ttl.unwrap_or_default();
        let weight = |_: &Key, value: &Arc<SecretValue>| {
            u32::try_from(value.reveal().len()).unwrap_or(u32::MAX)
        };
        Self {
            shared,
            indices: Cache::builder()
                .max_capacity(INDICES_MAX)
                .time_to_live(ttl)
                .build(),
            values: Cache::builder()
                .max_capacity(VALUES_MAX_BYTES)
                .weigher(weight)
                .time_to_live(ttl)
                .build(),
            changes: AtomicU64::new(0),
            changing: Mutex::default(),
        }
    }

    fn key(&self, tenant: &TenantId, name: &str) -> Key {
        let change = self.changes.load(Ordering::Acquire);
        (tenant.clone(), name.to_owned(), change)
    }

    /// Forgets what was read: something was changed here.
    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Who asks on behalf of `tenant`, until when.
    fn desk<'a>(&'a self, tenant: &'a TenantId, operation: &'static str) -> Desk<'a> {
        Desk {
            shared: &self.shared,
            clients: self.shared.clients.of(tenant),
            tenant,
            operation,
            deadline: None,
        }
    }

    /// The versions of a secret; none when it does not exist.
    async fn index(&self, desk: &Desk<'_>, name: &str) -> Result<Option<Arc<Index>>> {
        let found = self
            .indices
            .try_get_with(self.key(desk.tenant, name), async {
                desk.index(name).await.map(Arc::new)
            })
            .await;
        absent(found.map_err(|error| copy(&error)))
    }

    async fn value(
        &self,
        desk: &Desk<'_>,
        name: &str,
        known: &Known,
    ) -> Result<Option<Arc<SecretValue>>> {
        let found = self
            .values
            .try_get_with(self.key(desk.tenant, &known.id), async {
                desk.value(name, &known.id).await.map(Arc::new)
            })
            .await;
        absent(found.map_err(|error| copy(&error)))
    }
}

/// Requests on behalf of one tenant in one operation.
struct Desk<'a> {
    shared: &'a Shared,
    clients: Arc<TenantClients>,
    tenant: &'a TenantId,
    operation: &'static str,
    /// None for the operator's commands: then each answer is waited for as long as [`PATIENCE`].
    deadline: Option<Instant>,
}

impl Desk<'_> {
    fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + PATIENCE)
    }

    /// The name of a secret in AWS.
    fn id(&self, name: &str) -> Result<String> {
        Ok(self.shared.scope(self.tenant).secrets()? + name)
    }

    /// `DescribeSecret`, and `UpdateSecretVersionStage` when a value was rotated in AWS.
    ///
    /// # Errors
    /// `NotFound` when there is no such secret, and as every call.
    async fn index(&self, name: &str) -> Result<Index> {
        let id = self.id(name)?;
        let client = self.clients.secrets();
        let describe = client.describe_secret().secret_id(&id).send();
        let described = call_until(self.deadline(), self.operation, describe).await?;
        if described.deleted_date().is_some() {
            return Err(Error::not_found(
                self.operation,
                "the secret is being removed",
            ));
        }
        let mut index = Index::of(described.version_ids_to_stages());
        let changed = described.last_changed_date().or(described.created_date());
        if let Some(adopted) = index.adopt(changed) {
            self.label(&id, &adopted).await?;
        }
        Ok(index)
    }

    /// `UpdateSecretVersionStage`: gives a version its number.
    async fn label(&self, id: &str, known: &Known) -> Result<()> {
        let client = self.clients.secrets();
        let label = client
            .update_secret_version_stage()
            .secret_id(id)
            .version_stage(known.label())
            .move_to_version_id(&known.id)
            .send();
        call_until(self.deadline(), self.operation, label).await?;
        Ok(())
    }

    /// `GetSecretValue`.
    ///
    /// # Errors
    /// `NotFound` when there is no such version, and as every call.
    async fn value(&self, name: &str, version_id: &str) -> Result<SecretValue> {
        let client = self.clients.secrets();
        let get = client
            .get_secret_value()
            .secret_id(self.id(name)?)
            .version_id(version_id)
            .send();
        let mut got = call_until(self.deadline(), self.operation, get).await?;
        let bytes = match (got.secret_binary.take(), got.secret_string.take()) {
            (Some(blob), _) => blob.into_inner(),
            (None, Some(text)) => text.into_bytes(),
            (None, None) => Vec::new(),
        };
        SecretValue::new(bytes).map_err(|_| damaged(self.operation))
    }
}

/// The same error for each of those that waited for one request.
fn copy(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.operation(), error.message().to_owned());
    for (name, value) in error.context() {
        copy = copy.with_context(name.clone(), value);
    }
    if let Some(after) = error.retry_after() {
        copy = copy.with_retry_after(after);
    }
    copy.with_source(error.causes())
}

#[async_trait]
impl Capability for SecretsManager {
    type Write = SecretWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &SecretWrite) -> Result<()> {
        match *write {}
    }
}

/// Reads: `DescribeSecret` and `GetSecretValue`, unless this process has read them within `aws.secrets.cache_ttl`. What another
/// host changed is seen after that time at the latest.
#[async_trait]
impl Secrets for SecretsManager {
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>> {
        const OPERATION: &str = "secrets.get";
        check_name(OPERATION, name)?;
        let desk = self.desk(&ctx.tenant, OPERATION).until(ctx.deadline);
        let index = self.index(&desk, name).await?;
        Ok(index.and_then(|index| index.find(version).map(|known| known.info(name))))
    }

    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>> {
        const OPERATION: &str = "secrets.reveal";
        check_name(OPERATION, name)?;
        let desk = self.desk(&ctx.tenant, OPERATION).until(ctx.deadline);
        let Some(index) = self.index(&desk, name).await? else {
            return Ok(None);
        };
        let Some(known) = index.find(Some(version)) else {
            return Ok(None);
        };
        let value = self.value(&desk, name, known).await?;
        value
            .map(|value| SecretValue::new(value.reveal().to_vec()))
            .transpose()
    }
}
