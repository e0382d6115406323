//! This host as a function of Lambda: runs attempts of jobs that a host elsewhere has offered, one at a time.
//!
//! It has no tenants' files and no queue. Component and terms come with each order; what the agent reaches lies on AWS,
//! or on the function's own disk for what the operator has named `scratch`.

mod far_jobs;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stuga_aws::Work;
use stuga_core::jobs::elsewhere::{Ended, Order, Principal};
use stuga_core::lease::Failure;
use stuga_core::{CallCtx, Clock, Error, ErrorKind, RequestId, Result, SystemClock};
use stuga_resilience::{Capabilities, Failover};
use stuga_runtime::{
    AgentSettings, InstanceMode, InvokeError, JobCheck, JobRun, Limits, Plugin, Runtime,
    RuntimeConfig,
};
use tokio::time::Instant;

use crate::config::Config;
use crate::host::{Terms, failure_of};
use crate::wire::Backends;
use far_jobs::FarJobs;

const OPERATION: &str = "lambda";
/// Instances that the pool has room for: the one that `describe` is asked of, one that proves the component, one that runs.
const INSTANCES: u32 = 4;

/// Takes attempts from Lambda for as long as the process lives.
///
/// # Errors
/// When AWS is not configured, the disk cannot be used, or there is no Lambda around this process.
pub(crate) async fn serve(config: &Config) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let backends = Backends::open_far(config, clock)?;
    let aws = backends.cloud().aws().cloned().ok_or_else(|| {
        Error::invalid(
            OPERATION,
            "AWS is not configured: give the function STUGA_AWS with the host's AWS settings as JSON",
        )
    })?;
    let function = Function::new(config, &backends)?;
    let ended = stuga_aws::serve_jobs(aws, Arc::new(function)).await;
    backends.close().await;
    ended
}

/// What stays warm between attempts.
struct Function {
    runtime: Runtime,
    capabilities: Capabilities,
    jobs: Arc<FarJobs>,
    /// The component that ran last.
    warm: Mutex<Option<Arc<Plugin>>>,
}

impl Function {
    fn new(config: &Config, backends: &Backends) -> Result<Self> {
        let jobs = Arc::new(FarJobs::default());
        let mut capabilities = backends.capabilities();
        capabilities.jobs = Failover::local(Arc::clone(&jobs) as _);
        Ok(Self {
            runtime: Runtime::new(RuntimeConfig {
                max_instances: INSTANCES,
                code_cache: Some(config.data_dir.join("cache")),
                ..RuntimeConfig::default()
            })?,
            capabilities,
            jobs,
            warm: Mutex::default(),
        })
    }

    /// The component of an order, and no other.
    async fn plugin(&self, order: &Order, principal: &dyn Principal) -> Result<Arc<Plugin>> {
        let warm = self
            .warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(plugin) = warm.filter(|plugin| plugin.digest() == order.component) {
            return Ok(plugin);
        }
        let component = principal.component().await?;
        let plugin = self.runtime.load(component).await;
        let plugin = plugin.map_err(|e| Error::invalid(OPERATION, e.to_string()))?;
        if plugin.digest() != order.component {
            return Err(Error::internal(
                OPERATION,
                "the component is not the one that was ordered",
            ));
        }
        *self.warm.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&plugin));
        Ok(plugin)
    }

    async fn attempt(&self, order: &Order, principal: &dyn Principal) -> Result<String, Failure> {
        // The time counts from here: what a cold start takes is the attempt's.
        let deadline = Instant::now() + order.time;
        let plugin = self.plugin(order, principal).await.map_err(unready)?;
        let terms: Terms = serde_json::from_value(order.settings.clone()).map_err(|e| {
            unready(Error::internal(OPERATION, "the terms cannot be read").with_source(e))
        })?;
        let settings = settings(order, terms);
        let capabilities = self.capabilities.clone();
        let agent = self.runtime.deploy(plugin, settings, capabilities).await;
        let agent = agent.map_err(|e| unready(Error::invalid(OPERATION, e.to_string())))?;
        let ctx = CallCtx::new(
            order.tenant.clone(),
            order.agent.clone(),
            order.invocation,
            RequestId::from_uuid(*order.invocation.as_uuid()),
            order.began_at,
            deadline,
        );
        let run = JobRun {
            id: order.job.clone(),
            kind: order.kind.clone(),
            input: order.input.clone(),
            attempt: order.attempt,
        };
        // Loading may have taken all of it.
        let ran = match Instant::now() < deadline {
            true => agent.run_job(Arc::new(ctx), run).await,
            false => Err(InvokeError::Deadline),
        };
        ran.map(|reply| reply.output).map_err(failure_of)
    }
}

#[async_trait]
impl Work for Function {
    async fn run(&self, order: Order, principal: Arc<dyn Principal>) -> Ended {
        let _listening = self.jobs.listen(order.invocation, Arc::clone(&principal));
        match self.attempt(&order, &*principal).await {
            Ok(output) => Ended::Succeeded(output),
            Err(failure) => Ended::Failed(failure),
        }
    }
}

/// How an agent is run for one attempt.
fn settings(order: &Order, terms: Terms) -> AgentSettings {
    AgentSettings {
        tenant: order.tenant.clone(),
        agent: order.agent.clone(),
        grants: terms.grants,
        config: terms.config,
        secrets: terms.secrets,
        limits: Limits {
            memory_bytes: terms.memory_bytes,
            deadline: order.time,
            output_bytes: terms.output_bytes,
            waiting: 0,
        },
        instance: InstanceMode::Fresh,
        max_instances: 1,
        max_invocations: 1,
        idle: Duration::ZERO,
        // Nothing is submitted here.
        job_check: JobCheck::default(),
    }
}

/// The function cannot run the component: its own fault, which the tenant is told no more of.
fn unready(error: Error) -> Failure {
    tracing::error!(%error, causes = error.causes(), "an attempt could not be readied");
    Failure::new(
        ErrorKind::Internal,
        "the function could not ready the agent; its log says more",
    )
}
