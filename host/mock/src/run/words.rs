//! What goes into a call and how it ended, between the words of a scenario and those of the host.

use sha2::{Digest, Sha256};
use stuga_core::a2a::Incoming;
use stuga_core::{InvocationId, TenantId, WriteId};
use stuga_runtime::{InputError, InvokeError, Misfit};

use crate::report::Ended;
use crate::scenario::{Call, FailureKind, Letter};

/// The message that an invocation answers, as it is told of it.
pub(super) fn incoming(letter: &Letter, tenant: &TenantId, invocation: InvocationId) -> Incoming {
    // The sender's own tenant is left out, as on a host.
    let own = letter.from.strip_prefix(tenant.as_str());
    let near = own.and_then(|rest| rest.strip_prefix('/'));
    let id = WriteId {
        invocation,
        call: 0,
    };
    Incoming {
        sender: near.unwrap_or(&letter.from).to_owned(),
        id: letter.id.clone().unwrap_or_else(|| id.to_name()),
        expects_reply: !letter.posted,
        depth: letter.depth.unwrap_or(1),
    }
}

/// Tells calls apart that use the same idempotency key.
pub(super) fn digest(skill: &str, call: &Call, input: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [skill, input, call.session.as_deref().unwrap_or("")] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Why a call does not reach the agent, in the words of a scenario.
pub(super) fn misfit(skill: &str, error: InputError) -> Ended {
    match error {
        InputError::UnknownSkill { known } => {
            let close = stuga_yaml::did_you_mean(skill, known.iter().map(String::as_str));
            let close = close.map_or_else(String::new, |c| format!("; did you mean {c:?}?"));
            let known = known.join(", ");
            let message = format!("the agent has no skill {skill:?}{close}; it has {known}");
            Ended::failed(FailureKind::UnknownSkill, message)
        }
        InputError::Unreadable(why) => Ended::failed(FailureKind::InputDoesNotFit, why),
        InputError::Misfits { errors, .. } => {
            let lines: Vec<String> = errors
                .iter()
                .map(|Misfit { pointer, message }| {
                    let place = if pointer.is_empty() { "input" } else { pointer };
                    format!("{place}: {message}")
                })
                .collect();
            Ended::failed(FailureKind::InputDoesNotFit, lines.join("; "))
        }
    }
}

/// How a guest's call ended that did not answer, in the words of a scenario.
pub(crate) fn ended(error: InvokeError) -> Ended {
    use stuga_core::ErrorKind as Kind;
    let kind = match &error {
        InvokeError::Agent(error) => {
            let kind = match error.kind() {
                Kind::NotFound => FailureKind::NotFound,
                Kind::Invalid => FailureKind::Invalid,
                Kind::Denied => FailureKind::Denied,
                Kind::Conflict => FailureKind::Conflict,
                Kind::QuotaExceeded => FailureKind::QuotaExceeded,
                Kind::RateLimited => FailureKind::RateLimited,
                Kind::Timeout => FailureKind::Timeout,
                Kind::Unavailable => FailureKind::Unavailable,
                Kind::Internal => FailureKind::Internal,
            };
            return Ended::Failed {
                kind,
                message: error.message().to_owned(),
                context: error
                    .context()
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.clone()))
                    .collect(),
            };
        }
        InvokeError::Trapped { .. } => FailureKind::AgentTrapped,
        InvokeError::Deadline => FailureKind::Deadline,
        InvokeError::Busy { .. } => FailureKind::Busy,
        InvokeError::TooLarge { .. } => FailureKind::AnswerTooLarge,
        InvokeError::NotJson { .. } => FailureKind::AnswerNotJson,
        InvokeError::Internal(_) => FailureKind::HostFailed,
    };
    Ended::failed(kind, error.to_string())
}
