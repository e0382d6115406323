//! Says what happens: into the log, and to whoever passes it on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use stuga_core::{BreakerState, CapabilityName, TenantId, Timestamp};
use stuga_resilience::{Isolation, Transition};

use crate::host::Happened;

/// All states, in the order in which [`Transitions`] counts them.
pub(crate) const STATES: [BreakerState; 4] = [
    BreakerState::Closed,
    BreakerState::Open,
    BreakerState::HalfOpen,
    BreakerState::Isolated,
];

/// A state's name, as everywhere.
pub(crate) const fn name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
        BreakerState::Isolated => "isolated",
    }
}

/// How often a breaker came into each state.
#[derive(Default)]
pub(super) struct Transitions([AtomicU64; STATES.len()]);

impl Transitions {
    pub(super) fn count(&self, to: BreakerState) {
        let at = STATES.iter().position(|state| *state == to);
        if let Some(counter) = at.and_then(|at| self.0.get(at)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// By state, as in [`STATES`].
    pub(super) fn read(&self) -> [u64; STATES.len()] {
        self.0
            .each_ref()
            .map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// Something that happened, for those who are not at the log.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct News {
    pub(crate) what: Happened,
    /// Whose affair it is; none for all tenants'.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) at: Timestamp,
    /// The rest; names no content.
    pub(crate) detail: Value,
}

/// Takes news and returns at once.
pub(crate) type Outlet = Box<dyn Fn(News) + Send + Sync>;

/// Says what happens.
#[derive(Default)]
pub(crate) struct Herald(OnceLock<Outlet>);

impl Herald {
    /// Passes news on to `outlet` from now on. The first call counts.
    pub(crate) fn passes_to(&self, outlet: Outlet) {
        let _ = self.0.set(outlet);
    }

    /// A breaker has another state. It is told while the breaker waits.
    pub(super) fn breaker(&self, capability: CapabilityName, change: Transition, at: Timestamp) {
        let (from, to) = (name(change.from), name(change.to));
        let what = match change.to {
            BreakerState::Closed => {
                tracing::info!(event = "breaker", %capability, from, to, "the cloud answers again");
                Happened::Recovery
            }
            BreakerState::Open | BreakerState::Isolated => {
                tracing::warn!(event = "breaker", %capability, from, to, "this host answers in the cloud's place");
                Happened::Failover
            }
            BreakerState::HalfOpen => {
                tracing::info!(event = "breaker", %capability, from, to, "the cloud is asked a few times");
                return;
            }
        };
        let detail =
            json!({ "event": "breaker", "capability": capability, "from": from, "to": to });
        self.pass(what, None, at, detail);
    }

    /// An operator keeps a tenant from the cloud.
    pub(super) fn isolated(&self, isolation: &Isolation) {
        let Isolation {
            tenant,
            capability,
            since,
            until,
            why,
        } = isolation;
        let event = if until.is_some() {
            "drill"
        } else {
            "isolation"
        };
        let detail =
            json!({ "event": event, "capability": capability, "until": until, "why": why });
        self.pass(Happened::Failover, Some(tenant), *since, detail);
    }

    /// Nobody keeps a tenant from the cloud any longer.
    pub(super) fn released(&self, tenant: &TenantId, capability: CapabilityName, at: Timestamp) {
        let detail = json!({ "event": "released", "capability": capability });
        self.pass(Happened::Recovery, Some(tenant), at, detail);
    }

    /// Nothing waits for the cloud any longer.
    pub(super) fn drained(&self, capability: CapabilityName, entries: u64, at: Timestamp) {
        tracing::info!(event = "drained", %capability, entries, "the cloud has everything that this host took in its place");
        let detail = json!({ "event": "drained", "capability": capability, "entries": entries });
        self.pass(Happened::Recovery, None, at, detail);
    }

    fn pass(&self, what: Happened, tenant: Option<&TenantId>, at: Timestamp, detail: Value) {
        if let Some(outlet) = self.0.get() {
            outlet(News {
                what,
                tenant: tenant.cloned(),
                at,
                detail,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn what_happens_is_passed_on_once_and_in_order() {
        let heard: Arc<Mutex<Vec<News>>> = Arc::default();
        let (herald, sink) = (Herald::default(), Arc::clone(&heard));
        herald.drained(CapabilityName::Files, 1, NOW);
        herald.passes_to(Box::new(move |news| sink.lock().unwrap().push(news)));
        for (from, to) in [
            (BreakerState::Closed, BreakerState::Open),
            (BreakerState::Open, BreakerState::HalfOpen),
            (BreakerState::HalfOpen, BreakerState::Closed),
        ] {
            herald.breaker(CapabilityName::Memory, Transition { from, to }, NOW);
        }
        herald.drained(CapabilityName::Memory, 7, NOW);
        let heard = heard.lock().unwrap();
        let told: Vec<_> = heard.iter().map(|news| news.what).collect();
        assert_eq!(
            told,
            [Happened::Failover, Happened::Recovery, Happened::Recovery]
        );
        assert_eq!(heard[0].detail["to"], "open");
        assert_eq!(heard[2].detail["entries"], 7);
    }

    #[test]
    fn every_state_is_counted_by_itself() {
        let transitions = Transitions::default();
        for state in STATES {
            transitions.count(state);
        }
        transitions.count(BreakerState::Open);
        assert_eq!(transitions.read(), [1, 2, 1, 1]);
    }
}
