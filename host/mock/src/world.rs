//! The host around an agent in a scenario: the real backends on a directory that is thrown away, behind the real facade.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stuga_core::a2a::Mailbox;
use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::jobs::queue::JobQueue;
use stuga_core::journal::Backlog;
use stuga_core::model::Model;
use stuga_core::secrets::SecretStore;
use stuga_core::{AgentName, Backends, CapabilityName, Clock, Error, Result, TenantId};
use stuga_local::{CopiedSecrets, Durability, Local, LocalConfig, Models, SecretCopies};
use stuga_resilience::{Capabilities, Gate};
use tempfile::TempDir;

use crate::attendant::Attendant;
use crate::doubles::agents::Neighbours;
use crate::doubles::model::Scripted;
use crate::faults::Faults;
use crate::jobs::TurnedJobs;
use crate::matrix::{Apart, stand_before};
use crate::outbox::{Noted, Outbox};
use crate::scenario::Scenario;
use crate::state::State;
use crate::turn::Turn;

/// A host's backends, opened for one scenario.
pub struct World {
    /// What guests reach.
    pub(crate) capabilities: Capabilities,
    /// This host's side, without faults: where state is laid down and looked at.
    pub(crate) local: Local,
    /// The cloud's side, when there is one.
    pub(crate) cloud: Option<Local>,
    pub(crate) turn: Arc<Turn>,
    pub(crate) outbox: Arc<Outbox>,
    attendant: Arc<Attendant>,
    secrets: Arc<dyn SecretStore>,
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
        self.local.job_queue()
    }

    /// The mailboxes as their runners see them: those in the cloud, if there is one, and this host's own.
    pub fn mail_queues(&self) -> Vec<Arc<dyn MailQueue>> {
        let mail = |side: &Local| side.mail() as Arc<dyn MailQueue>;
        self.sides().map(mail).collect()
    }

    /// The mailboxes as the operator sees them, in the order of [`World::mail_queues`].
    pub fn mail_desks(&self) -> Vec<Arc<dyn MailDesk>> {
        let mail = |side: &Local| side.mail() as Arc<dyn MailDesk>;
        self.sides().map(mail).collect()
    }

    /// The secrets as the operator sees them.
    pub fn secret_store(&self) -> Arc<dyn SecretStore> {
        Arc::clone(&self.secrets)
    }

    /// Has the cloud come back for good and catch up, and says what of a tenant's writes it does not take all the same.
    ///
    /// # Errors
    /// What the journal answers.
    pub async fn come_back(&self, tenant: &TenantId) -> Result<Vec<(CapabilityName, Backlog)>> {
        let journal = self.local.journal();
        self.attendant.come_back(&*journal, tenant).await
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
            Error::unavailable("mock.open", "no temporary directory can be made").with_source(error)
        })?;
        let config = LocalConfig {
            durability: Durability::ThrownAway,
            default_quotas: scenario.quotas(),
            ..LocalConfig::default()
        };
        let none = Models::default();
        let open = |name: &str| {
            let directory = side(directory.path(), name);
            let models = models.unwrap_or(&none);
            Local::open_with(&directory, Arc::clone(clock), config.clone(), models)
        };
        let local = open("local")?;
        let faults = Arc::new(Faults::new(&scenario.faults));
        let (turn, outbox): (Arc<Turn>, Arc<Outbox>) = Default::default();
        let mailbox = |side: &Local| -> Arc<dyn Mailbox> {
            Arc::new(Noted {
                mailbox: side.mail(),
                outbox: Arc::clone(&outbox),
            })
        };
        // One script for both sides: an answer is given once, whoever serves.
        let model: Arc<dyn Model> = match models {
            Some(_) => local.model(),
            None => Arc::new(Scripted::new(&scenario.model, local.model())),
        };
        let mut capabilities = Capabilities::local(Backends {
            jobs: Arc::new(TurnedJobs {
                jobs: local.jobs(),
                turn: Arc::clone(&turn),
            }),
            model: Arc::clone(&model),
            mailbox: mailbox(&local),
            ..local.backends()
        });
        let mut secrets: Arc<dyn SecretStore> = local.secrets();
        let cloud = match state {
            State::Local => None,
            _ => Some(open("cloud")?),
        };
        let mut lanes = BTreeMap::new();
        if let Some(cloud) = &cloud {
            let copied = Arc::new(CopiedSecrets::new(cloud.secrets(), local.secrets()));
            let there = Apart {
                mailbox: mailbox(cloud),
                model: Arc::clone(&model),
                secrets: Arc::clone(&copied) as _,
            };
            let here = Apart {
                mailbox: mailbox(&local),
                model,
                secrets: Arc::new(SecretCopies::new(local.secrets())),
            };
            let (sides, apart) = ((cloud, &local), (there, here));
            lanes = stand_before(&mut capabilities, sides, apart, state, clock);
            secrets = copied;
        }
        let attendant = Arc::new(Attendant::new(Arc::clone(&faults), lanes));
        let mut capabilities = capabilities.gated(&(Arc::clone(&attendant) as Arc<dyn Gate>));
        if let Some(own) = own {
            let neighbours = Neighbours::new(own, &scenario.agents, faults, Arc::clone(&outbox))?;
            capabilities = capabilities.with_exchange(Arc::new(neighbours));
        }
        Ok(Self {
            capabilities,
            local,
            cloud,
            turn,
            outbox,
            attendant,
            secrets,
            _directory: directory,
        })
    }

    /// Every side that has data of its own: the cloud's, if there is one, and this host's.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Local> {
        self.cloud.iter().chain([&self.local])
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
