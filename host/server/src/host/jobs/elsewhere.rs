//! Attempts that run outside of this process: made into orders here, and their ends into outcomes.
//!
//! Whether they do is decided for each attempt. One that cannot begin elsewhere runs here, so an outage of the cloud
//! delays a job and fails none. One whose agent would not see there what the tenant sees here runs here as well: what this
//! host took while the cloud was away may not have gone back yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use semver::Version;
use serde::{Deserialize, Serialize};
use stuga_core::jobs::elsewhere::{Ended, Executor, Order, Principal};
use stuga_core::jobs::queue::{Claimed, Outcome, invocation_of};
use stuga_core::jobs::{JobWrite, Progress};
use stuga_core::{CallCtx, CapabilityName, Error, Grants, RequestId, Result};
use tokio::time::Instant;

use super::roll;
use crate::host::{Host, RunningAgent, RunningTenant, new_invocation};
use crate::store;

/// Longest time for writing down what an attempt says of itself.
const NOTE_MAX: Duration = Duration::from_secs(10);

/// What the tenant decides about an agent, as far as running a job takes it: the settings of an order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    pub(crate) grants: Grants,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) memory_bytes: u64,
    pub(crate) output_bytes: usize,
}

impl Terms {
    /// Those of an agent that runs here.
    fn of(agent: &RunningAgent) -> Self {
        let (entry, limits) = (&agent.made_of.entry, &agent.made_of.limits);
        Self {
            grants: entry.grants,
            config: entry.config.clone(),
            secrets: entry.secrets.clone(),
            memory_bytes: limits.memory,
            output_bytes: usize::try_from(limits.answer_bytes).unwrap_or(usize::MAX),
        }
    }
}

/// Where attempts run outside of this process, and which agents' can.
pub(crate) struct Elsewhere {
    /// The place.
    pub(crate) executor: Arc<dyn Executor>,
    /// What agents find there. One that is granted anything else runs its jobs here.
    pub(crate) served: Grants,
}

/// Runs an attempt elsewhere; none when it shall run here, where it has not begun then.
pub(super) async fn run(
    host: &Arc<Host>,
    tenant: &RunningTenant,
    agent: &Arc<RunningAgent>,
    job: &Claimed,
    time: Duration,
) -> Option<Outcome> {
    let elsewhere = host.backends.jobs_elsewhere()?;
    if !agent.grants().is_within(elsewhere.served) {
        return None;
    }
    let order = order(tenant, agent, job, time)?;
    if !elsewhere.executor.takes(&order) {
        return None;
    }
    let fallback = host.backends.fallback();
    if !fallback
        .is_seen_elsewhere(tenant.id(), agent.grants())
        .await
    {
        tracing::info!("an attempt runs here: the cloud does not know all that the tenant wrote");
        return None;
    }
    let principal = Origin {
        host: Arc::clone(host),
        agent: Arc::clone(agent),
        order: order.clone(),
    };
    let executed = elsewhere.executor.execute(&order, &principal);
    let executed = match fallback.route(CapabilityName::Jobs) {
        Some(route) => route.errand(Some(tenant.id()), executed).await,
        None => Some(executed.await),
    };
    // The breaker before it is open, or an operator keeps the tenant from it.
    match executed? {
        Ok(Ended::Succeeded(output)) => Some(Outcome::Succeeded(output)),
        Ok(Ended::Failed(failure)) => {
            tracing::info!(
                kind = failure.kind.as_str(),
                error = failure.message,
                "an attempt of a job failed elsewhere"
            );
            Some(Outcome::Failed {
                failure,
                roll: roll(),
            })
        }
        Err(error) => {
            tracing::warn!(%error, causes = error.causes(), "an attempt could not begin elsewhere; it runs here");
            None
        }
    }
}

fn order(
    tenant: &RunningTenant,
    agent: &RunningAgent,
    job: &Claimed,
    time: Duration,
) -> Option<Order> {
    let settings = serde_json::to_value(Terms::of(agent)).ok()?;
    Some(Order {
        tenant: tenant.id().clone(),
        agent: job.agent.clone(),
        invocation: invocation_of(tenant.id(), &job.agent, &job.id, job.attempt),
        component: agent.made_of.digest.clone(),
        settings,
        job: job.id.clone(),
        kind: job.kind.clone(),
        input: job.input.clone(),
        attempt: job.attempt,
        began_at: job.began_at,
        time,
    })
}

/// This host, as the giver of an order.
struct Origin {
    host: Arc<Host>,
    agent: Arc<RunningAgent>,
    order: Order,
}

#[async_trait]
impl Principal for Origin {
    async fn component(&self) -> Result<Vec<u8>> {
        const OPERATION: &str = "jobs.execute";
        let (store, digest) = (self.host.store.clone(), self.order.component.clone());
        let manifest = self.agent.agent().plugin().manifest();
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        let read = tokio::task::spawn_blocking(move || {
            let version = Version::parse(&version).map_err(|e| {
                Error::internal(OPERATION, "a version cannot be read").with_source(e)
            })?;
            let bytes = store.get(&name, &version)?;
            if store::digest(&bytes) == digest {
                return Ok(bytes);
            }
            Err(Error::internal(
                OPERATION,
                format!("{name} {version} in the store is not what runs; load it again"),
            ))
        });
        read.await
            .map_err(|e| Error::internal(OPERATION, "reading the store died").with_source(e))?
    }

    async fn progress(&self, progress: Progress) {
        let (order, id) = (&self.order, new_invocation());
        // A word of the host's own: the attempt's ids are what it writes itself.
        let ctx = CallCtx::new(
            order.tenant.clone(),
            order.agent.clone(),
            id,
            RequestId::from_uuid(*id.as_uuid()),
            self.host.clock.now(),
            Instant::now() + NOTE_MAX,
        );
        let write = JobWrite::ReportProgress {
            id: order.job.clone(),
            attempt: order.attempt,
            progress,
        };
        if let Err(error) = self.host.capabilities.jobs.write(&ctx, &write).await {
            tracing::debug!(%error, causes = error.causes(), "the progress of a job was not noted");
        }
        self.host.backends.invocations().forget(&order.tenant, id);
    }
}
