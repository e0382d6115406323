//! What a scenario file says: these types are the one declaration. The JSON Schema for editors is generated from them
//! (docs/reference/scenario.schema.json) and is what files are checked against, see [`crate::load`].

mod agents;
mod effects;
mod jobs;
mod model;
mod recording;
mod search;
mod secrets;
mod state;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use stuga_recording::Recording;

pub(crate) use agents::{ExpectMessage, Letter, OtherAgent};
pub(crate) use effects::{Effects, ExpectFile, ExpectMemory, ExpectRecord, ExpectSession, Kept};
pub(crate) use jobs::{ExpectJob, ExpectRan, ExpectSchedule, StateJob, StateSchedule};
pub(crate) use model::{Finish, ModelAnswer};
pub(crate) use recording::besides;
pub(crate) use search::{
    AnalyzerWord, ExpectDocument, FieldWord, StateDocument, StateField, StateIndex,
};
pub(crate) use secrets::Secret;
pub(crate) use state::{State, StateFile, StateMemory, StateRecord, StateSession};
pub(crate) use values::{Content, Moment, Size, Span, moment_text, read_file};

/// A scenario: what is there, what is called, and what must come of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in one sentence.
    #[serde(default)]
    #[allow(dead_code, reason = "for those who read the file")]
    pub(crate) description: String,
    /// The tenant that the agent runs for.
    pub(crate) tenant: Option<String>,
    /// What ids and random numbers follow from.
    pub(crate) seed: Option<u64>,
    /// When the first call is made, such as 2026-03-18T09:00:00Z.
    pub(crate) clock: Option<Moment>,
    /// What the tenant grants; without it, what the component imports.
    #[serde(default)]
    #[schemars(schema_with = "values::capabilities")]
    pub(crate) grants: Option<Vec<String>>,
    /// What the agent's configuration answers, by name.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Value>,
    /// What a call may take.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// What the agent has stored before the first call.
    #[serde(default)]
    pub(crate) state: State,
    /// What the model answers: the first that fits. Without one that fits it is unavailable, as on a host without a model.
    #[serde(default)]
    pub(crate) model: Vec<ModelAnswer>,
    /// The other agents and what they answer: the first that fits.
    #[serde(default)]
    pub(crate) agents: Vec<OtherAgent>,
    /// The secrets that the tenant gives to the agent: their values by name. No report shows them.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// What goes wrong.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// A recording that `stuga record` made, from the scenario's folder: it says all of the above and below itself.
    pub(crate) recording: Option<String>,
    /// What is called, in order.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) calls: Vec<Call>,
    /// What the agent has stored after the last call.
    #[serde(default)]
    pub(crate) expect: Effects,
    /// What `recording` names.
    #[serde(skip)]
    pub(crate) recorded: Option<Arc<Recording>>,
    /// The file that it was read from.
    #[serde(skip)]
    pub(crate) file: PathBuf,
    /// Its name: the file's path below the scenarios' folder, without the ending.
    #[serde(skip)]
    pub(crate) name: String,
}

impl Scenario {
    /// One that lays nothing down and calls nothing.
    pub(crate) fn empty() -> Self {
        Self {
            description: String::new(),
            tenant: None,
            seed: None,
            clock: None,
            grants: None,
            config: BTreeMap::new(),
            limits: Limits::default(),
            state: State::default(),
            model: Vec::new(),
            agents: Vec::new(),
            secrets: BTreeMap::new(),
            faults: Vec::new(),
            recording: None,
            calls: Vec::new(),
            expect: Effects::default(),
            recorded: None,
            file: PathBuf::new(),
            name: String::new(),
        }
    }
}

impl Call {
    /// A call of which nothing but success is expected.
    pub(crate) fn of(skill: &str, input: Value) -> Self {
        Self {
            skill: Some(skill.to_owned()),
            run_jobs: None,
            input: Some(input),
            input_files: BTreeMap::new(),
            session: None,
            message: None,
            idempotency_key: None,
            deadline: None,
            after: None,
            expect: Expect::default(),
        }
    }
}

/// What a call may take; the defaults are a tenant's.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Memory of an instance, such as 64MiB.
    pub(crate) memory: Option<Size>,
    /// Longest answer, such as 4MiB.
    pub(crate) answer: Option<Size>,
    /// Longest call, such as 30s.
    pub(crate) deadline: Option<Span>,
    /// Most bytes that the agent may store in memory.
    pub(crate) stored_memory: Option<Size>,
    /// Most bytes that the agent may store in files.
    pub(crate) stored_files: Option<Size>,
}

/// Something that goes wrong between the facade and the backend.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// A capability such as memory, or one operation such as memory.get.
    pub(crate) on: String,
    /// What happens to the call.
    pub(crate) fault: FaultKind,
    /// How many calls go well first.
    #[serde(default)]
    pub(crate) after: u64,
    /// How many calls it strikes; without it, all that follow.
    pub(crate) times: Option<u64>,
    /// Strikes every so many calls only.
    #[schemars(range(min = 1))]
    pub(crate) every: Option<u64>,
    /// How long a slow backend takes; without it, beyond the deadline. For other faults, when trying again may help.
    pub(crate) delay: Option<Span>,
    /// What the error says.
    pub(crate) message: Option<String>,
}

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    Unavailable,
    Slow,
    Timeout,
    LostAnswer,
    Conflict,
    Quota,
    RateLimited,
    Internal,
}

impl FaultKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Slow => "slow",
            Self::Timeout => "timeout",
            Self::LostAnswer => "lost-answer",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::RateLimited => "rate-limited",
            Self::Internal => "internal",
        }
    }
}

/// One call of a skill, or time in which jobs run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("if" = json!({"not": {"required": ["run_jobs"]}}), "then" = json!({"required": ["skill"]})))]
pub(crate) struct Call {
    /// The skill.
    pub(crate) skill: Option<String>,
    /// Instead of a skill: how much time passes while jobs run, each when it is due; 0s runs what is due now.
    pub(crate) run_jobs: Option<Span>,
    /// Its input; an empty object when there is none.
    pub(crate) input: Option<Value>,
    /// A file with text that goes into the input, by the name of the field.
    #[serde(default)]
    pub(crate) input_files: BTreeMap<String, String>,
    /// The session that the caller names.
    pub(crate) session: Option<String>,
    /// The message of another agent that is answered; without it, a client calls.
    pub(crate) message: Option<Letter>,
    /// Makes a repetition of the call safe.
    pub(crate) idempotency_key: Option<String>,
    /// How long this call may take.
    pub(crate) deadline: Option<Span>,
    /// How long the clock moves on before the call.
    pub(crate) after: Option<Span>,
    /// What must come of it; without it, it must succeed.
    #[serde(default)]
    pub(crate) expect: Expect,
}

/// What must come of a call.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// The whole output.
    pub(crate) output: Option<Value>,
    /// A part of the output: fields that it must have, others may be there.
    pub(crate) contains: Option<Value>,
    /// Values in the output by JSON pointer, such as /items/0/name.
    #[serde(default)]
    pub(crate) at: BTreeMap<String, Value>,
    /// Regular expressions for texts in the output by JSON pointer.
    #[serde(default)]
    pub(crate) matches: BTreeMap<String, String>,
    /// JSON pointers where the output has nothing.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// How it must fail.
    pub(crate) error: Option<ExpectError>,
    /// What it emits while it runs, all of it in order.
    pub(crate) parts: Option<Vec<Value>>,
    /// Lines of its log that must be there, in this order; others may be between them.
    #[serde(default)]
    pub(crate) logs: Vec<ExpectLog>,
    /// What the receipt says of a capability, by its name.
    #[serde(default)]
    pub(crate) receipt: BTreeMap<String, ExpectUse>,
    /// The attempts of jobs that run meanwhile, all of them in their order.
    pub(crate) ran: Option<Vec<ExpectRan>>,
}

/// How a call must fail.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectError {
    /// One of the nine kinds of an agent's error, or how the host ended the call.
    pub(crate) kind: FailureKind,
    /// What the message contains.
    pub(crate) contains: Option<String>,
    /// Facts that it carries, by name.
    #[serde(default)]
    pub(crate) context: BTreeMap<String, String>,
}

/// How a call can fail. The last eight are the host's: the same words as in the API's problems.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The agent's error of that kind.
    NotFound,
    /// The agent's error of that kind.
    Invalid,
    /// The agent's error of that kind.
    Denied,
    /// The agent's error of that kind.
    Conflict,
    /// The agent's error of that kind.
    QuotaExceeded,
    /// The agent's error of that kind.
    RateLimited,
    /// The agent's error of that kind.
    Timeout,
    /// The agent's error of that kind.
    Unavailable,
    /// The agent's error of that kind.
    Internal,
    /// The agent has no such skill.
    UnknownSkill,
    /// The input does not fit the skill's schema.
    InputDoesNotFit,
    /// The idempotency key stands for another call.
    IdempotencyMismatch,
    /// The agent stopped abnormally.
    AgentTrapped,
    /// The deadline came first.
    Deadline,
    /// No instance was free.
    Busy,
    /// The answer is too long.
    AnswerTooLarge,
    /// The answer is no JSON.
    AnswerNotJson,
    /// The host failed.
    HostFailed,
}

impl FailureKind {
    /// Whether an agent that depends on others may fail like this when they fail, and a caller can try again.
    pub(crate) const fn is_clean(self) -> bool {
        matches!(self, Self::RateLimited | Self::Timeout | Self::Unavailable)
    }

    /// Whether the host ended the call, and not the agent by an error of its own.
    pub(crate) const fn is_hosts(self) -> bool {
        !matches!(
            self,
            Self::NotFound
                | Self::Invalid
                | Self::Denied
                | Self::Conflict
                | Self::QuotaExceeded
                | Self::RateLimited
                | Self::Timeout
                | Self::Unavailable
                | Self::Internal
        )
    }
}

/// A line of the agent's log.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectLog {
    /// Its level.
    pub(crate) level: Option<LogLevel>,
    /// What its message contains.
    pub(crate) contains: Option<String>,
    /// What its fields contain, as `name=value` text.
    pub(crate) fields: Option<String>,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Step by step.
    Trace,
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

/// What the receipt says of a capability.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectUse {
    /// Calls that read.
    pub(crate) reads: Option<u32>,
    /// Calls that wrote.
    pub(crate) writes: Option<u32>,
}
