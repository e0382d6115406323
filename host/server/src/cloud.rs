//! AWS, as far as this process is told about it. [`crate::wire`] and the operator's commands alone use it.

mod gossip;
mod guarded;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use stuga_aws::{
    Aws, AwsConfig, CloudQuotas, EventKind, EventPublisher, HostEvent, SecretsManager, SqsMail,
    Tended,
};
use stuga_core::a2a::Mailbox;
use stuga_core::a2a::delivery::{MailDesk, MailQueue};
use stuga_core::embed::Embedder;
use stuga_core::keys::KeyWrap;
use stuga_core::model::ModelLimits;
use stuga_core::secrets::{SecretStore, Secrets};
use stuga_core::{CallCtx, CapabilityName, Clock, Grants, Result, TenantId, Timestamp};
use stuga_local::{CopiedSecrets, Local, SecretCopies};
use stuga_resilience::{
    Capabilities, Failover, FileCarrier, Route, SearchTeacher, SessionTeacher, Sides,
};
use tokio::time::timeout;

pub(crate) use crate::config::read_aws as read;
use crate::fallback::Fallback;
use crate::host::{Elsewhere, Happened};
use crate::tenants::Storage;
use gossip::RedisGossip;
use guarded::{AwsProbe, GuardedEmbedder};

/// The environment variable with the settings as JSON, for a process that has no configuration file, as in Lambda.
const VARIABLE: &str = "STUGA_AWS";
/// Longest wait at the end of the process until what happened last is told.
const TELLING_MAX: Duration = Duration::from_secs(5);

/// What the operator says of AWS; none when this host is without it.
pub(crate) type Settings = Option<AwsConfig>;

/// The settings from the environment, or those of the file.
///
/// # Errors
/// When they are there and have a mistake.
pub(crate) fn settings(file: Settings) -> anyhow::Result<Settings> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(file);
    };
    let text = text
        .to_str()
        .with_context(|| format!("{VARIABLE} is not text"))?;
    serde_json::from_str(text)
        .map(Some)
        .with_context(|| format!("{VARIABLE} does not hold AWS settings as JSON"))
}

/// Both sides of a capability, each as it is asked and as it is told of the other's writes.
macro_rules! sides {
    ($cloud:expr, $local:expr, $route:expr) => {{
        let (cloud, local) = ($cloud, $local);
        Sides::new(
            Arc::clone(&cloud) as _,
            cloud as _,
            Arc::clone(&local) as _,
            local,
            $route,
        )
    }};
}

/// AWS, opened; nothing when it is not configured.
pub(crate) struct Cloud {
    opened: Option<Opened>,
    announcer: Announcer,
}

struct Opened {
    aws: Aws,
    /// One for both sides, or one of them would not see at once what the other changed.
    secrets: Option<Arc<SecretsManager>>,
    /// One for all sides: what it took is its own.
    mail: Option<Arc<SqsMail>>,
    /// The way to the models, for those that make vectors.
    models: Arc<OnceLock<Arc<Route>>>,
    /// What an agent finds in the function that runs its jobs.
    served: Grants,
}

impl Cloud {
    /// Opens it. No request is made.
    ///
    /// # Errors
    /// `Invalid` naming the setting that is wrong.
    pub(crate) fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let Some(config) = settings else {
            return Ok(Self {
                opened: None,
                announcer: Announcer::default(),
            });
        };
        let aws = Aws::open(config.clone(), clock)?;
        Ok(Self {
            announcer: Announcer::of(&aws),
            opened: Some(Opened {
                secrets: aws.secrets(),
                mail: config.a2a.as_ref().map(|_| aws.mail()),
                models: Arc::default(),
                served: served(config),
                aws,
            }),
        })
    }

    /// Where attempts of jobs run outside of this process.
    pub(crate) fn jobs(&self) -> Option<Elsewhere> {
        let opened = self.opened.as_ref()?;
        Some(Elsewhere {
            executor: opened.aws.job_executor()?,
            served: opened.served,
        })
    }

    /// The same AWS, for what is more than a backend.
    pub(crate) fn aws(&self) -> Option<&Aws> {
        self.opened.as_ref().map(|opened| &opened.aws)
    }

    /// What makes vectors, when it is on AWS.
    ///
    /// # Errors
    /// `Invalid` naming the setting that is wrong.
    pub(crate) fn embedder(&self) -> Result<Option<Arc<dyn Embedder>>> {
        let Some(Opened { aws, models, .. }) = &self.opened else {
            return Ok(None);
        };
        let guarded = |embedder| {
            let route = Arc::clone(models);
            Arc::new(GuardedEmbedder { embedder, route }) as Arc<dyn Embedder>
        };
        Ok(aws.embedder()?.map(guarded))
    }

    /// What wraps the keys of this host's own stores.
    pub(crate) fn key_wrap(&self) -> Option<Arc<dyn KeyWrap>> {
        self.aws()?.key_wrap()
    }

    /// Puts what is configured on AWS before this host's own, which stands behind it.
    pub(crate) fn stand_before(
        &self,
        capabilities: &mut Capabilities,
        embedder: &Arc<dyn Embedder>,
        local: &Local,
        fallback: &mut Fallback,
    ) {
        let Some(Opened {
            aws,
            secrets,
            mail,
            models,
            ..
        }) = &self.opened
        else {
            return;
        };
        let embedder = || Arc::clone(embedder);
        if let Some(files) = aws.files() {
            let carrier = FileCarrier::new(local.files(), Arc::clone(&files) as _);
            capabilities.files = fallback
                .behind(|route| sides!(files, local.files(), route).carried(Arc::new(carrier)));
        }
        if let Some(memory) = aws.memory() {
            capabilities.memory = fallback.behind(|route| sides!(memory, local.memory(), route));
        }
        if let Some(sessions) = aws.sessions(embedder()) {
            let teacher = SessionTeacher::new(Arc::clone(&sessions) as _, local.sessions());
            capabilities.sessions = fallback.behind(|route| {
                sides!(sessions, local.sessions(), route).taught(Arc::new(teacher))
            });
        }
        if let Some(records) = aws.records(embedder()) {
            capabilities.records = fallback.behind(|route| sides!(records, local.records(), route));
        }
        if let Some(search) = aws.search(embedder()) {
            let teacher = SearchTeacher::new(Arc::clone(&search) as _, local.search());
            capabilities.search = fallback
                .behind(|route| sides!(search, local.search(), route).taught(Arc::new(teacher)));
        }
        if let Some(mail) = mail {
            let cloud: Arc<dyn Mailbox> = Arc::clone(mail) as _;
            let local: Arc<dyn Mailbox> = local.mail();
            capabilities.mailbox = fallback.behind(|route| Sides::apart(cloud, local, route));
        }
        if let Some(model) = aws.model(embedder()) {
            let local = local.model();
            capabilities.model = fallback.behind(|route| Sides::apart(model, local, route));
            if let Some(route) = capabilities.model.route() {
                // Nobody set it before.
                let _ = models.set(Arc::clone(route));
            }
        }
        if let Some(secrets) = secrets {
            let local = local.secrets();
            let cloud: Arc<dyn Secrets> =
                Arc::new(CopiedSecrets::new(Arc::clone(secrets), Arc::clone(&local)));
            let copies: Arc<dyn Secrets> = Arc::new(SecretCopies::new(local));
            capabilities.secrets = fallback.behind(|route| Sides::apart(cloud, copies, route));
        }
        if aws.job_executor().is_some() {
            fallback.watch(CapabilityName::Jobs);
        }
        fallback.probed(Arc::new(AwsProbe(aws.clone())));
        if let Some(hosts) = aws.hosts() {
            fallback.heard(Arc::new(RedisGossip(hosts)));
        }
    }

    /// Puts what is configured on AWS in the place of this host's own: for a process whose disk does not last.
    pub(crate) fn replace(&self, capabilities: &mut Capabilities, embedder: &Arc<dyn Embedder>) {
        let Some(Opened {
            aws, secrets, mail, ..
        }) = &self.opened
        else {
            return;
        };
        if let Some(files) = aws.files() {
            capabilities.files = Failover::cloud(files as _);
        }
        if let Some(mail) = mail {
            capabilities.mailbox = Failover::cloud(Arc::clone(mail) as _);
        }
        if let Some(search) = aws.search(Arc::clone(embedder)) {
            capabilities.search = Failover::cloud(search as _);
        }
        if let Some(memory) = aws.memory() {
            capabilities.memory = Failover::cloud(memory as _);
        }
        if let Some(sessions) = aws.sessions(Arc::clone(embedder)) {
            capabilities.sessions = Failover::cloud(sessions as _);
        }
        if let Some(records) = aws.records(Arc::clone(embedder)) {
            capabilities.records = Failover::cloud(records as _);
        }
        if let Some(model) = aws.model(Arc::clone(embedder)) {
            capabilities.model = Failover::cloud(model);
        }
        if let Some(secrets) = secrets {
            capabilities.secrets = Failover::cloud(Arc::clone(secrets) as _);
        }
    }

    /// The mailboxes, as their runner empties them.
    pub(crate) fn mail_queue(&self) -> Option<Arc<dyn MailQueue>> {
        let mail = self.opened.as_ref()?.mail.as_ref()?;
        Some(Arc::clone(mail) as _)
    }

    /// The mailboxes, as the operator sees them.
    pub(crate) fn mail_desk(&self) -> Option<Arc<dyn MailDesk>> {
        let mail = self.opened.as_ref()?.mail.as_ref()?;
        Some(Arc::clone(mail) as _)
    }

    /// What tells outside what happens here.
    pub(crate) fn announcer(&self) -> &Announcer {
        &self.announcer
    }

    /// Whether there is memory that must be renewed.
    pub(crate) fn renews(&self) -> bool {
        self.aws().is_some_and(|aws| aws.memory().is_some())
    }

    /// Renews what the call's agent keeps in AgentCore.
    ///
    /// # Errors
    /// As AWS answers; what was done until then stays done.
    pub(crate) async fn renew(&self, ctx: &CallCtx) -> Result<()> {
        let Some(aws) = self.aws() else {
            return Ok(());
        };
        let Tended {
            seen,
            removed,
            renewed,
        } = aws.tend_memory(ctx).await?;
        let (tenant, agent) = (&ctx.tenant, &ctx.agent);
        tracing::info!(%tenant, %agent, seen, removed, renewed, "an agent's memory was renewed");
        Ok(())
    }

    /// Waits until what calls left behind that ended early is removed, and what happened last is told.
    pub(crate) async fn settled(&self) {
        self.announcer.close().await;
        if let Some(aws) = self.aws() {
            aws.settled().await;
        }
    }

    /// Secrets, as the operator changes them; this host's copies follow.
    pub(crate) fn secrets(&self, local: &Local) -> Option<Arc<dyn SecretStore>> {
        let secrets = self.opened.as_ref()?.secrets.as_ref()?;
        Some(Arc::new(CopiedSecrets::new(
            Arc::clone(secrets),
            local.secrets(),
        )))
    }

    /// Sets what a tenant may store with AWS.
    pub(crate) fn set_storage_limits(&self, tenant: &TenantId, storage: &Storage) {
        if let Some(aws) = self.aws() {
            let quotas = CloudQuotas {
                files_bytes: storage.files,
                files_count: storage.files_count,
                search_documents: storage.search_documents,
                search_bytes: storage.search,
                mailbox_messages: storage.mailbox_messages,
            };
            aws.set_quotas(tenant, quotas);
        }
    }

    /// Sets what a tenant may take of the models.
    pub(crate) fn set_model_limits(&self, tenant: &TenantId, limits: ModelLimits) {
        if let Some(aws) = self.aws() {
            aws.set_model_limits(tenant, limits);
        }
    }
}

/// Tells EventBridge what happens here, from its start on. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Announcer {
    aws: Option<Aws>,
    started: Arc<OnceLock<EventPublisher>>,
}

impl Announcer {
    fn of(aws: &Aws) -> Self {
        Self {
            aws: Some(aws.clone()),
            started: Arc::default(),
        }
    }

    /// Starts the task that tells, on the runtime that is running. Nothing happens without `aws.events`, or a second time.
    pub(crate) fn start(&self) {
        if self.started.get().is_none()
            && let Some(publisher) = self.aws.as_ref().and_then(Aws::events)
        {
            // Another start was first: this one ends when it is dropped.
            self.started.set(publisher).ok();
        }
    }

    /// Leaves it to be told and returns at once. What happens before the start is no news.
    pub(crate) fn publish(
        &self,
        what: Happened,
        tenant: Option<&TenantId>,
        at: Timestamp,
        detail: Value,
    ) {
        if let Some(publisher) = self.started.get() {
            publisher.publish(HostEvent {
                kind: match what {
                    Happened::Failover => EventKind::Failover,
                    Happened::Recovery => EventKind::Recovery,
                    Happened::Deploy => EventKind::Deploy,
                    Happened::Quota => EventKind::Quota,
                },
                tenant: tenant.cloned(),
                at,
                detail,
            });
        }
    }

    /// How many events were taken, and how many were lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let counts = |publisher: &EventPublisher| (publisher.published(), publisher.dropped());
        self.started.get().map_or((0, 0), counts)
    }

    /// Tells what waits, as long as there is patience, and then nothing more.
    async fn close(&self) {
        if let Some(publisher) = self.started.get()
            && timeout(TELLING_MAX, publisher.close()).await.is_err()
        {
            tracing::warn!("what happened last was not told: EventBridge does not answer");
        }
    }
}

/// What an agent finds in the function that runs its jobs: what [`Cloud::replace`] puts on AWS, what the operator lets the
/// function keep for itself, and of `jobs` the report of progress.
fn served(config: &AwsConfig) -> Grants {
    use CapabilityName::{A2a, Files, Jobs, Model, Search, Secrets};
    let there = [
        (Files, config.files.is_some()),
        (Search, config.search.is_some()),
        (Model, config.model.is_some()),
        (A2a, config.a2a.is_some()),
        (Secrets, config.secrets.is_some()),
        (Jobs, true),
    ];
    let there = there.into_iter().filter(|(_, there)| *there);
    let scratch = config
        .jobs
        .iter()
        .flat_map(|jobs| jobs.scratch.iter().copied());
    there.map(|(name, _)| name).chain(scratch).collect()
}
