//! The running host: every tenant with its agents, kept in step with the files, called by the API and the commands.
//!
//! What runs is a [`Snapshot`] that is swapped as a whole: a call sees one state from its beginning to its end, and an
//! agent that is replaced or unloaded finishes the calls that it has.

mod admission;
mod announce;
mod compiled;
mod deploy;
mod exchange;
mod failure;
mod invoke;
mod jobs;
mod keys;
mod mail;
mod plan;
mod recent;
mod recordings;
mod renew;
mod retune;
mod snapshot;
mod sweep;
pub mod trial;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use stuga_core::{Clock, Result, SystemClock, TenantId};
use stuga_resilience::Capabilities;
use stuga_runtime::{Runtime, RuntimeConfig};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::AdminKey;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::tenants::keys::Pepper;
use crate::wire::Backends;

use exchange::Switchboard;

pub use admission::{Admission, Keyed, Permit};
pub use announce::Happened;
pub use deploy::Reloaded;
pub use failure::{Failure, Misfit};
pub(crate) use invoke::new_invocation;
pub use invoke::{Call, Completed};
pub(crate) use jobs::elsewhere::Elsewhere;
pub use jobs::operate::{Desk, JobOf};
#[cfg(feature = "aws")]
pub(crate) use jobs::{elsewhere::Terms, ending::failure_of};
pub use recent::{Recent, Recents, Record, State};
pub use recordings::{Kept, Recordings};
pub use snapshot::{RunningAgent, RunningTenant, Snapshot, Totals};

/// How often resting instances are trimmed and metrics folded.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Everything that runs.
pub struct Host {
    runtime: Runtime,
    backends: Backends,
    /// What guests reach.
    capabilities: Capabilities,
    store: Store,
    tenants_dir: PathBuf,
    /// The configuration that was read at the start; none when there was none.
    config_file: Option<PathBuf>,
    /// When set, this tenant alone is run.
    only: Option<TenantId>,
    pepper: Pepper,
    admin: AdminKey,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    jobs: jobs::Settings,
    current: ArcSwap<Snapshot>,
    compiled: Mutex<compiled::Compiled>,
    limits_told: announce::Told,
    tasks: TaskTracker,
    stop: CancellationToken,
    draining: CancellationToken,
}

impl Host {
    /// Opens the data directory, reads the tenants and readies their agents. What cannot be readied is logged and
    /// shown in the status; the others run.
    ///
    /// # Errors
    /// When the data directory, the tenants directory or the runtime cannot be opened.
    pub async fn open(config: &Config, only: Option<TenantId>) -> Result<Arc<Self>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let runtime = Runtime::new(RuntimeConfig {
            max_instances: config.max_instances,
            code_cache: Some(config.data_dir.join("cache")),
            ..RuntimeConfig::default()
        })?;
        let backends = Backends::open(config, Arc::clone(&clock))?;
        backends.fallback().resume()?;
        let pepper = Pepper::open(&config.data_dir)?;
        let switchboard = Arc::new(Switchboard::default());
        let host = Arc::new(Self {
            runtime,
            capabilities: backends
                .capabilities()
                .with_exchange(Arc::clone(&switchboard) as _),
            admin: AdminKey::open(&config.data_dir, &pepper)?,
            pepper,
            metrics: Metrics::new(backends.fallback().capabilities()),
            backends,
            store: Store::new(&config.data_dir),
            tenants_dir: config.tenants.clone(),
            config_file: config.file.clone(),
            only,
            clock,
            jobs: jobs::Settings {
                places: config.max_jobs,
                lease: config.job_lease,
            },
            current: ArcSwap::from_pointee(Snapshot::default()),
            compiled: Mutex::default(),
            limits_told: announce::Told::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            draining: CancellationToken::new(),
        });
        switchboard.connect(&host);
        host.reload().await?;
        Ok(host)
    }

    /// Keeps the host in step with its files and its instances trimmed, and runs jobs, until [`Host::close`].
    ///
    /// # Errors
    /// When the directories cannot be watched.
    pub fn tend(self: &Arc<Self>) -> Result<()> {
        watch::start(self)?;
        retune::start(self)?;
        // From here on: that agents are there after a start is no news.
        self.backends.announcer().start();
        self.backends.fallback().start(&self.tasks, &self.stop);
        self.run_jobs(None);
        keys::start(self);
        mail::start(self);
        sweep::start(self);
        renew::start(self);
        let (host, stop) = (Arc::downgrade(self), self.stop.clone());
        self.tasks.spawn(async move {
            while let Some(()) = stop
                .run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY))
                .await
            {
                let Some(host) = Weak::upgrade(&host) else {
                    return;
                };
                host.metrics.upkeep();
                host.snapshot().trim();
            }
        });
        Ok(())
    }

    /// What runs now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// What runs now, for a look that is over at once.
    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// What keys are verified with.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// The operator's key.
    pub fn admin(&self) -> &AdminKey {
        &self.admin
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The plugin store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The backends.
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// The clock that invocations are stamped with.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Tasks that must end before the backends are closed, such as invocations that outlive their client.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Says that the server stops taking calls, so that it is no longer ready.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Whether [`Host::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Ends the background work, waits for invocations at most `patience`, and closes the backends.
    pub async fn close(&self, patience: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                left = self.tasks.len(),
                "invocations were still running when the time to drain was over"
            );
        }
        self.backends.close().await;
    }
}
