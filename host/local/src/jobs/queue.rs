//! The runner's side of jobs.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::jobs::queue::{CLAIM_MAX, Claims, JobQueue, Outcome, Pending, Settled};
use stuga_core::jobs::{OUTPUT_MAX_BYTES, State};
use stuga_core::lease::{Held, Lease, LeaseToken};
use stuga_core::retry::Next;
use stuga_core::{AgentName, Error, Result, TenantId};

use super::{TABLE, claim, rows};
use crate::Local;
use crate::error;
use crate::marks::Marks;
use crate::tenant::Tenant;
use crate::tx::WriteTx;

/// The jobs of all tenants on this host, as their runner sees them.
pub(crate) struct LocalJobQueue {
    pub(crate) local: Local,
    pub(crate) marks: Arc<Marks>,
}

#[async_trait]
impl JobQueue for LocalJobQueue {
    async fn pending(&self) -> Result<Vec<Pending>> {
        const OPERATION: &str = "jobs.pending";
        let marks = Arc::clone(&self.marks);
        let listing = tokio::task::spawn_blocking(move || marks.list());
        let listed = listing
            .await
            .map_err(|e| Error::internal(OPERATION, "listing the marks died").with_source(e))?
            .map_err(|e| error::io(OPERATION, e))?;
        Ok(listed
            .into_iter()
            .map(|(tenant, stamp)| Pending { tenant, stamp })
            .collect())
    }

    async fn changed(&self) -> TenantId {
        self.marks.changed().await
    }

    async fn claim(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Claims> {
        const OPERATION: &str = "jobs.claim";
        if leases.len() > CLAIM_MAX {
            return Err(Error::invalid(
                OPERATION,
                "too many jobs are claimed at once",
            ));
        }
        let store = self.local.tenant(tenant).await?;
        let (agents, leases) = (agents.to_vec(), leases.to_vec());
        let claims = store
            .write(OPERATION, 0, move |tx| {
                claim::claim(tx, OPERATION, &agents, &leases, roll)
            })
            .await?;
        if claims.jobs.is_empty() && claims.next_at.is_none() {
            self.unmark(tenant, &store).await?;
        }
        Ok(claims)
    }

    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held> {
        const OPERATION: &str = "jobs.prolong";
        let (store, lease) = (self.local.tenant(tenant).await?, *lease);
        store
            .write(OPERATION, 0, move |tx| TABLE.prolong(tx, OPERATION, &lease))
            .await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled> {
        const OPERATION: &str = "jobs.settle";
        let weight = match &outcome {
            Outcome::Succeeded(output) if output.len() > OUTPUT_MAX_BYTES => {
                return Err(
                    Error::invalid(OPERATION, "the output of the job is too large")
                        .with_context("limit", OUTPUT_MAX_BYTES),
                );
            }
            Outcome::Succeeded(output) => output.len(),
            Outcome::Failed { .. } | Outcome::Released => 0,
        };
        let (store, token) = (self.local.tenant(tenant).await?, *token);
        let settled = store
            .write(OPERATION, weight, move |tx| {
                settle(tx, OPERATION, &token, &outcome)
            })
            .await?;
        store.note_job_ended();
        Ok(settled)
    }
}

impl LocalJobQueue {
    /// Takes the tenant's mark away if nothing is left to do.
    async fn unmark(&self, tenant: &TenantId, store: &Arc<Tenant>) -> Result<()> {
        const OPERATION: &str = "jobs.unmark";
        let (marks, tenant) = (Arc::clone(&self.marks), tenant.clone());
        store
            .alone(OPERATION, move |conn| {
                let busy: bool = conn
                    .query_row(
                        "SELECT EXISTS (SELECT 1 FROM job WHERE phase = 'waiting')
                           OR EXISTS (SELECT 1 FROM job WHERE phase = 'running')
                           OR EXISTS (SELECT 1 FROM schedule)",
                        [],
                        |row| row.get(0),
                    )
                    .map_err(|e| error::sqlite(OPERATION, e))?;
                if busy {
                    return Ok(());
                }
                marks.remove(&tenant).map_err(|e| error::io(OPERATION, e))
            })
            .await
    }
}

fn settle(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    token: &LeaseToken,
    outcome: &Outcome,
) -> Result<Settled> {
    let Some(seq) = TABLE.held(tx, operation, token)? else {
        let end = TABLE.end_of(tx, operation, token)?;
        let end = end.as_deref().and_then(State::from_name);
        return Ok(match (end, outcome) {
            (Some(State::Succeeded), Outcome::Succeeded(_)) => Settled::Succeeded,
            (Some(State::Dead), Outcome::Failed { .. }) => Settled::Failed(Next::GiveUp),
            _ => Settled::Lost,
        });
    };
    match outcome {
        Outcome::Succeeded(output) => {
            rows::succeed(tx, operation, seq, output)?;
            Ok(Settled::Succeeded)
        }
        Outcome::Failed { failure, roll } => {
            let next = TABLE.fail(tx, operation, seq, failure, *roll)?;
            if next == Next::GiveUp {
                rows::note_death(tx, operation, seq)?;
            }
            Ok(Settled::Failed(next))
        }
        Outcome::Released => {
            TABLE.give_back(tx, operation, seq)?;
            Ok(Settled::Released)
        }
    }
}
