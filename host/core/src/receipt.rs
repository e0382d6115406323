//! Receipts: how an answer was made.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::CapabilityName;
use crate::model::Usage;

/// Which side served a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The implementation on this host.
    Local,
    /// The implementation on AWS.
    Cloud,
}

/// State of the breaker that stood before the cloud backend when a call was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls go through as probes.
    HalfOpen,
    /// An operator or a drill forces the local backend.
    Isolated,
}

/// What one invocation did with one capability.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CapabilityUse {
    /// Which capability.
    pub capability: CapabilityName,
    /// Who served the latest call.
    pub backend: Backend,
    /// None in `local` mode, where no breaker stands in the path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub breaker: Option<BreakerState>,
    /// Age in milliseconds of the oldest local copy that answered instead of the cloud; none when nothing was stale.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub staleness_ms: Option<u64>,
    /// Writes of this invocation that wait in the journal for the cloud.
    pub pending: u32,
    /// Tries at a backend, at least one a call.
    pub attempts: u32,
    /// Calls that read.
    pub reads: u32,
    /// Calls that wrote.
    pub writes: u32,
    /// Tokens of models, as their endpoints count them; none where there are none to count.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens: Option<Usage>,
    /// Why a call was answered otherwise than it was asked, the first such reason; none when none was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub degraded: Option<String>,
}

/// Longest reason for a degraded answer in bytes; what is over is cut.
const DEGRADED_MAX_BYTES: usize = 240;

/// What guest and host spent on an invocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time of the guest's call in microseconds, host calls included.
    pub duration_us: u64,
    /// Time in microseconds the call waited for an instance.
    pub queued_us: u64,
    /// Size of the guest's linear memory after the call, in bytes.
    pub memory_bytes: u64,
}

/// How an answer was made: part of every answer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// The agent's version.
    pub agent_version: Arc<str>,
    /// SHA-256 of the component, in hexadecimal digits.
    pub component: Arc<str>,
    /// Capabilities in the order of their first use.
    pub capabilities: Vec<CapabilityUse>,
    /// What it took.
    pub cost: Cost,
}

/// Collects the capability part of a receipt during an invocation. The facade alone writes to it.
#[derive(Debug, Default)]
pub struct ReceiptLog(Mutex<Vec<CapabilityUse>>);

impl ReceiptLog {
    /// Notes one call: `note` fills in what it did. The first note for a capability begins from zero.
    pub fn note(
        &self,
        capability: CapabilityName,
        backend: Backend,
        note: impl FnOnce(&mut CapabilityUse),
    ) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = uses.iter().position(|u| u.capability == capability);
        let entry = match at {
            Some(at) => uses.get_mut(at),
            None => {
                uses.push(CapabilityUse {
                    capability,
                    backend,
                    breaker: None,
                    staleness_ms: None,
                    pending: 0,
                    attempts: 0,
                    reads: 0,
                    writes: 0,
                    tokens: None,
                    degraded: None,
                });
                uses.last_mut()
            }
        };
        if let Some(entry) = entry {
            entry.backend = backend;
            note(entry);
        }
    }

    /// Notes why the latest call of `capability` was answered otherwise than it was asked. The first reason stays.
    pub fn degrade(&self, capability: CapabilityName, reason: &str) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = uses.iter_mut().find(|u| u.capability == capability);
        if let Some(CapabilityUse { degraded, .. }) = entry {
            let end = reason.floor_char_boundary(DEGRADED_MAX_BYTES);
            degraded.get_or_insert_with(|| reason.get(..end).unwrap_or_default().to_owned());
        }
    }

    /// Adds the tokens of an answer that has ended to what was noted of `capability`: its call was noted when the answer
    /// began, with who serves it. Nothing is added where no call was noted, as when a recording answers.
    pub fn count_tokens(&self, capability: CapabilityName, usage: Usage) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = uses.iter_mut().find(|u| u.capability == capability);
        if let Some(entry) = entry {
            let sum = entry.tokens.get_or_insert_default();
            sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
            sum.completion_tokens = sum
                .completion_tokens
                .saturating_add(usage.completion_tokens);
        }
    }

    /// What was noted so far, in the order of first use.
    pub fn snapshot(&self) -> Vec<CapabilityUse> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_added_to_a_call_and_change_nothing_of_who_served_it() {
        let log = ReceiptLog::default();
        let usage = Usage {
            prompt_tokens: 3,
            completion_tokens: 4,
        };
        log.count_tokens(CapabilityName::Model, usage);
        assert!(log.snapshot().is_empty(), "no call was noted");
        log.note(CapabilityName::Model, Backend::Cloud, |used| used.reads = 1);
        log.count_tokens(CapabilityName::Model, usage);
        log.count_tokens(CapabilityName::Model, usage);
        let [used] = &log.snapshot()[..] else {
            unreachable!("one capability was used")
        };
        assert_eq!((used.backend, used.reads), (Backend::Cloud, 1));
        let tokens = used.tokens.unwrap();
        assert_eq!((tokens.prompt_tokens, tokens.completion_tokens), (6, 8));
    }
}
