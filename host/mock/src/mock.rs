//! A component, loaded once, that scenarios are run against.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::{Error, Result};
use stuga_local::Quotas;
use stuga_runtime::{Kinds, LoadError, Manifest, Plugin, Runtime, RuntimeConfig, Skills};
use tracing::Dispatch;

use crate::logs::Capture;
use crate::report::Run;
use crate::run;
use crate::scenario::Scenario;
use crate::state::State;

/// Instances that live at the same time: a scenario has one, and one that is being replaced.
const MAX_INSTANCES: u32 = 4;
/// What random numbers derive from besides the seed. No secret: the mock host keeps none.
const RANDOM_KEY: [u8; 32] = *b"the mock host of stuga: no key.\n";
/// What ids follow from when neither the scenario nor the caller says.
const SEED: u64 = 1;

/// What a tenant may take when a scenario does not say; the defaults of a tenant's file.
pub(crate) const MEMORY_BYTES: u64 = 64 << 20;
pub(crate) const ANSWER_BYTES: u64 = 4 << 20;
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A host without a server, a data directory or a clock of its own. A cheap handle; clones share the component.
#[derive(Clone)]
pub struct Mock {
    pub(crate) runtime: Runtime,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) inputs: Arc<Skills>,
    pub(crate) outputs: Arc<Skills>,
    pub(crate) jobs: Arc<Kinds>,
}

impl Mock {
    /// Loads a component. Compiled code is kept in `cache`, if it is given. Blocks; not to be called from async code.
    ///
    /// # Errors
    /// Why the component was not taken, as every host says it; also when a schema of its is wrong.
    pub fn load(component: Vec<u8>, cache: Option<PathBuf>) -> Result<Self, LoadError> {
        let runtime = Runtime::new(RuntimeConfig {
            max_instances: MAX_INSTANCES,
            code_cache: cache,
            random_key: Some(RANDOM_KEY),
            ..RuntimeConfig::default()
        })?;
        let executor = executor(false)?;
        let plugin = executor.block_on(runtime.load(component))?;
        let inputs = Skills::compile(plugin.manifest()).map_err(LoadError::Schema)?;
        let outputs = Skills::compile_outputs(plugin.manifest()).map_err(LoadError::Schema)?;
        let jobs = Kinds::compile(plugin.manifest()).map_err(LoadError::Schema)?;
        Ok(Self {
            runtime,
            plugin,
            inputs: Arc::new(inputs),
            outputs: Arc::new(outputs),
            jobs: Arc::new(jobs),
        })
    }

    /// What the component is.
    pub fn manifest(&self) -> &Manifest {
        self.plugin.manifest()
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> &str {
        self.plugin.digest()
    }

    /// Runs a scenario in one state of the breakers. The same component, scenario, state and seed give the same run.
    /// `seed` goes before the scenario's own. Blocks; not to be called from async code.
    pub fn run(&self, scenario: &Scenario, state: State, seed: Option<u64>) -> Run {
        let seed = seed.or(scenario.seed).unwrap_or(SEED);
        let capture = Capture::default();
        let dispatch = Dispatch::new(capture.clone());
        tracing::dispatcher::with_default(&dispatch, || match executor(true) {
            Ok(executor) => executor.block_on(run::run(self, scenario, state, seed, &capture)),
            Err(error) => Run::broken(scenario, state, seed, "the mock host", &error),
        })
    }
}

impl Scenario {
    /// Its name: the file's path below the scenarios' folder, without the ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn quotas(&self) -> Quotas {
        let mut quotas = Quotas::default();
        if let Some(size) = self.limits.stored_memory {
            quotas.memory_bytes = size.0;
        }
        if let Some(size) = self.limits.stored_files {
            quotas.files_bytes = size.0;
        }
        quotas
    }
}

/// One thread, because only then time can stand still.
pub(crate) fn executor(paused: bool) -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(paused)
        .build()
        .map_err(|error| {
            Error::internal("mock.run", "the executor cannot be started").with_source(error)
        })
}
