//! The host around an agent in a scenario: the real backends on a directory that is thrown away, the path before them.

use std::path::Path;
use std::sync::Arc;

use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::jobs::queue::JobQueue;
use stuga_core::model::Model;
use stuga_core::secrets::SecretStore;
use stuga_core::{AgentName, Backends, CapabilityName, Clock, Result, TenantId};
use stuga_local::{Durability, Local, LocalConfig, LocalMail, LocalSecrets, Models};
use stuga_resilience::Capabilities;
use tempfile::TempDir;

use crate::cloud::{Cloud, State};
use crate::doubles::agents::Neighbours;
use crate::doubles::model::Scripted;
use crate::faults::Faults;
use crate::ledger::{Ledger, Replicas};
use crate::outbox::{Noted, Outbox};
use crate::path::{Common, dress};
use crate::scenario::Scenario;
use crate::served::Served;
use crate::turn::Turn;

/// A host's backends, opened for one scenario.
pub struct World {
    /// What guests reach.
    pub(crate) capabilities: Capabilities,
    /// This host's side, without faults: where state is laid down and looked at.
    pub(crate) local: Local,
    /// The cloud's side, when there is one.
    pub(crate) cloud: Option<Local>,
    pub(crate) served: Arc<Served>,
    pub(crate) turn: Arc<Turn>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) job_queue: Arc<Replicas<dyn JobQueue>>,
    mail: Arc<Replicas<LocalMail>>,
    secrets: Arc<Replicas<LocalSecrets>>,
    /// Removed when it is dropped, after the stores.
    _directory: TempDir,
}

impl World {
    /// Empty backends that live by `clock`, without faults: to prove the mock host's backends in a state of the matrix.
    ///
    /// # Errors
    /// When there is no place for them.
    pub fn empty(clock: &Arc<dyn Clock>, state: State) -> Result<Self> {
        Self::make(clock, state, &Scenario::empty(), None, None)
    }

    /// As [`World::empty`], with models instead of a scenario's answers.
    ///
    /// # Errors
    /// As [`World::empty`], and `Invalid` when the configuration of a model is wrong.
    pub fn with_models(clock: &Arc<dyn Clock>, state: State, models: &Models) -> Result<Self> {
        Self::make(clock, state, &Scenario::empty(), None, Some(models))
    }

    /// What guests reach.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    /// The jobs as their runner sees them.
    pub fn job_queue(&self) -> Arc<dyn JobQueue> {
        Arc::clone(&self.job_queue) as _
    }

    /// The mailboxes as their runner sees them.
    pub fn mail_queue(&self) -> Arc<dyn MailQueue> {
        Arc::clone(&self.mail) as _
    }

    /// The mailboxes as the operator sees them.
    pub fn mail_desk(&self) -> Arc<dyn MailDesk> {
        Arc::clone(&self.mail) as _
    }

    /// The secrets as the operator sees them.
    pub fn secret_store(&self) -> Arc<dyn SecretStore> {
        Arc::clone(&self.secrets) as _
    }

    /// Opens empty backends for a scenario, around the agent under test.
    pub(crate) fn open(
        clock: &Arc<dyn Clock>,
        state: State,
        scenario: &Scenario,
        own: (TenantId, AgentName),
    ) -> Result<Self> {
        Self::make(clock, state, scenario, Some(own), None)
    }

    fn make(
        clock: &Arc<dyn Clock>,
        state: State,
        scenario: &Scenario,
        own: Option<(TenantId, AgentName)>,
        models: Option<&Models>,
    ) -> Result<Self> {
        let directory = TempDir::new().map_err(|error| {
            stuga_core::Error::unavailable("mock.open", "no temporary directory can be made")
                .with_source(error)
        })?;
        let config = LocalConfig {
            durability: Durability::ThrownAway,
            default_quotas: scenario.quotas(),
            ..LocalConfig::default()
        };
        let ledger = Arc::new(Ledger::new(clock));
        let none = Models::default();
        let open = |name: &str, clock: Arc<dyn Clock>| {
            let directory = side(directory.path(), name);
            Local::open_with(&directory, clock, config.clone(), models.unwrap_or(&none))
        };
        let local = open("local", Arc::clone(clock))?;
        let cloud = match state {
            State::Local => None,
            _ => Some(open("cloud", ledger.cloud_clock())?),
        };
        let common = Common {
            faults: Arc::new(Faults::new(&scenario.faults)),
            served: Arc::default(),
            ledger: Arc::clone(&ledger),
            turn: Arc::default(),
        };
        // One script for both sides: an answer is given once, whoever serves.
        let model: Arc<dyn Model> = match models {
            Some(_) => local.model(),
            None => Arc::new(Scripted::new(&scenario.model, local.model())),
        };
        let outbox: Arc<Outbox> = Arc::default();
        let here = Backends {
            model: Arc::clone(&model),
            mailbox: Arc::new(Noted {
                mailbox: local.mail(),
                outbox: Arc::clone(&outbox),
            }),
            ..local.backends()
        };
        let there = cloud.as_ref().map(|cloud| Backends {
            model,
            ..cloud.backends()
        });
        let health: &dyn Fn(CapabilityName) -> Cloud = &|_| Cloud::new(state);
        let backends = dress(&common, &here, there.map(|there| (there, health)));
        let mut capabilities = Capabilities::local(backends);
        if let Some(own) = own {
            let (faults, outbox) = (Arc::clone(&common.faults), Arc::clone(&outbox));
            let neighbours = Neighbours::new(own, &scenario.agents, faults, outbox)?;
            capabilities = capabilities.with_exchange(Arc::new(neighbours));
        }
        let cloud_ref = cloud.as_ref();
        Ok(Self {
            capabilities,
            job_queue: Arc::new(Replicas {
                capability: CapabilityName::Jobs,
                local: local.job_queue(),
                cloud: cloud_ref.map(Local::job_queue),
                ledger: Arc::clone(&ledger),
            }),
            mail: Arc::new(Replicas {
                capability: CapabilityName::A2a,
                local: local.mail(),
                cloud: cloud_ref.map(Local::mail),
                ledger: Arc::clone(&ledger),
            }),
            secrets: Arc::new(Replicas {
                capability: CapabilityName::Secrets,
                local: local.secrets(),
                cloud: cloud_ref.map(Local::secrets),
                ledger,
            }),
            served: common.served,
            turn: common.turn,
            outbox,
            local,
            cloud,
            _directory: directory,
        })
    }

    /// Every side that has data of its own.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Local> {
        [Some(&self.local), self.cloud.as_ref()]
            .into_iter()
            .flatten()
    }

    /// Closes the stores, so that nothing works on the directory when it is removed.
    pub(crate) async fn close(self) {
        for side in [Some(self.local), self.cloud].into_iter().flatten() {
            // What it holds is thrown away.
            let _ = side.close().await;
        }
    }
}

fn side(directory: &Path, name: &str) -> std::path::PathBuf {
    directory.join(name)
}
