//! `model`: what a model answers.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// An answer of the model; exactly one of text and json.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelAnswer {
    /// Given only when the last message contains this.
    pub(crate) when: Option<String>,
    /// The answer as text.
    pub(crate) text: Option<String>,
    /// The answer as JSON.
    pub(crate) json: Option<Value>,
    /// How often it is given; without it, always.
    #[schemars(range(min = 1))]
    pub(crate) times: Option<u64>,
    /// Why the model stopped; without it, because it had said all.
    pub(crate) finish: Option<Finish>,
    /// After how many words the answer breaks off: the next one is `unavailable` to who reads it piece by piece, and all of it to who
    /// asks for it as a whole.
    pub(crate) breaks_after: Option<usize>,
}

/// Why a model stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Finish {
    Stop,
    Length,
    Filtered,
}
