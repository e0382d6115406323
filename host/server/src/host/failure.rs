//! Why a call was not answered, in the host's own words. The API turns it into a problem, the commands into a line.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use stuga_core::Error;
use stuga_runtime::{InputError, InvokeError};
use utoipa::ToSchema;

use crate::tenants::suggestion;

/// One place where an input does not fit its schema.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Misfit {
    /// JSON pointer into the input; empty for the input as a whole.
    #[schema(example = "/turns/0/speaker")]
    pub pointer: String,
    /// What is wrong there.
    #[schema(example = "5 is not of type \"string\"")]
    pub message: String,
}

/// Why a call was not answered.
#[derive(Debug)]
pub enum Failure {
    /// The tenant has no such agent.
    UnknownAgent {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The tenant has the agent, but it could not be readied.
    NotReady {
        /// Which agent.
        agent: String,
    },
    /// The agent has no such skill.
    UnknownSkill {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The input is no JSON that can be read.
    Unreadable(String),
    /// The input does not fit the skill's schema.
    Misfits {
        /// Where and why, the first few.
        errors: Vec<Misfit>,
        /// Whether there are more.
        more: bool,
    },
    /// The tenant's calls at once are used up.
    TooMany {
        /// How many it may have.
        limit: u32,
        /// When trying again may help.
        retry_after: Duration,
    },
    /// The tenant's calls per second are used up.
    TooFast {
        /// How many it may make.
        per_second: u32,
        /// When trying again helps.
        retry_after: Duration,
    },
    /// The idempotency key stands for another request.
    KeyMismatch,
    /// The idempotency key's invocation is running.
    KeyInProgress,
    /// The host could not remember the idempotency key.
    Keeping(Error),
    /// The call was made and did not succeed.
    Invoke(InvokeError),
}

impl Failure {
    /// Why an input for `skill` was not taken.
    pub(super) fn of_input(skill: &str, error: InputError) -> Self {
        match error {
            InputError::UnknownSkill { known } => Self::UnknownSkill {
                asked: skill.to_owned(),
                known,
            },
            InputError::Unreadable(why) => Self::Unreadable(why),
            InputError::Misfits { errors, more } => Self::Misfits {
                errors: errors
                    .into_iter()
                    .map(|misfit| Misfit {
                        pointer: misfit.pointer,
                        message: misfit.message,
                    })
                    .collect(),
                more,
            },
        }
    }
}

impl From<InvokeError> for Failure {
    fn from(error: InvokeError) -> Self {
        Self::Invoke(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAgent { asked, known } => unknown(f, "agent", asked, known),
            Self::UnknownSkill { asked, known } => unknown(f, "skill", asked, known),
            Self::NotReady { agent } => write!(
                f,
                "agent {agent:?} could not be readied; the operator finds why in the host's log"
            ),
            Self::Unreadable(why) => write!(f, "the input is not readable JSON: {why}"),
            Self::Misfits { errors, more } => {
                f.write_str("the input does not fit the skill's schema")?;
                for Misfit { pointer, message } in errors {
                    let place = if pointer.is_empty() { "input" } else { pointer };
                    write!(f, "; {place}: {message}")?;
                }
                f.write_str(if *more { "; and more" } else { "" })
            }
            Self::TooMany { limit, .. } => {
                write!(f, "{limit} calls are running, which is all that the tenant may have at once")
            }
            Self::TooFast { per_second, .. } => write!(f, "the tenant may make {per_second} calls a second"),
            Self::KeyMismatch => f.write_str("the Idempotency-Key was used with another request; use a new key for a new request"),
            Self::KeyInProgress => f.write_str("the first request with this Idempotency-Key is still running"),
            Self::Keeping(error) => write!(f, "the Idempotency-Key cannot be kept: {}", error.message()),
            Self::Invoke(InvokeError::Internal(_)) => f.write_str("the host failed; its log says more"),
            Self::Invoke(InvokeError::Trapped { .. }) => f.write_str("the agent stopped abnormally; the next call gets a new instance"),
            Self::Invoke(InvokeError::NotJson { .. }) => f.write_str("the agent's answer is not JSON"),
            Self::Invoke(InvokeError::Agent(error)) => f.write_str(error.message()),
            Self::Invoke(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

fn unknown(f: &mut fmt::Formatter<'_>, what: &str, asked: &str, known: &[String]) -> fmt::Result {
    /// Longer names are cut: they come from outside.
    const SHOWN_CHARS: usize = 64;
    let shown: String = asked.chars().take(SHOWN_CHARS).collect();
    write!(
        f,
        "there is no {what} {shown:?}{}",
        suggestion(&shown, known.iter().map(String::as_str))
    )?;
    if known.is_empty() {
        write!(f, "; there is none at all")
    } else {
        write!(f, "; there is {}", known.join(", "))
    }
}
