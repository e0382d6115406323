//! What happens to this host, told outside: that a tenant runs another version of an agent, that it reached a limit, that
//! a capability failed over or recovered. Told to whom the operator says under `aws.events`, and otherwise to nobody.
//!
//! Telling waits for nobody and changes nothing: what cannot be told is counted and lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use semver::Version;
use serde_json::{Value, json};
use stuga_core::{AgentName, TenantId};
use tokio::time::Instant;

use super::admission::Permit;
use super::{Failure, Host, RunningTenant};

/// How long nothing more is told of a limit of a tenant after it was told once: who is at a limit reaches it with every call.
const LIMIT_EVERY: Duration = Duration::from_secs(600);
/// Most limits of which is known when they were told; beyond it the others are not told before those have been forgotten.
const LIMITS_MAX: usize = 10_000;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happened {
    /// A capability is served by this host and not by the cloud.
    Failover,
    /// A capability is served by the cloud again.
    Recovery,
    /// A tenant runs another version of an agent.
    Deploy,
    /// A tenant reached a limit.
    Quota,
}

/// A limit of a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Limit {
    /// Calls at a time.
    ConcurrentCalls,
    /// Calls in a second.
    CallsPerSecond,
    /// What it may store, or what one of its invocations may do.
    Quota,
}

impl Limit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentCalls => "concurrent_calls",
            Self::CallsPerSecond => "calls_per_second",
            Self::Quota => "quota",
        }
    }
}

/// When each limit was told.
#[derive(Default)]
pub(super) struct Told(Mutex<HashMap<(TenantId, Limit), Instant>>);

impl Told {
    /// Whether this is to be told now; then it counts as told.
    fn now(&self, tenant: &TenantId, limit: Limit) -> bool {
        let now = Instant::now();
        let is_old = |told: &Instant| now.saturating_duration_since(*told) >= LIMIT_EVERY;
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= LIMITS_MAX {
            told.retain(|_, told| !is_old(told));
        }
        let key = (tenant.clone(), limit);
        let is_due = match told.get(&key) {
            Some(at) => is_old(at),
            None => told.len() < LIMITS_MAX,
        };
        if is_due {
            told.insert(key, now);
        }
        is_due
    }
}

impl Host {
    /// Tells what happened, and returns at once. `detail` is a small JSON object without secrets.
    pub fn publish(&self, what: Happened, tenant: Option<&TenantId>, detail: Value) {
        self.backends
            .announcer()
            .publish(what, tenant, self.clock.now(), detail);
    }

    /// How many events were taken where they were told, and how many were lost.
    pub fn told(&self) -> (u64, u64) {
        self.backends.announcer().counts()
    }

    /// Tells that an agent runs in a version in which it did not run before.
    pub(super) fn deployed(
        &self,
        tenant: &TenantId,
        agent: &AgentName,
        version: &Version,
        digest: &str,
    ) {
        let detail = json!({"agent": agent, "version": version.to_string(), "digest": digest});
        self.publish(Happened::Deploy, Some(tenant), detail);
    }

    /// Tells that a tenant reached a limit, now and then.
    pub(super) fn limited(&self, tenant: &TenantId, limit: Limit, agent: Option<&AgentName>) {
        if self.limits_told.now(tenant, limit) {
            let detail = json!({"limit": limit.as_str(), "agent": agent});
            self.publish(Happened::Quota, Some(tenant), detail);
        }
    }

    /// Lets a call of a tenant in, as its limits are.
    ///
    /// # Errors
    /// As [`super::Admission::enter`].
    pub fn admit(&self, tenant: &RunningTenant) -> Result<Permit, Failure> {
        let entered = tenant.admission.enter();
        match &entered {
            Err(Failure::TooMany { .. }) => {
                self.limited(tenant.id(), Limit::ConcurrentCalls, None);
            }
            Err(Failure::TooFast { .. }) => {
                self.limited(tenant.id(), Limit::CallsPerSecond, None);
            }
            _ => {}
        }
        entered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_told_once_in_a_while_and_each_by_itself() {
        let told = Told::default();
        let acme = TenantId::new("acme").unwrap();
        let other = TenantId::new("other").unwrap();
        assert!(told.now(&acme, Limit::Quota));
        assert!(!told.now(&acme, Limit::Quota));
        assert!(told.now(&acme, Limit::ConcurrentCalls));
        assert!(told.now(&other, Limit::Quota));
        tokio::time::advance(LIMIT_EVERY).await;
        assert!(told.now(&acme, Limit::Quota));
        assert!(!told.now(&acme, Limit::Quota));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_of_limits_has_a_bound() {
        let told = Told::default();
        for number in 0..LIMITS_MAX {
            let tenant = TenantId::new(&format!("t{number}")).unwrap();
            assert!(told.now(&tenant, Limit::Quota));
        }
        let late = TenantId::new("late").unwrap();
        assert!(!told.now(&late, Limit::Quota));
        tokio::time::advance(LIMIT_EVERY).await;
        assert!(told.now(&late, Limit::Quota));
    }
}
