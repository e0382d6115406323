//! `expect`: what the agent has stored after the last call. One type for each capability.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::agents::ExpectMessage;
use super::jobs::{ExpectJob, ExpectSchedule};
use super::search::ExpectDocument;
use super::values::Content;

/// What the agent has stored after the last call.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Effects {
    /// Items of memory.
    #[serde(default)]
    pub(crate) memory: Vec<ExpectMemory>,
    /// Files.
    #[serde(default)]
    pub(crate) files: Vec<ExpectFile>,
    /// Sessions.
    #[serde(default)]
    pub(crate) sessions: Vec<ExpectSession>,
    /// Records.
    #[serde(default)]
    pub(crate) records: Vec<ExpectRecord>,
    /// Documents of search.
    #[serde(default)]
    pub(crate) search: Vec<ExpectDocument>,
    /// Jobs.
    #[serde(default)]
    pub(crate) jobs: Vec<ExpectJob>,
    /// Schedules.
    #[serde(default)]
    pub(crate) schedules: Vec<ExpectSchedule>,
    /// The messages that the agent sent for an answer, all of them in their order.
    pub(crate) sent: Option<Vec<ExpectMessage>>,
    /// The messages that the agent posted, all of them in their order.
    pub(crate) posted: Option<Vec<ExpectMessage>>,
}

/// An item of memory, or with `count` how many there are whose key begins like this.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectMemory {
    /// Its key.
    pub(crate) key: String,
    /// Whether there is none.
    #[serde(default)]
    pub(crate) absent: bool,
    /// How many items have a key that begins with `key`.
    pub(crate) count: Option<usize>,
    /// The whole value as JSON.
    pub(crate) json: Option<Value>,
    /// The whole value as text.
    pub(crate) text: Option<String>,
    /// The whole value's bytes in Base64.
    pub(crate) base64: Option<String>,
    /// A file with the whole value, from the scenario's folder.
    pub(crate) file: Option<String>,
    /// A part of the value as JSON.
    pub(crate) contains: Option<Value>,
    /// Values by JSON pointer.
    #[serde(default)]
    pub(crate) at: BTreeMap<String, Value>,
    /// A regular expression for the value as text.
    pub(crate) matches: Option<String>,
}

/// A file, or with `count` how many there are whose path begins like this.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectFile {
    /// Its path.
    pub(crate) path: String,
    /// Whether there is none.
    #[serde(default)]
    pub(crate) absent: bool,
    /// How many files have a path that begins with `path`.
    pub(crate) count: Option<usize>,
    /// The whole content as JSON.
    pub(crate) json: Option<Value>,
    /// The whole content as text.
    pub(crate) text: Option<String>,
    /// The whole content's bytes in Base64.
    pub(crate) base64: Option<String>,
    /// A file with the whole content, from the scenario's folder.
    pub(crate) file: Option<String>,
    /// A part of the content as JSON.
    pub(crate) contains: Option<Value>,
    /// Values by JSON pointer.
    #[serde(default)]
    pub(crate) at: BTreeMap<String, Value>,
    /// A regular expression for the content as text.
    pub(crate) matches: Option<String>,
    /// Its media type.
    pub(crate) content_type: Option<String>,
}

/// A session.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectSession {
    /// With whom.
    pub(crate) actor: String,
    /// Its id.
    pub(crate) id: String,
    /// Whether there is none.
    #[serde(default)]
    pub(crate) absent: bool,
    /// Whether it is closed.
    pub(crate) closed: Option<bool>,
    /// What was said, all of it, the oldest first.
    pub(crate) events: Option<Vec<String>>,
}

/// A record.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectRecord {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its id.
    pub(crate) id: String,
    /// Whether there is none.
    #[serde(default)]
    pub(crate) absent: bool,
    /// Its text.
    pub(crate) text: Option<String>,
}

/// What is expected of a content.
pub(crate) struct Kept<'s> {
    /// The whole of it; may be none of the four.
    pub(crate) whole: Content<'s>,
    /// A part of it as JSON.
    pub(crate) contains: Option<&'s Value>,
    /// Values by JSON pointer.
    pub(crate) at: &'s BTreeMap<String, Value>,
    /// A regular expression for it as text.
    pub(crate) matches: Option<&'s str>,
}

macro_rules! kept {
    ($type:ident) => {
        impl $type {
            pub(crate) fn kept(&self) -> Kept<'_> {
                Kept {
                    whole: Content {
                        json: self.json.as_ref(),
                        text: self.text.as_deref(),
                        base64: self.base64.as_deref(),
                        file: self.file.as_deref(),
                    },
                    contains: self.contains.as_ref(),
                    at: &self.at,
                    matches: self.matches.as_deref(),
                }
            }
        }
    };
}

kept!(ExpectMemory);
kept!(ExpectFile);
