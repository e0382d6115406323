//! Who owns which names in AWS: the one place that turns a tenant and an agent into buckets, keys, queues and paths.
//!
//! Every prefix ends with a character that is in no tenant's and no agent's name, so that no prefix begins another one.
//! What comes back from elsewhere (a cursor, a stored id, a name in a message) goes through [`guard`] before it is sent.

use sha2::{Digest, Sha256};
use stuga_core::{AgentName, Error, Result, TenantId};

use crate::config::{
    A2aConfig, AwsConfig, FilesConfig, JobsConfig, MemoryConfig, SearchConfig, SecretsConfig,
};

/// Longest name of a queue, its ending included.
const QUEUE_NAME_MAX_BYTES: usize = 80;
/// The ending of a queue that keeps order.
const FIFO: &str = ".fifo";
/// Hexadecimal digits of a hash that stand for the rest of a name that is too long.
const HASH_DIGITS: usize = 24;
/// What the keys begin with that say which tenants have messages.
const MAIL_MARKS: &str = "_pending/mail/";
/// What the keys of all tenants' mailboxes begin with; no tenant has such a name.
pub(crate) const MAIL: &str = "_mail/";
/// What the keys of all tenants' attempts of jobs begin with; no tenant has such a name.
pub(crate) const JOBS: &str = "_jobs/";

/// Longest name of an AgentCore memory.
const MEMORY_NAME_MAX_BYTES: usize = 48;
/// What stands before the hash in the name of a memory that is too long. No name of a tenant has a capital.
const MEMORY_NAME_CUT: &str = "_H";

/// How the AgentCore memory of a tenant is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum MemoryOf {
    /// By the id that AWS gave it.
    Id(String),
    /// By the name that it was made under, whole.
    Name(String),
}

/// What belongs to one tenant.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    config: &'a AwsConfig,
    tenant: &'a TenantId,
}

impl<'a> Scope<'a> {
    /// What belongs to `tenant`.
    pub(crate) fn of(config: &'a AwsConfig, tenant: &'a TenantId) -> Self {
        Self { config, tenant }
    }

    /// The bucket of the tenant's files.
    pub(crate) fn bucket(&self) -> Result<String> {
        Ok(self.files()?.bucket.of(self.tenant))
    }

    /// What all keys of the tenant begin with; ends with `/`.
    pub(crate) fn tenant_objects(&self) -> Result<String> {
        Ok(self.files()?.prefix.of(self.tenant))
    }

    /// What all keys of an agent begin with; ends with `/`.
    pub(crate) fn objects(&self, agent: &AgentName) -> Result<String> {
        Ok(format!("{}{agent}/", self.tenant_objects()?))
    }

    /// What all keys of the tenant begin with that lie for a while only; ends with `/`.
    pub(crate) fn tenant_passing_objects(&self) -> Result<String> {
        Ok(self.files()?.passing.of(self.tenant))
    }

    /// What all keys of an agent begin with that lie for a while only; ends with `/`.
    pub(crate) fn passing_objects(&self, agent: &AgentName) -> Result<String> {
        Ok(format!("{}{agent}/", self.tenant_passing_objects()?))
    }

    /// The KMS key of the tenant's files; none for the bucket's own default.
    pub(crate) fn files_key(&self) -> Result<Option<String>> {
        Ok(self
            .files()?
            .kms_key
            .as_ref()
            .map(|key| key.of(self.tenant)))
    }

    /// The AgentCore memory that holds the tenant's.
    pub(crate) fn memory_of(&self) -> Result<MemoryOf> {
        let config = self.memory()?;
        if let Some(id) = &config.memory_id {
            return Ok(MemoryOf::Id(id.of(self.tenant)));
        }
        let name = there(&config.name, "aws.memory.name")?.of(self.tenant);
        Ok(MemoryOf::Name(memory_name(&name)))
    }

    /// What all keys of the tenant in Redis begin with; ends with `:`.
    pub(crate) fn tenant_cached(&self) -> String {
        format!("stuga:{}:", self.tenant)
    }

    /// What all keys of an agent in Redis begin with; ends with `:`.
    pub(crate) fn cached(&self, agent: &AgentName) -> String {
        format!("{}{agent}:", self.tenant_cached())
    }

    /// What the names of all indices of the tenant begin with.
    pub(crate) fn tenant_indices(&self) -> Result<String> {
        Ok(self.search()?.index_prefix.of(self.tenant))
    }

    /// What the names of all indices of an agent begin with; ends with `_`.
    pub(crate) fn indices(&self, agent: &AgentName) -> Result<String> {
        Ok(format!("{}{agent}_", self.tenant_indices()?))
    }

    /// What the names of all queues of the tenant begin with.
    pub(crate) fn tenant_queues(&self) -> Result<String> {
        Ok(self.a2a()?.queue_prefix.of(self.tenant))
    }

    /// The bucket of the tenant's mailboxes.
    pub(crate) fn mail_bucket(&self) -> Result<String> {
        common_bucket(self.config, "aws.a2a.bucket", self.a2a()?.bucket.as_ref())
    }

    /// What all keys of the tenant's mailboxes begin with.
    pub(crate) fn mail_objects(&self) -> String {
        format!("{MAIL}{}/", self.tenant)
    }

    /// The key that says that the tenant has messages.
    pub(crate) fn mail_mark(&self) -> String {
        format!("{MAIL_MARKS}{}", self.tenant)
    }

    /// The queue of the tenant's mailboxes.
    pub(crate) fn mail_queue(&self) -> Result<String> {
        Ok(shortened(
            format!("{}mail", self.tenant_queues()?),
            QUEUE_NAME_MAX_BYTES - FIFO.len(),
        ) + FIFO)
    }

    /// Where what nobody could read in that queue goes.
    pub(crate) fn dead_mail_queue(&self) -> Result<String> {
        Ok(shortened(
            format!("{}dead", self.tenant_queues()?),
            QUEUE_NAME_MAX_BYTES - FIFO.len(),
        ) + FIFO)
    }

    /// The bucket of the tenant's attempts of jobs.
    pub(crate) fn jobs_bucket(&self) -> Result<String> {
        common_bucket(self.config, "aws.jobs.bucket", self.jobs()?.bucket.as_ref())
    }

    /// What all keys of the tenant's attempts of jobs begin with.
    pub(crate) fn job_objects(&self) -> String {
        format!("{JOBS}{}/", self.tenant)
    }

    /// The function that runs the tenant's jobs.
    pub(crate) fn function(&self) -> Result<String> {
        Ok(self.jobs()?.function.of(self.tenant))
    }

    /// What the names of all secrets of the tenant begin with.
    pub(crate) fn secrets(&self) -> Result<String> {
        Ok(self.secrets_config()?.prefix.of(self.tenant))
    }

    /// The KMS key that seals the tenant's secrets.
    pub(crate) fn secrets_key(&self) -> Result<String> {
        Ok(self.secrets_config()?.kms_key.of(self.tenant))
    }

    /// The KMS key that wraps the tenant's keys on this host's disk.
    pub(crate) fn local_key(&self) -> Result<String> {
        Ok(there(&self.config.kms, "aws.kms")?.key.of(self.tenant))
    }

    fn files(&self) -> Result<&'a FilesConfig> {
        there(&self.config.files, "aws.files")
    }

    fn memory(&self) -> Result<&'a MemoryConfig> {
        there(&self.config.memory, "aws.memory")
    }

    fn search(&self) -> Result<&'a SearchConfig> {
        there(&self.config.search, "aws.search")
    }

    fn jobs(&self) -> Result<&'a JobsConfig> {
        there(&self.config.jobs, "aws.jobs")
    }

    fn a2a(&self) -> Result<&'a A2aConfig> {
        there(&self.config.a2a, "aws.a2a")
    }

    fn secrets_config(&self) -> Result<&'a SecretsConfig> {
        there(&self.config.secrets, "aws.secrets")
    }
}

/// The bucket and the beginning of the keys that say which tenants have messages.
pub(crate) fn mail_marks(config: &AwsConfig) -> Result<(String, &'static str)> {
    let own = there(&config.a2a, "aws.a2a")?.bucket.as_ref();
    Ok((common_bucket(config, "aws.a2a.bucket", own)?, MAIL_MARKS))
}

/// The bucket that all tenants share: its own, or that of files if those have one for all.
fn common_bucket(
    config: &AwsConfig,
    setting: &'static str,
    own: Option<&String>,
) -> Result<String> {
    let files = config.files.as_ref().map(|files| &files.bucket);
    let files = files.filter(|bucket| !bucket.names_tenant());
    let found = own
        .cloned()
        .or_else(|| files.map(|bucket| bucket.as_str().to_owned()));
    there(&found, setting).cloned()
}

/// Refuses `name` unless it lies behind `prefix`, which one of the functions of [`Scope`] made. Nothing was sent yet.
///
/// # Errors
/// `Denied`, which names neither; the log has both, as an attempt to leave the tenant.
pub(crate) fn guard(operation: &'static str, prefix: &str, name: &str) -> Result<()> {
    if !prefix.is_empty() && name.len() > prefix.len() && name.starts_with(prefix) {
        return Ok(());
    }
    tracing::warn!(
        operation,
        prefix,
        name,
        "a name outside the tenant's scope was refused"
    );
    Err(Error::denied(
        operation,
        "the name is outside this tenant's scope",
    ))
}

/// `name` in at most `max` bytes: one that is longer ends with a hash of the whole.
fn shortened(name: String, max: usize) -> String {
    if name.len() <= max {
        return name;
    }
    let mut hash = hex::encode(Sha256::digest(&name));
    hash.truncate(HASH_DIGITS);
    let mut short = name;
    let mut end = max.saturating_sub(HASH_DIGITS + 1);
    while !short.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    short.truncate(end);
    // No name of an agent ends with it, so no name that fits is also a short one.
    short.push('_');
    short + &hash
}

/// The name of a memory as AgentCore takes it. Names of tenants hold no `_`, so two of them stay two.
fn memory_name(name: &str) -> String {
    let mut taken = name.replace('-', "_");
    if taken.len() > MEMORY_NAME_MAX_BYTES {
        let hash = hex::encode(Sha256::digest(name));
        let hash: String = hash.chars().take(HASH_DIGITS).collect();
        // What it is made of are single bytes.
        taken.truncate(MEMORY_NAME_MAX_BYTES - MEMORY_NAME_CUT.len() - HASH_DIGITS);
        taken.push_str(MEMORY_NAME_CUT);
        taken.push_str(&hash);
    }
    taken
}

fn there<'a, T>(section: &'a Option<T>, setting: &'static str) -> Result<&'a T> {
    section.as_ref().ok_or_else(|| {
        Error::unavailable("aws.scope", format!("`{setting}` is not configured"))
            .with_context("setting", setting)
    })
}

#[cfg(test)]
mod tests {
    use stuga_core::ErrorKind;

    use super::*;
    use crate::config::Pattern;

    fn config() -> AwsConfig {
        let files = r#"{"bucket": "stuga-data"}"#;
        AwsConfig {
            files: Some(serde_json::from_str(files).unwrap()),
            a2a: Some(A2aConfig::default()),
            ..AwsConfig::default()
        }
    }

    fn names(tenant: &str, agent: &str) -> Vec<String> {
        let (config, tenant) = (config(), TenantId::new(tenant).unwrap());
        let agent = AgentName::new(agent).unwrap();
        let scope = Scope::of(&config, &tenant);
        vec![
            scope.objects(&agent).unwrap(),
            scope.passing_objects(&agent).unwrap(),
            scope.cached(&agent),
        ]
    }

    #[test]
    fn names_of_different_owners_never_meet() {
        let owners = [
            ("a", "b-c"),
            ("a-b", "c"),
            ("a", "b"),
            ("a-b", "b"),
            ("b", "a"),
        ];
        for one in owners {
            for other in owners.iter().filter(|other| **other != one) {
                let pairs = names(one.0, one.1).into_iter().zip(names(other.0, other.1));
                for (one, other) in pairs {
                    assert!(!one.starts_with(&other), "{one} {other}");
                }
            }
        }
    }

    #[test]
    fn a_queue_of_long_names_has_a_name_that_sqs_takes_and_nobody_else_has() {
        let mut config = config();
        let long = format!("{}-{{tenant}}-", "q".repeat(60));
        config.a2a.as_mut().unwrap().queue_prefix = Pattern::new(&long).unwrap();
        let queue = |tenant: &str| {
            let tenant = TenantId::new(tenant).unwrap();
            Scope::of(&config, &tenant).mail_queue().unwrap()
        };
        let queues = ["a", "b"].map(|end| queue(&format!("{}{end}", "a".repeat(40))));
        assert!(queues.iter().all(|q| q.len() <= 80 && q.ends_with(".fifo")));
        assert_ne!(queues[0], queues[1]);
    }

    #[test]
    fn memories_of_two_tenants_have_two_names_that_agentcore_takes() {
        let long = "a".repeat(62);
        let tenants = ["acme", "acme-2", "acme-2-h", &long, &format!("{long}b")];
        let names = tenants.map(|tenant| memory_name(&format!("stuga_{tenant}")));
        for name in &names {
            assert!(name.len() <= 48 && !name.contains('-'), "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
        }
        assert_eq!(names[1], "stuga_acme_2");
    }

    #[test]
    fn a_name_outside_the_scope_is_denied_without_being_told() {
        guard("files.get", "acme/scribe/", "acme/scribe/a.txt").unwrap();
        for bad in [
            "acme/scribe/",
            "acme-2/scribe/a.txt",
            "acme/scribe",
            "",
            "/acme/scribe/x",
        ] {
            let refused = guard("files.get", "acme/scribe/", bad).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Denied, "{bad}");
            assert!(!refused.to_string().contains("acme"), "{refused}");
        }
        assert!(guard("files.get", "", "a").is_err(), "no scope is no leave");
    }

    #[test]
    fn a_capability_without_its_section_says_which_one_is_missing() {
        let tenant = TenantId::new("acme").unwrap();
        let config = AwsConfig {
            role_arn: Some(Pattern::new("arn:{tenant}").unwrap()),
            ..config()
        };
        let refused = Scope::of(&config, &tenant).secrets().unwrap_err();
        assert_eq!(refused.context_value("setting"), Some("aws.secrets"));
    }
}
