//! The backends on AWS: the same capabilities as the local ones, by the official SDKs.
//!
//! This crate knows neither the local backends nor the breaker. Its rooms, from the outside in: [`Aws`] is opened from a
//! [`AwsConfig`]; each capability has its file; all of them send their requests through `call`, with the clients of the
//! call's tenant (`clients`), under names that `scope` alone makes; `error` alone says what AWS's errors mean, and `action`
//! lists every operation that is ever called.

mod a2a;
mod action;
mod call;
mod clients;
mod config;
mod error;
mod jobs;
mod scope;
mod shared;

use std::sync::Arc;

use stuga_core::jobs::elsewhere::Executor;
use stuga_core::{Clock, Result, TenantId};

pub use a2a::SqsMail;
pub use action::{IAM_ACTIONS, Service};
pub use clients::AccessKeys;
pub use config::{
    A2aConfig, AwsConfig, EmbeddingConfig, Endpoints, EventsConfig, FilesConfig, JobsConfig,
    MemoryConfig, ModelConfig, Pattern, SearchConfig, SecretsConfig,
};

pub use jobs::{FunctionCode, Work, serve as serve_jobs};

pub(crate) use shared::Shared;

/// AWS, as far as it is configured. Cheap to clone.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
    mail: Arc<SqsMail>,
    jobs: Arc<jobs::LambdaJobs>,
}

impl Aws {
    /// Checks the configuration and prepares clients. Nothing is asked of AWS, and no credentials are needed, before the
    /// first request. What is kept with a time gets it from `clock`.
    ///
    /// # Errors
    /// `Invalid` naming the setting that is wrong.
    pub fn open(config: AwsConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(config, clock, None)
    }

    /// The same with the host's credentials given by hand.
    ///
    /// # Errors
    /// As [`Aws::open`].
    pub fn open_with_keys(
        config: AwsConfig,
        clock: Arc<dyn Clock>,
        keys: AccessKeys,
    ) -> Result<Self> {
        Self::open_with(config, clock, Some(keys))
    }

    fn open_with(
        config: AwsConfig,
        clock: Arc<dyn Clock>,
        keys: Option<AccessKeys>,
    ) -> Result<Self> {
        config.check()?;
        let shared = Arc::new(Shared::new(config, clock, keys));
        Ok(Self {
            mail: Arc::new(SqsMail::new(Arc::clone(&shared))),
            jobs: Arc::new(jobs::LambdaJobs::new(Arc::clone(&shared))),
            shared,
        })
    }

    /// The mailboxes. What they took is theirs: all clones of this are one holder.
    pub fn mail(&self) -> Arc<SqsMail> {
        Arc::clone(&self.mail)
    }

    /// Where attempts of jobs run on Lambda; none when that is not configured.
    pub fn job_executor(&self) -> Option<Arc<dyn Executor>> {
        let jobs = self.shared.config.jobs.as_ref();
        jobs.map(|_| Arc::clone(&self.jobs) as _)
    }

    /// Makes a tenant's function for jobs, or gives the one that is there other code.
    ///
    /// # Errors
    /// `Unavailable` when jobs are not configured, or AWS refuses.
    pub async fn provision_function(&self, tenant: &TenantId, code: FunctionCode) -> Result<()> {
        self.jobs.provision(tenant, code).await
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}
