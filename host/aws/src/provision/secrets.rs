//! What secrets need: the tenant's KMS key, under an alias, and nothing else: a path exists as soon as something lies there.
//! The keys of this host's own store need such a key as well.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::types::Tag;
use stuga_core::{Error, Result, TenantId};

use super::{OPERATION, Site, Step, Trace};
use crate::Shared;
use crate::call::call_until;
use crate::config::Pattern;
use crate::error::{CLOUD, MISSING};
use crate::secrets::SecretsManager;

/// What an alias begins with.
const ALIAS: &str = "alias/";
/// How long a key can still be rescued after it was removed, in days.
const KEY_WAIT_DAYS: i32 = 30;

pub(super) fn steps(shared: &Arc<Shared>, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    let (site, scope) = (Site::of(shared, tenant), shared.scope(tenant));
    let mut keys: Vec<Key> = Vec::new();
    let mut key = |section, pattern: &Pattern, alias: String| {
        // A key that is named by id or ARN was made by somebody else and is theirs.
        let is_known = keys.iter().any(|known| known.alias == alias);
        if alias.starts_with(ALIAS) && !is_known {
            keys.push(Key {
                site: site.clone(),
                section,
                own: pattern.names_tenant(),
                alias,
            });
        }
    };
    if let Some(config) = &shared.config.secrets {
        key("secrets", &config.kms_key, scope.secrets_key()?);
    }
    if let Some(config) = &shared.config.kms {
        key("kms", &config.key, scope.local_key()?);
    }
    let mut steps: Vec<Box<dyn Step>> = Vec::new();
    steps.extend(keys.into_iter().map(|key| Box::new(key) as Box<dyn Step>));
    if shared.config.secrets.is_some() {
        steps.push(Box::new(Path { site }));
    }
    Ok(steps)
}

/// A KMS key under an alias.
struct Key {
    site: Site,
    section: &'static str,
    alias: String,
    own: bool,
}

#[async_trait]
impl Step for Key {
    fn what(&self) -> String {
        format!("KMS key {}", self.alias)
    }

    fn section(&self) -> &'static str {
        self.section
    }

    fn is_own(&self) -> bool {
        self.own
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(self.id().await?.is_some())
    }

    async fn make(&self) -> Result<()> {
        let kms = self.site.clients().kms();
        let tenant = self.site.tenant.as_str();
        let tag = Tag::builder()
            .tag_key("stuga:tenant")
            .tag_value(tenant)
            .build();
        let tag =
            tag.map_err(|e| Error::internal(OPERATION, "a tag is incomplete").with_source(e))?;
        let create = kms.create_key().tags(tag).send();
        let made = call_until(self.site.deadline(), OPERATION, create).await?;
        let id = made
            .key_metadata
            .map(|key| key.key_id)
            .ok_or_else(|| Error::internal(OPERATION, "the cloud did not say which key it made"))?;
        let alias = kms.create_alias().alias_name(&self.alias).target_key_id(id);
        call_until(self.site.deadline(), OPERATION, alias.send()).await?;
        Ok(())
    }

    /// The key itself waits 30 days, in which it can be rescued; what it sealed cannot be read meanwhile.
    async fn remove(&self) -> Result<()> {
        let Some(id) = self.id().await? else {
            return Ok(());
        };
        let kms = self.site.clients().kms();
        let delete = kms.schedule_key_deletion().key_id(id);
        let delete = delete.pending_window_in_days(KEY_WAIT_DAYS).send();
        call_until(self.site.deadline(), OPERATION, delete).await?;
        let alias = kms.delete_alias().alias_name(&self.alias).send();
        call_until(self.site.deadline(), OPERATION, alias).await?;
        Ok(())
    }
}

impl Key {
    async fn id(&self) -> Result<Option<String>> {
        let describe = self.site.clients().kms().describe_key().key_id(&self.alias);
        match call_until(self.site.deadline(), OPERATION, describe.send()).await {
            Ok(found) => Ok(found.key_metadata.map(|key| key.key_id)),
            Err(error) if error.context_value(CLOUD) == Some(MISSING) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What lies in the tenant's path.
struct Path {
    site: Site,
}

#[async_trait]
impl Trace for Path {
    fn what(&self) -> String {
        let path = self.site.shared.scope(&self.site.tenant).secrets();
        format!("secrets in {}", path.unwrap_or_default())
    }

    fn section(&self) -> &'static str {
        "secrets"
    }

    async fn remove(&self) -> Result<()> {
        let secrets = SecretsManager::new(Arc::clone(&self.site.shared));
        secrets.remove_everything(&self.site.tenant).await
    }
}
