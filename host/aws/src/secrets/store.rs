//! What the operator does with a tenant's secrets in Secrets Manager.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry};
use aws_smithy_types::Blob;
use stuga_core::secrets::{
    Removal, SECRETS_MAX, SecretInfo, SecretStore, SecretValue, VERSIONS_MAX, check_name,
};
use stuga_core::{Error, Result, TenantId, Timestamp, WriteId};

use super::applied::{Change, FOLDER};
use super::index::{CURRENT, Index, Known, PREVIOUS};
use super::{Desk, SecretsManager};
use crate::call::call_until;
use crate::error::absent;

/// Most pages of a listing: ten thousand secrets and remembered changes.
const PAGES_MAX: usize = 100;
/// Entries of a page.
const PAGE: i32 = 100;
/// Most remembered changes that one listing removes.
const FORGET_MAX: usize = 50;
/// How long the number of a tenant's secrets is taken as known.
const COUNT_KNOWN: std::time::Duration = std::time::Duration::from_secs(60);

/// About how many secrets tenants have, with when that was counted.
pub(super) type Counts = HashMap<TenantId, (usize, Timestamp)>;

/// Changes go one after the other on one host. When two hosts set the same secret in the same moment, both values are kept,
/// under one number, and the later one is found.
#[async_trait]
impl SecretStore for SecretsManager {
    /// `DescribeSecret`, then `CreateSecret` or `PutSecretValue` under the write's own id, then `UpdateSecretVersionStage`. The
    /// bound on the number of secrets is exact for one host and about right for several.
    async fn set(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        value: &SecretValue,
    ) -> Result<SecretInfo> {
        const OPERATION: &str = "secrets.set";
        check_name(OPERATION, name)?;
        let desk = self.desk(tenant, OPERATION);
        let change = Change::of(OPERATION, &[name.as_bytes(), value.reveal()]);
        let mut counts = self.changing.lock().await;
        if let Some(answer) = desk.applied(id, &change).await? {
            return Ok(answer);
        }
        let index = absent(desk.index(name).await)?;
        if index.is_none() {
            desk.admit_another(&mut counts).await?;
        }
        let set = desk.set(id, name, value, index).await;
        self.changed();
        let set = set?;
        desk.remember(id, &change, &set).await?;
        Ok(set)
    }

    /// `ListSecrets`. What was set or removed a moment ago elsewhere may be missing or still there.
    async fn list(&self, tenant: &TenantId) -> Result<Vec<SecretInfo>> {
        let desk = self.desk(tenant, "secrets.list");
        let prefix = desk.id("")?;
        let mut all = Vec::new();
        let mut forgettable = Vec::new();
        for entry in desk.entries().await? {
            let Some(name) = entry.name().and_then(|name| name.strip_prefix(&prefix)) else {
                continue;
            };
            if name.starts_with(FOLDER) {
                if desk.is_forgettable(entry.created_date()) {
                    forgettable.push(name.to_owned());
                }
            } else if check_name("secrets.list", name).is_ok() {
                let mut index = Index::of(entry.secret_versions_to_stages());
                index.adopt(entry.last_changed_date());
                all.extend(index.versions().iter().map(|known| known.info(name)));
            }
        }
        for name in forgettable.iter().take(FORGET_MAX) {
            desk.delete(name).await?;
        }
        all.sort_by(|a, b| (&a.name, b.version).cmp(&(&b.name, a.version)));
        Ok(all)
    }

    /// `DeleteSecret` without recovery when nothing is left, otherwise `UpdateSecretVersionStage`: AWS deletes versions without
    /// labels by itself, when there are too many.
    async fn remove(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        what: Removal,
    ) -> Result<u64> {
        const OPERATION: &str = "secrets.remove";
        check_name(OPERATION, name)?;
        let desk = self.desk(tenant, OPERATION);
        let which = format!("{what:?}");
        let change = Change::of(OPERATION, &[name.as_bytes(), which.as_bytes()]);
        let mut counts = self.changing.lock().await;
        if let Some(answer) = desk.applied(id, &change).await? {
            return Ok(answer);
        }
        let removed = desk.remove(name, what).await;
        self.changed();
        counts.remove(tenant);
        let removed = removed?;
        desk.remember(id, &change, &removed).await?;
        Ok(removed)
    }

    /// `UpdateSecret` with the tenant's KMS key: AWS encrypts the current, pending and previous value anew under it; older ones
    /// stay under the key that they were set with. Naturally the same when repeated.
    async fn rotate(&self, tenant: &TenantId, _: WriteId) -> Result<u64> {
        const OPERATION: &str = "secrets.rotate";
        let desk = self.desk(tenant, OPERATION);
        let key = self.shared.scope(tenant).secrets_key()?;
        let _changing = self.changing.lock().await;
        let listed = self.list(tenant).await?;
        let mut last = None;
        for info in &listed {
            if last.replace(&info.name) == Some(&info.name) {
                continue;
            }
            let client = desk.clients.secrets();
            let update = client.update_secret().secret_id(desk.id(&info.name)?);
            let update = update.kms_key_id(&key).send();
            call_until(desk.deadline(), OPERATION, update).await?;
        }
        self.changed();
        Ok(u64::try_from(listed.len()).unwrap_or(u64::MAX))
    }
}

impl SecretsManager {
    /// Removes all secrets of a tenant and the memory of its changes, for good.
    pub(crate) async fn remove_everything(&self, tenant: &TenantId) -> Result<()> {
        let desk = self.desk(tenant, "aws.provision");
        let prefix = desk.id("")?;
        for entry in desk.entries().await? {
            if let Some(name) = entry.name().and_then(|name| name.strip_prefix(&prefix)) {
                desk.delete(name).await?;
            }
        }
        self.changed();
        Ok(())
    }
}

impl Desk<'_> {
    /// Adds a version and lets go of those that are too many.
    async fn set(
        &self,
        id: WriteId,
        name: &str,
        value: &SecretValue,
        index: Option<Index>,
    ) -> Result<SecretInfo> {
        let (secret, client) = (self.id(name)?, self.clients.secrets());
        let (token, blob) = (id.to_name(), Blob::new(value.reveal()));
        let version_id = match &index {
            None => {
                let create = client
                    .create_secret()
                    .name(&secret)
                    .client_request_token(token)
                    .kms_key_id(self.shared.scope(self.tenant).secrets_key()?)
                    .secret_binary(blob)
                    .send();
                let created = call_until(self.deadline(), self.operation, create).await?;
                created.version_id
            }
            Some(_) => {
                let put = client
                    .put_secret_value()
                    .secret_id(&secret)
                    .client_request_token(token)
                    .secret_binary(blob)
                    .send();
                call_until(self.deadline(), self.operation, put)
                    .await?
                    .version_id
            }
        };
        let version_id = version_id
            .ok_or_else(|| Error::internal(self.operation, "the cloud did not say what it made"))?;
        let index = index.unwrap_or_default();
        // A host that died between the two calls left this version without a number, or with one.
        let made = index.versions().iter().find(|known| known.id == version_id);
        let known = match made {
            Some(known) => known.clone(),
            None => Known {
                version: index.next(),
                created_at: self.shared.now(),
                id: version_id,
            },
        };
        self.label(&secret, &known).await?;
        let keep = VERSIONS_MAX.saturating_sub(1);
        let surplus = index.versions().len().saturating_sub(keep);
        for old in index.versions().iter().take(surplus) {
            self.unlabel(&secret, old, &old.label()).await?;
        }
        Ok(known.info(name))
    }

    async fn remove(&self, name: &str, what: Removal) -> Result<u64> {
        let Some(index) = absent(self.index(name).await)? else {
            return Ok(0);
        };
        let latest = index.find(None);
        let gone = |known: &&Known| match what {
            Removal::All => true,
            Removal::Older => latest.is_some_and(|latest| known.version < latest.version),
            Removal::Version(version) => known.version == version,
        };
        let going: Vec<&Known> = index.versions().iter().filter(gone).collect();
        let count = u64::try_from(going.len()).unwrap_or(u64::MAX);
        if going.len() == index.versions().len() {
            self.delete(name).await?;
            return Ok(count);
        }
        let secret = self.id(name)?;
        for known in going {
            if index.is_current(known) {
                self.step_back(&secret, known, &index).await?;
            } else if index.is_previous(known) {
                self.unlabel(&secret, known, PREVIOUS).await?;
            }
            self.unlabel(&secret, known, &known.label()).await?;
        }
        Ok(count)
    }

    /// Makes the newest other version AWS's current one, and the given one none of AWS's.
    async fn step_back(&self, secret: &str, from: &Known, index: &Index) -> Result<()> {
        let Some(to) = index.versions().iter().rfind(|known| known.id != from.id) else {
            return Ok(());
        };
        let step = self
            .clients
            .secrets()
            .update_secret_version_stage()
            .secret_id(secret)
            .version_stage(CURRENT)
            .remove_from_version_id(&from.id)
            .move_to_version_id(&to.id)
            .send();
        call_until(self.deadline(), self.operation, step).await?;
        // AWS made it the previous one.
        self.unlabel(secret, from, PREVIOUS).await
    }

    async fn unlabel(&self, secret: &str, known: &Known, label: &str) -> Result<()> {
        let remove = self
            .clients
            .secrets()
            .update_secret_version_stage()
            .secret_id(secret)
            .version_stage(label)
            .remove_from_version_id(&known.id)
            .send();
        call_until(self.deadline(), self.operation, remove).await?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let client = self.clients.secrets();
        let delete = client.delete_secret().secret_id(self.id(name)?);
        let delete = delete.force_delete_without_recovery(true).send();
        absent(call_until(self.deadline(), self.operation, delete).await)?;
        Ok(())
    }

    /// Refuses one more secret than a tenant may have.
    async fn admit_another(&self, counts: &mut Counts) -> Result<()> {
        let now = self.shared.now();
        let known = counts.get(self.tenant).copied();
        let fresh =
            known.filter(|(count, at)| now.since(*at) < COUNT_KNOWN && *count < SECRETS_MAX);
        let (count, at) = match fresh {
            Some(known) => known,
            None => (self.count().await?, now),
        };
        if count >= SECRETS_MAX {
            return Err(Error::quota_exceeded(
                self.operation,
                format!("the tenant has {count} secrets; remove one first"),
            )
            .with_context("limit", SECRETS_MAX));
        }
        counts.insert(self.tenant.clone(), (count + 1, at));
        Ok(())
    }

    async fn count(&self) -> Result<usize> {
        let prefix = self.id("")?;
        let own = |entry: &SecretListEntry| {
            let name = entry.name().and_then(|name| name.strip_prefix(&prefix));
            name.is_some_and(|name| !name.starts_with(FOLDER))
        };
        Ok(self
            .entries()
            .await?
            .iter()
            .filter(|entry| own(entry))
            .count())
    }

    /// All secrets whose names begin with the tenant's prefix.
    async fn entries(&self) -> Result<Vec<SecretListEntry>> {
        let prefix = self.id("")?;
        let filter = Filter::builder()
            .key(FilterNameStringType::Name)
            .values(&prefix)
            .build();
        let mut entries = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let list = self
                .clients
                .secrets()
                .list_secrets()
                .filters(filter.clone())
                .max_results(PAGE)
                .set_next_token(next)
                .send();
            let page = call_until(self.deadline(), self.operation, list).await?;
            // The filter takes parts of words and another case as well.
            let own = page.secret_list.unwrap_or_default().into_iter();
            entries.extend(own.filter(|e| e.name().is_some_and(|name| name.starts_with(&prefix))));
            next = page.next_token;
            if next.is_none() {
                return Ok(entries);
            }
        }
        Err(Error::quota_exceeded(
            self.operation,
            "the tenant has more secrets in the cloud than can be listed",
        ))
    }
}
