//! The document.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use stuga_core::a2a::Incoming;
use stuga_core::{AgentName, CapabilityName, Error, InvocationId, Result, Timestamp};

use crate::Fault;

/// The format that this host writes and reads.
pub const FORMAT: u32 = 1;
/// Largest recording in bytes.
pub const RECORDING_MAX_BYTES: usize = 8 << 20;

/// JSON as it came, byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Keeps a text that is JSON; as a JSON string when it is not.
    pub fn new(text: String) -> Self {
        let raw = RawValue::from_string(text.clone());
        Self(raw.unwrap_or_else(|_| {
            let quoted = Value::String(text).to_string();
            RawValue::from_string(quoted).unwrap_or_default()
        }))
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// What it says; null when it is nested too deep to be read.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.get()).unwrap_or_default()
    }
}

/// A recorded invocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// [`FORMAT`].
    pub format: u32,
    /// Which agent.
    pub agent: AgentName,
    /// Its version.
    pub version: String,
    /// SHA-256 of its component in hexadecimal digits.
    pub component: String,
    /// Which invocation.
    pub invocation: InvocationId,
    /// What the guest's clock shows.
    pub accepted_at: Timestamp,
    /// How many milliseconds the guest was told it has.
    pub deadline_ms: u64,
    /// What it may take.
    pub limits: LimitsTaken,
    /// What the tenant grants it.
    pub grants: Vec<CapabilityName>,
    /// What its configuration answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, Json>,
    /// Names of the secrets that it may ask for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// What its random numbers follow from, in hexadecimal digits; absent when it drew none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_seed: Option<String>,
    /// Which skill.
    pub skill: String,
    /// What it was given.
    pub input: Json,
    /// The session that the caller named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Incoming>,
    /// What it asked of the host, in order.
    pub calls: Vec<TapedCall>,
    /// What it emitted, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Json>,
    /// What it wrote into its log, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<Line>,
    /// What it answered; absent when it failed.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub output: Option<Json>,
    /// How it failed instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Which fields were replaced by placeholders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
}

/// What an invocation may take, as far as it can notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTaken {
    /// Memory of its instance in bytes.
    pub memory_bytes: u64,
    /// Longest answer in bytes.
    pub output_bytes: u64,
}

/// A call of the host. With neither answer nor error the invocation ended before the answer came.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapedCall {
    /// What was called, such as `memory.get`.
    pub operation: String,
    /// Its arguments. Bytes are written as `{"$text": ...}`, or `{"$base64": ...}` when they are no text.
    pub asked: Json,
    /// What it answered, written like `asked`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub answer: Option<Json>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// A line of the guest's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub message: String,
    /// Its fields as `name="value"`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fields: String,
}

/// How an invocation failed: with an error of the agent's own, or by the host's hand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// One of the nine kinds of an agent's error, or `agent-trapped`, `deadline`, `answer-too-large`, `answer-not-json`.
    pub kind: String,
    /// What the agent said; empty when it did not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Facts that the agent's error carried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<(String, String)>,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// `Invalid` when it is too large, of another format, or no recording.
    pub fn read(text: &str) -> Result<Self> {
        let invalid = |message: String| Error::invalid("recording.read", message);
        if text.len() > RECORDING_MAX_BYTES {
            return Err(invalid(format!(
                "the recording has {} bytes; the limit is {RECORDING_MAX_BYTES}",
                text.len()
            )));
        }
        let recording: Self = serde_json::from_str(text)
            .map_err(|error| invalid(format!("this is no recording: {error}")))?;
        if recording.format != FORMAT {
            return Err(invalid(format!(
                "the recording has format {}, and this host reads {FORMAT}; record the invocation again",
                recording.format
            )));
        }
        Ok(recording)
    }

    /// Writes it, readable for people; [`Recording::read`] gets the same back.
    pub fn write(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// A field that is there, even when it is null.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}
