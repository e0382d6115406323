//! Cheap questions to each service that is configured: can it be reached, with these credentials, and is there what a
//! tenant needs. Nothing is changed, and nothing of a tenant's data is read.
//!
//! `stuga check aws` shows an operator what they answer. [`Aws::probe`] asks those of one capability for a monitor.

mod ask;

use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use stuga_core::{CapabilityName, Error, Result, TenantId};
use tokio::time::Instant;

use crate::Aws;
use crate::action::Service;
use crate::error::{self, CLOUD};
use ask::Asking;

pub(crate) const OPERATION: &str = "aws.probe";
/// Longest wait for the answer of one probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// In whose name [`Aws::probe`] asks for what each tenant has of its own: nobody needs to have that name.
const NOBODY: &str = "stuga-probe";

type Ask = Box<dyn FnOnce(Instant) -> BoxFuture<'static, Result<()>> + Send>;

/// A question that was not asked yet.
pub struct Probe {
    /// For what: a section of the configuration, or `identity`.
    pub section: &'static str,
    /// Whom.
    pub service: Service,
    /// What must be allowed; `sts:GetCallerIdentity` always is. What is no service of IAM's has its command here.
    pub action: &'static str,
    /// What is asked about, such as `bucket stuga-data`.
    pub what: String,
    /// Whether the capability cannot serve without the answer.
    is_vital: bool,
    /// Whether it is asked about what a tenant has of its own.
    is_own: bool,
    ask: Ask,
}

/// What a probe found.
#[derive(Debug)]
pub struct Probed {
    /// For what.
    pub section: &'static str,
    /// Whom.
    pub service: Service,
    /// What must be allowed.
    pub action: &'static str,
    /// What was asked about.
    pub what: String,
    /// None when it works.
    pub problem: Option<Error>,
    /// What the operator does about it; none when it works.
    pub fix: Option<String>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("section", &self.section)
            .field("action", &self.action)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// Asks.
    pub async fn run(self) -> Probed {
        let problem = (self.ask)(Instant::now() + PROBE_TIMEOUT).await.err();
        Probed {
            fix: problem.as_ref().map(|error| fix(error, self.action)),
            section: self.section,
            service: self.service,
            action: self.action,
            what: self.what,
            problem,
        }
    }

    /// Asks whether the service answers, whatever the answer is.
    async fn answers(self, deadline: Instant) -> Result<()> {
        let Err(error) = (self.ask)(deadline).await else {
            return Ok(());
        };
        match error.context_value(CLOUD) {
            // It knows who asks. Whether calls may do what they do, they find out.
            Some(error::FORBIDDEN) => Ok(()),
            Some(error::MISSING | error::ABSENT) if self.is_own => Ok(()),
            Some(error::ABSENT) => Err(Error::unavailable(
                OPERATION,
                format!("the cloud does not have the {}", self.what),
            )
            .with_context(CLOUD, error::MISSING)
            .with_source(error)),
            _ if error.kind().is_outage() => Err(error),
            _ => Ok(()),
        }
    }
}

impl Aws {
    /// The probes of everything that is configured, with the credentials of `tenant`. Nothing is asked yet.
    ///
    /// # Errors
    /// `Unavailable` when a section is incomplete.
    pub fn probes(&self, tenant: &TenantId) -> Result<Vec<Probe>> {
        let asking = Asking::of_tenant(self, tenant);
        let mut probes = vec![asking.identity()];
        for section in [
            asking.files()?,
            asking.memory()?,
            asking.search()?,
            asking.jobs()?,
            asking.a2a()?,
            asking.model()?,
            asking.secrets()?,
            asking.kms()?,
            asking.events(),
        ] {
            probes.extend(section);
        }
        Ok(probes)
    }

    /// Asks the services that a capability stands on whether they answer, all at once, with the host's own credentials:
    /// for a monitor that wants to know of an outage before a call does. Costs one to three requests, changes nothing, and
    /// is over at `deadline`. `Ok` when the capability is not on AWS.
    ///
    /// What only the operator of one tenant could mend is no outage: a permission that the host's own role lacks, a
    /// bucket or function of one tenant's. What all tenants share must be there.
    ///
    /// # Errors
    /// `Timeout` at the deadline; else as a call would fail: `Unavailable` when a service cannot be reached, fails,
    /// throttles, does not accept the host's credentials, or lacks what all tenants share.
    pub async fn probe(&self, capability: CapabilityName, deadline: Instant) -> Result<()> {
        let nobody = TenantId::new(NOBODY)?;
        let asking = Asking::of_host(self, &nobody);
        let probes = match capability {
            CapabilityName::Memory | CapabilityName::Sessions | CapabilityName::Records => {
                asking.memory()?
            }
            CapabilityName::Files => asking.files()?,
            CapabilityName::Search => asking.search()?,
            CapabilityName::Jobs => asking.jobs()?,
            CapabilityName::Model => asking.model()?,
            CapabilityName::A2a => asking.a2a()?,
            CapabilityName::Secrets => asking.secrets()?,
        };
        let vital = probes.into_iter().filter(|probe| probe.is_vital);
        let answers = vital.map(|probe| probe.answers(deadline).boxed());
        try_join_all(answers).await.map(drop)
    }
}

fn fix(error: &Error, action: &str) -> String {
    match error.context_value(CLOUD) {
        Some(error::FORBIDDEN) => {
            format!("allow {action} to the role that the tenant's calls assume")
        }
        Some(error::CREDENTIALS) => {
            "give the host valid credentials; check `aws.role_arn` and the role's trust policy"
                .to_owned()
        }
        Some(error::MISSING | error::ABSENT) => {
            "run `stuga tenant provision TENANT --plan`, or correct the name in stuga.yaml"
                .to_owned()
        }
        Some(error::UNREACHABLE) => {
            "check `aws.region`, `aws.endpoints` and the way to the service".to_owned()
        }
        _ => "see what AWS says, and try again".to_owned(),
    }
}
