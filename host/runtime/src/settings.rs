//! What a tenant decides about one of its agents.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::{AgentName, Error, Grants, Result, TenantId};

/// How an agent of a tenant is run.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Whose agent it is.
    pub tenant: TenantId,
    /// Its name within the tenant.
    pub agent: AgentName,
    /// What it may reach.
    pub grants: Grants,
    /// What its `config` interface answers: name to JSON text.
    pub config: BTreeMap<String, String>,
    /// Names of the secrets that it may ask for, given that it has the grant.
    pub secrets: BTreeSet<String>,
    /// What a call may take.
    pub limits: Limits,
    /// Whether instances are kept between calls.
    pub instance: InstanceMode,
    /// How many instances may run at the same time, at least 1.
    pub max_instances: u32,
    /// After how many calls a warm instance is replaced, at least 1.
    pub max_invocations: u64,
    /// How long an instance beyond the first may rest before it is dropped.
    pub idle: Duration,
    /// What a job must be to be submitted.
    pub job_check: JobCheck,
}

/// Says whether the agent has a kind of job and an input fits it: asked before a job is queued.
#[derive(Clone)]
pub struct JobCheck(Arc<Check>);

type Check = dyn Fn(&str, &str) -> Result<()> + Send + Sync;

impl JobCheck {
    /// A check of kind and input, which is JSON text. It answers `NotFound` for a kind that there is not, `Invalid` for
    /// an input that does not fit.
    pub fn new(check: impl Fn(&str, &str) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    pub(crate) fn check(&self, kind: &str, input: &str) -> Result<()> {
        let Self(check) = self;
        check(kind, input)
    }
}

/// An agent without jobs.
impl Default for JobCheck {
    fn default() -> Self {
        Self::new(|_, _| {
            Err(Error::not_found(
                "jobs.submit",
                "the agent has no jobs; name them in its `jobs`",
            ))
        })
    }
}

impl fmt::Debug for JobCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobCheck(..)")
    }
}

/// Whether instances are kept between calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceMode {
    /// An instance serves one call after another of the same agent of the same tenant.
    #[default]
    Warm,
    /// Every call gets a new instance.
    Fresh,
}

/// What one call may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest linear memory in bytes.
    pub memory_bytes: u64,
    /// Longest time of a call; the caller sets the context's deadline from it.
    pub deadline: Duration,
    /// Longest answer in bytes.
    pub output_bytes: usize,
    /// How many calls may wait for an instance when all are busy.
    pub waiting: u32,
}
