//! Tenants as their files describe them: who they are, which plugins they may run with what, and who may call.
//!
//! One file per tenant, `<id>.yaml`. Reading finds every mistake at once ([`check`]); a tenant that exists as a
//! [`Tenant`] value is sound.

pub mod check;
pub mod edit;
pub mod keys;

mod failover;
mod file;
mod gateway;
mod limits;
mod peers;
mod record;
mod retention;

pub(crate) use file::suggestion;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use stuga_core::{AgentName, Grants, TenantId};
use stuga_runtime::InstanceMode;

use crate::yaml::Diagnostic;

pub use failover::Failover;
pub use limits::{Limits, ModelShare, REQUEST_MAX_BYTES, Storage};
pub use peers::{Circle, Peers};
pub use record::Record;

pub use retention::{Keep, Retention};

/// Most tenant files that one directory may hold.
pub const TENANTS_MAX: usize = 10_000;

/// One tenant, checked.
#[derive(Clone, PartialEq, Debug)]
pub struct Tenant {
    /// Its id, which is also the name of its file.
    pub id: TenantId,
    /// Its name for people.
    pub display_name: String,
    /// The plugins that it may run, in the file's order, each name once.
    pub plugins: Vec<PluginEntry>,
    /// What it may use up.
    pub limits: Limits,
    /// Which agents of other tenants its agents write to and hear from.
    pub a2a: Peers,
    /// How it is served while AWS is configured.
    pub failover: Failover,
    /// What is kept of its data.
    pub retention: Retention,
    /// How its invocations are recorded; none when they are not.
    pub record: Option<Record>,
    /// Who may call in its name.
    pub keys: Vec<ApiKey>,
    /// The names by which a gateway in front of the host knows its clients.
    pub identities: BTreeSet<String>,
}

/// What a tenant says about one plugin.
#[derive(Clone, PartialEq, Debug)]
pub struct PluginEntry {
    /// The plugin, and so the agent.
    pub name: AgentName,
    /// The version to run when nobody loaded one by command; none for the highest in the store.
    pub version: Option<semver::Version>,
    /// What it may use.
    pub grants: Grants,
    /// What its `config` interface answers: name to JSON text.
    pub config: BTreeMap<String, String>,
    /// Names of the secrets that it may ask for.
    pub secrets: BTreeSet<String>,
    /// Whether instances are kept between calls.
    pub instance: InstanceMode,
    /// Most instances at once.
    pub max_instances: u32,
    /// Calls after which an instance is replaced.
    pub max_invocations: u64,
    /// How long an instance may rest before it is dropped.
    pub idle: Duration,
}

/// An API key as it is kept: without its secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ApiKey {
    /// The public part of the key, which finds it.
    pub id: String,
    /// What it is for, in the operator's words.
    pub name: String,
    /// HMAC-SHA256 of the whole key under the pepper.
    #[serde(skip)]
    pub hash: [u8; keys::HASH_BYTES],
    /// When it was made, as the file says.
    pub created: String,
}

impl Tenant {
    /// The entry of a plugin.
    pub fn plugin(&self, name: &str) -> Option<&PluginEntry> {
        self.plugins
            .iter()
            .find(|entry| entry.name.as_str() == name)
    }
}

/// What reading a tenants directory gave: the sound ones, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Sound tenants by id.
    pub tenants: BTreeMap<TenantId, Tenant>,
    /// Every mistake, by file.
    pub diagnostics: Vec<Diagnostic>,
    /// Ids of tenants whose file is there but not sound.
    pub broken: Vec<TenantId>,
}

/// The path of a tenant's file.
pub fn path(directory: &Path, id: &TenantId) -> PathBuf {
    directory.join(format!("{id}.yaml"))
}
