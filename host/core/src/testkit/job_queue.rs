//! The contract of jobs as their runner sees them: claims, leases, ends, schedules that come due.

mod claims;
mod ends;
mod leases;
mod scheduled;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::jobs::{new_id, submit_with};
use super::suite::{Case, Fixture};
use crate::jobs::queue::{Claimed, Claims, JobQueue, Outcome, Settled};
use crate::jobs::{Job, JobAck, JobWrite, Jobs, Options, State};
use crate::lease::{Failure, Lease, LeaseToken};
use crate::{AgentName, CallCtx, Clock, ErrorKind, Result, TenantId};

/// One backend from both sides.
pub struct JobSides {
    /// As agents see it.
    pub jobs: Arc<dyn Jobs>,
    /// As the runner sees it.
    pub queue: Arc<dyn JobQueue>,
}

/// All cases.
pub fn cases() -> Vec<Case<JobSides>> {
    let mut all = claims::cases();
    all.extend(leases::cases());
    all.extend(ends::cases());
    all.extend(scheduled::cases());
    all
}

type Shops = Fixture<JobSides>;

/// How long the suite's leases last.
const LEASE: Duration = Duration::from_secs(30);
const ONE_MS: Duration = Duration::from_millis(1);

fn ctx() -> CallCtx {
    super::ctx("acme", "scribe")
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a test names valid tenants")
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).expect("a test names valid agents")
}

/// A lease with a token of its own.
fn lease(number: u128) -> Lease {
    Lease {
        token: LeaseToken::from_uuid(Uuid::from_u128(number)),
        time: LEASE,
    }
}

fn leases(numbers: std::ops::Range<u128>) -> Vec<Lease> {
    numbers.map(lease).collect()
}

fn failed() -> Outcome {
    Outcome::Failed {
        failure: Failure::new(ErrorKind::Unavailable, "the lake is frozen"),
        roll: u64::MAX,
    }
}

impl Shops {
    async fn apply(&self, write: &JobWrite) -> JobAck {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        self.backend.jobs.apply(&ctx, id, write).await.unwrap()
    }

    async fn submit(&self, options: Options) -> String {
        new_id(self.apply(&submit_with("1", options)).await)
    }

    async fn get(&self, id: &str) -> Option<Job> {
        self.backend.jobs.get(&ctx(), id).await.unwrap()
    }

    async fn state(&self, id: &str) -> State {
        self.get(id).await.expect("the job is there").info.state
    }

    /// Claims for the tenant and agent that a case uses when it does not matter which.
    async fn claim(&self, leases: &[Lease]) -> Claims {
        self.claim_for("acme", &["scribe"], leases).await.unwrap()
    }

    async fn claim_for(&self, of: &str, agents: &[&str], leases: &[Lease]) -> Result<Claims> {
        let agents: Vec<_> = agents.iter().map(|name| agent(name)).collect();
        let queue = &self.backend.queue;
        queue.claim(&tenant(of), &agents, leases, 7).await
    }

    /// Claims one job, which must be there.
    async fn claim_one(&self, number: u128) -> Claimed {
        let claims = self.claim(&[lease(number)]).await;
        let [job] = claims.jobs.try_into().expect("one job is due");
        job
    }

    async fn settle(&self, number: u128, outcome: Outcome) -> Settled {
        self.try_settle(number, outcome).await.unwrap()
    }

    async fn try_settle(&self, number: u128, outcome: Outcome) -> Result<Settled> {
        let (tenant, token) = (tenant("acme"), lease(number).token);
        self.backend.queue.settle(&tenant, &token, outcome).await
    }

    /// Ids of all that can be claimed now, in order. They stay claimed.
    async fn claim_all(&self, first: u128) -> Vec<String> {
        let claims = self.claim(&leases(first..first + 20)).await;
        claims.jobs.into_iter().map(|job| job.id).collect()
    }

    async fn is_pending(&self) -> bool {
        let pending = self.backend.queue.pending().await.unwrap();
        pending
            .iter()
            .any(|pending| pending.tenant.as_str() == "acme")
    }

    fn now(&self) -> crate::Timestamp {
        self.clock.now()
    }
}
