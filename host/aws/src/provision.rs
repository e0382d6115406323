//! What a tenant needs in AWS: what is there, what is missing, making it, and taking it away.
//!
//! Each service has a file that lists its resources as [`Step`]s. A plan asks what is there and changes nothing. Applying a plan
//! makes what is missing and can be repeated: what is there already is left as it is. Roles, domains, functions and networks
//! belong to infrastructure as code and are no steps; `stuga check aws` tells when they are missing.

mod a2a;
mod bucket;
mod files;
mod jobs;
mod memory;
mod rules;
mod search;
mod secrets;
mod streams;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use stuga_core::{Result, TenantId};
use tokio::time::Instant;

use crate::health::PROBE_TIMEOUT;
use crate::{Aws, Shared};

pub(crate) const OPERATION: &str = "aws.provision";

/// One resource of a tenant, or one setting of it.
#[async_trait]
pub(crate) trait Step: Send + Sync {
    /// What it is, for the operator, such as `bucket stuga-data`.
    fn what(&self) -> String;

    /// The section of the configuration that asks for it.
    fn section(&self) -> &'static str;

    /// Whether it belongs to this tenant alone. What tenants share is never removed here.
    fn is_own(&self) -> bool;

    /// Whether it is there as it must be.
    async fn is_there(&self) -> Result<bool>;

    /// Makes it, or corrects it. Safe to repeat.
    async fn make(&self) -> Result<()>;

    /// Removes it with all that is in it, for good. What is not there is no error.
    async fn remove(&self) -> Result<()>;
}

/// What comes with use and is only taken away: nobody makes it here, a plan finds it there, and it belongs to this tenant alone.
#[async_trait]
pub(crate) trait Trace: Send + Sync {
    /// As [`Step::what`].
    fn what(&self) -> String;

    /// As [`Step::section`].
    fn section(&self) -> &'static str;

    /// As [`Step::remove`].
    async fn remove(&self) -> Result<()>;
}

#[async_trait]
impl<T: Trace> Step for T {
    fn what(&self) -> String {
        Trace::what(self)
    }

    fn section(&self) -> &'static str {
        Trace::section(self)
    }

    fn is_own(&self) -> bool {
        true
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(true)
    }

    async fn make(&self) -> Result<()> {
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        Trace::remove(self).await
    }
}

/// What a plan says of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there.
    There,
    /// It will be made.
    Missing,
    /// It was made just now.
    Made,
    /// It was removed just now.
    Removed,
    /// It is shared with other tenants and stays.
    Shared,
}

/// One line of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Planned {
    /// The section of the configuration that asks for it.
    pub section: &'static str,
    /// What it is.
    pub what: String,
    /// How it is with it.
    pub state: State,
}

fn planned(step: &dyn Step, state: State) -> Planned {
    Planned {
        section: step.section(),
        what: step.what(),
        state,
    }
}

impl Aws {
    /// Everything that a tenant needs, in the order in which it is made.
    fn steps(&self, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
        let shared = &self.shared;
        let mut steps = Vec::new();
        steps.extend(secrets::steps(shared, tenant)?);
        steps.extend(files::steps(shared, tenant)?);
        steps.extend(memory::steps(self, tenant)?);
        steps.extend(search::steps(self, tenant)?);
        steps.extend(a2a::steps(shared, tenant)?);
        steps.extend(jobs::steps(shared, tenant)?);
        Ok(steps)
    }

    /// What is there and what is missing. Changes nothing.
    ///
    /// # Errors
    /// The first that AWS answers, with its operation.
    pub async fn plan(&self, tenant: &TenantId) -> Result<Vec<Planned>> {
        let mut plan = Vec::new();
        for step in self.steps(tenant)? {
            let state = match step.is_there().await? {
                true => State::There,
                false => State::Missing,
            };
            plan.push(planned(&*step, state));
        }
        Ok(plan)
    }

    /// Makes what is missing and says what it did. Repeated, it makes nothing.
    ///
    /// # Errors
    /// The first that AWS answers; what was made until then stays, and a repetition goes on from there.
    pub async fn provision(&self, tenant: &TenantId) -> Result<Vec<Planned>> {
        let mut done = Vec::new();
        for step in self.steps(tenant)? {
            let state = if step.is_there().await? {
                State::There
            } else {
                step.make().await?;
                State::Made
            };
            done.push(planned(&*step, state));
        }
        Ok(done)
    }

    /// Removes all that belongs to this tenant alone, with what is in it, for good. The caller has asked the operator.
    ///
    /// # Errors
    /// The first that AWS answers; a repetition goes on from there.
    pub async fn deprovision(&self, tenant: &TenantId) -> Result<Vec<Planned>> {
        let mut done = Vec::new();
        for step in self.steps(tenant)?.into_iter().rev() {
            let state = if step.is_own() {
                step.remove().await?;
                State::Removed
            } else {
                State::Shared
            };
            done.push(planned(&*step, state));
        }
        Ok(done)
    }
}

/// What every step has.
#[derive(Clone)]
struct Site {
    shared: Arc<Shared>,
    tenant: TenantId,
}

impl Site {
    fn of(shared: &Arc<Shared>, tenant: &TenantId) -> Self {
        Self {
            shared: Arc::clone(shared),
            tenant: tenant.clone(),
        }
    }

    /// The clients that provision: the host's own. A tenant's role uses what is there and makes nothing.
    fn clients(&self) -> &crate::clients::TenantClients {
        self.shared.clients.host()
    }

    /// Until when one answer is waited for.
    fn deadline(&self) -> Instant {
        Instant::now() + PROBE_TIMEOUT
    }
}
