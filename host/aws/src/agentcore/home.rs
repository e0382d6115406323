//! Which AgentCore memory holds a tenant's streams: the one whose id is configured, or the one that was made under the
//! tenant's name. AWS chooses the ids, so a name is looked up, now and then; nothing is made here.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_bedrockagentcorecontrol::types::MemoryStatus;
use moka::sync::Cache;
use stuga_core::{Error, Result, TenantId};
use tokio::time::Instant;

use crate::Shared;
use crate::call::call_until;
use crate::error::{CLOUD, MISSING};
use crate::scope::MemoryOf;

/// How long an id is used before its name is looked up again: it changes when a tenant is taken away and made anew.
const LOOKED_UP_FOR: Duration = Duration::from_secs(600);
/// Longest wait for the second and later look-ups, whose answer is known but for that.
const AGAIN_MAX: Duration = Duration::from_secs(2);
/// Most names whose ids are kept.
const KNOWN_MAX: u64 = 10_000;
/// Memories of a page.
const PAGE: i32 = 100;
/// Most pages that are read for a name.
const PAGES_MAX: usize = 100;
/// What AWS puts behind a name, beside the dash.
const SUFFIX_CHARS: usize = 10;

/// The memories of all tenants.
pub(crate) struct Homes {
    shared: Arc<Shared>,
    known: Cache<String, Known>,
}

#[derive(Clone)]
struct Known {
    id: String,
    since: Instant,
}

/// A memory, as AWS lists it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Listed {
    /// The id that AWS gave it.
    pub(crate) id: String,
    /// How it is with it; none when AWS does not say.
    pub(crate) status: Option<MemoryStatus>,
}

impl Homes {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            known: Cache::new(KNOWN_MAX),
        }
    }

    /// The id of the tenant's memory.
    ///
    /// AgentCore's control plane: nothing, or `ListMemories`. While that fails an id that was known stays known, so that the
    /// control plane may be away as long as it likes.
    ///
    /// # Errors
    /// `Unavailable` when there is no memory of that name, or nobody can say so.
    pub(crate) async fn id(
        &self,
        tenant: &TenantId,
        deadline: Instant,
        operation: &'static str,
    ) -> Result<String> {
        let name = match self.shared.scope(tenant).memory_of()? {
            MemoryOf::Id(id) => return Ok(id),
            MemoryOf::Name(name) => name,
        };
        let known = self.known.get(&name);
        let is_recent = |known: &&Known| known.since.elapsed() < LOOKED_UP_FOR;
        if let Some(known) = known.as_ref().filter(is_recent) {
            return Ok(known.id.clone());
        }
        let until = match known {
            Some(_) => deadline.min(Instant::now() + AGAIN_MAX),
            None => deadline,
        };
        let id = match (find(&self.shared, &name, until, operation).await, known) {
            (Ok(Some(found)), _) => found.id,
            (Ok(None), _) => {
                self.known.invalidate(&name);
                return Err(absent(operation));
            }
            (Err(error), Some(known)) => {
                tracing::debug!(%tenant, %error, "the AgentCore memory is the one that was known");
                known.id
            }
            (Err(error), None) => return Err(error),
        };
        let known = Known {
            id: id.clone(),
            since: Instant::now(),
        };
        self.known.insert(name, known);
        Ok(id)
    }

    /// Looks the tenant's memory up again when it is needed next.
    pub(crate) fn forget(&self, memory: &MemoryOf) {
        if let MemoryOf::Name(name) = memory {
            self.known.invalidate(name);
        }
    }
}

/// The memory that was made under `name`; one that is being removed only when there is no other.
///
/// AgentCore's control plane: `ListMemories`.
pub(crate) async fn find(
    shared: &Shared,
    name: &str,
    deadline: Instant,
    operation: &'static str,
) -> Result<Option<Listed>> {
    let client = shared.clients.host().agentcore_control();
    let (mut going, mut next) = (None, None);
    for _ in 0..PAGES_MAX {
        let list = client.list_memories().max_results(PAGE);
        let list = list.set_next_token(next).send();
        let page = call_until(deadline, operation, list).await?;
        for memory in page.memories() {
            let Some(id) = memory.id().filter(|id| is_of(id, name)) else {
                continue;
            };
            let listed = Listed {
                id: id.to_owned(),
                status: memory.status().cloned(),
            };
            match listed.status {
                Some(MemoryStatus::Deleting) => going = Some(listed),
                _ => return Ok(Some(listed)),
            }
        }
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            return Ok(going);
        }
    }
    Err(Error::unavailable(
        operation,
        "this account has more AgentCore memories than are looked through; configure `aws.memory.memory_id`",
    ))
}

/// The tenant's memory was never made.
pub(crate) fn absent(operation: &'static str) -> Error {
    Error::unavailable(
        operation,
        "the tenant's AgentCore memory does not exist; provision the tenant and check `aws.memory`",
    )
    .with_context(CLOUD, MISSING)
}

/// Whether AWS made that id of that name.
fn is_of(id: &str, name: &str) -> bool {
    let suffix = id
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'));
    suffix.is_some_and(|suffix| {
        suffix.len() == SUFFIX_CHARS && suffix.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_belongs_to_the_whole_name_and_to_no_part_of_it() {
        assert!(is_of("stuga_acme-0a1B2c3D4e", "stuga_acme"));
        for id in [
            "stuga_acme_2-0a1B2c3D4e",
            "stuga_acme",
            "stuga_acme-0a1B2c3D4",
            "stuga_acme-0a1B2c3D4e5",
            "stuga_acme-0a1B2c3D4_",
            "stuga_acm-0a1B2c3D4e",
        ] {
            assert!(!is_of(id, "stuga_acme"), "{id}");
        }
    }
}
