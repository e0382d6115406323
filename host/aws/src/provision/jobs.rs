//! What attempts of jobs leave behind. The function belongs to infrastructure as code.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::{Result, TenantId};

use super::files::Bucket;
use super::{Site, Step};
use crate::Shared;

pub(super) fn steps(shared: &Arc<Shared>, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    if shared.config.jobs.is_none() {
        return Ok(Vec::new());
    }
    let scope = shared.scope(tenant);
    Ok(vec![Box::new(Attempts {
        bucket: Bucket::shared(Site::of(shared, tenant), scope.jobs_bucket()?),
        prefix: scope.job_objects(),
    })])
}

/// Attempts and components of the tenant.
struct Attempts {
    bucket: Bucket,
    prefix: String,
}

#[async_trait]
impl Step for Attempts {
    fn what(&self) -> String {
        format!(
            "attempts of jobs in bucket {} behind {}",
            self.bucket.name(),
            self.prefix
        )
    }

    fn section(&self) -> &'static str {
        "jobs"
    }

    fn is_own(&self) -> bool {
        true
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(true)
    }

    async fn make(&self) -> Result<()> {
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        self.bucket.remove_behind(&self.prefix).await
    }
}
