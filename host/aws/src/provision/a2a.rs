//! What mailboxes need: a queue and its dead-letter queue, a bucket, and rules by which what is left of messages goes. Letters
//! come with the messages; here they are only removed.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::{Result, TenantId};

use super::bucket::{Behind, Bucket};
use super::rules::{Rule, Rules};
use super::{OPERATION, Site, Step};
use crate::call::call_until;
use crate::scope::{MAIL, guard};
use crate::{Shared, a2a};

/// Queues of a page.
const PAGE: i32 = 1_000;
/// How long a letter is kept after it was written last, in days: one waits for 14 days at most, and lies for as long when it is
/// dead.
const LETTER_DAYS: i32 = 30;

pub(super) fn steps(shared: &Arc<Shared>, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    if shared.config.a2a.is_none() {
        return Ok(Vec::new());
    }
    let (site, scope) = (Site::of(shared, tenant), shared.scope(tenant));
    let bucket = Bucket::shared(site.clone(), "a2a", scope.mail_bucket()?);
    let rules = vec![
        Rule::Unfinished,
        Rule::Passing {
            id: "stuga-mail",
            prefix: MAIL.to_owned(),
            days: LETTER_DAYS,
        },
    ];
    Ok(vec![
        Box::new(bucket.clone()),
        Box::new(Rules::of(bucket.clone(), rules)),
        Box::new(Behind {
            bucket,
            what: "messages",
            prefixes: vec![scope.mail_objects()],
            // The mark that says that the tenant has some.
            object: Some(scope.mail_mark()),
        }),
        Box::new(Queues {
            site,
            prefix: scope.tenant_queues()?,
            names: [scope.mail_queue()?, scope.dead_mail_queue()?],
        }),
    ])
}

/// All queues of the tenant.
struct Queues {
    site: Site,
    prefix: String,
    names: [String; 2],
}

impl Queues {
    /// The addresses of all queues that are the tenant's by name, those of earlier versions included.
    async fn urls(&self) -> Result<Vec<String>> {
        let sqs = self.site.clients().sqs();
        let (mut urls, mut next) = (Vec::new(), None);
        loop {
            let list = sqs.list_queues().queue_name_prefix(&self.prefix);
            let list = list.max_results(PAGE).set_next_token(next).send();
            let page = call_until(self.site.deadline(), OPERATION, list).await?;
            urls.extend_from_slice(page.queue_urls());
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(urls);
            }
        }
    }
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

#[async_trait]
impl Step for Queues {
    fn what(&self) -> String {
        format!("queues {}", self.names.join(" and "))
    }

    fn section(&self) -> &'static str {
        "a2a"
    }

    fn is_own(&self) -> bool {
        true
    }

    async fn is_there(&self) -> Result<bool> {
        let urls = self.urls().await?;
        let is_there = |name: &String| urls.iter().any(|url| name_of(url) == name);
        Ok(self.names.iter().all(is_there))
    }

    async fn make(&self) -> Result<()> {
        a2a::provision(&self.site.shared, &self.site.tenant).await
    }

    async fn remove(&self) -> Result<()> {
        let sqs = self.site.clients().sqs();
        for url in self.urls().await? {
            guard(OPERATION, &self.prefix, name_of(&url))?;
            let delete = sqs.delete_queue().queue_url(url).send();
            call_until(self.site.deadline(), OPERATION, delete).await?;
        }
        Ok(())
    }
}
