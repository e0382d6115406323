//! What the operator decides about the process: flags over environment over file over defaults.

use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;

#[cfg(feature = "aws")]
mod aws;
mod failover;
mod http;
mod model;
mod secret;

#[cfg(feature = "aws")]
pub(crate) use aws::read as read_aws;
pub use failover::{CapabilitySettings, FailoverSettings};
pub use http::{GatewaySettings, HttpSettings};
pub use model::{Completions, EmbeddingSettings, ModelSettings};
pub use secret::SecretPlace;

use crate::cloud::{self, Settings};
use crate::telemetry::LogFormat;
use crate::units;
use crate::yaml::Report;

/// The file that is read when it is there and no other was named.
pub const DEFAULT_FILE: &str = "stuga.yaml";

/// Leases of jobs that make sense: long enough for a busy disk, short enough to wait for.
const JOB_LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// What was given on the command line or in the environment; none falls through to the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Configuration file [default: stuga.yaml when it exists]
    #[arg(long, env = "STUGA_CONFIG", value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Where data lies [default: data]
    #[arg(long, env = "STUGA_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Where the tenants' files lie [default: tenants]
    #[arg(long, env = "STUGA_TENANTS", value_name = "DIR", global = true)]
    pub tenants: Option<PathBuf>,
    /// File with the master keys, which seal the tenants' keys for secrets [default: keys/master.key in the data directory]
    #[arg(
        long,
        env = "STUGA_MASTER_KEY_FILE",
        value_name = "FILE",
        global = true
    )]
    pub master_key_file: Option<PathBuf>,
    /// How log lines look [default: auto]
    #[arg(long, env = "STUGA_LOG", value_name = "FORMAT", global = true)]
    pub log: Option<LogFormat>,
    /// What is logged, such as info or warn,audit=info [default: info for serve, warn otherwise]
    #[arg(long, env = "STUGA_LOG_FILTER", value_name = "FILTER", global = true)]
    pub log_filter: Option<String>,
}

/// Everything decided.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Config {
    /// The file that was read; none when there was none.
    pub file: Option<PathBuf>,
    /// The address that `serve` listens on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where data lies.
    pub data_dir: PathBuf,
    /// Where the tenants' files lie.
    pub tenants: PathBuf,
    /// The file with the master keys; none for the one in the data directory.
    pub master_key_file: Option<PathBuf>,
    /// How log lines look.
    pub log: LogFormat,
    /// What is logged; none for the command's own default.
    pub log_filter: Option<String>,
    /// How long calls may take to end once the server is told to stop.
    #[serde(serialize_with = "as_text")]
    pub drain: Duration,
    /// Connections at once; more wait in the kernel's queue.
    pub max_connections: u32,
    /// Instances of all agents together.
    pub max_instances: u32,
    /// What stands in front of this host.
    pub http: HttpSettings,
    /// Which models there are.
    pub model: ModelSettings,
    /// What lies on AWS.
    pub aws: Settings,
    /// How this host stands in for AWS.
    pub failover: FailoverSettings,
    /// Jobs of all tenants that run at the same time; each has an instance of its own.
    pub max_jobs: u32,
    /// How long a job is held without a sign of life: after a crash it runs again no later than that.
    #[serde(serialize_with = "as_text")]
    pub job_lease: Duration,
}

fn as_text<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&units::show_duration(*time))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data_dir: PathBuf::from("data"),
            tenants: PathBuf::from("tenants"),
            master_key_file: None,
            log: LogFormat::Auto,
            log_filter: None,
            drain: Duration::from_secs(30),
            max_connections: 4_096,
            max_instances: 1_000,
            http: HttpSettings::default(),
            model: ModelSettings::default(),
            aws: Settings::default(),
            failover: FailoverSettings::default(),
            max_jobs: 16,
            job_lease: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Reads the file, if any, and lays the overrides on top.
    ///
    /// # Errors
    /// When the file was named and is missing, or has mistakes: all of them, with line and column.
    pub fn load(overrides: &Overrides) -> anyhow::Result<Self> {
        let file = match &overrides.config {
            Some(path) => Some(path.as_path()),
            None => Some(Path::new(DEFAULT_FILE)).filter(|path| path.exists()),
        };
        let mut config = file.map_or_else(|| Ok(Self::default()), Self::read)?;
        config.aws = cloud::settings(config.aws)?;
        if let Some(data_dir) = &overrides.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        if let Some(tenants) = &overrides.tenants {
            config.tenants.clone_from(tenants);
        }
        if overrides.master_key_file.is_some() {
            config
                .master_key_file
                .clone_from(&overrides.master_key_file);
        }
        if let Some(log) = overrides.log {
            config.log = log;
        }
        if overrides.log_filter.is_some() {
            config.log_filter.clone_from(&overrides.log_filter);
        }
        Ok(config)
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("configuration {} cannot be read", path.display()))?;
        Self::parse(path, &text)
    }

    /// What the text of a file says, over the defaults.
    ///
    /// # Errors
    /// When it has mistakes: all of them, with line and column.
    pub(crate) fn parse(path: &Path, text: &str) -> anyhow::Result<Self> {
        let mut report = Report::new(path);
        let mut config = Self {
            file: Some(path.to_owned()),
            ..Self::default()
        };
        if let Some(node) = report.parse(text)
            && let Some(mut fields) = report.fields(&node, "the configuration")
        {
            if let Some(node) = fields.optional("listen")
                && let Some(listen) = report.parsed(node, "listen", |text| {
                    text.parse::<SocketAddr>()
                        .map_err(|_| format!("{text:?} is not an address such as 127.0.0.1:8080"))
                })
            {
                config.listen = listen;
            }
            if let Some(node) = fields.optional("data_dir")
                && let Some(path) = report.text(node, "data_dir")
            {
                config.data_dir = path.into();
            }
            if let Some(node) = fields.optional("tenants")
                && let Some(path) = report.text(node, "tenants")
            {
                config.tenants = path.into();
            }
            if let Some(node) = fields.optional("master_key_file") {
                config.master_key_file = report.text(node, "master_key_file").map(PathBuf::from);
            }
            let formats = [
                ("auto", LogFormat::Auto),
                ("json", LogFormat::Json),
                ("pretty", LogFormat::Pretty),
            ];
            if let Some(node) = fields.optional("log")
                && let Some(format) = report.word(node, "log", &formats)
            {
                config.log = format;
            }
            if let Some(node) = fields.optional("log_filter") {
                config.log_filter = report.text(node, "log_filter").map(str::to_owned);
            }
            if let Some(node) = fields.optional("drain")
                && let Some(drain) =
                    report.duration(node, "drain", Duration::ZERO..=Duration::from_secs(3_600))
            {
                config.drain = drain;
            }
            if let Some(node) = fields.optional("max_connections") {
                set(
                    &mut config.max_connections,
                    report.integer(node, "max_connections", 1..=100_000),
                );
            }
            if let Some(node) = fields.optional("http") {
                config.http = HttpSettings::read(node, &mut report);
            }
            if let Some(node) = fields.optional("model") {
                config.model = ModelSettings::read(node, &mut report);
            }
            if let Some(node) = fields.optional("aws") {
                config.aws = cloud::read(node, &mut report);
            }
            if let Some(node) = fields.optional("failover") {
                config.failover = FailoverSettings::read(node, &mut report);
            }
            if let Some(node) = fields.optional("runtime")
                && let Some(mut runtime) = report.fields(node, "runtime")
            {
                if let Some(node) = runtime.optional("max_instances") {
                    set(
                        &mut config.max_instances,
                        report.integer(node, "max_instances", 1..=10_000),
                    );
                }
                if let Some(node) = runtime.optional("max_jobs") {
                    set(
                        &mut config.max_jobs,
                        report.integer(node, "max_jobs", 1..=1_000),
                    );
                }
                if let Some(node) = runtime.optional("job_lease")
                    && let Some(lease) = report.duration(node, "job_lease", JOB_LEASES)
                {
                    config.job_lease = lease;
                }
                runtime.finish(&mut report);
            }
            fields.finish(&mut report);
        }
        if report.is_empty() {
            return Ok(config);
        }
        let mistakes: Vec<String> = report
            .into_diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect();
        bail!(mistakes.join("\n"))
    }
}

fn set(target: &mut u32, value: Option<u64>) {
    if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
        *target = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_and_flags_win_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stuga.yaml");
        fs::write(
            &path,
            "listen: 127.0.0.1:0\ndata_dir: /somewhere\ndrain: 5s\nruntime:\n  max_instances: 7\n",
        )
        .unwrap();
        let overrides = Overrides {
            config: Some(path),
            data_dir: Some("elsewhere".into()),
            ..Overrides::default()
        };
        let config = Config::load(&overrides).unwrap();
        assert_eq!((config.listen.port(), config.max_instances), (0, 7));
        assert_eq!(config.data_dir, Path::new("elsewhere"));
        assert_eq!(config.drain, Duration::from_secs(5));
    }

    #[test]
    fn all_mistakes_of_the_file_are_told_at_once() {
        let error = Config::parse(Path::new("stuga.yaml"), "listn: x\ndrain: soon\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("stuga.yaml:1:1: unknown key \"listn\"")
                && error.contains("did you mean \"listen\"?"),
            "{error}"
        );
        assert!(
            error.contains("stuga.yaml:2:8: drain is \"soon\""),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let overrides = Overrides {
            config: Some("/nowhere/stuga.yaml".into()),
            ..Overrides::default()
        };
        assert!(
            Config::load(&overrides)
                .unwrap_err()
                .to_string()
                .contains("/nowhere/stuga.yaml")
        );
    }
}
