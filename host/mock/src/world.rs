//! The host around an agent in a scenario: the real backends on a directory that is thrown away, the path before them.

use std::path::Path;
use std::sync::Arc;

use stuga_core::model::Model;
use stuga_core::{Backends, CapabilityName, Clock, Result};
use stuga_local::{Durability, Local, LocalConfig, Quotas};
use stuga_resilience::Capabilities;
use tempfile::TempDir;

use crate::cloud::{Cloud, State};
use crate::doubles::model::Scripted;
use crate::faults::Faults;
use crate::path::{Common, dress};
use crate::scenario::ModelAnswer;
use crate::served::Served;

/// A host's backends, opened for one scenario.
pub struct World {
    /// What guests reach.
    pub(crate) capabilities: Capabilities,
    /// This host's side, without faults: where state is laid down and looked at.
    pub(crate) local: Local,
    /// The cloud's side, when there is one.
    pub(crate) cloud: Option<Local>,
    pub(crate) served: Arc<Served>,
    /// Removed when it is dropped, after the stores.
    _directory: TempDir,
}

impl World {
    /// Empty backends that live by `clock`, without faults: to prove the mock host's backends in a state of the matrix.
    ///
    /// # Errors
    /// When there is no place for them.
    pub fn empty(clock: &Arc<dyn Clock>, state: State) -> Result<Self> {
        Self::open(clock, Faults::new(&[]), state, Quotas::default(), &[])
    }

    /// What guests reach.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    /// Opens empty backends.
    pub(crate) fn open(
        clock: &Arc<dyn Clock>,
        faults: Faults,
        state: State,
        quotas: Quotas,
        answers: &[ModelAnswer],
    ) -> Result<Self> {
        let directory = TempDir::new().map_err(|error| {
            stuga_core::Error::unavailable("mock.open", "no temporary directory can be made")
                .with_source(error)
        })?;
        let config = LocalConfig {
            durability: Durability::ThrownAway,
            default_quotas: quotas,
            ..LocalConfig::default()
        };
        let open = |name: &str| {
            Local::open(
                &side(directory.path(), name),
                Arc::clone(clock),
                config.clone(),
            )
        };
        let local = open("local")?;
        let cloud = match state {
            State::Local => None,
            _ => Some(open("cloud")?),
        };
        let common = Common {
            faults: Arc::new(faults),
            served: Arc::default(),
        };
        let health = move |_: CapabilityName| Cloud::new(state);
        // One script for both sides: an answer is given once, whoever serves.
        let model: Arc<dyn Model> = Arc::new(Scripted::new(answers, local.model()));
        let backends = |side: &Local| Backends {
            model: Arc::clone(&model),
            ..side.backends()
        };
        let health: &dyn Fn(CapabilityName) -> Cloud = &health;
        let cloud_side = cloud.as_ref().map(|cloud| (backends(cloud), health));
        let backends = dress(&common, &backends(&local), cloud_side);
        Ok(Self {
            capabilities: Capabilities::local(backends),
            served: common.served,
            local,
            cloud,
            _directory: directory,
        })
    }

    /// Every side that has data of its own.
    pub(crate) fn sides(&self) -> impl Iterator<Item = Backends> {
        [Some(&self.local), self.cloud.as_ref()]
            .into_iter()
            .flatten()
            .map(Local::backends)
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
