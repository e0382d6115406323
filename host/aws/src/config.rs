//! What the operator decides about AWS. A capability is served by AWS when its section is there, and only then.
//!
//! Credentials do not stand here: they come from the SDK's default chain (environment, shared profile, web identity,
//! container or instance role), and each tenant's calls run with the tenant's own role when [`AwsConfig::role_arn`] says so.

mod access;
mod pattern;
mod sections;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::{Error, Result};

pub use access::RedisAccess;
pub use pattern::Pattern;
pub use sections::{
    A2aConfig, EmbeddingConfig, EventsConfig, FilesConfig, JobsConfig, KmsConfig, MemoryConfig,
    ModelConfig, SearchConfig, SecretsConfig,
};

/// Longest time for one attempt, however it is configured.
const ATTEMPT_TIMEOUT_MAX: Duration = Duration::from_secs(900);
/// Most attempts for one request.
const ATTEMPTS_MAX: u32 = 10;

/// How AWS is reached, and which capabilities it serves.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsConfig {
    /// The region of everything, such as `eu-north-1`. Required.
    pub region: String,
    /// Other addresses of the services: VPC endpoints and test servers.
    pub endpoints: Endpoints,
    /// The role that a tenant's calls assume, such as `arn:aws:iam::123456789012:role/stuga-{tenant}`; none for the host's own.
    pub role_arn: Option<Pattern>,
    /// What the role's trust policy asks for, if anything.
    pub external_id: Option<String>,
    /// Longest wait for a connection. Default 2 s.
    #[serde(with = "millis")]
    pub connect_timeout: Duration,
    /// Longest time for one attempt up to the answer's headers. Default 10 s.
    #[serde(with = "millis")]
    pub attempt_timeout: Duration,
    /// Attempts for one request, the first among them. Default 3.
    pub max_attempts: u32,
    /// What a tenant's client of a service may spend on attempts after the first: 5 for each and 10 after a timeout, earned back
    /// by successes. Default 500.
    pub retry_budget: usize,
    /// Connections to one address that are kept while nobody uses them. Default 64.
    pub idle_connections: usize,
    /// Files on S3.
    pub files: Option<FilesConfig>,
    /// Memory, sessions and records on AgentCore and Redis.
    pub memory: Option<MemoryConfig>,
    /// Search on OpenSearch.
    pub search: Option<SearchConfig>,
    /// Jobs on Lambda.
    pub jobs: Option<JobsConfig>,
    /// Mailboxes on SQS.
    pub a2a: Option<A2aConfig>,
    /// Models on Bedrock.
    pub model: Option<ModelConfig>,
    /// Secrets in Secrets Manager.
    pub secrets: Option<SecretsConfig>,
    /// Keys of this host's own stores, wrapped by KMS.
    pub kms: Option<KmsConfig>,
    /// Events of the host on EventBridge.
    pub events: Option<EventsConfig>,
}

impl Default for AwsConfig {
    /// No region, and nothing on AWS.
    fn default() -> Self {
        Self {
            region: String::new(),
            endpoints: Endpoints::default(),
            role_arn: None,
            external_id: None,
            connect_timeout: Duration::from_secs(2),
            attempt_timeout: Duration::from_secs(10),
            max_attempts: 3,
            retry_budget: 500,
            idle_connections: 64,
            files: None,
            memory: None,
            search: None,
            jobs: None,
            a2a: None,
            model: None,
            secrets: None,
            kms: None,
            events: None,
        }
    }
}

/// Addresses to use instead of AWS's own, such as `http://127.0.0.1:4566`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// Of all services that have none of their own here.
    pub all: Option<String>,
    /// Of S3.
    pub s3: Option<String>,
    /// Of SQS.
    pub sqs: Option<String>,
    /// Of Secrets Manager.
    pub secrets: Option<String>,
    /// Of KMS.
    pub kms: Option<String>,
    /// Of STS.
    pub sts: Option<String>,
    /// Of Lambda.
    pub lambda: Option<String>,
    /// Of the Bedrock runtime.
    pub bedrock: Option<String>,
    /// Of AgentCore's data plane.
    pub agentcore: Option<String>,
    /// Of AgentCore's control plane.
    pub agentcore_control: Option<String>,
    /// Of EventBridge.
    pub events: Option<String>,
    /// Of OpenSearch Service's control plane. The data plane's address stands in `search`.
    pub opensearch: Option<String>,
}

impl Endpoints {
    /// All that were given, with their names.
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("all", &self.all),
            ("s3", &self.s3),
            ("sqs", &self.sqs),
            ("secrets", &self.secrets),
            ("kms", &self.kms),
            ("sts", &self.sts),
            ("lambda", &self.lambda),
            ("bedrock", &self.bedrock),
            ("agentcore", &self.agentcore),
            ("agentcore_control", &self.agentcore_control),
            ("events", &self.events),
            ("opensearch", &self.opensearch),
        ]
        .into_iter()
        .filter_map(|(name, url)| url.as_deref().map(|url| (name, url)))
    }
}

impl AwsConfig {
    /// Checks what no single setting can know.
    ///
    /// # Errors
    /// `Invalid` naming the setting and what it must be. What two tenants would share is refused here, once.
    pub fn check(&self) -> Result<()> {
        let region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.region.is_empty() || !self.region.chars().all(region) {
            return Err(wrong("aws.region", "a region such as eu-north-1"));
        }
        if !(1..=ATTEMPTS_MAX).contains(&self.max_attempts) {
            return Err(wrong("aws.max_attempts", "from 1 to 10"));
        }
        for (setting, time) in [
            ("aws.connect_timeout", self.connect_timeout),
            ("aws.attempt_timeout", self.attempt_timeout),
        ] {
            if time.is_zero() || time > ATTEMPT_TIMEOUT_MAX {
                return Err(wrong(setting, "more than nothing and at most 15 minutes"));
            }
        }
        for (name, url) in self.endpoints.given() {
            if !is_address(url) {
                let what = "http:// or https:// and a host, without credentials";
                return Err(wrong(&format!("aws.endpoints.{name}"), what));
            }
        }
        if let Some(role) = &self.role_arn
            && !(role.as_str().starts_with("arn:") && role.names_tenant())
        {
            let what =
                "the ARN of a role with `{tenant}` in it; leave it out to use the host's own role";
            return Err(wrong("aws.role_arn", what));
        }
        self.check_sections()
    }
}

/// Whether a service can be found there.
fn is_address(url: &str) -> bool {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.contains(['@', '?', '#']) && !rest.contains(char::is_whitespace)
    })
}

fn wrong(setting: &str, what: &str) -> Error {
    Error::invalid("aws.open", format!("`{setting}` must be {what}"))
        .with_context("setting", setting)
}

/// Durations: written as whole milliseconds, read as those or as text such as `5s`.
mod millis {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    /// Milliseconds of each unit; the longer names first.
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    pub(super) fn serialize<S: Serializer>(
        time: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from.deserialize_any(Time)
    }

    struct Time;

    impl Visitor<'_> for Time {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time such as 250ms, 5s or 2m")
        }

        fn visit_u64<E: Error>(self, millis: u64) -> Result<Duration, E> {
            Ok(Duration::from_millis(millis))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
            let wrong = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
            let unit = UNITS.iter().find_map(|(unit, millis)| {
                let number = text.strip_suffix(unit)?.parse::<u64>().ok()?;
                number.checked_mul(*millis)
            });
            unit.map(Duration::from_millis).ok_or_else(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AwsConfig {
        AwsConfig {
            region: "eu-north-1".to_owned(),
            ..AwsConfig::default()
        }
    }

    #[test]
    fn a_role_that_tenants_would_share_is_refused() {
        config().check().unwrap();
        for (role, good) in [
            ("arn:aws:iam::123456789012:role/stuga-{tenant}", true),
            ("arn:aws:iam::123456789012:role/stuga", false),
            ("stuga-{tenant}", false),
        ] {
            let config = AwsConfig {
                role_arn: Some(Pattern::new(role).unwrap()),
                ..config()
            };
            assert_eq!(config.check().is_ok(), good, "{role}");
        }
    }

    #[test]
    fn an_endpoint_with_credentials_or_without_a_scheme_is_refused_by_name() {
        for bad in [
            "127.0.0.1:4566",
            "http://",
            "http://u:p@h",
            "https://h/?x=1",
        ] {
            let endpoints = Endpoints {
                sqs: Some(bad.to_owned()),
                ..Endpoints::default()
            };
            let config = AwsConfig {
                endpoints,
                ..config()
            };
            let refused = config.check().unwrap_err();
            assert_eq!(refused.context_value("setting"), Some("aws.endpoints.sqs"));
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_unknown_keys_are_refused() {
        let text = serde_json::to_string(&config()).unwrap();
        assert_eq!(serde_json::from_str::<AwsConfig>(&text).unwrap(), config());
        assert!(serde_json::from_str::<AwsConfig>(r#"{"regoin": "x"}"#).is_err());
    }

    #[test]
    fn times_are_read_as_text_with_a_unit() {
        let read = |time: &str| {
            let text = format!(r#"{{"attempt_timeout": {time}}}"#);
            let config = serde_json::from_str::<AwsConfig>(&text);
            config.map(|config| config.attempt_timeout.as_millis())
        };
        for (text, millis) in [
            ("\"5s\"", 5_000),
            ("\"250ms\"", 250),
            ("\"2m\"", 120_000),
            ("70", 70),
        ] {
            assert_eq!(read(text).unwrap(), millis, "{text}");
        }
        for bad in ["\"5\"", "\"soon\"", "-1", "\"99999999999999999h\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
