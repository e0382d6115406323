//! What a host does beside the calls of its agents, done between them so that the same scenario has the same bytes: asking
//! how the cloud is, and bringing there what waits for it. Stands before every call, and has it fail when the scenario says so.
//!
//! Breakers, journal and replay are the host's own. A host looks after them on tasks and by the clock; here a call of the
//! agent is what moves things on.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::journal::{Backlog, Journal};
use stuga_core::{BreakerState, CallCtx, CapabilityName, Result, TenantId};
use stuga_resilience::{Gate, Passage, Replay, Route};

use crate::faults::{Effect, Faults};
use crate::state::{Health, State};

/// What stands before the calls of a scenario's agent.
pub(crate) struct Attendant {
    faults: Arc<Faults>,
    lanes: BTreeMap<CapabilityName, Lane>,
}

/// One capability that lies in the cloud.
pub(crate) struct Lane {
    pub(crate) state: State,
    pub(crate) health: Arc<Health>,
    pub(crate) route: Arc<Route>,
    /// None where this host keeps what it takes.
    pub(crate) replay: Option<Replay>,
    /// Held while something is moved on, as calls may come side by side.
    pub(crate) moving: tokio::sync::Mutex<()>,
}

impl Attendant {
    /// One that has calls fail by `faults`, before the capabilities of which those of `lanes` lie in the cloud.
    pub(crate) fn new(faults: Arc<Faults>, lanes: BTreeMap<CapabilityName, Lane>) -> Self {
        Self { faults, lanes }
    }

    /// Has every cloud come back for good and catch up, and says what of a tenant's waits all the same.
    ///
    /// # Errors
    /// What the journal answers.
    pub(crate) async fn come_back(
        &self,
        journal: &dyn Journal,
        tenant: &TenantId,
    ) -> Result<Vec<(CapabilityName, Backlog)>> {
        let mut left = Vec::new();
        for (capability, lane) in &self.lanes {
            lane.health.come_back();
            let Some(replay) = &lane.replay else {
                continue;
            };
            // What an operator does, so that nobody has to wait until the breaker is due to ask.
            lane.route.breaker().isolate();
            lane.route.breaker().release();
            replay.drain(tenant).await?;
            let backlog = journal.backlog(tenant, *capability).await?;
            if backlog.waiting > 0 || backlog.parked > 0 {
                left.push((*capability, backlog));
            }
        }
        Ok(left)
    }
}

#[async_trait]
impl Gate for Attendant {
    async fn pass(
        &self,
        ctx: &CallCtx,
        capability: CapabilityName,
        operation: &'static str,
    ) -> Passage {
        let lost = match self.faults.strike(ctx, operation).await {
            Some(Effect { error, landed }) if !landed => return Passage::Refused(error),
            Some(Effect { error, .. }) => Some(error),
            None => None,
        };
        if let Some(lane) = self.lanes.get(&capability)
            && let Err(error) = lane.move_on(&ctx.tenant).await
        {
            return Passage::Refused(error);
        }
        lost.map_or(Passage::Through, Passage::Unanswered)
    }
}

impl Lane {
    /// Goes on to the next call. A cloud that has come back is noticed and catches up before that.
    async fn move_on(&self, tenant: &TenantId) -> Result<()> {
        let _one = self.moving.lock().await;
        self.health.next_call();
        // Only there the breaker may close, and what waits is brought to a cloud whose breaker is closed.
        if self.state != State::Flapping || !self.health.is_up() {
            return Ok(());
        }
        let breaker = self.route.breaker();
        if breaker.state() != BreakerState::Closed {
            // What the health monitor asks; nothing is answered where the breaker is closed by somebody else meanwhile.
            let health = async { self.health.check("health.probe") };
            let _ = self.route.errand(None, health).await;
        }
        if let Some(replay) = &self.replay
            && breaker.state() == BreakerState::Closed
        {
            replay.drain(tenant).await?;
        }
        Ok(())
    }
}
