//! What a tenant's agents have in an AgentCore memory and in the cache of the hosts: made by their writes, and only removed here.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use stuga_core::Result;

use super::memory::Memory;
use super::{OPERATION, Trace};
use crate::agentcore::reach::PARALLEL;
use crate::agentcore::stream::{PAGE_MAX, Stream};
use crate::call::call_until;
use crate::error::absent;
use crate::scope::{MemoryOf, guard};

/// Keys that one request to Redis looks at.
const SCAN_COUNT: usize = 1_000;

/// What the tenant's agents have in the cache of the hosts. It is derived, but must not outlive what it is derived from.
pub(super) struct Cards(Memory);

impl Cards {
    /// Those of the memory's tenant.
    pub(super) fn of(memory: Memory) -> Self {
        Self(memory)
    }

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
impl Trace for Cards {
    fn what(&self) -> String {
        format!("keys {} in the cache", self.pattern())
    }

    fn section(&self) -> &'static str {
        "memory"
    }

    async fn remove(&self) -> Result<()> {
        let redis = self.0.store.redis(OPERATION)?;
        redis
            .remove_matching(&self.pattern(), SCAN_COUNT, OPERATION)
            .await
    }
}

/// The events of the tenant's agents.
pub(super) struct Streams(Memory);

impl Streams {
    /// Those of the memory's tenant.
    pub(super) fn of(memory: Memory) -> Self {
        Self(memory)
    }

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
impl Trace for Streams {
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
