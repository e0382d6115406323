//! What came of runs: for people, for machines, and the parts of it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use stuga_core::Error;
use stuga_core::receipt::CapabilityUse;

use crate::LogLine;
use crate::compare::{Mismatch, shown};
use crate::scenario::{FailureKind, Scenario};
use crate::state::State;

/// What came of one scenario in one state of the breakers. Has no times in it: the same run has the same bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The scenario's name.
    pub scenario: String,
    /// In which state of the breakers.
    pub state: State,
    /// What ids and random numbers followed from.
    pub seed: u64,
    /// Whether it did what was expected.
    pub verdict: Verdict,
    /// Where something else came than was expected.
    pub mismatches: Vec<Mismatch>,
    /// The calls that were made.
    pub calls: Vec<Called>,
}

/// Whether a run did what was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It did.
    Passed,
    /// In a state of the matrix the agent answered a clean error instead: it cannot serve now, try again later.
    Degraded,
    /// It did not.
    Failed,
}

/// A call that was made, or time in which jobs ran.
#[derive(Clone, Debug, Serialize)]
pub struct Called {
    /// The skill; empty when jobs ran.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub skill: String,
    /// How it ended.
    #[serde(flatten)]
    pub ended: Ended,
    /// Whether the answer is the one that was kept for its idempotency key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// What it emitted while it ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Value>,
    /// What it wrote into its log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogLine>,
    /// What it did with each capability.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receipt: Vec<CapabilityUse>,
    /// The attempts of jobs that ran meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Ran>,
}

/// An attempt of a job that ran.
#[derive(Clone, Debug, Serialize)]
pub struct Ran {
    /// The job's id.
    pub job: String,
    /// What kind of job.
    pub kind: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    #[serde(flatten)]
    pub ended: Ended,
    /// What it did with each capability.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receipt: Vec<CapabilityUse>,
}

/// How a call ended.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// With this answer.
    Output(Value),
    /// Without one.
    #[serde(rename = "error")]
    Failed {
        /// In which way.
        kind: FailureKind,
        /// What was said.
        message: String,
        /// Facts that came with it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        context: Vec<(String, String)>,
    },
}

impl Run {
    pub(crate) fn new(scenario: &Scenario, state: State, seed: u64) -> Self {
        Self {
            scenario: scenario.name().to_owned(),
            state,
            seed,
            verdict: Verdict::Passed,
            mismatches: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// A run that could not begin.
    pub(crate) fn broken(
        scenario: &Scenario,
        state: State,
        seed: u64,
        what: &str,
        error: &Error,
    ) -> Self {
        let mut run = Self::new(scenario, state, seed);
        run.fail(what, "to run", error.to_string());
        run
    }

    /// Writes down what stopped the run.
    pub(crate) fn fail(
        &mut self,
        at: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        self.mismatches.push(Mismatch {
            at: at.into(),
            expected: expected.into(),
            got: got.into(),
        });
        self.verdict = Verdict::Failed;
    }

    pub(crate) fn conclude(&mut self) {
        if !self.mismatches.is_empty() {
            self.verdict = Verdict::Failed;
        }
    }

    /// Whether nobody has to look at it.
    pub fn is_fine(&self) -> bool {
        self.verdict != Verdict::Failed
    }
}

impl Called {
    /// A call that never reached the agent.
    pub(crate) fn refused(skill: &str, ended: Ended) -> Self {
        Self {
            skill: skill.to_owned(),
            ended,
            kept: false,
            parts: Vec::new(),
            logs: Vec::new(),
            receipt: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Whether it could not be done now, and that was said cleanly.
    pub(crate) fn is_clean(&self) -> bool {
        let is_clean = |ended: &Ended| ended.failure().is_some_and(FailureKind::is_clean);
        is_clean(&self.ended) || self.jobs.iter().any(|ran| is_clean(&ran.ended))
    }

    /// A call that was answered before.
    pub(crate) fn kept(skill: &str, ended: Ended) -> Self {
        Self {
            kept: true,
            ..Self::refused(skill, ended)
        }
    }
}

impl Ended {
    pub(crate) fn failed(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Failed {
            kind,
            message: message.into(),
            context: Vec::new(),
        }
    }

    /// How it failed, if it did.
    pub(crate) fn failure(&self) -> Option<FailureKind> {
        match self {
            Self::Output(_) => None,
            Self::Failed { kind, .. } => Some(*kind),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(output) => write!(f, "the output {}", shown(output)),
            Self::Failed { kind, message, .. } => {
                let kind = serde_json::to_value(kind).unwrap_or_default();
                write!(
                    f,
                    "the error {}: {message}",
                    kind.as_str().unwrap_or_default()
                )
            }
        }
    }
}

impl fmt::Display for Run {
    /// For people: one line, and below it what differs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Passed => "ok      ",
            Verdict::Degraded => "degraded",
            Verdict::Failed => "FAILED  ",
        };
        write!(f, "{verdict} {}", self.scenario)?;
        if self.state != State::Local {
            write!(f, " [{}]", self.state.as_str())?;
        }
        for Mismatch { at, expected, got } in &self.mismatches {
            write!(
                f,
                "\n    {at}\n      expected {expected}\n      got      {got}"
            )?;
        }
        Ok(())
    }
}
