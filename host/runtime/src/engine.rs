//! The engine: wasmtime's settings, the epoch's ticker and what all agents share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use stuga_core::{Error, Result};
use stuga_resilience::Capabilities;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::agent::{Agent, Pool};
use crate::bindings::Guest;
use crate::cache::CodeCache;
use crate::plugin::{Plugin, Plugins};
use crate::state::HostState;
use crate::{AgentSettings, LoadError};

/// Core instances and tables that one component needs on average: the encoder makes a main module, a shim and a fix-up
/// module for each component of one module.
const CORE_INSTANCES_PER_COMPONENT: u32 = 8;

/// Core instances that one component may need at most. A language's runtime brings its libraries as modules of their
/// own; a Python component has 14.
const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 32;

/// Memories that one component may have: JavaScript components have a second one, which stays empty.
const MEMORIES_PER_COMPONENT_MAX: u32 = 4;

/// Kept of a memory between calls of fresh instances, in bytes. Measured with `pagemap_scan`: below it the reset costs
/// page faults, above it nothing is gained.
const MEMORY_KEEP_RESIDENT: usize = 256 << 10;

/// Kept of a table and of a stack between instances, in bytes.
const KEEP_RESIDENT: usize = 64 << 10;

/// Elements that one table may have; an agent's function table has a few hundred to a few thousand.
const TABLE_ELEMENTS: usize = 64 << 10;

/// How a runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Instances that can live at the same time in this process, over all agents.
    pub max_instances: u32,
    /// The largest linear memory that any agent can get, in bytes. Reserved as addresses only.
    pub max_memory_bytes: u64,
    /// How often running guests are interrupted to look at their deadline and to let others run.
    pub epoch_tick: Duration,
    /// Where compiled code is kept; none compiles at every start.
    pub code_cache: Option<PathBuf>,
    /// Key from which the guests' randomness is derived together with the invocation's id. Keep it secret and keep it
    /// over restarts, so that a repeated invocation draws the same numbers. None takes a new one at every start.
    pub random_key: Option<[u8; 32]>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            max_instances: 1_000,
            max_memory_bytes: 512 << 20,
            epoch_tick: Duration::from_millis(5),
            code_cache: None,
            random_key: None,
        }
    }
}

/// What the runtime is doing, for the operator.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeStats {
    /// Instances that can live at the same time.
    pub max_instances: u32,
    /// Instances alive now, warm or busy.
    pub instances: u64,
    /// Different components loaded now.
    pub plugins: usize,
    /// Components whose compiled code came from the disk since the start.
    pub code_cache_hits: u64,
    /// Components that were compiled since the start.
    pub compilations: u64,
}

/// Compiles and runs agents. Clones share everything.
#[derive(Clone)]
pub struct Runtime(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<HostState>,
    pub(crate) cache: CodeCache,
    pub(crate) random_key: [u8; 32],
    pub(crate) plugins: Plugins,
    config: RuntimeConfig,
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Runtime {
    /// Sets up the engine and starts its ticker, which ends with the last clone.
    ///
    /// # Errors
    /// `Internal` when the machine does not give the address space for `max_instances`, or the code cache's directory
    /// cannot be made.
    pub fn new(config: RuntimeConfig) -> Result<Self> {
        let engine = Engine::new(&engine_config(&config)).map_err(|e| {
            Error::internal(
                "runtime.new",
                format!("cannot set up the engine for {} instances; lower runtime.max_instances or raise vm.max_map_count", config.max_instances),
            )
            .with_source(format!("{e:#}"))
        })?;
        let linker = linker(&engine).map_err(|e| {
            Error::internal("runtime.new", "cannot link the host's interfaces")
                .with_source(format!("{e:#}"))
        })?;
        start_ticker(&engine, config.epoch_tick)?;
        let random_key = match config.random_key {
            Some(key) => key,
            None => crate::state::fresh_key(),
        };
        Ok(Self(Arc::new(Shared {
            cache: CodeCache::open(&engine, config.code_cache.clone())?,
            engine,
            linker,
            random_key,
            plugins: Plugins::default(),
            pools: Mutex::default(),
            config,
        })))
    }

    /// Compiles a component, or takes its code from the cache, and asks it what it is.
    ///
    /// The same bytes give the same plugin while anybody holds it. Runs off the async executor.
    ///
    /// # Errors
    /// Why the component was not taken; see [`LoadError`].
    pub async fn load(&self, component: Vec<u8>) -> Result<Arc<Plugin>, LoadError> {
        crate::plugin::load(&self.0, component).await
    }

    /// Makes a plugin an agent of a tenant, with one instance warm.
    ///
    /// # Errors
    /// `NotGranted` when the component imports what `settings.grants` does not hold.
    pub async fn deploy(
        &self,
        plugin: Arc<Plugin>,
        settings: AgentSettings,
        capabilities: Capabilities,
    ) -> Result<Agent, LoadError> {
        plugin.check_grants(&settings)?;
        let agent = Agent::new(Arc::clone(&self.0), plugin, settings, capabilities).await?;
        let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(agent.pool()));
        Ok(agent)
    }

    /// What the runtime is doing.
    pub fn stats(&self) -> RuntimeStats {
        RuntimeStats {
            max_instances: self.0.config.max_instances,
            instances: self
                .0
                .engine
                .pooling_allocator_metrics()
                .map_or(0, |m| m.component_instances()),
            plugins: self.0.plugins.count(),
            code_cache_hits: self.0.cache.hits(),
            compilations: self.0.cache.compilations(),
        }
    }
}

impl Shared {
    /// Drops all resting instances of all agents, to make room when every slot is taken.
    pub(crate) fn drop_resting_instances(&self) {
        let pools: Vec<_> = self
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for pool in pools {
            pool.clear();
        }
    }
}

fn engine_config(config: &RuntimeConfig) -> Config {
    let core = config
        .max_instances
        .saturating_mul(CORE_INSTANCES_PER_COMPONENT);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(config.max_instances)
        .total_core_instances(core)
        .total_memories(config.max_instances)
        .total_tables(core)
        .total_stacks(config.max_instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_tables_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(usize::try_from(config.max_memory_bytes).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .async_stack_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    let mut engine = Config::new();
    engine
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .wasm_component_model(true)
        // Agents are called synchronously; component-model tasks would cost each call three to five times as much.
        .concurrency_support(false)
        .epoch_interruption(true);
    engine
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    Guest::add_to_linker::<HostState, HasSelf<HostState>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// A thread of its own, because a guest that never yields could keep a timer of the executor from running.
fn start_ticker(engine: &Engine, tick: Duration) -> Result<()> {
    let engine = engine.weak();
    let tick = tick.max(Duration::from_millis(1));
    let ticker = move || {
        loop {
            std::thread::sleep(tick);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    std::thread::Builder::new()
        .name("stuga-epoch".into())
        .spawn(ticker)
        .map(drop)
        .map_err(|e| {
            Error::internal("runtime.new", "cannot start the epoch's thread").with_source(e)
        })
}
