//! Jobs and schedules: laid down, looked at, and what ran.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::ExpectError;
use super::values::{Span, job_states};

/// A job that waits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateJob {
    /// What kind of job: one of the agent's.
    pub(crate) kind: String,
    /// Its input; an empty object when there is none.
    pub(crate) input: Option<Value>,
    /// When it is due, counted from the beginning; without it, at once.
    pub(crate) delay: Option<Span>,
    /// How often it is tried; without it, five times.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) attempts: Option<u32>,
    /// The idempotency key that it was submitted with.
    pub(crate) key: Option<String>,
}

/// A job that is made again and again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateSchedule {
    /// Its name.
    pub(crate) name: String,
    /// When, as five fields.
    pub(crate) cron: String,
    /// In which time zone; without it, UTC.
    pub(crate) time_zone: Option<String>,
    /// What kind of job: one of the agent's.
    pub(crate) kind: String,
    /// Its input; an empty object when there is none.
    pub(crate) input: Option<Value>,
}

/// A job, or with `count` how many there are like this.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectJob {
    /// What kind of job.
    pub(crate) kind: String,
    /// Whether there is none like this.
    #[serde(default)]
    pub(crate) absent: bool,
    /// How many there are like this.
    pub(crate) count: Option<usize>,
    /// How far it is.
    #[schemars(schema_with = "job_states")]
    #[serde(default)]
    pub(crate) state: Option<String>,
    /// The whole input.
    pub(crate) input: Option<Value>,
    /// A part of the input.
    pub(crate) contains: Option<Value>,
    /// Number of the attempt that runs or comes next, or of the last one.
    pub(crate) attempt: Option<u32>,
    /// The whole output.
    pub(crate) output: Option<Value>,
    /// What the failure of its latest attempt contains, as `kind: message`.
    pub(crate) failure: Option<String>,
    /// The schedule that made it.
    pub(crate) schedule: Option<String>,
}

/// A schedule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectSchedule {
    /// Its name.
    pub(crate) name: String,
    /// Whether there is none.
    #[serde(default)]
    pub(crate) absent: bool,
    /// When it makes jobs.
    pub(crate) cron: Option<String>,
    /// When the next one is made, such as 2026-03-18T09:00:00Z.
    pub(crate) next_at: Option<super::Moment>,
    /// Of which kind.
    pub(crate) kind: Option<String>,
}

/// An attempt of a job that must have run.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectRan {
    /// What kind of job.
    pub(crate) kind: String,
    /// Number of the attempt, from 1.
    pub(crate) attempt: Option<u32>,
    /// The whole output.
    pub(crate) output: Option<Value>,
    /// A part of the output.
    pub(crate) contains: Option<Value>,
    /// How it must fail; without it, it must succeed.
    pub(crate) error: Option<ExpectError>,
}
