//! `agents`: the other agents and what they answer; `message` of a call; what was sent and posted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use stuga_core::ErrorKind;

use super::values::{Span, error_kinds};

/// Another agent, and what it answers; at most one of answer and error. Without either it is there and takes what is
/// posted, but has nothing to say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherAgent {
    /// Its address: agent, or tenant/agent.
    pub(crate) agent: String,
    /// The skill that is asked; without it, any.
    pub(crate) skill: Option<String>,
    /// Given only when the input has this in it.
    pub(crate) when: Option<Value>,
    /// What it answers.
    pub(crate) answer: Option<Value>,
    /// How it fails.
    pub(crate) error: Option<AgentError>,
    /// How often; without it, always.
    #[schemars(range(min = 1))]
    pub(crate) times: Option<u64>,
    /// How long it takes.
    pub(crate) delay: Option<Span>,
}

/// How another agent fails.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentError {
    /// One of the nine kinds of an agent's error.
    #[schemars(schema_with = "error_kinds")]
    pub(crate) kind: ErrorKind,
    /// What it says.
    #[serde(default)]
    pub(crate) message: String,
    /// Facts that it carries, by name.
    #[serde(default)]
    pub(crate) context: BTreeMap<String, String>,
    /// When trying again may help.
    pub(crate) retry_after: Option<Span>,
}

/// The message that a call answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Letter {
    /// Who wrote it: agent, or tenant/agent.
    pub(crate) from: String,
    /// Its id; without it, one that follows from the seed.
    pub(crate) id: Option<String>,
    /// Whether it was posted, so that nobody waits for the answer.
    #[serde(default)]
    pub(crate) posted: bool,
    /// How deep it is; without it, 1: a client's call made the sender write.
    #[schemars(range(min = 1, max = 16))]
    pub(crate) depth: Option<u32>,
}

/// A message that the agent wrote.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectMessage {
    /// To whom: agent, or tenant/agent.
    pub(crate) to: String,
    /// Which skill.
    pub(crate) skill: Option<String>,
    /// The whole input.
    pub(crate) input: Option<Value>,
    /// A part of the input.
    pub(crate) contains: Option<Value>,
    /// The session.
    pub(crate) session: Option<String>,
}
