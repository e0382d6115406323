//! One scenario, from its state to its effects.

mod replay;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use stuga_core::invocation::{Answer, Claim};
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, Grants, InvocationId, RequestId, Result, TenantId,
    Timestamp,
};
use stuga_runtime::{
    Agent, AgentSettings, InputError, InstanceMode, InvokeError, JobCheck, Limits, LoadError,
    Misfit, Request,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::ScenarioClock;
use crate::cloud::State;
use crate::expect;
use crate::faults::Faults;
use crate::ids::Ids;
use crate::kept;
use crate::logs::Capture;
use crate::mock::{ANSWER_BYTES, DEADLINE, MEMORY_BYTES, Mock};
use crate::report::{Called, Ended, Run, Verdict};
use crate::scenario::{Call, FailureKind, Scenario, read_file};
use crate::watch::watched;
use crate::world::World;

/// The tenant when a scenario does not say.
const TENANT: &str = "scenario";
/// When the first call is made when a scenario does not say: 2026-01-01T00:00:00Z.
const CLOCK: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Longest start of an agent by the machine's clock.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// Parts that wait to be taken.
const PARTS_WAITING: usize = 16;
/// Most parts of a call that are kept.
const PARTS_MAX: usize = 10_000;
/// HTTP status of an answer that is kept for its idempotency key.
const OK: u16 = 200;

/// Everything that one run works with.
pub(crate) struct Stage {
    pub(crate) mock: Mock,
    scenario: Scenario,
    world: World,
    clock: Arc<ScenarioClock>,
    ids: Ids,
    tenant: TenantId,
    capture: Capture,
}

pub(crate) async fn run(
    mock: &Mock,
    scenario: &Scenario,
    state: State,
    seed: u64,
    capture: &Capture,
) -> Run {
    let mut run = Run::new(scenario, state, seed);
    let start = scenario.clock.map_or(CLOCK, |moment| moment.0);
    let stage = Stage::open(mock.clone(), scenario.clone(), state, seed, start, capture);
    let mut stage = match stage {
        Ok(stage) => stage,
        Err(error) => return Run::broken(scenario, state, seed, "the mock host", &error),
    };
    stage.play(&mut run).await;
    stage.close().await;
    run
}

impl Stage {
    /// Opens the backends, empty.
    pub(crate) fn open(
        mock: Mock,
        scenario: Scenario,
        state: State,
        seed: u64,
        start: Timestamp,
        capture: &Capture,
    ) -> Result<Self> {
        let clock = Arc::new(ScenarioClock::at(start));
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let faults = Faults::new(&scenario.faults);
        Ok(Self {
            world: World::open(&time, faults, state, scenario.quotas(), &scenario.model)?,
            tenant: TenantId::new(scenario.tenant.as_deref().unwrap_or(TENANT))?,
            clock,
            ids: Ids::new(seed),
            capture: capture.clone(),
            mock,
            scenario,
        })
    }

    pub(crate) async fn close(self) {
        self.world.close().await;
    }

    async fn play(&mut self, run: &mut Run) {
        if let Some(recording) = &self.scenario.recorded {
            return self.replay(recording, run).await;
        }
        if let Err(error) = self.lay().await {
            return run.fail("state", "a state that can be laid down", error.to_string());
        }
        let agent = match self.deploy().await {
            Ok(agent) => agent,
            Err(error) => return run.fail("agent", "an agent that starts", Self::explain(error)),
        };
        let calls = self.scenario.calls.clone();
        for (at, call) in calls.iter().enumerate() {
            let called = match self.call(&agent, call).await {
                Ok(called) => called,
                Err(why) => return run.fail(format!("calls[{at}]"), "a call", why),
            };
            let before = run.mismatches.len();
            let path = format!("calls[{at}]");
            expect::compare(&path, &call.expect, &called, &mut run.mismatches);
            let differs = run.mismatches.len() > before;
            let is_clean = called.ended.failure().is_some_and(FailureKind::is_clean);
            run.calls.push(called);
            if differs && is_clean && run.state != State::Local {
                // Nothing that comes after can be expected of an agent that said it cannot serve now.
                run.mismatches.truncate(before);
                run.verdict = Verdict::Degraded;
                return;
            }
            if !differs {
                let misfits = self.misfits(&path, call, run);
                run.mismatches.extend(misfits);
            }
        }
        let looked = self.look(run).await;
        if let Err(error) = looked {
            run.fail("expect", "a state that can be read", error.to_string());
        }
        run.conclude();
    }

    /// Lays the state down on every side, under the same ids.
    async fn lay(&mut self) -> Result<()> {
        let id = self.ids.invocation(self.clock.now());
        for side in self.world.sides() {
            let ctx = self.ctx(id, DEADLINE)?;
            kept::lay(&side, &ctx, &self.scenario.state, self.folder()).await?;
        }
        Ok(())
    }

    async fn look(&mut self, run: &mut Run) -> Result<()> {
        let id = self.ids.invocation(self.clock.now());
        let ctx = self.ctx(id, DEADLINE)?;
        let local = self.world.local.backends();
        let expect = &self.scenario.expect;
        kept::look(&local, &ctx, expect, self.folder(), &mut run.mismatches).await
    }

    /// Makes the component the tenant's agent.
    pub(crate) async fn deploy(&self) -> Result<Agent, LoadError> {
        let scenario = &self.scenario;
        let grants = match &scenario.grants {
            None => CapabilityName::ALL.into_iter().collect(),
            Some(names) => names
                .iter()
                .filter_map(|name| CapabilityName::from_name(name))
                .collect::<Grants>(),
        };
        let jobs = Arc::clone(&self.mock.jobs);
        let bytes = |size: Option<crate::scenario::Size>, default| size.map_or(default, |s| s.0);
        let settings = AgentSettings {
            tenant: self.tenant.clone(),
            agent: self.agent(),
            grants,
            config: scenario
                .config
                .iter()
                .map(|(name, value)| (name.clone(), value.to_string()))
                .collect(),
            secrets: std::collections::BTreeSet::new(),
            limits: Limits {
                memory_bytes: bytes(scenario.limits.memory, MEMORY_BYTES),
                deadline: self.deadline(None),
                output_bytes: usize::try_from(bytes(scenario.limits.answer, ANSWER_BYTES))
                    .unwrap_or(usize::MAX),
                waiting: 0,
            },
            instance: InstanceMode::Warm,
            max_instances: 1,
            max_invocations: u64::MAX,
            idle: Duration::MAX,
            job_check: JobCheck::new(move |kind, input| jobs.check(kind, input)),
        };
        let plugin = Arc::clone(&self.mock.plugin);
        let capabilities = self.world.capabilities.clone();
        let deploy = self.mock.runtime.deploy(plugin, settings, capabilities);
        watched(START_PATIENCE, deploy).await
    }

    /// Why it could not be.
    pub(crate) fn explain(error: LoadError) -> String {
        match error {
            LoadError::NotGranted { import, grant, .. } => format!(
                "the component imports `{import}`, which the scenario does not grant; add `{grant}` to its `grants`"
            ),
            other => other.to_string(),
        }
    }

    /// Makes a call.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) async fn call(&mut self, agent: &Agent, call: &Call) -> Result<Called, String> {
        if let Some(after) = call.after {
            self.clock.advance(after.0);
        }
        let input = self.input(call)?;
        if let Err(error) = self.mock.inputs.check(&call.skill, &input) {
            return Ok(Called::refused(&call.skill, misfit(&call.skill, error)));
        }
        let now = self.clock.now();
        let mut invocation = self.ids.invocation(now);
        let mut accepted_at = now;
        if let Some(key) = &call.idempotency_key {
            let store = self.world.local.invocations();
            let digest = digest(call, &input);
            let claim = store.claim(&self.tenant, key, &digest, invocation, now);
            match claim.await.map_err(|error| error.to_string())? {
                Claim::New => {}
                Claim::Unfinished {
                    invocation: first,
                    accepted_at: at,
                } => (invocation, accepted_at) = (first, at),
                Claim::Finished(answer) => {
                    let output = serde_json::from_slice(&answer.body);
                    let ended = Ended::Output(output.map_err(|error| error.to_string())?);
                    return Ok(Called::kept(&call.skill, ended));
                }
                Claim::Mismatch => {
                    let message = "the idempotency key was used with another call";
                    let ended = Ended::failed(FailureKind::IdempotencyMismatch, message);
                    return Ok(Called::refused(&call.skill, ended));
                }
            }
        }
        let called = self
            .invoke(agent, call, input, invocation, accepted_at)
            .await?;
        if let (Some(key), Ended::Output(output)) = (&call.idempotency_key, &called.ended) {
            let answer = Answer {
                invocation,
                status: OK,
                body: output.to_string().into_bytes(),
            };
            let store = self.world.local.invocations();
            let kept = store.finish(&self.tenant, key, &answer).await;
            kept.map_err(|error| error.to_string())?;
        }
        Ok(called)
    }

    async fn invoke(
        &self,
        agent: &Agent,
        call: &Call,
        input: String,
        invocation: InvocationId,
        accepted_at: Timestamp,
    ) -> Result<Called, String> {
        let deadline = self.deadline(call.deadline.map(|span| span.0));
        let ctx = self.ctx(invocation, deadline).map_err(|e| e.to_string())?;
        let ctx = Arc::new(CallCtx::new(
            ctx.tenant,
            ctx.agent,
            invocation,
            ctx.request,
            accepted_at,
            ctx.deadline,
        ));
        let request = Request {
            skill: call.skill.clone(),
            input,
            session: call.session.clone(),
        };
        self.capture.take();
        let (sender, mut receiver) = mpsc::channel(PARTS_WAITING);
        let receipt = Arc::clone(&ctx);
        let invoked = agent.invoke(ctx, request, Some(sender));
        let emitted = async {
            let mut parts = Vec::new();
            while let Some(part) = receiver.recv().await {
                if parts.len() < PARTS_MAX {
                    parts.push(serde_json::from_str(&part).unwrap_or(Value::String(part)));
                }
            }
            parts
        };
        let both = async { tokio::join!(invoked, emitted) };
        let (reply, parts) = watched(deadline, both).await;
        let ended = match reply {
            Ok(reply) => {
                let output = serde_json::from_str(&reply.output);
                Ended::Output(output.map_err(|error| error.to_string())?)
            }
            Err(error) => ended(error),
        };
        let mut uses = receipt.receipt.snapshot();
        self.world.served.complete(&mut uses);
        Ok(Called {
            skill: call.skill.clone(),
            ended,
            kept: false,
            parts,
            logs: self.capture.take(),
            receipt: uses,
        })
    }

    /// Where an answer is not what the skill's schema says.
    fn misfits(&self, path: &str, call: &Call, run: &Run) -> Vec<crate::compare::Mismatch> {
        let Some(Ended::Output(output)) = run.calls.last().map(|called| &called.ended) else {
            return Vec::new();
        };
        let checked = self.mock.outputs.check(&call.skill, &output.to_string());
        let Err(InputError::Misfits { errors, .. }) = checked else {
            return Vec::new();
        };
        errors
            .into_iter()
            .map(|Misfit { pointer, message }| crate::compare::Mismatch {
                at: format!("{path}.output{pointer}"),
                expected: format!("what the output schema of skill {} says", call.skill),
                got: format!("{message}; make the schema and the type agree"),
            })
            .collect()
    }

    fn input(&self, call: &Call) -> Result<String, String> {
        if call.input_files.is_empty() {
            let input = call.input.as_ref().map(ToString::to_string);
            return Ok(input.unwrap_or_else(|| "{}".to_owned()));
        }
        let mut input = match &call.input {
            None => Map::new(),
            Some(Value::Object(fields)) => fields.clone(),
            Some(_) => return Err("input_files needs an input that is a mapping".to_owned()),
        };
        for (field, name) in &call.input_files {
            let bytes = read_file(self.folder(), name)?;
            let text = String::from_utf8(bytes)
                .map_err(|_| format!("{name} is not UTF-8, which a JSON input cannot hold"))?;
            input.insert(field.clone(), Value::String(text));
        }
        Ok(Value::Object(input).to_string())
    }

    fn ctx(&self, invocation: InvocationId, deadline: Duration) -> Result<CallCtx> {
        Ok(CallCtx::new(
            self.tenant.clone(),
            self.agent(),
            invocation,
            RequestId::from_uuid(*invocation.as_uuid()),
            self.clock.now(),
            Instant::now() + deadline,
        ))
    }

    fn agent(&self) -> AgentName {
        self.mock.plugin.manifest().name.clone()
    }

    fn deadline(&self, call: Option<Duration>) -> Duration {
        let scenario = self.scenario.limits.deadline.map(|span| span.0);
        call.or(scenario).unwrap_or(DEADLINE)
    }

    fn folder(&self) -> &Path {
        self.scenario.file.parent().unwrap_or(Path::new(""))
    }
}

/// Tells calls apart that use the same idempotency key.
fn digest(call: &Call, input: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [&call.skill, input, call.session.as_deref().unwrap_or("")] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

fn misfit(skill: &str, error: InputError) -> Ended {
    match error {
        InputError::UnknownSkill { known } => {
            let close = stuga_yaml::did_you_mean(skill, known.iter().map(String::as_str));
            let close = close.map_or_else(String::new, |c| format!("; did you mean {c:?}?"));
            let known = known.join(", ");
            let message = format!("the agent has no skill {skill:?}{close}; it has {known}");
            Ended::failed(FailureKind::UnknownSkill, message)
        }
        InputError::Unreadable(why) => Ended::failed(FailureKind::InputDoesNotFit, why),
        InputError::Misfits { errors, .. } => {
            let lines: Vec<String> = errors
                .iter()
                .map(|Misfit { pointer, message }| {
                    let place = if pointer.is_empty() { "input" } else { pointer };
                    format!("{place}: {message}")
                })
                .collect();
            Ended::failed(FailureKind::InputDoesNotFit, lines.join("; "))
        }
    }
}

fn ended(error: InvokeError) -> Ended {
    use stuga_core::ErrorKind as Kind;
    let kind = match &error {
        InvokeError::Agent(error) => {
            let kind = match error.kind() {
                Kind::NotFound => FailureKind::NotFound,
                Kind::Invalid => FailureKind::Invalid,
                Kind::Denied => FailureKind::Denied,
                Kind::Conflict => FailureKind::Conflict,
                Kind::QuotaExceeded => FailureKind::QuotaExceeded,
                Kind::RateLimited => FailureKind::RateLimited,
                Kind::Timeout => FailureKind::Timeout,
                Kind::Unavailable => FailureKind::Unavailable,
                Kind::Internal => FailureKind::Internal,
            };
            return Ended::Failed {
                kind,
                message: error.message().to_owned(),
                context: error
                    .context()
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.clone()))
                    .collect(),
            };
        }
        InvokeError::Trapped { .. } => FailureKind::AgentTrapped,
        InvokeError::Deadline => FailureKind::Deadline,
        InvokeError::Busy { .. } => FailureKind::Busy,
        InvokeError::TooLarge { .. } => FailureKind::AnswerTooLarge,
        InvokeError::NotJson { .. } => FailureKind::AnswerNotJson,
        InvokeError::Internal(_) => FailureKind::HostFailed,
    };
    Ended::failed(kind, error.to_string())
}
