//! One section for each capability.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::embed::DIMENSION_MAX;
use stuga_core::model::MODEL_NAME_MAX_BYTES;
use stuga_core::{AgentName, CapabilityName, Result};

use super::{AwsConfig, Pattern, RedisAccess, is_address, millis, wrong};

/// Longest part of a prefix of indices that is not the tenant's name: 255 bytes are the longest name of an index.
const INDEX_PREFIX_MAX_BYTES: usize = 40;
/// Longest part of a memory's name that is not the tenant's: of the 48 bytes that AgentCore takes, 26 are for a hash.
const MEMORY_NAME_OWN_MAX_BYTES: usize = 20;
/// How long a secret's value is kept in this process unless said otherwise.
const SECRETS_TTL: Duration = Duration::from_secs(300);

/// Longest prefix of keys in bytes, as it is configured.
const KEY_PREFIX_MAX_BYTES: usize = 128;

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
    /// Longest silence of the model: before an answer begins, and between two pieces of it. Default 60 s.
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

impl AwsConfig {
    /// Checks the sections that are there.
    pub(super) fn check_sections(&self) -> Result<()> {
        if let Some(files) = &self.files {
            files.check()?;
        }
        if let Some(memory) = &self.memory {
            memory.check()?;
        }
        if let Some(search) = &self.search {
            separated("aws.search.index_prefix", &search.index_prefix)?;
            if !names_indices(&search.index_prefix) {
                let what = "at most 40 of a-z 0-9 _ - . that begin with a letter, and `{tenant}`";
                return Err(wrong("aws.search.index_prefix", what));
            }
            match (&search.endpoint, &search.domain) {
                (None, None) => {
                    return Err(wrong(
                        "aws.search.domain",
                        "given, or `aws.search.endpoint`",
                    ));
                }
                (Some(url), _) if !is_address(url) => {
                    let what = "http:// or https:// and a host, without credentials";
                    return Err(wrong("aws.search.endpoint", what));
                }
                _ => {}
            }
        }
        if let Some(a2a) = &self.a2a {
            separated("aws.a2a.queue_prefix", &a2a.queue_prefix)?;
            self.has_bucket("aws.a2a.bucket", a2a.bucket.as_ref())?;
        }
        if let Some(jobs) = &self.jobs {
            self.has_bucket("aws.jobs.bucket", jobs.bucket.as_ref())?;
        }
        if let Some(secrets) = &self.secrets {
            separated("aws.secrets.prefix", &secrets.prefix)?;
        }
        if let Some(model) = &self.model {
            model.check()?;
        }
        Ok(())
    }
}

impl AwsConfig {
    /// Whether there is a bucket that all tenants share: an own one, or that of files.
    fn has_bucket(&self, setting: &str, own: Option<&String>) -> Result<()> {
        let files = self.files.as_ref().map(|files| &files.bucket);
        if own.is_some() || files.is_some_and(|bucket| !bucket.names_tenant()) {
            return Ok(());
        }
        let what = "the name of a bucket that all tenants share, unless `aws.files.bucket` is one without `{tenant}`";
        Err(wrong(setting, what))
    }
}

impl MemoryConfig {
    fn check(&self) -> Result<()> {
        if self.name.is_some() == self.memory_id.is_some() {
            let what = "given, or `aws.memory.memory_id`, and not both";
            return Err(wrong("aws.memory.name", what));
        }
        if !self.name.as_ref().is_none_or(names_memory) {
            let what =
                "at most 20 of a-z A-Z 0-9 _ that begin with a letter, and `{tenant}` once at most";
            return Err(wrong("aws.memory.name", what));
        }
        let redis = &self.redis;
        let known = redis.starts_with("redis://") || redis.starts_with("rediss://");
        if !known || redis.contains('@') {
            let what = "redis:// or rediss:// and a host, without credentials";
            return Err(wrong("aws.memory.redis", what));
        }
        self.redis_access.check(redis)
    }
}

impl FilesConfig {
    fn check(&self) -> Result<()> {
        let prefixes = [
            ("aws.files.prefix", &self.prefix),
            ("aws.files.passing", &self.passing),
        ];
        for (setting, prefix) in prefixes {
            let text = prefix.as_str();
            let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.{}".contains(c);
            let fits = text.len() <= KEY_PREFIX_MAX_BYTES
                && text.chars().all(plain)
                && !text.contains("..");
            if !(fits && prefix.separates() && text.ends_with('/') && !text.starts_with('/')) {
                let what = "1 to 128 letters, digits, `/`, `-`, `_` and `.` with `{tenant}/` among them and `/` at the end";
                return Err(wrong(setting, what));
            }
        }
        let (kept, passing) = (self.prefix.before_tenant(), self.passing.before_tenant());
        // Otherwise a tenant's name could make one of them begin the other.
        if kept.starts_with(passing) || passing.starts_with(kept) {
            let what = "a prefix that differs from `aws.files.prefix` before `{tenant}`";
            return Err(wrong("aws.files.passing", what));
        }
        Ok(())
    }
}

impl ModelConfig {
    fn check(&self) -> Result<()> {
        if !self.models.contains_key(&self.name) {
            return Err(wrong(
                "aws.model.name",
                "one of the names in `aws.model.models`",
            ));
        }
        let fits = |text: &String| (1..=MODEL_NAME_MAX_BYTES).contains(&text.len());
        if !self.models.iter().all(|(name, id)| fits(name) && fits(id)) {
            return Err(wrong("aws.model.models", "names and ids of 1 to 256 bytes"));
        }
        if let Some(embeddings) = &self.embeddings
            && !(1..=DIMENSION_MAX).contains(&embeddings.dimension)
        {
            return Err(wrong("aws.model.embeddings.dimension", "from 1 to 4096"));
        }
        Ok(())
    }
}

fn separated(setting: &str, pattern: &Pattern) -> Result<()> {
    if pattern.separates() {
        return Ok(());
    }
    let what = "a prefix with `{tenant}` and right behind it one of / _ : . so that no two tenants share it";
    Err(wrong(setting, what))
}

/// Whether OpenSearch takes names that begin so, and has room for the longest of them.
fn names_indices(prefix: &Pattern) -> bool {
    let text = prefix.as_str().replace("{tenant}", "");
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    let begins = prefix
        .as_str()
        .starts_with(|c: char| c.is_ascii_lowercase());
    begins && text.len() <= INDEX_PREFIX_MAX_BYTES && text.chars().all(fits)
}

/// Whether AgentCore takes names that begin so, and they tell tenants apart.
fn names_memory(name: &Pattern) -> bool {
    let text = name.as_str().replacen("{tenant}", "", 1);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.as_str().starts_with(|c: char| c.is_ascii_alphabetic());
    begins && text.len() <= MEMORY_NAME_OWN_MAX_BYTES && text.chars().all(fits)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_files_that_could_meet_are_refused_by_name() {
        let check = |prefix: &str, passing: &str| {
            let text =
                format!(r#"{{"bucket": "b", "prefix": "{prefix}", "passing": "{passing}"}}"#);
            let files: FilesConfig = serde_json::from_str(&text).unwrap();
            let refused = files.check().err();
            refused.and_then(|e| e.context_value("setting").map(str::to_owned))
        };
        assert_eq!(check("files/{tenant}/", "passing/{tenant}/"), None);
        assert_eq!(check("a/f/{tenant}/", "a/p/{tenant}/"), None);
        for prefix in [
            "{tenant}",
            "f{tenant}-/",
            "files/",
            "/{tenant}/",
            "f/../{tenant}/",
            "f?/{tenant}/",
        ] {
            let setting = check(prefix, "passing/{tenant}/");
            assert_eq!(setting.as_deref(), Some("aws.files.prefix"), "{prefix}");
        }
        // A tenant called `passing` would own everybody's.
        for (prefix, passing) in [
            ("{tenant}/", "passing/{tenant}/"),
            ("a/{tenant}/", "a/{tenant}/p/"),
        ] {
            let setting = check(prefix, passing);
            assert_eq!(setting.as_deref(), Some("aws.files.passing"), "{prefix}");
        }
    }

    #[test]
    fn a_memory_is_named_or_given_by_its_id_and_not_both() {
        let check = |text: &str| {
            let memory: MemoryConfig = serde_json::from_str(text).unwrap();
            let refused = memory.check().err();
            refused.and_then(|e| e.context_value("setting").map(str::to_owned))
        };
        let redis = r#""redis": "redis://h""#;
        assert_eq!(
            check(&format!(r#"{{"name": "stuga_{{tenant}}", {redis}}}"#)),
            None
        );
        assert_eq!(check(&format!(r#"{{"memory_id": "a-0", {redis}}}"#)), None);
        for bad in [
            r#""memory_id": "a-0", "name": "stuga", "#,
            "",
            r#""name": "stuga-{tenant}", "#,
            r#""name": "{tenant}", "#,
            r#""name": "a_name_of_twenty_one_b", "#,
            r#""name": "s_{tenant}_{tenant}", "#,
        ] {
            let setting = check(&format!("{{{bad}{redis}}}"));
            assert_eq!(setting.as_deref(), Some("aws.memory.name"), "{bad}");
        }
    }

    #[test]
    fn the_defaults_keep_to_their_own_rules() {
        for pattern in [
            tenant_folder(),
            tenant_passing(),
            tenant_words(),
            tenant_path(),
        ] {
            assert_eq!(Pattern::new(pattern.as_str()), Ok(pattern.clone()));
            assert!(pattern.separates(), "{pattern:?}");
        }
    }

    #[test]
    fn what_needs_a_bucket_of_all_tenants_and_has_none_is_refused_by_its_setting() {
        let check = |text: &str| {
            let text = format!(r#"{{"region": "eu-north-1", {text}}}"#);
            let config: AwsConfig = serde_json::from_str(&text).unwrap();
            let refused = config.check().err();
            refused.map(|e| e.context_value("setting").unwrap().to_owned())
        };
        for (section, rest) in [("a2a", ""), ("jobs", r#""function": "f""#)] {
            let own = match rest {
                "" => r#""bucket": "b""#.to_owned(),
                rest => format!(r#"{rest}, "bucket": "b""#),
            };
            let setting = Some(format!("aws.{section}.bucket"));
            let bare = format!(r#""{section}": {{{rest}}}"#);
            assert_eq!(check(&bare), setting);
            let (common, each) = (r#"{"bucket": "b"}"#, r#"{"bucket": "b-{tenant}"}"#);
            assert_eq!(check(&format!(r#""files": {common}, {bare}"#)), None);
            assert_eq!(check(&format!(r#""files": {each}, {bare}"#)), setting);
            assert_eq!(check(&format!(r#""{section}": {{{own}}}"#)), None);
        }
    }

    #[test]
    fn prefixes_that_tenants_would_share_are_refused() {
        let config = |prefix: &str| AwsConfig {
            region: "eu-north-1".to_owned(),
            a2a: Some(A2aConfig {
                queue_prefix: Pattern::new(prefix).unwrap(),
                bucket: Some("stuga-mail".to_owned()),
            }),
            ..AwsConfig::default()
        };
        config("stuga_{tenant}_").check().unwrap();
        for bad in ["stuga_", "stuga-{tenant}-", "{tenant}"] {
            let refused = config(bad).check().unwrap_err();
            assert_eq!(
                refused.context_value("setting"),
                Some("aws.a2a.queue_prefix")
            );
        }
    }
}
