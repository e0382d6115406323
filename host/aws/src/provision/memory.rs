//! What memory, sessions and records need: an AgentCore memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_bedrockagentcorecontrol::types::MemoryStatus;
use stuga_core::{Error, ErrorKind, Result, TenantId};
use tokio::time::{Instant, sleep};

use super::streams::{Cards, Streams};
use super::{OPERATION, Site, Step};
use crate::Aws;
use crate::agentcore::home::{self, Listed};
use crate::agentcore::ledger::Store;
use crate::call::call_until;
use crate::config::Pattern;
use crate::error::{CLOUD, MISSING, absent};
use crate::scope::MemoryOf;

/// How long AgentCore keeps events, in days: the most that it does. Sessions stay no longer.
const EVENTS_DAYS: i32 = 365;
/// Longest wait until a memory that is being made can be used: AWS takes some minutes.
const MADE_WITHIN: Duration = Duration::from_secs(600);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
        Box::new(Cards::of(memory.clone())),
        Box::new(Streams::of(memory)),
    ])
}

/// An AgentCore memory.
#[derive(Clone)]
pub(super) struct Memory {
    pub(super) site: Site,
    pub(super) store: Arc<Store>,
    /// How it is known.
    pub(super) of: MemoryOf,
    /// Whether the tenant has it alone.
    pub(super) own: bool,
}

impl Memory {
    /// The memory as it is now; none when it is not there.
    pub(super) async fn find(&self) -> Result<Option<Listed>> {
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

    /// Its name, or its id.
    pub(super) fn known_as(&self) -> &str {
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
