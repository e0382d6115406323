//! One section for each capability.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::{AgentName, CapabilityName};

use super::{Pattern, RedisAccess, millis};

/// How long a secret's value is kept in this process unless said otherwise.
const SECRETS_TTL: Duration = Duration::from_secs(300);

/// Files on S3.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// The bucket; with `{tenant}`, one for each tenant. It may keep versions: they protect from the operator's own mistakes, and
    /// a purge removes them as well.
    pub bucket: Pattern,
    /// What all keys of a tenant begin with: `{tenant}` followed by `/` must stand in it, and `/` at its end. Default
    /// `files/{tenant}/`.
    #[serde(default = "tenant_folder")]
    pub prefix: Pattern,
    /// The same for what lies for a while only. The bucket's lifecycle must remove it after two days, not earlier. No key of the
    /// one may begin with the other. Default `passing/{tenant}/`.
    #[serde(default = "tenant_passing")]
    pub passing: Pattern,
    /// The KMS key (id, ARN or alias) that encrypts a tenant's objects; none for the bucket's own default.
    #[serde(default)]
    pub kms_key: Option<Pattern>,
    /// Whether the bucket stands in the path and not in the host name, as test servers want it.
    #[serde(default)]
    pub path_style: bool,
}

/// Memory, sessions and records on AgentCore, with Redis between the hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// The name of the AgentCore memory that provisioning makes; with `{tenant}`, one for each tenant. Its id, which AWS
    /// chooses, is looked up. A `-` in a tenant's name becomes `_`, and a name that is too long ends with a hash.
    #[serde(default)]
    pub name: Option<Pattern>,
    /// Instead of a name: the id of an AgentCore memory that was made elsewhere.
    #[serde(default)]
    pub memory_id: Option<Pattern>,
    /// The cache that all hosts share, such as `rediss://cache.example:6379`.
    pub redis: String,
    /// How Redis lets this host in. Default: without a password, and trusting whom the machine trusts.
    #[serde(default)]
    pub redis_access: RedisAccess,
}

/// Search on OpenSearch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchConfig {
    /// The address of the data plane; none to ask AWS where `domain` is.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The name of the domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// Whether it is a serverless collection, whose requests are signed for `aoss` and not `es`.
    #[serde(default)]
    pub serverless: bool,
    /// Whether requests are signed. Test servers take none. Default true.
    #[serde(default = "yes")]
    pub signed: bool,
    /// What the names of a tenant's indices begin with. Default `stuga_{tenant}_`.
    #[serde(default = "tenant_words")]
    pub index_prefix: Pattern,
    /// Copies of each index beside the first: none on a single node, 2 on a domain with a standby zone. Default 1.
    #[serde(default = "one")]
    pub replicas: u8,
}

/// Jobs on Lambda.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// The function, by name or ARN; with `{tenant}`, one for each tenant.
    pub function: Pattern,
    /// The bucket of attempts and components, of all tenants; none for that of files, if those have one for all. Better one
    /// without versioning: an attempt writes its object every 5 s.
    #[serde(default)]
    pub bucket: Option<String>,
    /// The agents, of whatever tenant, whose jobs Lambda runs; those of all others the host runs itself. Default none.
    #[serde(default)]
    pub agents: BTreeSet<AgentName>,
    /// How long a function may take to begin an attempt before the host runs it itself. Default 10 s.
    #[serde(default = "job_start", with = "millis")]
    pub start: Duration,
    /// How long a function that runs an attempt may be silent before it counts as lost. It speaks every 5 s. Default 20 s.
    #[serde(default = "job_silence", with = "millis")]
    pub silence: Duration,
    /// Longest attempt that Lambda is given; what may take longer the host runs itself. Default 14 minutes.
    #[serde(default = "job_longest", with = "millis")]
    pub longest: Duration,
    /// Capabilities that the function may serve from its own disk, which nobody else sees and which is lost: for tests.
    /// An agent with a grant that is neither among these nor on AWS has its jobs run by the host. Default none.
    #[serde(default)]
    pub scratch: BTreeSet<CapabilityName>,
}

/// Mailboxes on SQS.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct A2aConfig {
    /// What the names of a tenant's queues begin with. Default `stuga_{tenant}_`.
    #[serde(default = "tenant_words")]
    pub queue_prefix: Pattern,
    /// The bucket of the messages of all tenants; none for that of files, if those have one for all. Better one without
    /// versioning: each step of a message writes its object.
    #[serde(default)]
    pub bucket: Option<String>,
}

impl Default for A2aConfig {
    fn default() -> Self {
        Self {
            queue_prefix: tenant_words(),
            bucket: None,
        }
    }
}

/// Models on Bedrock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name of the model that answers unless an agent chooses another one.
    pub name: String,
    /// Bedrock's id (or inference profile) of each name that an agent may use, [`ModelConfig::name`] among them.
    pub models: BTreeMap<String, String>,
    /// Longest silence of the model: before an answer begins, and between two pieces of it. Default 60 s. Where this host's own model
    /// stands behind it, it may be given up earlier.
    #[serde(default = "patience", with = "millis")]
    pub timeout: Duration,
    /// What makes vectors of texts; none to leave it to the host's own embedder.
    #[serde(default)]
    pub embeddings: Option<EmbeddingConfig>,
}

/// A model on Bedrock that makes vectors.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Bedrock's id: `amazon.titan-embed-…` or `cohere.embed-…`.
    pub model_id: String,
    /// Numbers in its vectors.
    pub dimension: usize,
}

/// Secrets in Secrets Manager.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsConfig {
    /// What the names of a tenant's secrets begin with. Default `stuga/{tenant}/`.
    #[serde(default = "tenant_path")]
    pub prefix: Pattern,
    /// The KMS key (id, ARN or alias) under which a tenant's values are sealed; `{tenant}` gives each its own.
    pub kms_key: Pattern,
    /// How long a value is kept in this process. A rotation is seen after that time at the latest. Default 5 minutes.
    #[serde(default = "secrets_ttl", with = "millis")]
    pub cache_ttl: Duration,
}

/// KMS, for keys that this host keeps on its disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsConfig {
    /// The KMS key (id, ARN or alias) that wraps a tenant's keys; `{tenant}` gives each its own.
    pub key: Pattern,
}

/// Events of the host on EventBridge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// The bus, by name or ARN. Default `default`.
    #[serde(default = "default_bus")]
    pub bus: String,
    /// What events say where they come from. Default `stuga`.
    #[serde(default = "default_source")]
    pub source: String,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            bus: default_bus(),
            source: default_source(),
        }
    }
}

fn yes() -> bool {
    true
}

fn one() -> u8 {
    1
}

fn tenant_folder() -> Pattern {
    Pattern::known("files/{tenant}/")
}

fn tenant_passing() -> Pattern {
    Pattern::known("passing/{tenant}/")
}

fn tenant_words() -> Pattern {
    Pattern::known("stuga_{tenant}_")
}

fn tenant_path() -> Pattern {
    Pattern::known("stuga/{tenant}/")
}

fn patience() -> Duration {
    Duration::from_secs(60)
}

fn job_start() -> Duration {
    Duration::from_secs(10)
}

fn job_silence() -> Duration {
    Duration::from_secs(20)
}

fn job_longest() -> Duration {
    Duration::from_secs(14 * 60)
}

fn secrets_ttl() -> Duration {
    SECRETS_TTL
}

fn default_bus() -> String {
    "default".to_owned()
}

fn default_source() -> String {
    "stuga".to_owned()
}
