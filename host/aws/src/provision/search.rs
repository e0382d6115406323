//! What search needs: the tenant's catalog. Its agents make their indices themselves; here they are only removed.

use async_trait::async_trait;
use stuga_core::{Result, TenantId};

use super::{OPERATION, Site, Step};
use crate::Aws;
use crate::health::PROBE_TIMEOUT;
use crate::search::{Tenancy, Whose};

pub(super) fn steps(aws: &Aws, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    if aws.shared.config.search.is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![Box::new(Catalog {
        site: Site::of(&aws.shared, tenant),
        tenancy: Tenancy::of(&aws.shared, &aws.domain, tenant, OPERATION)?,
    })])
}

/// The catalog, and the indices that it names.
struct Catalog {
    site: Site,
    tenancy: Tenancy,
}

#[async_trait]
impl Step for Catalog {
    fn what(&self) -> String {
        let (catalog, prefix) = (self.tenancy.catalog(), self.tenancy.prefix());
        format!("index {catalog}, and with it {prefix}* of the agents")
    }

    fn section(&self) -> &'static str {
        "search"
    }

    fn is_own(&self) -> bool {
        true
    }

    async fn is_there(&self) -> Result<bool> {
        self.tenancy
            .has_catalog(Whose::Host, self.site.deadline())
            .await
    }

    async fn make(&self) -> Result<()> {
        self.tenancy.make_catalog(self.site.deadline()).await
    }

    async fn remove(&self) -> Result<()> {
        self.tenancy.remove_all(PROBE_TIMEOUT).await
    }
}
