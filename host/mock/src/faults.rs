//! Faults on command: which calls of a capability fail, and how.

use std::sync::{Mutex, PoisonError};

use stuga_core::{CallCtx, Error, ErrorKind};
use tokio::time::Instant;

use crate::scenario::{Fault, FaultKind};

/// The faults of a scenario, each with the calls that it has seen.
pub(crate) struct Faults(Mutex<Vec<Armed>>);

struct Armed {
    fault: Fault,
    seen: u64,
    struck: u64,
}

/// What a fault does to a call instead of letting it through.
pub(crate) struct Effect {
    pub(crate) error: Error,
    /// Whether a write is applied all the same, its answer being lost.
    pub(crate) landed: bool,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let arm = |fault: &Fault| Armed {
            fault: fault.clone(),
            seen: 0,
            struck: 0,
        };
        Self(Mutex::new(faults.iter().map(arm).collect()))
    }

    /// Counts a call and says what happens to it; none lets it through, after its delay. A delay beyond the deadline
    /// never ends, so that the deadline ends the call.
    pub(crate) async fn strike(&self, ctx: &CallCtx, operation: &'static str) -> Option<Effect> {
        let fault = self.next(operation)?;
        let kind = match fault.fault {
            FaultKind::Slow => {
                match fault.delay {
                    Some(delay) if Instant::now() + delay.0 < ctx.deadline => {
                        tokio::time::sleep(delay.0).await;
                    }
                    // An answer at the deadline would race with the end of the call: there is none.
                    _ => std::future::pending().await,
                }
                return None;
            }
            FaultKind::Unavailable => ErrorKind::Unavailable,
            FaultKind::Timeout | FaultKind::LostAnswer => ErrorKind::Timeout,
            FaultKind::Conflict => ErrorKind::Conflict,
            FaultKind::Quota => ErrorKind::QuotaExceeded,
            FaultKind::RateLimited => ErrorKind::RateLimited,
            FaultKind::Internal => ErrorKind::Internal,
        };
        let message = fault
            .message
            .unwrap_or_else(|| format!("the scenario's fault `{}`", fault.fault.as_str()));
        let mut error = Error::new(kind, operation, message);
        if let Some(delay) = fault.delay {
            error = error.with_retry_after(delay.0);
        }
        Some(Effect {
            error,
            landed: fault.fault == FaultKind::LostAnswer,
        })
    }

    /// The first fault that strikes this call. All that name the operation count it.
    fn next(&self, operation: &str) -> Option<Fault> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut striking = None;
        for armed in armed.iter_mut().filter(|a| a.names(operation)) {
            let strikes = armed.strikes();
            armed.seen += 1;
            if strikes && striking.is_none() {
                armed.struck += 1;
                striking = Some(armed.fault.clone());
            }
        }
        striking
    }
}

impl Armed {
    fn names(&self, operation: &str) -> bool {
        let on = self.fault.on.as_str();
        on == operation || operation.split('.').next() == Some(on)
    }

    fn strikes(&self) -> bool {
        let Some(since) = self.seen.checked_sub(self.fault.after) else {
            return false;
        };
        let every = self.fault.every.unwrap_or(1).max(1);
        since.is_multiple_of(every) && self.fault.times.is_none_or(|times| self.struck < times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(yaml: serde_json::Value, calls: usize) -> Vec<bool> {
        let faults = Faults::new(&[serde_json::from_value(yaml).unwrap()]);
        (0..calls)
            .map(|_| faults.next("memory.get").is_some())
            .collect()
    }

    #[test]
    fn a_fault_strikes_after_for_and_every_so_many_calls() {
        let fault =
            serde_json::json!({"on": "memory", "fault": "unavailable", "after": 1, "times": 2});
        assert_eq!(struck(fault, 5), [false, true, true, false, false]);
        let fault = serde_json::json!({"on": "memory.get", "fault": "conflict", "every": 2});
        assert_eq!(struck(fault, 5), [true, false, true, false, true]);
        let fault = serde_json::json!({"on": "memory.put", "fault": "conflict"});
        assert_eq!(struck(fault, 2), [false, false]);
    }
}
