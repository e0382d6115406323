//! What each section is asked: who stands behind it, and what its backend needs of them.
//!
//! A probe is *vital* when the capability cannot serve without the answer. The control planes are not: they may be away
//! while data is served.

use std::sync::Arc;

use aws_sdk_bedrockagentcore::operation::list_actors::ListActorsError;
use aws_sdk_bedrockagentcorecontrol::operation::get_memory::GetMemoryError;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, InferenceConfiguration, Message,
};
use aws_sdk_s3::types::BucketVersioningStatus;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::Blob;
use futures::FutureExt;
use futures::future::BoxFuture;
use stuga_core::{Error, ErrorKind, Result, TenantId};
use tokio::time::Instant;

use super::{OPERATION, Probe};
use crate::Aws;
use crate::action::{Action, Service};
use crate::agentcore::ledger::Store;
use crate::call::call_until;
use crate::clients::TenantClients;
use crate::config::Pattern;
use crate::error::{self, CLOUD, Reply};
use crate::scope::{MemoryOf, Scope};
use crate::search::{Tenancy, Whose};

/// What Bedrock says of a model that it does not have, or not under this id.
const UNKNOWN_MODEL: [&str; 2] = ["model identifier", "on-demand throughput"];
/// What an id ends with that AWS gave to no memory.
const NO_ID: &str = "-0000000000";
/// No request of Titan's, Cohere's or anybody else's.
const NO_REQUEST: &[u8] = b"{}";

/// Who asks, and about whom.
pub(super) struct Asking<'a> {
    aws: &'a Aws,
    tenant: &'a TenantId,
    whose: Whose,
    clients: Arc<TenantClients>,
    scope: Scope<'a>,
}

impl<'a> Asking<'a> {
    /// A tenant about itself.
    pub(super) fn of_tenant(aws: &'a Aws, tenant: &'a TenantId) -> Self {
        let clients = aws.shared.clients.of(tenant);
        Self::by(aws, tenant, Whose::Tenant(tenant.clone()), clients)
    }

    /// The host about a tenant.
    pub(super) fn of_host(aws: &'a Aws, tenant: &'a TenantId) -> Self {
        let clients = Arc::clone(aws.shared.clients.host());
        Self::by(aws, tenant, Whose::Host, clients)
    }

    fn by(aws: &'a Aws, tenant: &'a TenantId, whose: Whose, clients: Arc<TenantClients>) -> Self {
        Self {
            aws,
            tenant,
            whose,
            clients,
            scope: aws.shared.scope(tenant),
        }
    }

    pub(super) fn identity(&self) -> Probe {
        let identity = self.clients.sts().get_caller_identity().send();
        probe("identity", "who asks".to_owned(), identity, of_no_interest)
    }

    pub(super) fn files(&self) -> Result<Vec<Probe>> {
        let Some(config) = &self.aws.shared.config.files else {
            return Ok(Vec::new());
        };
        let bucket = self.scope.bucket()?;
        let is_own = config.bucket.names_tenant();
        let versioning = self.clients.s3().get_bucket_versioning();
        let versioning = versioning.bucket(&bucket).send();
        let what = format!("versions in bucket {bucket}");
        let versioning = probe("files", what, versioning, |answer| match answer?.status {
            Some(BucketVersioningStatus::Enabled) => Ok(()),
            _ => Err(missing(
                "the bucket keeps no versions; switch its versioning on",
            )),
        });
        Ok(vec![self.bucket("files", &bucket).own(is_own), versioning])
    }

    pub(super) fn memory(&self) -> Result<Vec<Probe>> {
        let Some(config) = &self.aws.shared.config.memory else {
            return Ok(Vec::new());
        };
        let what = match self.scope.memory_of()? {
            MemoryOf::Id(known) | MemoryOf::Name(known) => format!("AgentCore memory {known}"),
        };
        let patterns = [&config.name, &config.memory_id];
        let is_own = patterns.into_iter().flatten().any(Pattern::names_tenant);
        let (control, client) = (self.home(is_own)?, self.clients.agentcore_control().clone());
        let control = asked::<GetMemoryError>("memory", what.clone(), move |deadline| {
            async move {
                let get = client.get_memory().memory_id(control.id(deadline).await?);
                call_until(deadline, OPERATION, get.send()).await.map(drop)
            }
            .boxed()
        });
        let (data, client) = (self.home(is_own)?, self.clients.agentcore().clone());
        let data = asked::<ListActorsError>("memory", what, move |deadline| {
            async move {
                let list = client.list_actors().memory_id(data.id(deadline).await?);
                let list = list.max_results(1).send();
                call_until(deadline, OPERATION, list).await.map(drop)
            }
            .boxed()
        });
        let store = Arc::clone(&self.aws.store);
        let cache = Probe {
            section: "memory",
            service: Service::ElastiCache,
            action: "PING",
            what: format!("cache {}", config.redis),
            is_vital: true,
            is_own: false,
            ask: Box::new(move |deadline| {
                async move { store.redis(OPERATION)?.ping(deadline, OPERATION).await }.boxed()
            }),
        };
        Ok(vec![control.own(is_own), data.own(is_own).vital(), cache])
    }

    /// The host knows no tenant whose memory it could look up, and asks for one that nobody has.
    fn home(&self, is_own: bool) -> Result<Home> {
        let host_asks = self.whose == Whose::Host;
        Ok(match self.scope.memory_of()? {
            MemoryOf::Name(name) if host_asks && is_own => Home::Known(format!("{name}{NO_ID}")),
            MemoryOf::Id(id) => Home::Known(id),
            MemoryOf::Name(_) => Home::Named(Arc::clone(&self.aws.store), self.tenant.clone()),
        })
    }

    pub(super) fn search(&self) -> Result<Vec<Probe>> {
        let Some(config) = &self.aws.shared.config.search else {
            return Ok(Vec::new());
        };
        let mut probes = Vec::new();
        if let Some(domain) = &config.domain {
            let describe = self.clients.opensearch_control().describe_domain();
            let describe = describe.domain_name(domain).send();
            let what = format!("domain {domain}");
            probes.push(probe("search", what, describe, of_no_interest));
        }
        let shared = self.aws.shared();
        let tenancy = Tenancy::of(&shared, &self.aws.domain, self.tenant, OPERATION)?;
        let whose = self.whose.clone();
        probes.push(Probe {
            section: "search",
            service: Service::OpenSearch,
            action: match config.serverless {
                true => "aoss:APIAccessAll",
                false => "es:ESHttpPost",
            },
            what: format!("index {}", tenancy.catalog()),
            is_vital: true,
            is_own: true,
            ask: Box::new(move |deadline| {
                async move {
                    match tenancy.has_catalog(whose, deadline).await? {
                        true => Ok(()),
                        false => Err(missing("the tenant's catalog of indices is not there yet")),
                    }
                }
                .boxed()
            }),
        });
        Ok(probes)
    }

    pub(super) fn jobs(&self) -> Result<Vec<Probe>> {
        let Some(config) = &self.aws.shared.config.jobs else {
            return Ok(Vec::new());
        };
        let function = self.scope.function()?;
        let ask = self.clients.lambda().get_function_configuration();
        let ask = ask.function_name(&function).send();
        let ask = probe("jobs", format!("function {function}"), ask, of_no_interest);
        let bucket = self.bucket("jobs", &self.scope.jobs_bucket()?);
        Ok(vec![
            ask.own(config.function.names_tenant()).vital(),
            bucket,
        ])
    }

    pub(super) fn a2a(&self) -> Result<Vec<Probe>> {
        if self.aws.shared.config.a2a.is_none() {
            return Ok(Vec::new());
        }
        let prefix = self.scope.tenant_queues()?;
        let queues = self.clients.sqs().list_queues().max_results(1);
        let queues = queues.queue_name_prefix(&prefix).send();
        let queues = probe("a2a", format!("queues {prefix}*"), queues, of_no_interest);
        let bucket = self.bucket("a2a", &self.scope.mail_bucket()?);
        Ok(vec![queues.own(true).vital(), bucket])
    }

    /// Each model is handed a conversation that no model takes, for it begins with the model's own words. Bedrock refuses it after it
    /// has looked at credentials, permission and model, and nothing is computed or paid for.
    pub(super) fn model(&self) -> Result<Vec<Probe>> {
        let Some(config) = &self.aws.shared.config.model else {
            return Ok(Vec::new());
        };
        let mut probes = Vec::new();
        for (name, id) in &config.models {
            let said = Message::builder()
                .role(ConversationRole::Assistant)
                .content(ContentBlock::Text(".".to_owned()))
                .build()
                .map_err(|e| Error::internal(OPERATION, "a probe is incomplete").with_source(e))?;
            let least = InferenceConfiguration::builder().max_tokens(1).build();
            let converse = self.clients.bedrock().converse_stream().model_id(id);
            let converse = converse.messages(said).inference_config(least).send();
            let asked = probe("model", format!("model {name}"), converse, refused_as_meant);
            probes.push(match *name == config.name {
                true => asked.vital(),
                false => asked,
            });
        }
        if let Some(embeddings) = &config.embeddings {
            let bedrock = self.aws.shared.clients.host().bedrock();
            let invoke = bedrock.invoke_model().model_id(&embeddings.model_id);
            let invoke = invoke.content_type("application/json");
            let invoke = invoke.body(Blob::new(NO_REQUEST)).send();
            let what = format!("embedding model {}", embeddings.model_id);
            probes.push(probe("model", what, invoke, refused_as_meant));
        }
        Ok(probes)
    }

    pub(super) fn secrets(&self) -> Result<Vec<Probe>> {
        let Some(config) = &self.aws.shared.config.secrets else {
            return Ok(Vec::new());
        };
        let (path, key) = (self.scope.secrets()?, self.scope.secrets_key()?);
        let name = FilterNameStringType::Name;
        let filter = Filter::builder().key(name).values(&path).build();
        let secrets = self.clients.secrets().list_secrets().max_results(1);
        let secrets = secrets.filters(filter).send();
        let secrets = probe(
            "secrets",
            format!("secrets {path}*"),
            secrets,
            of_no_interest,
        );
        let is_own = config.kms_key.names_tenant();
        let key = self.key("secrets", &key).own(is_own).vital();
        Ok(vec![secrets.own(true).vital(), key])
    }

    /// The KMS key of this host's own stores.
    pub(super) fn kms(&self) -> Result<Vec<Probe>> {
        let Some(config) = &self.aws.shared.config.kms else {
            return Ok(Vec::new());
        };
        let key = self.key("kms", &self.scope.local_key()?);
        Ok(vec![key.own(config.key.names_tenant())])
    }

    fn key(&self, section: &'static str, key: &str) -> Probe {
        let describe = self.clients.kms().describe_key().key_id(key).send();
        probe(
            section,
            format!("KMS key {key}"),
            describe,
            |answer| match answer?.key_metadata {
                Some(key) if key.enabled => Ok(()),
                _ => Err(missing("the KMS key is switched off; enable it")),
            },
        )
    }

    pub(super) fn events(&self) -> Vec<Probe> {
        let Some(config) = &self.aws.shared.config.events else {
            return Vec::new();
        };
        let events = self.aws.shared.clients.host().events();
        let bus = events.describe_event_bus().name(&config.bus).send();
        let what = format!("bus {}", config.bus);
        vec![probe("events", what, bus, of_no_interest)]
    }

    fn bucket(&self, section: &'static str, bucket: &str) -> Probe {
        let head = self.clients.s3().head_bucket().bucket(bucket).send();
        probe(section, format!("bucket {bucket}"), head, of_no_interest).vital()
    }
}

/// The tenant's AgentCore memory, which may have to be looked up.
enum Home {
    Known(String),
    Named(Arc<Store>, TenantId),
}

impl Home {
    async fn id(self, deadline: Instant) -> Result<String> {
        match self {
            Self::Known(id) => Ok(id),
            Self::Named(store, tenant) => store.homes().id(&tenant, deadline, OPERATION).await,
        }
    }
}

impl Probe {
    fn vital(self) -> Self {
        Self {
            is_vital: true,
            ..self
        }
    }

    fn own(self, is_own: bool) -> Self {
        Self { is_own, ..self }
    }
}

/// A probe that sends `send` and judges what comes of it.
fn probe<T, E, R, F>(
    section: &'static str,
    what: String,
    send: F,
    judge: impl FnOnce(Result<T>) -> Result<()> + Send + 'static,
) -> Probe
where
    E: Action,
    R: Reply,
    F: Future<Output = Result<T, SdkError<E, R>>> + Send + 'static,
    T: Send + 'static,
{
    asked::<E>(section, what, move |deadline| {
        async move { judge(call_until(deadline, OPERATION, send).await) }.boxed()
    })
}

/// A probe that asks by itself what may fail with `E`.
fn asked<E: Action>(
    section: &'static str,
    what: String,
    ask: impl FnOnce(Instant) -> BoxFuture<'static, Result<()>> + Send + 'static,
) -> Probe {
    Probe {
        section,
        service: E::SERVICE,
        action: E::IAM,
        what,
        is_vital: false,
        is_own: false,
        ask: Box::new(ask),
    }
}

/// That there is an answer is enough.
fn of_no_interest<T>(answer: Result<T>) -> Result<()> {
    answer.map(drop)
}

/// A refusal of what was asked is what a model is expected to answer, unless there is no such model.
fn refused_as_meant<T>(answer: Result<T>) -> Result<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::Invalid => {
            let is_unknown = UNKNOWN_MODEL
                .iter()
                .any(|words| error.message().contains(words));
            match is_unknown {
                true => Err(error.with_context(CLOUD, error::MISSING)),
                false => Ok(()),
            }
        }
        answer => answer.map(drop),
    }
}

fn missing(what: &'static str) -> Error {
    Error::unavailable(OPERATION, what).with_context(CLOUD, error::MISSING)
}
