//! AWS, as far as this process is told about it. [`crate::wire`] and the operator's commands alone use it.

use std::sync::Arc;

use anyhow::Context;
use stuga_aws::{Aws, AwsConfig, SecretsManager, SqsMail};
use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::embed::Embedder;
use stuga_core::keys::KeyWrap;
use stuga_core::model::ModelLimits;
use stuga_core::secrets::SecretStore;
use stuga_core::{CapabilityName, Clock, Grants, Result, TenantId};
use stuga_resilience::{Capabilities, Failover};

pub(crate) use crate::config::read_aws as read;
use crate::host::Elsewhere;

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
    /// One for all sides: what it took is its own.
    mail: Option<Arc<SqsMail>>,
    /// What an agent finds in the function that runs its jobs.
    served: Grants,
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
        Ok(Self(Some(Opened {
            secrets: aws.secrets(),
            mail: config.a2a.as_ref().map(|_| aws.mail()),
            served: served(config),
            aws,
        })))
    }

    /// Where attempts of jobs run outside of this process.
    pub(crate) fn jobs(&self) -> Option<Elsewhere> {
        let opened = self.0.as_ref()?;
        Some(Elsewhere {
            executor: opened.aws.job_executor()?,
            served: opened.served,
        })
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

    /// What wraps the keys of this host's own stores.
    pub(crate) fn key_wrap(&self) -> Option<Arc<dyn KeyWrap>> {
        self.aws()?.key_wrap()
    }

    /// Puts what is configured on AWS in the place of this host's own.
    pub(crate) fn serve(&self, capabilities: &mut Capabilities, embedder: &Arc<dyn Embedder>) {
        let Some(Opened {
            aws, secrets, mail, ..
        }) = &self.0
        else {
            return;
        };
        if let Some(files) = aws.files() {
            capabilities.files = Failover::cloud(files);
        }
        if let Some(mail) = mail {
            capabilities.mailbox = Failover::cloud(Arc::clone(mail) as _);
        }
        if let Some(search) = aws.search(Arc::clone(embedder)) {
            capabilities.search = Failover::cloud(search);
        }
        if let Some(memory) = aws.memory() {
            capabilities.memory = Failover::cloud(memory);
        }
        if let Some(sessions) = aws.sessions(Arc::clone(embedder)) {
            capabilities.sessions = Failover::cloud(sessions);
        }
        if let Some(records) = aws.records(Arc::clone(embedder)) {
            capabilities.records = Failover::cloud(records);
        }
        if let Some(model) = aws.model(Arc::clone(embedder)) {
            capabilities.model = Failover::cloud(model);
        }
        if let Some(secrets) = secrets {
            capabilities.secrets = Failover::cloud(Arc::clone(secrets) as _);
        }
    }

    /// The mailboxes, as their runner empties them.
    pub(crate) fn mail_queue(&self) -> Option<Arc<dyn MailQueue>> {
        let mail = self.0.as_ref()?.mail.as_ref()?;
        Some(Arc::clone(mail) as _)
    }

    /// The mailboxes, as the operator sees them.
    pub(crate) fn mail_desk(&self) -> Option<Arc<dyn MailDesk>> {
        let mail = self.0.as_ref()?.mail.as_ref()?;
        Some(Arc::clone(mail) as _)
    }

    /// Waits until what calls left behind that ended early is removed.
    pub(crate) async fn settled(&self) {
        if let Some(aws) = self.aws() {
            aws.settled().await;
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

/// What an agent finds in the function that runs its jobs: what [`Cloud::serve`] puts on AWS, what the operator lets the
/// function keep for itself, and of `jobs` the report of progress.
fn served(config: &AwsConfig) -> Grants {
    use CapabilityName::{A2a, Files, Jobs, Model, Search, Secrets};
    let there = [
        (Files, config.files.is_some()),
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
