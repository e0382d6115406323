//! The host's side of jobs: what the runner takes out of the queue and puts back. No guest sees it.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::lease::{Failure, Held, Lease, LeaseToken};
use crate::retry::Next;
use crate::{AgentName, InvocationId, Result, TenantId, Timestamp};

/// Most jobs that are taken at once.
pub const CLAIM_MAX: usize = 64;

/// Most jobs of a tenant that a claim counts.
pub const WAITING_COUNTED_MAX: u32 = 1_000;

/// A job that was taken: it is this holder's until the lease runs out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// Which holder.
    pub token: LeaseToken,
    /// Whose job.
    pub agent: AgentName,
    /// Which.
    pub id: String,
    /// What kind.
    pub kind: String,
    /// JSON text.
    pub input: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// When this attempt was taken first: what the guest's clock shows, also when it comes again after a loss.
    pub began_at: Timestamp,
    /// How often this attempt was lost with its holder before: one of them may still be under way.
    pub losses: u32,
    /// Longest run that it asks for.
    pub deadline: Option<Duration>,
}

/// What a claim found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claims {
    /// What was taken, in the order in which it should run.
    pub jobs: Vec<Claimed>,
    /// When there may be something to do next for these agents: a job that is due, a lease that runs out, a schedule.
    /// A moment that has passed when more is due than was taken; none when nothing waits or runs.
    pub next_at: Option<Timestamp>,
    /// How many of the tenant's jobs wait, those that are not due yet included; no more than [`WAITING_COUNTED_MAX`] are
    /// counted.
    pub waiting: u32,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With this output, JSON text.
    Succeeded(String),
    /// With a failure. `roll` is a random number for the wait until the next attempt.
    Failed {
        /// Why.
        failure: Failure,
        /// All values equally likely.
        roll: u64,
    },
    /// Not at all: the host stops, and the same attempt comes again.
    Released,
}

/// What became of a job whose attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// It has ended with its output.
    Succeeded,
    /// It failed, and this follows.
    Failed(Next),
    /// It waits again.
    Released,
    /// It is not this holder's any more: cancelled, or lost and taken by another. Nothing was changed.
    Lost,
}

/// A tenant that may have jobs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pending {
    /// Which.
    pub tenant: TenantId,
    /// Changes when jobs are added, by whatever process.
    pub stamp: u64,
}

/// The jobs of all tenants as their runner sees them. Object safe.
///
/// Any number of runners may share a queue, in one process or in several: a job has one holder at a time. What a holder
/// says is heard as long as its token holds. Everything is durable when it returns.
#[async_trait]
pub trait JobQueue: Send + Sync + 'static {
    /// Tenants that may have something to do, found without opening their stores. A tenant with a job that waits or
    /// runs, or with a schedule, is among them; one without may be.
    async fn pending(&self) -> Result<Vec<Pending>>;

    /// The next tenant in which something changed through this process: a job was added, cancelled or put back. Waits
    /// for one. Several changes of a tenant may be told as one.
    async fn changed(&self) -> TenantId;

    /// Takes at most `leases.len()` (at most [`CLAIM_MAX`]) jobs of these agents that are due, one under each lease, each
    /// agent's by priority and age. Before that, schedules that are due make their jobs, and jobs whose lease has run
    /// out are put back; `roll` is a random number for those that thereby count as failed.
    async fn claim(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Claims>;

    /// Prolongs a lease.
    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held>;

    /// Says how an attempt ended. The end of a job that is told twice is answered the same; anything else that comes twice
    /// is `Lost`, and changes nothing.
    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled>;
}

/// The invocation of an attempt: the same whenever that attempt runs again, so that its writes have the same ids.
pub fn invocation_of(
    tenant: &TenantId,
    agent: &AgentName,
    job: &str,
    attempt: u32,
) -> InvocationId {
    /// A name space of this host's own.
    const JOBS: Uuid = Uuid::from_u128(0x5374_7567_6120_4a6f_6273_2061_7474_656d);
    // No name and no id holds a slash.
    let name = format!("{tenant}/{agent}/{job}/{attempt}");
    InvocationId::from_uuid(Uuid::new_v5(&JOBS, name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_comes_again_is_the_same_invocation_and_no_other_is() {
        let (tenant, other) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        let agent = AgentName::new("x").unwrap();
        let first = invocation_of(&tenant, &agent, "j", 1);
        assert_eq!(first, invocation_of(&tenant, &agent, "j", 1));
        assert_ne!(first, invocation_of(&tenant, &agent, "j", 2));
        assert_ne!(first, invocation_of(&tenant, &agent, "k", 1));
        assert_ne!(first, invocation_of(&other, &agent, "j", 1));
    }
}
