//! The way to the cloud of one capability, shared by all its tenants.
//!
//! It decides for each call whether the cloud is asked and for how long, learns from what came of it, and counts. It knows
//! nothing of what a call says.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::journal::{Backlog, Journal};
use stuga_core::pulse::Pulse;
use stuga_core::{
    AgentName, Backend, BreakerState, CallCtx, CapabilityName, Clock, Error, ErrorKind, Result,
    TenantId, Timestamp,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::breaker::{Breaker, BreakerSettings, Permit, Snapshot};
use crate::budget::{Allowance, Budget, BudgetSettings};
use crate::counts::{Counted, Counts};
use crate::modes::{Mode, Modes};
use crate::order::{Order, Turn};

/// What one capability shares over all its tenants while a cloud is configured for it.
pub struct Route {
    capability: CapabilityName,
    breaker: Arc<Breaker>,
    journal: Arc<dyn Journal>,
    modes: Arc<Modes>,
    clock: Arc<dyn Clock>,
    budget: Budget,
    order: Order,
    pub(crate) counts: Counts,
    /// Rung when a write was noted for the cloud.
    pub(crate) noted: Notify,
    began: Instant,
    /// Milliseconds from `began` to when the cloud answered last. Not by the time of day, which can be set.
    heard: AtomicU64,
}

/// Why this host answers and not the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The tenant's mode says so.
    Mode,
    /// Writes of the tenant wait for the cloud: it does not know yet what the tenant wrote.
    Waiting,
    /// The breaker lets no call through.
    Breaker,
}

/// Who answers a call.
pub(crate) enum Way<'r> {
    /// The cloud, if it can.
    Cloud(Attempt<'r>),
    /// This host.
    Local(Why),
}

/// The right to ask the cloud once.
pub(crate) struct Attempt<'r> {
    route: &'r Route,
    permit: Permit<'r>,
    began: Instant,
    allowance: Allowance,
    silence: Option<Silence>,
}

/// How long the cloud may say nothing.
pub(crate) struct Silence {
    pulse: Pulse,
    pub(crate) longest: Duration,
}

/// What came of asking the cloud.
pub(crate) enum Tried<T> {
    /// It answered, be it with a refusal.
    Answered(Result<T>),
    /// It did not answer, or said that it cannot.
    Away(Error),
}

/// What an operator sees of a capability on this host.
#[derive(Clone, PartialEq, Debug)]
pub struct RouteStatus {
    /// Which capability.
    pub capability: CapabilityName,
    /// The breaker before its cloud.
    pub breaker: Snapshot,
    /// When the cloud answered last; since the start, when it never did.
    pub heard_at: Timestamp,
    /// What was counted since the start.
    pub counts: Counted,
}

/// What an operator sees of a capability of one tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TenantStatus {
    /// Which capability.
    pub capability: CapabilityName,
    /// The tenant's mode.
    pub mode: Mode,
    /// Who would answer a read now.
    pub reads: Backend,
    /// Why it is this host; none when it is the cloud.
    pub why: Option<Why>,
    /// The breaker's state.
    pub breaker: BreakerState,
    /// What waits for the cloud.
    pub backlog: Backlog,
}

impl Route {
    /// The way of `capability` behind `breaker`.
    pub fn new(
        capability: CapabilityName,
        breaker: Arc<Breaker>,
        budget: BudgetSettings,
        journal: Arc<dyn Journal>,
        modes: Arc<Modes>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            capability,
            breaker,
            journal,
            modes,
            clock,
            budget: Budget::new(budget),
            order: Order::default(),
            counts: Counts::default(),
            noted: Notify::new(),
            began: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }

    /// Which capability.
    pub fn capability(&self) -> CapabilityName {
        self.capability
    }

    /// The breaker before the cloud.
    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// Goes by other settings from the next call on: of the [breaker](Breaker::set), and how long a call may take.
    pub fn set(&self, breaker: BreakerSettings, budget: BudgetSettings) {
        self.breaker.set(breaker);
        self.budget.set(budget);
    }

    /// What all tenants' operators say.
    pub fn modes(&self) -> &Arc<Modes> {
        &self.modes
    }

    /// What there is to see of it, of all tenants.
    pub fn status(&self) -> RouteStatus {
        RouteStatus {
            capability: self.capability,
            breaker: self.breaker.snapshot(),
            heard_at: self.clock.now().saturating_sub(self.silence()),
            counts: self.counts.read(),
        }
    }

    /// What there is to see of one tenant.
    ///
    /// # Errors
    /// What the journal answers.
    pub async fn tenant_status(&self, tenant: &TenantId) -> Result<TenantStatus> {
        let mode = self.modes.of(tenant, self.capability);
        let backlog = self.journal.backlog(tenant, self.capability).await?;
        let breaker = self.breaker.state();
        let metrics_only = self.breaker.settings().metrics_only;
        let why = if mode != Mode::Cloud {
            Some(Why::Mode)
        } else if backlog.waiting > 0 {
            Some(Why::Waiting)
        } else if breaker == BreakerState::Isolated
            || breaker == BreakerState::Open && !metrics_only
        {
            Some(Why::Breaker)
        } else {
            None
        };
        Ok(TenantStatus {
            capability: self.capability,
            mode,
            reads: why.map_or(Backend::Cloud, |_| Backend::Local),
            why,
            breaker,
            backlog,
        })
    }

    /// The journal that the capability's writes wait in.
    pub(crate) fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The mode of a tenant.
    pub(crate) fn mode(&self, tenant: &TenantId) -> Mode {
        self.modes.of(tenant, self.capability)
    }

    /// How long ago the cloud answered last; before it ever did, how long ago it was first there to be asked.
    pub(crate) fn silence(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(heard)
    }

    /// Notes that the cloud has answered.
    pub(crate) fn hear(&self) {
        let heard = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(heard, Ordering::Relaxed);
    }

    /// Waits for the turn of a key.
    pub(crate) async fn turn(
        &self,
        operation: &'static str,
        key: (&TenantId, &AgentName, &str),
        deadline: Instant,
    ) -> Result<Turn<'_>> {
        self.order.turn(operation, key, deadline).await
    }

    /// Who answers a read: this host, while it knows of writes that the cloud does not know.
    pub(crate) async fn to_read(&self, ctx: &CallCtx) -> Result<Way<'_>> {
        if self.mode(&ctx.tenant) != Mode::Cloud {
            return Ok(Way::Local(Why::Mode));
        }
        let waiting = match self.journal.waiting(&ctx.tenant, self.capability) {
            Some(waiting) => waiting,
            None => {
                let backlog = self.journal.backlog(&ctx.tenant, self.capability).await?;
                backlog.waiting
            }
        };
        if waiting > 0 {
            return Ok(Way::Local(Why::Waiting));
        }
        Ok(self.ask_for(ctx))
    }

    /// Who takes a write of `key`, whose turn the caller has: this host, while an earlier write of the key waits. Other keys
    /// go to the cloud in the meantime, or a journal would never become empty under load.
    pub(crate) async fn to_write(&self, ctx: &CallCtx, key: &str) -> Result<Way<'_>> {
        if self.mode(&ctx.tenant) != Mode::Cloud {
            return Ok(Way::Local(Why::Mode));
        }
        let (tenant, agent) = (&ctx.tenant, &ctx.agent);
        let any_waits = self.journal.waiting(tenant, self.capability) != Some(0);
        if any_waits
            && self
                .journal
                .waits(tenant, self.capability, agent, key)
                .await?
        {
            return Ok(Way::Local(Why::Waiting));
        }
        Ok(self.ask_for(ctx))
    }

    /// The cloud on behalf of a call, when the breaker lets it through: it is given up when it says nothing for too long.
    pub(crate) fn ask_for(&self, ctx: &CallCtx) -> Way<'_> {
        let mut way = self.ask(ctx.deadline);
        if let Way::Cloud(attempt) = &mut way {
            attempt.silence = self.longest_silence(ctx);
        }
        way
    }

    /// How long the cloud may say nothing to a call; none for as long as it likes.
    pub(crate) fn longest_silence(&self, ctx: &CallCtx) -> Option<Silence> {
        let silence = |longest| Silence {
            pulse: ctx.pulse.clone(),
            longest,
        };
        self.budget.silence().map(silence)
    }

    /// The cloud, when the breaker lets a call through.
    pub(crate) fn ask(&self, deadline: Instant) -> Way<'_> {
        let suspect = self.breaker.is_suspect();
        match self.breaker.try_acquire() {
            Ok(permit) => {
                let began = Instant::now();
                Way::Cloud(Attempt {
                    route: self,
                    permit,
                    began,
                    allowance: self.budget.allow(began, deadline, suspect),
                    silence: None,
                })
            }
            Err(_) => {
                self.counts.not_permitted.add();
                Way::Local(Why::Breaker)
            }
        }
    }
}

impl Silence {
    /// When it will have lasted too long for what `began` then, unless something is heard: what was heard before says nothing.
    fn ends(&self, began: Instant) -> Instant {
        self.pulse.last().max(began) + self.longest
    }

    /// Waits until it has lasted too long.
    pub(crate) async fn lasts(&self, began: Instant) {
        loop {
            let ends = self.ends(began);
            if Instant::now() >= ends {
                return;
            }
            tokio::time::sleep_until(ends).await;
        }
    }
}

impl Attempt<'_> {
    /// The same for a call that no caller waits for: it gets all the time until `deadline`.
    pub(crate) fn unhurried(mut self, deadline: Instant) -> Self {
        self.allowance = Allowance {
            until: deadline,
            fair: true,
            ends_with_trip: true,
        };
        self
    }

    /// The same for a call whose length depends on what is sent: that it took too long says nothing of the cloud.
    pub(crate) fn unjudged(mut self) -> Self {
        self.allowance.fair = false;
        self
    }

    /// Asks the cloud: until it answers, its time is over, it has said nothing for too long, or the breaker trips, as then
    /// nobody waits for it any longer but callers who have all their time for it. A write that was given up may have landed.
    pub(crate) async fn make<T>(
        self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Tried<T> {
        let Self {
            route,
            permit,
            began,
            allowance,
            silence,
        } = self;
        let answer = tokio::select! {
            biased;
            answer = call => answer,
            fair = given_up(began, allowance, silence) => {
                if fair {
                    permit.failed();
                    route.counts.cloud_failed.add();
                }
                // A permit that is dropped untold says nothing of the cloud.
                return Tried::Away(Error::timeout(operation, "the cloud did not answer in time"));
            }
            () = route.breaker.tripped(), if allowance.ends_with_trip => {
                return Tried::Away(Error::timeout(operation, "the cloud is away"));
            }
        };
        match answer {
            Err(error) if error.kind().is_outage() => {
                // Nor does a backend that gave up in time for a hurried caller, as some do before the deadline.
                if allowance.fair || error.kind() == ErrorKind::Unavailable {
                    permit.failed();
                    route.counts.cloud_failed.add();
                }
                Tried::Away(error)
            }
            answer => {
                permit.succeeded();
                route.counts.cloud_answered.add();
                route.budget.learn(began.elapsed());
                route.hear();
                Tried::Answered(answer)
            }
        }
    }
}

/// Waits until an attempt that `began` then is given up, and says whether the cloud had all the time that it deserves.
async fn given_up(began: Instant, allowance: Allowance, silence: Option<Silence>) -> bool {
    loop {
        let quiet = silence.as_ref().map(|silence| silence.ends(began));
        let until = quiet.map_or(allowance.until, |quiet| quiet.min(allowance.until));
        if Instant::now() >= until {
            // However much there is to carry, a cloud that is there says something in that time.
            return quiet.is_some_and(|quiet| quiet == until) || allowance.fair;
        }
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// When an attempt is given up that nobody answers, and whether that counts against the cloud. Something is heard of it
    /// every second for so long.
    async fn given_up_after(call: (Duration, bool), heard_for: Duration) -> (Duration, bool) {
        let pulse = Pulse::default();
        tokio::time::advance(9 * SECOND).await;
        pulse.beat();
        tokio::time::advance(9 * SECOND).await;
        let began = Instant::now();
        let allowance = Allowance {
            until: began + call.0,
            fair: call.1,
            ends_with_trip: true,
        };
        let silence = Some(Silence {
            pulse: pulse.clone(),
            longest: 3 * SECOND,
        });
        let hears = async {
            while began.elapsed() < heard_for {
                tokio::time::sleep(SECOND).await;
                pulse.beat();
            }
            std::future::pending().await
        };
        let counts = tokio::select! {
            counts = given_up(began, allowance, silence) => counts,
            () = hears => false,
        };
        (began.elapsed(), counts)
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_says_nothing_is_given_up_long_before_a_call_has_taken_its_time() {
        // The share of a caller's time that is shorter than the call's own is not fair to what is carried, and is to silence.
        let call = (12 * SECOND, false);
        assert_eq!(
            given_up_after(call, Duration::ZERO).await,
            (3 * SECOND, true)
        );
        assert_eq!(given_up_after(call, 5 * SECOND).await, (8 * SECOND, true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_heard_of_is_not_given_up_before_a_call_has_taken_its_time() {
        let call = (15 * SECOND, true);
        let heard = given_up_after(call, 60 * SECOND).await;
        assert_eq!(heard, (15 * SECOND, true));
        let call = (12 * SECOND, false);
        let heard = given_up_after(call, 60 * SECOND).await;
        assert_eq!(heard, (12 * SECOND, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_cannot_wait_as_long_as_a_silence_says_nothing_of_the_cloud() {
        let hurried = (SECOND, false);
        assert_eq!(
            given_up_after(hurried, Duration::ZERO).await,
            (SECOND, false)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_excused_is_no_silence() {
        let (began, pulse) = (Instant::now(), Pulse::default());
        pulse.excuse(8 * SECOND);
        let allowance = Allowance {
            until: began + 60 * SECOND,
            fair: true,
            ends_with_trip: true,
        };
        let longest = 3 * SECOND;
        assert!(given_up(began, allowance, Some(Silence { pulse, longest })).await);
        assert_eq!(began.elapsed(), 11 * SECOND);
    }
}
