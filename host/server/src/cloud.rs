//! AWS, as far as this process is told about it. [`crate::wire`] alone uses it.

use std::sync::Arc;

use anyhow::Context;
use stuga_aws::{Aws, AwsConfig};
use stuga_core::{CapabilityName, Clock, Grants, Result};

use crate::host::Elsewhere;

/// The environment variable with the settings as JSON, for a process that has no configuration file, as in Lambda.
const VARIABLE: &str = "STUGA_AWS";

/// What the operator says of AWS; none when this host is without it.
pub(crate) type Settings = Option<AwsConfig>;

/// Reads the settings from the environment.
///
/// # Errors
/// When they are there and have a mistake.
pub(crate) fn settings() -> anyhow::Result<Settings> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let text = text
        .to_str()
        .with_context(|| format!("{VARIABLE} is not text"))?;
    serde_json::from_str(text)
        .map(Some)
        .with_context(|| format!("{VARIABLE} does not hold AWS settings as JSON"))
}

/// AWS, opened; nothing when it is not configured.
pub(crate) struct Cloud(Option<(Aws, Grants)>);

impl Cloud {
    /// Opens it. No request is made.
    ///
    /// # Errors
    /// `Invalid` naming the setting that is wrong.
    pub(crate) fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let Some(config) = settings else {
            return Ok(Self(None));
        };
        let aws = Aws::open(config.clone(), clock)?;
        Ok(Self(Some((aws, served(config)))))
    }

    /// Where attempts of jobs run outside of this process.
    pub(crate) fn jobs(&self) -> Option<Elsewhere> {
        let (aws, served) = self.0.as_ref()?;
        Some(Elsewhere {
            executor: aws.job_executor()?,
            served: *served,
        })
    }

    /// The same AWS, for what is more than a backend.
    pub(crate) fn aws(&self) -> Option<&Aws> {
        self.0.as_ref().map(|(aws, _)| aws)
    }
}

/// What an agent finds in the function that runs its jobs: what lies on AWS, what the operator lets the function keep for
/// itself, and of `jobs` the report of progress.
fn served(config: &AwsConfig) -> Grants {
    use CapabilityName::{A2a, Files, Jobs, Memory, Model, Records, Search, Secrets, Sessions};
    let memory = config.memory.is_some();
    let there = [
        (Files, config.files.is_some()),
        (Memory, memory),
        (Sessions, memory),
        (Records, memory),
        (Search, config.search.is_some()),
        (Model, config.model.is_some()),
        (A2a, config.a2a.is_some()),
        (Secrets, config.secrets.is_some()),
        (Jobs, true),
    ];
    let there = there.into_iter().filter(|(_, there)| *there);
    let scratch = config
        .jobs
        .iter()
        .flat_map(|jobs| jobs.scratch.iter().copied());
    there.map(|(name, _)| name).chain(scratch).collect()
}
