//! What memory, sessions and records need: an AgentCore memory. What tenants have in a shared one, and in the cache of
//! the hosts, is only removed here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_bedrockagentcorecontrol::types::MemoryStatus;
use futures::{StreamExt, TryStreamExt};
use stuga_core::{Error, ErrorKind, Result, TenantId};
use tokio::time::{Instant, sleep};

use super::{OPERATION, Site, Step};
use crate::Aws;
use crate::agentcore::home::{self, Listed};
use crate::agentcore::ledger::Store;
use crate::agentcore::reach::PARALLEL;
use crate::agentcore::stream::{PAGE_MAX, Stream};
use crate::call::call_until;
use crate::config::Pattern;
use crate::error::{CLOUD, MISSING, absent};
use crate::scope::{MemoryOf, guard};

/// How long AgentCore keeps events, in days: the most that it does. Sessions stay no longer.
const EVENTS_DAYS: i32 = 365;
/// Longest wait until a memory that is being made can be used: AWS takes some minutes.
const MADE_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Keys that one request to Redis looks at.
const SCAN_COUNT: usize = 1_000;

pub(super) fn steps(aws: &Aws, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    let Some(config) = &aws.shared.config.memory else {
        return Ok(Vec::new());
    };
    let site = Site::of(&aws.shared, tenant);
    let memory = Memory {
        store: Arc::clone(&aws.store),
        of: aws.shared.scope(tenant).memory_of()?,
        own: config.name.as_ref().is_some_and(Pattern::names_tenant),
        site,
    };
    Ok(vec![
        Box::new(memory.clone()),
        Box::new(Cards(memory.clone())),
        Box::new(Streams(memory)),
    ])
}

/// An AgentCore memory.
#[derive(Clone)]
struct Memory {
    site: Site,
    store: Arc<Store>,
    of: MemoryOf,
    own: bool,
}

impl Memory {
    /// The memory as it is now; none when it is not there.
    async fn find(&self) -> Result<Option<Listed>> {
        let id = match &self.of {
            MemoryOf::Name(name) => {
                let shared = &self.site.shared;
                return home::find(shared, name, self.site.deadline(), OPERATION).await;
            }
            MemoryOf::Id(id) => id,
        };
        let get = self.site.clients().agentcore_control().get_memory();
        let get = get.memory_id(id).send();
        let found = absent(call_until(self.site.deadline(), OPERATION, get).await)?;
        Ok(found.map(|found| Listed {
            id: id.clone(),
            status: found.memory().map(|memory| memory.status().clone()),
        }))
    }

    fn known_as(&self) -> &str {
        match &self.of {
            MemoryOf::Id(known) | MemoryOf::Name(known) => known,
        }
    }

    async fn create(&self, name: &str) -> Result<()> {
        let tenant = match self.own {
            true => format!("tenant {}", self.site.tenant),
            false => "all tenants".to_owned(),
        };
        let create = self.site.clients().agentcore_control().create_memory();
        let create = create
            .name(name)
            .description(format!("Stuga: {tenant}"))
            .event_expiry_duration(EVENTS_DAYS)
            .send();
        match call_until(self.site.deadline(), OPERATION, create).await {
            // Somebody else makes it just now.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            made => made.map(drop),
        }
    }
}

#[async_trait]
impl Step for Memory {
    fn what(&self) -> String {
        match &self.of {
            MemoryOf::Id(id) => format!("AgentCore memory {id}, made elsewhere"),
            MemoryOf::Name(name) => {
                format!("AgentCore memory {name}, which keeps events for {EVENTS_DAYS} days")
            }
        }
    }

    fn section(&self) -> &'static str {
        "memory"
    }

    fn is_own(&self) -> bool {
        self.own
    }

    async fn is_there(&self) -> Result<bool> {
        let found = self.find().await?.and_then(|found| found.status);
        Ok(matches!(
            found,
            Some(MemoryStatus::Active | MemoryStatus::Updating)
        ))
    }

    async fn make(&self) -> Result<()> {
        let unusable = |what: String| Err(Error::unavailable(OPERATION, what));
        let MemoryOf::Name(name) = &self.of else {
            return unusable(format!(
                "there is no usable AgentCore memory {}; correct `aws.memory.memory_id`, or give `aws.memory.name` instead and let it be made",
                self.known_as()
            ))
            .map_err(|error: Error| error.with_context(CLOUD, MISSING));
        };
        self.store.homes().forget(&self.of);
        let patience = Instant::now() + MADE_WITHIN;
        loop {
            match self.find().await?.and_then(|found| found.status) {
                Some(MemoryStatus::Active | MemoryStatus::Updating) => return Ok(()),
                Some(MemoryStatus::Deleting) => {
                    return unusable(format!(
                        "the AgentCore memory {name} is being removed; try again in a few minutes"
                    ));
                }
                Some(MemoryStatus::Failed) => {
                    return unusable(format!(
                        "AWS could not make the AgentCore memory {name}; remove it there and try again"
                    ));
                }
                Some(_) => {}
                None => self.create(name).await?,
            }
            if Instant::now() >= patience {
                return unusable(format!(
                    "the AgentCore memory {name} is still being made; try again in a few minutes"
                ));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn remove(&self) -> Result<()> {
        self.store.homes().forget(&self.of);
        let Some(found) = self.find().await? else {
            return Ok(());
        };
        if found.status == Some(MemoryStatus::Deleting) {
            return Ok(());
        }
        let delete = self.site.clients().agentcore_control().delete_memory();
        let delete = delete.memory_id(found.id).send();
        absent(call_until(self.site.deadline(), OPERATION, delete).await)?;
        Ok(())
    }
}

/// What the tenant's agents have in the cache of the hosts. It is derived, but must not outlive what it is derived from.
struct Cards(Memory);

impl Cards {
    /// What their keys look like, whatever id the memory has or had.
    fn pattern(&self) -> String {
        let site = &self.0.site;
        let cached = site.shared.scope(&site.tenant).tenant_cached();
        match &self.0.of {
            MemoryOf::Id(id) => format!("{{{id}/{cached}*"),
            MemoryOf::Name(name) => format!("{{{name}-??????????/{cached}*"),
        }
    }
}

#[async_trait]
impl Step for Cards {
    fn what(&self) -> String {
        format!("keys {} in the cache", self.pattern())
    }

    fn section(&self) -> &'static str {
        "memory"
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
        let redis = self.0.store.redis(OPERATION)?;
        redis
            .remove_matching(&self.pattern(), SCAN_COUNT, OPERATION)
            .await
    }
}

/// The events of the tenant's agents.
struct Streams(Memory);

impl Streams {
    async fn actors(&self, memory: &str) -> Result<Vec<String>> {
        let prefix = Stream::tenant_of(&self.0.site.tenant);
        let client = self.0.site.clients().agentcore();
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let list = client.list_actors().memory_id(memory);
            let list = list.max_results(PAGE_MAX).set_next_token(next).send();
            let page = absent(call_until(self.0.site.deadline(), OPERATION, list).await)?;
            let Some(page) = page else {
                return Ok(all);
            };
            let names = page.actor_summaries().iter().map(|actor| actor.actor_id());
            all.extend(
                names
                    .filter(|name| name.starts_with(&prefix))
                    .map(str::to_owned),
            );
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn sessions(&self, memory: &str, actor: &str) -> Result<Vec<String>> {
        let client = self.0.site.clients().agentcore();
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let list = client.list_sessions().memory_id(memory).actor_id(actor);
            let list = list.max_results(PAGE_MAX).set_next_token(next).send();
            let page = absent(call_until(self.0.site.deadline(), OPERATION, list).await)?;
            let Some(page) = page else {
                return Ok(all);
            };
            let ids = page.session_summaries().iter();
            all.extend(ids.map(|session| session.session_id().to_owned()));
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn events(&self, memory: &str, actor: &str, session: &str) -> Result<Vec<String>> {
        let client = self.0.site.clients().agentcore();
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let list = client.list_events().memory_id(memory).actor_id(actor);
            let list = list.session_id(session).include_payloads(false);
            let list = list.max_results(PAGE_MAX).set_next_token(next).send();
            let page = absent(call_until(self.0.site.deadline(), OPERATION, list).await)?;
            let Some(page) = page else {
                return Ok(all);
            };
            all.extend(
                page.events()
                    .iter()
                    .map(|event| event.event_id().to_owned()),
            );
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn remove_session(&self, memory: &str, actor: &str, session: &str) -> Result<()> {
        let client = self.0.site.clients().agentcore();
        let events = self.events(memory, actor, session).await?;
        let removed = futures::stream::iter(events).map(|event| async move {
            let delete = client.delete_event().memory_id(memory).actor_id(actor);
            let delete = delete.session_id(session).event_id(event).send();
            absent(call_until(self.0.site.deadline(), OPERATION, delete).await).map(drop)
        });
        removed.buffer_unordered(PARALLEL).try_collect().await
    }
}

#[async_trait]
impl Step for Streams {
    fn what(&self) -> String {
        let prefix = Stream::tenant_of(&self.0.site.tenant);
        format!(
            "events of {prefix}* in AgentCore memory {}",
            self.0.known_as()
        )
    }

    fn section(&self) -> &'static str {
        "memory"
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

    /// One by one, for AgentCore removes nothing at large. Those of a memory that is the tenant's own go with it.
    async fn remove(&self) -> Result<()> {
        if self.0.own {
            return Ok(());
        }
        let Some(memory) = self.0.find().await? else {
            return Ok(());
        };
        let prefix = Stream::tenant_of(&self.0.site.tenant);
        for actor in self.actors(&memory.id).await? {
            guard(OPERATION, &prefix, &actor)?;
            for session in self.sessions(&memory.id, &actor).await? {
                self.remove_session(&memory.id, &actor, &session).await?;
            }
        }
        Ok(())
    }
}
