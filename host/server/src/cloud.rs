//! AWS, as far as this process is told about it. [`crate::wire`] and the operator's commands alone use it.

use std::sync::Arc;

use anyhow::Context;
use stuga_aws::{Aws, AwsConfig, SecretsManager};
use stuga_core::embed::Embedder;
use stuga_core::model::ModelLimits;
use stuga_core::secrets::SecretStore;
use stuga_core::{Clock, Result, TenantId};
use stuga_resilience::{Capabilities, Failover};

pub(crate) use crate::config::read_aws as read;

/// The environment variable with the settings as JSON, for a process that has no configuration file, as in Lambda.
const VARIABLE: &str = "STUGA_AWS";

/// What the operator says of AWS; none when this host is without it.
pub(crate) type Settings = Option<AwsConfig>;

/// The settings from the environment, or those of the file.
///
/// # Errors
/// When they are there and have a mistake.
pub(crate) fn settings(file: Settings) -> anyhow::Result<Settings> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(file);
    };
    let text = text
        .to_str()
        .with_context(|| format!("{VARIABLE} is not text"))?;
    serde_json::from_str(text)
        .map(Some)
        .with_context(|| format!("{VARIABLE} does not hold AWS settings as JSON"))
}

/// AWS, opened; nothing when it is not configured.
pub(crate) struct Cloud(Option<Opened>);

struct Opened {
    aws: Aws,
    /// One for both sides, or one of them would not see at once what the other changed.
    secrets: Option<Arc<SecretsManager>>,
}

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
        let secrets = aws.secrets();
        Ok(Self(Some(Opened { aws, secrets })))
    }

    /// The same AWS, for what is more than a backend.
    pub(crate) fn aws(&self) -> Option<&Aws> {
        self.0.as_ref().map(|opened| &opened.aws)
    }

    /// What makes vectors, when it is on AWS.
    ///
    /// # Errors
    /// `Invalid` naming the setting that is wrong.
    pub(crate) fn embedder(&self) -> Result<Option<Arc<dyn Embedder>>> {
        self.aws().map_or(Ok(None), Aws::embedder)
    }

    /// Puts what is configured on AWS in the place of this host's own.
    pub(crate) fn serve(&self, capabilities: &mut Capabilities, embedder: &Arc<dyn Embedder>) {
        let Some(Opened { aws, secrets }) = &self.0 else {
            return;
        };
        if let Some(files) = aws.files() {
            capabilities.files = Failover::cloud(files);
        }
        if let Some(model) = aws.model(Arc::clone(embedder)) {
            capabilities.model = Failover::cloud(model);
        }
        if let Some(secrets) = secrets {
            capabilities.secrets = Failover::cloud(Arc::clone(secrets) as _);
        }
    }

    /// Secrets, as the operator changes them.
    pub(crate) fn secrets(&self) -> Option<Arc<dyn SecretStore>> {
        let secrets = self.0.as_ref()?.secrets.as_ref()?;
        Some(Arc::clone(secrets) as _)
    }

    /// Sets what a tenant may take of the models.
    pub(crate) fn set_model_limits(&self, tenant: &TenantId, limits: ModelLimits) {
        if let Some(aws) = self.aws() {
            aws.set_model_limits(tenant, limits);
        }
    }
}
