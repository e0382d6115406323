//! How agents are run: what an instance keeps, what bounds it, and what is left after one that means harm.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod capabilities;
mod hostile;
mod instances;
mod jobs;
mod languages;
mod load;
mod messages;
mod published;
mod repeat;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, Grants, InvocationId, RequestId, SystemClock,
    TenantId, Timestamp,
};
use stuga_local::{Local, LocalConfig, Models};
use stuga_resilience::Capabilities;
use stuga_runtime::{
    Agent, AgentSettings, InstanceMode, InvokeError, JobCheck, Limits, LoadError, Plugin, Request,
    Runtime, RuntimeConfig,
};
use tokio::time::Instant;

/// Each guest is compiled once for all tests of this binary.
static CODE_CACHE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A runtime with a data directory of its own.
struct World {
    runtime: Runtime,
    capabilities: Capabilities,
    local: Local,
    _data: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::before(&Models::default())
    }

    /// With models.
    fn before(models: &Models) -> Self {
        let config = RuntimeConfig {
            max_instances: 16,
            random_key: Some([7; 32]),
            code_cache: Some(CODE_CACHE.path().join("code")),
            ..RuntimeConfig::default()
        };
        Self::with_models(config, models)
    }

    fn with(config: RuntimeConfig) -> Self {
        Self::with_models(config, &Models::default())
    }

    fn with_models(config: RuntimeConfig, models: &Models) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (clock, local) = (Arc::new(SystemClock), LocalConfig::default());
        let local = Local::open_with(data.path(), clock, local, models).unwrap();
        Self {
            runtime: Runtime::new(config).unwrap(),
            capabilities: Capabilities::local(local.backends()),
            local,
            _data: data,
        }
    }

    async fn plugin(&self, name: &str) -> Arc<Plugin> {
        self.runtime.load(stuga_tests::guest(name)).await.unwrap()
    }

    async fn deploy(
        &self,
        name: &str,
        change: impl FnOnce(&mut AgentSettings),
    ) -> Result<Agent, LoadError> {
        let mut settings = settings();
        change(&mut settings);
        let plugin = self.plugin(name).await;
        self.runtime
            .deploy(plugin, settings, self.capabilities.clone())
            .await
    }
}

fn settings() -> AgentSettings {
    AgentSettings {
        tenant: TenantId::new("tenant").unwrap(),
        agent: AgentName::new("agent").unwrap(),
        grants: CapabilityName::ALL.into_iter().collect(),
        config: BTreeMap::new(),
        secrets: BTreeSet::new(),
        limits: Limits {
            memory_bytes: 32 << 20,
            deadline: Duration::from_secs(20),
            output_bytes: 1 << 20,
            waiting: 4,
        },
        instance: InstanceMode::Warm,
        max_instances: 2,
        max_invocations: 1_000_000,
        idle: Duration::from_secs(60),
        job_check: JobCheck::new(|_, _| Ok(())),
    }
}

/// A context that ends `after` from now.
fn ctx(after: Duration) -> Arc<CallCtx> {
    let template = stuga_core::testkit::ctx("tenant", "agent");
    context(template.invocation, SystemClock.now(), after)
}

fn context(invocation: InvocationId, accepted_at: Timestamp, after: Duration) -> Arc<CallCtx> {
    Arc::new(CallCtx::new(
        TenantId::new("tenant").unwrap(),
        AgentName::new("agent").unwrap(),
        invocation,
        RequestId::from_uuid(*invocation.as_uuid()),
        accepted_at,
        Instant::now() + after,
    ))
}

async fn call(agent: &Agent, skill: &str, input: Value) -> Result<Value, InvokeError> {
    call_in(agent, ctx(Duration::from_secs(20)), skill, input).await
}

async fn call_in(
    agent: &Agent,
    ctx: Arc<CallCtx>,
    skill: &str,
    input: Value,
) -> Result<Value, InvokeError> {
    let request = Request {
        skill: skill.into(),
        input: input.to_string(),
        session: None,
    };
    let reply = agent.invoke(ctx, request, None).await?;
    Ok(serde_json::from_str(&reply.output).unwrap())
}

fn only(capability: CapabilityName) -> Grants {
    Grants::NONE.with(capability)
}
