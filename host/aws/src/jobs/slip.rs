//! What is known of an attempt that runs on Lambda: one object of S3, changed by comparing and swapping. Pure.
//!
//! Host and function write the same slip, and each step is open to one of them alone:
//!
//! | phase | who writes it | what follows |
//! | --- | --- | --- |
//! | offered | the host, once for the attempt | running or withdrawn |
//! | running | the function that begins it; it writes again as a sign of life | ended |
//! | withdrawn | the host, when nobody began in time: the attempt runs elsewhere | nothing |
//! | ended | the function; or the host, when the function is silent | nothing |

use serde::{Deserialize, Serialize};
use stuga_core::jobs::Progress;
use stuga_core::jobs::elsewhere::{Ended, Order};

/// An attempt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub(super) enum Slip {
    /// Whoever begins it first runs it.
    Offered {
        /// What to do.
        order: Box<Order>,
    },
    /// A function runs it.
    Running {
        /// Which request of Lambda's.
        request: String,
        /// Grows with every sign of life.
        beats: u64,
        /// What the attempt says of itself.
        progress: Option<Progress>,
    },
    /// It does not run on Lambda.
    Withdrawn,
    /// It has ended.
    Ended {
        /// How.
        ended: Ended,
        /// What the attempt said of itself last.
        progress: Option<Progress>,
    },
}

impl Slip {
    /// The slip of a new attempt.
    pub(super) fn offer(order: &Order) -> Self {
        Self::Offered {
            order: Box::new(order.clone()),
        }
    }

    /// The slip once a function begins; none when it is not on offer (any more).
    pub(super) fn begin(&self, request: &str) -> Option<(Self, Order)> {
        let Self::Offered { order } = self else {
            return None;
        };
        let running = Self::Running {
            request: request.to_owned(),
            beats: 0,
            progress: None,
        };
        Some((running, Order::clone(order)))
    }

    /// The slip after a sign of life; none when it does not run.
    pub(super) fn beat(&self, progress: Option<Progress>) -> Option<Self> {
        let Self::Running { request, beats, .. } = self else {
            return None;
        };
        Some(Self::Running {
            request: request.clone(),
            beats: beats.saturating_add(1),
            progress,
        })
    }

    /// What the attempt said of itself last.
    pub(super) fn progress(&self) -> Option<&Progress> {
        match self {
            Self::Running { progress, .. } => progress.as_ref(),
            Self::Ended { progress, .. } => progress.as_ref(),
            Self::Offered { .. } | Self::Withdrawn => None,
        }
    }

    /// Whether nothing follows.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Withdrawn | Self::Ended { .. })
    }

    /// How the attempt ended on Lambda; none when it has not.
    pub(super) fn ended(self) -> Option<Ended> {
        match self {
            Self::Ended { ended, .. } => Some(ended),
            Self::Offered { .. } | Self::Running { .. } | Self::Withdrawn => None,
        }
    }

    /// The slip once nobody shall begin any more; none when somebody has.
    pub(super) fn withdraw(&self) -> Option<Self> {
        matches!(self, Self::Offered { .. }).then_some(Self::Withdrawn)
    }

    /// The slip with the end of what runs; none when it does not run.
    pub(super) fn end(&self, ended: Ended, progress: Option<Progress>) -> Option<Self> {
        matches!(self, Self::Running { .. }).then_some(Self::Ended { ended, progress })
    }
}

/// What Lambda is sent: whose slip, and which. The order itself stays in the tenant's own objects.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ticket {
    pub(super) tenant: stuga_core::TenantId,
    pub(super) invocation: stuga_core::InvocationId,
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use stuga_core::{AgentName, InvocationId, TenantId, Timestamp};
    use uuid::Uuid;

    use super::*;

    pub(in super::super) fn order() -> Order {
        Order {
            tenant: TenantId::new("acme").unwrap(),
            agent: AgentName::new("svea").unwrap(),
            invocation: InvocationId::from_uuid(Uuid::from_u128(1)),
            component: "0".repeat(64),
            settings: serde_json::Value::Null,
            job: "j".to_owned(),
            kind: "note".to_owned(),
            input: "1".to_owned(),
            attempt: 1,
            began_at: Timestamp::default(),
            time: Duration::from_secs(1),
        }
    }

    #[test]
    fn an_attempt_is_begun_once_or_withdrawn_and_ends_once() {
        let offered = Slip::offer(&order());
        let (running, begun) = offered.begin("r").unwrap();
        assert_eq!(begun, order());
        assert!(running.begin("again").is_none() && running.withdraw().is_none());
        let beaten = running.beat(None).unwrap();
        assert_ne!(beaten, running, "a sign of life is a change");
        let ended = beaten.end(Ended::Succeeded("1".to_owned()), None).unwrap();
        let done = [&ended, &offered.withdraw().unwrap()];
        for slip in done {
            assert!(slip.begin("r").is_none() && slip.beat(None).is_none());
            assert!(slip.withdraw().is_none());
            assert!(slip.end(Ended::Succeeded("2".to_owned()), None).is_none());
        }
        assert!(
            offered
                .end(Ended::Succeeded("1".to_owned()), None)
                .is_none()
        );
    }

    #[test]
    fn what_runs_does_not_carry_its_order_along() {
        let (running, _) = Slip::offer(&order()).begin("r").unwrap();
        let text = serde_json::to_string(&running).unwrap();
        assert!(!text.contains("note"), "{text}");
    }
}
