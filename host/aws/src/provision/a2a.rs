//! What mailboxes need. Queues of agents are made when their agents are loaded; here they are only found and removed.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::{Result, TenantId};

use super::{OPERATION, Site, Step};
use crate::Shared;
use crate::call::call_until;
use crate::scope::guard;

/// Queues of a page.
const PAGE: i32 = 1_000;

pub(super) fn steps(shared: &Arc<Shared>, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    if shared.config.a2a.is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![Box::new(Queues {
        site: Site::of(shared, tenant),
        prefix: shared.scope(tenant).tenant_queues()?,
    })])
}

/// All queues of the tenant.
struct Queues {
    site: Site,
    prefix: String,
}

#[async_trait]
impl Step for Queues {
    fn what(&self) -> String {
        format!("queues whose names begin with {}", self.prefix)
    }

    fn section(&self) -> &'static str {
        "a2a"
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
        let sqs = self.site.clients().sqs();
        let mut next = None;
        loop {
            let list = sqs.list_queues().queue_name_prefix(&self.prefix);
            let list = list.max_results(PAGE).set_next_token(next).send();
            let page = call_until(self.site.deadline(), OPERATION, list).await?;
            for url in page.queue_urls() {
                let name = url.rsplit('/').next().unwrap_or_default();
                guard(OPERATION, &self.prefix, name)?;
                let delete = sqs.delete_queue().queue_url(url).send();
                call_until(self.site.deadline(), OPERATION, delete).await?;
            }
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(());
            }
        }
    }
}
