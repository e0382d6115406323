//! [`Local`]: opens tenants' stores when they are needed and closes the ones that rest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder};
use serde::Deserialize;
use stuga_core::embed::Embedder;
use stuga_core::invocation::InvocationStore;
use stuga_core::jobs::Jobs;
use stuga_core::jobs::queue::JobQueue;
use stuga_core::journal::Journal;
use stuga_core::keys::KeyWrap;
use stuga_core::model::{LimitTable, Model, ModelLimits};
use stuga_core::{Backends, Clock, Error, Result, TenantId};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::content::ContentStore;
use crate::cuts::{Cut, Cuts};
use crate::durability::Durability;
use crate::error;
use crate::files::LocalFiles;
use crate::invocations::LocalInvocations;
use crate::jobs::{LocalJobQueue, LocalJobs};
use crate::journal::LocalJournal;
use crate::mailbox::LocalMail;
use crate::marks::Marks;
use crate::memory::LocalMemory;
use crate::model::{LocalModel, Models};
use crate::quotas::PerTenant;
use crate::records::LocalRecords;
use crate::retention::Retention;
use crate::scope;
use crate::search::{LocalSearch, SearchRoom};
use crate::secrets::{Keeper, LocalSecrets, MasterKeyFile};
use crate::sessions::LocalSessions;
use crate::tally::{Quotas, Tally, Usage};
use crate::tenant::{Shared, Tenant};

/// Temporary files of that age belong to no process any more.
const LEFTOVER_AGE: Duration = Duration::from_secs(3_600);

/// Steps of one sweep of a resting tenant: a quarter of a million rows of each kind.
const SWEEP_MAX_STEPS: u32 = 1_024;

/// How the local backends behave.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalConfig {
    /// How many tenants' stores stay open while nobody uses them. A store in use is never closed, however many there
    /// are. An open store takes about five file descriptors and some hundred KiB, and 100 bytes for each entry of its
    /// journal that waits.
    pub max_open_tenants: usize,
    /// What a tenant may store that was given no quotas of its own, the caps of its journal included.
    pub default_quotas: Quotas,
    /// The file with the host's master keys, which seal the tenants' keys; none for `keys/master.key` in the data
    /// directory. It is made when the first secret is set and there is none.
    pub master_key_file: Option<PathBuf>,
    /// What an acknowledgement promises. No configuration file can set it.
    #[serde(skip)]
    pub durability: Durability,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            max_open_tenants: 128,
            default_quotas: Quotas::default(),
            master_key_file: None,
            durability: Durability::default(),
        }
    }
}

/// The local backends of all tenants. A cheap handle; clones share everything.
#[derive(Clone)]
pub struct Local(Arc<Inner>);

struct Inner {
    root: Dir,
    path: PathBuf,
    config: LocalConfig,
    shared: Arc<Shared>,
    model: Arc<LocalModel>,
    model_limits: Arc<LimitTable>,
    open: Mutex<Open>,
    jobs: Arc<Marks>,
    mail: Arc<Marks>,
    journal: Arc<Marks>,
    key_wrap: Option<Arc<dyn KeyWrap>>,
}

#[derive(Default)]
struct Open {
    tenants: HashMap<TenantId, Arc<Slot>>,
    closed: bool,
}

/// A tenant's place: whoever comes first opens the store, the others wait for it.
#[derive(Default)]
struct Slot {
    tenant: OnceCell<Arc<Tenant>>,
    used: AtomicU64,
}

impl Local {
    /// Opens the data directory, or creates it, readable by this user alone. Blocks for a moment; stores of tenants are
    /// opened when they are first used. There is no model, and the built-in embedder.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be created or opened.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>, config: LocalConfig) -> Result<Self> {
        Self::open_with(data_dir, clock, config, &Models::default())
    }

    /// As [`Local::open`], with models.
    ///
    /// # Errors
    /// As [`Local::open`], and `Invalid` when the configuration of a model is wrong.
    pub fn open_with(
        data_dir: &Path,
        clock: Arc<dyn Clock>,
        config: LocalConfig,
        models: &Models,
    ) -> Result<Self> {
        Self::open_wrapped(data_dir, clock, config, models, None)
    }

    /// As [`Local::open_with`], with a key service that wraps tenants' keys in the place of the master key file.
    ///
    /// # Errors
    /// As [`Local::open_with`]. The service is not asked before a secret is.
    pub fn open_wrapped(
        data_dir: &Path,
        clock: Arc<dyn Clock>,
        config: LocalConfig,
        models: &Models,
        key_wrap: Option<Arc<dyn KeyWrap>>,
    ) -> Result<Self> {
        let open = || {
            Dir::create_ambient_dir_all(data_dir, ambient_authority())?;
            let root = Dir::open_ambient_dir(data_dir, ambient_authority())?;
            create_private_dir(&root, Path::new("tenants"))?;
            let jobs = Marks::open(&root, "jobs")?;
            let mail = Marks::open(&root, "mail")?;
            let journal = Marks::open(&root, "journal")?;
            Ok((root, data_dir.canonicalize()?, [jobs, mail, journal]))
        };
        let (root, path, [jobs, mail, journal]) = open().map_err(|e: std::io::Error| {
            Error::unavailable(
                "store.open",
                format!("the data directory {} cannot be opened", data_dir.display()),
            )
            .with_source(e)
        })?;
        let model_limits = Arc::new(LimitTable::new(Arc::clone(&clock)));
        let model = LocalModel::new(models, Arc::clone(&model_limits))?;
        Ok(Self(Arc::new(Inner {
            root,
            path,
            shared: Arc::new(Shared {
                durability: config.durability,
                cuts: Cuts::default(),
                clock,
                embedder: Arc::clone(&models.embedder),
                search: Arc::new(SearchRoom::default()),
                quotas: PerTenant::new(config.default_quotas),
                retention: PerTenant::new(Retention::default()),
                tasks: TaskTracker::new(),
            }),
            model: Arc::new(model),
            model_limits,
            open: Mutex::default(),
            jobs: Arc::new(jobs),
            mail: Arc::new(mail),
            journal: Arc::new(journal),
            key_wrap,
            config,
        })))
    }

    /// Every capability, for all tenants.
    pub fn backends(&self) -> Backends {
        Backends {
            files: self.files(),
            jobs: self.jobs(),
            mailbox: self.mail(),
            memory: self.memory(),
            model: self.model(),
            records: self.records(),
            search: self.search(),
            secrets: self.secrets(),
            sessions: self.sessions(),
        }
    }

    /// Memory of all tenants: for a host without a cloud, as a copy of the cloud's, and in its place while it is away.
    pub fn memory(&self) -> Arc<LocalMemory> {
        let local = self.clone();
        Arc::new(LocalMemory { local })
    }

    /// Models for all tenants.
    pub fn model(&self) -> Arc<dyn Model> {
        Arc::clone(&self.0.model) as _
    }

    /// Files of all tenants, as memory; and their contents by digest.
    pub fn files(&self) -> Arc<LocalFiles> {
        let local = self.clone();
        Arc::new(LocalFiles { local })
    }

    /// Jobs of all tenants.
    pub fn jobs(&self) -> Arc<dyn Jobs> {
        let (local, marks) = (self.clone(), Arc::clone(&self.0.jobs));
        Arc::new(LocalJobs { local, marks })
    }

    /// The same jobs, for whoever runs them.
    pub fn job_queue(&self) -> Arc<dyn JobQueue> {
        let (local, marks) = (self.clone(), Arc::clone(&self.0.jobs));
        Arc::new(LocalJobQueue { local, marks })
    }

    /// Mailboxes of all tenants: as agents post into them, as their runner empties them, as the operator sees them.
    pub fn mail(&self) -> Arc<LocalMail> {
        let (local, marks) = (self.clone(), Arc::clone(&self.0.mail));
        Arc::new(LocalMail { local, marks })
    }

    /// Secrets of all tenants: as invocations reach them and as the operator manages them.
    pub fn secrets(&self) -> Arc<LocalSecrets> {
        Arc::new(LocalSecrets {
            local: self.clone(),
            keeper: Keeper::new(self.master(), self.0.key_wrap.clone()),
        })
    }

    /// What the cloud does not know yet of all tenants. Several processes may ask and change it; the counts that one tells
    /// follow another's changes with its own next write to the tenant.
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::new(LocalJournal {
            local: self.clone(),
            marks: self.journal_marks(),
            master: self.master(),
        })
    }

    /// Sessions of all tenants, as memory.
    pub fn sessions(&self) -> Arc<LocalSessions> {
        let local = self.clone();
        Arc::new(LocalSessions { local })
    }

    /// Records of all tenants, as memory.
    pub fn records(&self) -> Arc<LocalRecords> {
        let local = self.clone();
        Arc::new(LocalRecords { local })
    }

    /// Search of all tenants, as memory.
    pub fn search(&self) -> Arc<LocalSearch> {
        let local = self.clone();
        Arc::new(LocalSearch { local })
    }

    /// Idempotency keys of all tenants.
    pub fn invocations(&self) -> Arc<dyn InvocationStore> {
        let local = self.clone();
        Arc::new(LocalInvocations { local })
    }

    /// Sets what a tenant may store, from its next write on.
    pub fn set_quotas(&self, tenant: &TenantId, quotas: Quotas) {
        self.0.shared.quotas.set(tenant, quotas);
    }

    /// Sets what is kept of a tenant's data, from its next write or sweep on.
    pub fn set_retention(&self, tenant: &TenantId, retention: Retention) {
        self.0.shared.retention.set(tenant, retention);
    }

    /// Removes what a tenant's data has beyond its time or its retention, in steps that let writes in between. Writes
    /// do the same beside them; this is for tenants that rest. True when the sweep stopped at its bound of steps with
    /// more to do.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` when its store cannot be written.
    pub async fn sweep(&self, tenant: &TenantId) -> Result<bool> {
        let store = self.tenant(tenant).await?;
        for _ in 0..SWEEP_MAX_STEPS {
            if !store.sweep("store.sweep").await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sets what a tenant may take of the models, from its next completion on.
    pub fn set_model_limits(&self, tenant: &TenantId, limits: ModelLimits) {
        self.0.model_limits.set(tenant, limits);
    }

    /// How much a tenant has stored.
    ///
    /// # Errors
    /// `Unavailable` or `Internal` when its store cannot be read.
    pub async fn usage(&self, tenant: &TenantId) -> Result<Usage> {
        const OPERATION: &str = "store.usage";
        let store = self.tenant(tenant).await?;
        store
            .read(OPERATION, |_, conn| {
                Tally::load(conn)
                    .map(|tally| tally.usage())
                    .map_err(|e| error::sqlite(OPERATION, e))
            })
            .await
    }

    /// What was cut off a tenant's store when this process opened it last and its log was not whole at the end; none when it
    /// was, or nobody has opened it.
    pub fn cut(&self, tenant: &TenantId) -> Option<Cut> {
        self.0.shared.cuts.of(tenant)
    }

    /// Refuses new calls, waits for the writes that were accepted, and closes all stores.
    ///
    /// # Errors
    /// The first store that could not be checkpointed; the others are closed all the same, and nothing acknowledged is
    /// lost: the next open reads the log.
    pub async fn close(&self) -> Result<()> {
        let tenants = {
            let mut open = self.lock();
            open.closed = true;
            std::mem::take(&mut open.tenants)
        };
        self.0.shared.search.close();
        self.0.shared.tasks.close();
        self.0.shared.tasks.wait().await;
        let closing = tokio::task::spawn_blocking(move || {
            let mut first = Ok(());
            for tenant in tenants.values().filter_map(|slot| slot.tenant.get()) {
                first = first.and(tenant.checkpoint());
            }
            first
        });
        closing
            .await
            .map_err(|e| Error::internal("store.close", "closing the stores died").with_source(e))?
    }

    /// What makes vectors of texts, here as everywhere on this host.
    pub(crate) fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.0.shared.embedder
    }

    /// Where the host's master keys are.
    pub(crate) fn master(&self) -> MasterKeyFile {
        let named = self.0.config.master_key_file.clone();
        MasterKeyFile::at(named.unwrap_or_else(|| self.0.path.join("keys/master.key")))
    }

    /// Which tenants have entries in their journal that wait.
    pub(crate) fn journal_marks(&self) -> Arc<Marks> {
        Arc::clone(&self.0.journal)
    }

    /// The open indices of search.
    pub(crate) fn search_room(&self) -> Arc<SearchRoom> {
        Arc::clone(&self.0.shared.search)
    }

    /// A tenant's store, opened if it is not.
    pub(crate) async fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>> {
        let slot = self.slot(id)?;
        slot.tenant
            .get_or_try_init(|| self.open_tenant(id.clone()))
            .await
            .map(Arc::clone)
    }

    /// A tenant's store, if it is open.
    pub(crate) fn opened(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.lock().tenants.get(id)?.tenant.get().map(Arc::clone)
    }

    fn slot(&self, id: &TenantId) -> Result<Arc<Slot>> {
        static TICK: AtomicU64 = AtomicU64::new(0);
        let mut open = self.lock();
        if open.closed {
            return Err(Error::unavailable(
                "store.open",
                "the host is shutting down",
            ));
        }
        let slot = match open.tenants.get(id) {
            Some(slot) => Arc::clone(slot),
            None => {
                self.make_room(&mut open);
                Arc::clone(open.tenants.entry(id.clone()).or_default())
            }
        };
        slot.used
            .store(TICK.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Ok(slot)
    }

    /// Closes the stores that were not used for the longest time, when there are too many.
    fn make_room(&self, open: &mut Open) {
        let too_many = (open.tenants.len() + 1).saturating_sub(self.0.config.max_open_tenants);
        if too_many == 0 {
            return;
        }
        // Counts cannot rise meanwhile: every handle is cloned from the map, which is locked.
        let rests = |slot: &Arc<Slot>| {
            let tenant = slot.tenant.get();
            Arc::strong_count(slot) == 1 && tenant.is_none_or(|t| Arc::strong_count(t) == 1)
        };
        let mut resting: Vec<_> = open
            .tenants
            .iter()
            .filter(|(_, slot)| rests(slot))
            .map(|(id, slot)| (slot.used.load(Ordering::Relaxed), id.clone()))
            .collect();
        resting.sort_unstable();
        for (_, id) in resting.into_iter().take(too_many) {
            let slot = open.tenants.remove(&id);
            // Closing writes the log back into the database: not here.
            self.0.shared.tasks.spawn_blocking(move || drop(slot));
        }
    }

    async fn open_tenant(&self, id: TenantId) -> Result<Arc<Tenant>> {
        const OPERATION: &str = "store.open";
        let inner = Arc::clone(&self.0);
        let opening = self.0.shared.tasks.spawn_blocking(move || {
            let directory = scope::directory(&id);
            let content = open_content(&inner.root, &directory, inner.config.durability)
                .map_err(|e| error::io(OPERATION, e))?;
            Tenant::open(
                id,
                &inner.path.join(directory),
                content,
                Arc::clone(&inner.shared),
            )
        });
        opening
            .await
            .map_err(|e| Error::internal(OPERATION, "opening a store died").with_source(e))?
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_content(
    root: &Dir,
    directory: &Path,
    durability: Durability,
) -> std::io::Result<ContentStore> {
    let files = directory.join("files");
    root.create_dir_all(&files)?;
    // Each time, because whoever created them may not have come that far.
    for parent in files.ancestors().skip(1).filter(|_| durability.syncs()) {
        let is_root = parent.as_os_str().is_empty();
        let parent = if is_root { Path::new(".") } else { parent };
        root.open(parent)?.sync_all()?;
    }
    let content = ContentStore::open(root.open_dir(&files)?, durability)?;
    if let Some(long_ago) = SystemTime::now().checked_sub(LEFTOVER_AGE) {
        content.remove_leftovers(long_ago)?;
    }
    Ok(content)
}

fn create_private_dir(root: &Dir, path: &Path) -> std::io::Result<()> {
    if root.is_dir(path) {
        return Ok(());
    }
    #[cfg_attr(not(unix), allow(unused_mut, reason = "only unix has a mode to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    {
        use cap_std::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    match root.create_dir_with(path, &builder) {
        // Another process was faster.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
