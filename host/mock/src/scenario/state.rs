//! `state`: what the agent has stored before the first call. One type for each capability.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Span;
use super::jobs::{StateJob, StateSchedule};
use super::search::StateIndex;
use super::values::{Content, role_names};

/// What the agent has stored before the first call.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Items of memory.
    #[serde(default)]
    pub(crate) memory: Vec<StateMemory>,
    /// Files.
    #[serde(default)]
    pub(crate) files: Vec<StateFile>,
    /// Sessions with their events.
    #[serde(default)]
    pub(crate) sessions: Vec<StateSession>,
    /// Records.
    #[serde(default)]
    pub(crate) records: Vec<StateRecord>,
    /// Indices of search with their documents.
    #[serde(default)]
    pub(crate) search: Vec<StateIndex>,
    /// Jobs that wait.
    #[serde(default)]
    pub(crate) jobs: Vec<StateJob>,
    /// Schedules.
    #[serde(default)]
    pub(crate) schedules: Vec<StateSchedule>,
}

/// An item of memory; its value is one of json, text, base64 and file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateMemory {
    /// Its key.
    pub(crate) key: String,
    /// The value as JSON.
    pub(crate) json: Option<Value>,
    /// The value as text.
    pub(crate) text: Option<String>,
    /// The value's bytes in Base64.
    pub(crate) base64: Option<String>,
    /// A file with the value, from the scenario's folder.
    pub(crate) file: Option<String>,
    /// How long it stays.
    pub(crate) ttl: Option<Span>,
}

/// A file; its content is one of json, text, base64 and file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateFile {
    /// Its path.
    pub(crate) path: String,
    /// The content as JSON.
    pub(crate) json: Option<Value>,
    /// The content as text.
    pub(crate) text: Option<String>,
    /// The content's bytes in Base64.
    pub(crate) base64: Option<String>,
    /// A file with the content, from the scenario's folder.
    pub(crate) file: Option<String>,
    /// Its media type.
    pub(crate) content_type: Option<String>,
    /// Its metadata.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A session.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateSession {
    /// With whom.
    pub(crate) actor: String,
    /// Its id.
    pub(crate) id: String,
    /// How long it stays.
    pub(crate) ttl: Option<Span>,
    /// Its metadata.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// What was said, the oldest first.
    #[serde(default)]
    pub(crate) events: Vec<StateEvent>,
    /// Whether it is closed.
    #[serde(default)]
    pub(crate) closed: bool,
}

/// Something that was said.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateEvent {
    /// By whom.
    #[schemars(schema_with = "role_names")]
    pub(crate) role: String,
    /// What.
    pub(crate) content: String,
}

/// A record.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateRecord {
    /// Its namespace, such as /users/astrid/facts.
    pub(crate) namespace: String,
    /// Its id.
    pub(crate) id: String,
    /// Its text.
    pub(crate) text: String,
    /// Its metadata.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
}

impl StateMemory {
    pub(crate) fn content(&self) -> Content<'_> {
        Content {
            json: self.json.as_ref(),
            text: self.text.as_deref(),
            base64: self.base64.as_deref(),
            file: self.file.as_deref(),
        }
    }
}

impl StateFile {
    pub(crate) fn content(&self) -> Content<'_> {
        Content {
            json: self.json.as_ref(),
            text: self.text.as_deref(),
            base64: self.base64.as_deref(),
            file: self.file.as_deref(),
        }
    }
}
