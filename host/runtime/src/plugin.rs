//! A plugin: a component that was compiled, inspected and asked what it is. It belongs to no tenant yet.

use std::collections::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use stuga_core::{AgentName, CapabilityName, Error, Grants};
use tokio::time::timeout;
use wasmtime::{Store, Trap};

use crate::bindings::GuestPre;
use crate::bindings::exports::stuga::agent::agent::{Description, JobKind as DescribedJob};
use crate::engine::Shared;
use crate::interfaces::own_name;
use crate::state::{Authority, HostState};
use crate::{AgentSettings, Interfaces, JobCheck, LoadError, WIT_VERSION, wasi};

/// Longest run of `describe`.
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(5);
/// Largest memory while a component describes itself, in bytes.
const DESCRIBE_MEMORY_BYTES: u64 = 256 << 20;
/// Most skills of an agent.
const SKILLS_MAX: usize = 64;
/// Most kinds of jobs of an agent.
const JOBS_MAX: usize = 64;
/// Longest text of a description, in bytes.
const TEXT_MAX_BYTES: usize = 4 << 10;
/// Longest schema in bytes.
const SCHEMA_MAX_BYTES: usize = 256 << 10;

/// What an agent says of itself and what its component shows.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// The agent's name.
    pub name: AgentName,
    /// Its semantic version.
    pub version: String,
    /// One or two sentences.
    pub summary: String,
    /// What it can do, in the order it says.
    pub skills: Vec<Skill>,
    /// What it can run as a job, in the order it says.
    pub jobs: Vec<JobKind>,
    /// Interfaces it wants, as it says.
    pub capabilities: Vec<String>,
    /// Interfaces it imports, such as `stuga:agent/memory@0.1.0`.
    pub imports: Vec<String>,
    /// Interfaces it exports.
    pub exports: Vec<String>,
    /// Version of the WIT package it was built with.
    pub wit_version: String,
}

/// One thing that an agent can do.
#[derive(Clone, Debug, Serialize)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// For people and for other agents.
    pub description: String,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
}

/// One kind of job that an agent can run.
#[derive(Clone, Debug, Serialize)]
pub struct JobKind {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// JSON Schema of the input.
    pub input_schema: Value,
}

/// A loaded component. Shared by all tenants that run the same bytes.
pub struct Plugin {
    manifest: Manifest,
    digest: Arc<str>,
    version: Arc<str>,
    size: u64,
    pub(crate) pre: GuestPre<HostState>,
}

impl Plugin {
    /// What it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the component, 64 lowercase hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Size of the component in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn shared_digest(&self) -> Arc<str> {
        Arc::clone(&self.digest)
    }

    pub(crate) fn shared_version(&self) -> Arc<str> {
        Arc::clone(&self.version)
    }

    /// Whether a language's runtime comes with it, which readies itself with the first call (it draws the seeds of its hash
    /// tables, for instance). Done before an invocation, that costs the invocation nothing and is not part of it.
    pub(crate) fn has_language_runtime(&self) -> bool {
        self.manifest
            .imports
            .iter()
            .any(|import| wasi::offers(import))
    }

    /// Refuses a component that imports more than its tenant grants.
    pub(crate) fn check_grants(&self, settings: &AgentSettings) -> Result<(), LoadError> {
        for import in &self.manifest.imports {
            let Some(capability) = own_name(import).and_then(CapabilityName::from_name) else {
                continue;
            };
            if !settings.grants.allows(capability) {
                return Err(LoadError::NotGranted {
                    import: import.clone(),
                    grant: capability.as_str().to_owned(),
                    tenant: settings.tenant.to_string(),
                    agent: settings.agent.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// Loaded plugins by digest, as long as somebody holds them.
#[derive(Default)]
pub(crate) struct Plugins {
    by_digest: RwLock<HashMap<Arc<str>, Weak<Plugin>>>,
    /// One compilation at a time: each uses all cores, and equal components wait for the first.
    loading: tokio::sync::Mutex<()>,
}

impl Plugins {
    pub(crate) fn count(&self) -> usize {
        let plugins = self
            .by_digest
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        plugins
            .values()
            .filter(|plugin| plugin.strong_count() > 0)
            .count()
    }

    fn get(&self, digest: &str) -> Option<Arc<Plugin>> {
        self.by_digest
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(digest)?
            .upgrade()
    }

    fn keep(&self, plugin: Plugin) -> Arc<Plugin> {
        let mut plugins = self
            .by_digest
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        plugins.retain(|_, plugin| plugin.strong_count() > 0);
        let plugin = Arc::new(plugin);
        plugins.insert(plugin.shared_digest(), Arc::downgrade(&plugin));
        plugin
    }
}

pub(crate) async fn load(shared: &Arc<Shared>, bytes: Vec<u8>) -> Result<Arc<Plugin>, LoadError> {
    let interfaces = Interfaces::read(&bytes)?;
    interfaces.check()?;
    let digest = digest(&bytes);
    let _one_at_a_time = shared.plugins.loading.lock().await;
    if let Some(plugin) = shared.plugins.get(&digest) {
        return Ok(plugin);
    }
    let size = bytes.len() as u64;
    let compile = {
        let (shared, digest) = (Arc::clone(shared), digest.clone());
        move || shared.cache.component(&shared.engine, &digest, &bytes)
    };
    let component = tokio::task::spawn_blocking(compile)
        .await
        .map_err(|e| {
            Error::internal("plugin.load", "the compiler stopped abnormally").with_source(e)
        })?
        .map_err(|e| LoadError::NotAComponent(format!("{e:#}")))?;
    let pre = wasi::linker(&shared.linker, &shared.engine, &component)
        .and_then(|own| {
            own.as_ref()
                .unwrap_or(&shared.linker)
                .instantiate_pre(&component)
        })
        .and_then(GuestPre::new)
        .map_err(|e| LoadError::Mismatch(format!("{e:#}")))?;
    let description = describe(shared, &pre).await?;
    let manifest = manifest(description, interfaces)?;
    let version = manifest.version.as_str().into();
    Ok(shared.plugins.keep(Plugin {
        manifest,
        digest: digest.into(),
        version,
        size,
        pre,
    }))
}

/// SHA-256 of a component, 64 lowercase hexadecimal digits.
pub fn digest(component: &[u8]) -> String {
    hex::encode(Sha256::digest(component))
}

/// Asks the component what it is, in an instance of its own that reaches nothing.
async fn describe(shared: &Shared, pre: &GuestPre<HostState>) -> Result<Description, LoadError> {
    let authority = Authority {
        grants: Grants::NONE,
        config: BTreeMap::new(),
        secrets: BTreeSet::new(),
        capabilities: None,
        memory_bytes: DESCRIBE_MEMORY_BYTES,
        random_key: shared.random_key,
        job_check: JobCheck::default(),
    };
    let mut store = Store::new(&shared.engine, HostState::new(Arc::new(authority)));
    store.limiter(|state| state);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(wasmtime::UpdateDeadline::Yield(1)));
    let run = async {
        let guest = pre.instantiate_async(&mut store).await?;
        guest.stuga_agent_agent().call_describe(&mut store).await
    };
    match timeout(DESCRIBE_DEADLINE, run).await {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(error)) => {
            let reason = match error.downcast_ref::<Trap>() {
                Some(trap) => format!("trapped: {trap}"),
                None => format!("failed: {error:#}"),
            };
            let wrote = store.data_mut().wasi.take().map(|wasi| wasi.tail());
            Err(LoadError::Describe(
                match wrote.filter(|wrote| !wrote.is_empty()) {
                    Some(wrote) => format!("{reason}; it wrote: {wrote}"),
                    None => reason,
                },
            ))
        }
        Err(_) => Err(LoadError::Describe(format!(
            "did not answer within {DESCRIBE_DEADLINE:?}"
        ))),
    }
}

fn manifest(description: Description, interfaces: Interfaces) -> Result<Manifest, LoadError> {
    let name = AgentName::new(&description.name)
        .map_err(|e| LoadError::Describe(format!("answered a wrong name: {}", e.message())))?;
    if !is_semantic_version(&description.version) {
        return Err(LoadError::Describe(format!(
            "answered the version {:?}; a semantic version such as 1.2.3 is needed",
            short(&description.version)
        )));
    }
    if description.skills.is_empty() || description.skills.len() > SKILLS_MAX {
        return Err(LoadError::Describe(format!(
            "answered {} skills; an agent has 1 to {SKILLS_MAX}",
            description.skills.len()
        )));
    }
    let mut skills: Vec<Skill> = Vec::with_capacity(description.skills.len());
    for skill in description.skills {
        if !stuga_core::id::is_name(&skill.name) || skills.iter().any(|s| s.name == skill.name) {
            return Err(LoadError::Describe(format!(
                "answered the skill name {:?}, which is used twice or is not 1 to 63 characters of a-z, 0-9 and inner -",
                short(&skill.name)
            )));
        }
        let input_schema = schema("skill", &skill.name, "input", &skill.input_schema)?;
        let output_schema = schema("skill", &skill.name, "output", &skill.output_schema)?;
        skills.push(Skill {
            description: short(&skill.description).to_owned(),
            name: skill.name,
            input_schema,
            output_schema,
        });
    }
    let jobs = job_kinds(description.jobs)?;
    let wit_version = interfaces.wit_version().unwrap_or(WIT_VERSION).to_owned();
    Ok(Manifest {
        name,
        version: description.version,
        summary: short(&description.summary).to_owned(),
        skills,
        jobs,
        capabilities: description
            .capabilities
            .iter()
            .take(SKILLS_MAX)
            .map(|c| short(c).to_owned())
            .collect(),
        imports: interfaces.imports,
        exports: interfaces.exports,
        wit_version,
    })
}

fn job_kinds(described: Vec<DescribedJob>) -> Result<Vec<JobKind>, LoadError> {
    if described.len() > JOBS_MAX {
        return Err(LoadError::Describe(format!(
            "answered {} kinds of jobs; an agent has at most {JOBS_MAX}",
            described.len()
        )));
    }
    let mut jobs: Vec<JobKind> = Vec::with_capacity(described.len());
    for job in described {
        if !stuga_core::id::is_name(&job.name) || jobs.iter().any(|j| j.name == job.name) {
            return Err(LoadError::Describe(format!(
                "answered the kind of job {:?}, which is used twice or is not 1 to 63 characters of a-z, 0-9 and inner -",
                short(&job.name)
            )));
        }
        let input_schema = schema("job", &job.name, "input", &job.input_schema)?;
        jobs.push(JobKind {
            description: short(&job.description).to_owned(),
            name: job.name,
            input_schema,
        });
    }
    Ok(jobs)
}

fn schema(what: &str, name: &str, side: &str, text: &str) -> Result<Value, LoadError> {
    if text.len() > SCHEMA_MAX_BYTES {
        return Err(LoadError::Describe(format!(
            "answered an {side} schema of {} bytes for {what} {name}; the limit is {SCHEMA_MAX_BYTES}",
            text.len()
        )));
    }
    match serde_json::from_str(text) {
        Ok(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(schema),
        Ok(_) => Err(LoadError::Describe(format!(
            "answered an {side} schema for {what} {name} that is no JSON object"
        ))),
        Err(e) => Err(LoadError::Describe(format!(
            "answered an {side} schema for {what} {name} that is no JSON: {e}"
        ))),
    }
}

fn is_semantic_version(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or("");
    let numbers: Vec<_> = core.split('.').collect();
    let is_number = |n: &&str| {
        (1..=9).contains(&n.len())
            && n.bytes().all(|b| b.is_ascii_digit())
            && (n.len() == 1 || !n.starts_with('0'))
    };
    let tail = version.get(core.len()..).unwrap_or("");
    version.len() <= 64
        && numbers.len() == 3
        && numbers.iter().all(is_number)
        && tail != "-"
        && tail != "+"
        && tail
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'))
}

fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_MAX_BYTES))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_could_leave_a_directory_is_no_version() {
        for good in ["0.1.0", "1.22.333", "1.0.0-rc.1", "1.0.0+build.5"] {
            assert!(is_semantic_version(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.0.0-",
            "1.0.0/../x",
            "1.0.0-a/b",
            "v1.0.0",
            "1.0.x",
        ] {
            assert!(!is_semantic_version(bad), "{bad}");
        }
    }
}
