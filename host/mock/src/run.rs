//! One scenario, from its state to its effects.

mod replay;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stuga_core::invocation::{Answer, Claim};
use stuga_core::secrets::SecretValue;
use stuga_core::{
    AgentName, CallCtx, CapabilityName, Clock, Grants, InvocationId, RequestId, Result, TenantId,
    Timestamp,
};
use stuga_runtime::{
    Agent, AgentSettings, InputError, InstanceMode, JobCheck, Limits, LoadError, Misfit, Request,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::ScenarioClock;
use crate::compare::{Differences, Findings};
use crate::expect;
use crate::ids::Ids;
use crate::kept;
use crate::logs::Capture;
use crate::mock::{ANSWER_BYTES, DEADLINE, MEMORY_BYTES, Mock};
use crate::redact::Redaction;
use crate::report::{Called, Ended, Run, Verdict};
use crate::runner::Runner;
use crate::scenario::{Call, FailureKind, Scenario, read_file};
use crate::state::State;
use crate::watch::watched;
use crate::world::World;

pub(crate) use words::ended;
use words::{digest, incoming, misfit};

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
    redaction: Arc<Redaction>,
}

/// An agent with what runs its jobs.
pub(crate) struct Deployed {
    agent: Arc<Agent>,
    runner: Arc<Runner>,
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
    // The second line: whatever stopped the run may quote what it was about.
    for mismatch in &mut run.mismatches {
        for text in [&mut mismatch.expected, &mut mismatch.got] {
            stage.redaction.text(text);
        }
    }
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
        let tenant = TenantId::new(scenario.tenant.as_deref().unwrap_or(TENANT))?;
        let own = (tenant.clone(), mock.plugin.manifest().name.clone());
        Ok(Self {
            world: World::open(&time, state, &scenario, own)?,
            redaction: Arc::new(Redaction::of(scenario.secrets.iter())),
            tenant,
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
            let path = format!("calls[{at}]");
            let called = match self.call(&agent, call).await {
                Ok(called) => called,
                Err(why) => return run.fail(path, "a call", why),
            };
            let mut found = Findings::new(&self.redaction);
            expect::compare(&path, &call.expect, &called, &mut found);
            let differs = !found.mismatches.is_empty();
            if !differs {
                self.check_output(&path, &called, &mut found);
            }
            let is_clean = called.is_clean();
            run.calls.push(self.reported(called));
            if differs && is_clean && run.state != State::Local {
                // Nothing that comes after can be expected of an agent that said it cannot serve now.
                run.verdict = Verdict::Degraded;
                return;
            }
            run.mismatches.extend(found.mismatches);
        }
        match self.look().await {
            Ok(found) => run.mismatches.extend(found.mismatches),
            Err(error) => run.fail("expect", "a state that can be read", error.to_string()),
        }
        run.conclude();
    }

    fn reported(&self, mut called: Called) -> Called {
        self.redaction.called(&mut called);
        called
    }

    /// Lays the state down on every side, under the same ids.
    async fn lay(&mut self) -> Result<()> {
        let id = self.ids.invocation(self.clock.now());
        let state = &self.scenario.state;
        let kinds = state.jobs.iter().map(|job| (&job.kind, &job.input));
        let schedules = state.schedules.iter();
        for (kind, input) in kinds.chain(schedules.map(|made| (&made.kind, &made.input))) {
            let input = kept::jobs::text(input.as_ref());
            self.mock.jobs.check(kind, &input)?;
        }
        if let Some(cloud) = &self.world.cloud {
            let ctx = self.ctx(id, DEADLINE)?;
            kept::lay(&cloud.backends(), &ctx, state, self.folder()).await?;
        }
        let (local, ctx) = (self.world.local.backends(), self.ctx(id, DEADLINE)?);
        kept::lay(&local, &ctx, state, self.folder()).await?;
        kept::jobs::lay(&*local.jobs, &ctx, &state.jobs, &state.schedules).await?;
        let store = self.world.secret_store();
        for (name, secret) in &self.scenario.secrets {
            let value = SecretValue::new(secret.value().into())?;
            let id = ctx.next_write_id()?;
            store.set(&self.tenant, id, name, &value).await?;
        }
        Ok(())
    }

    /// Looks at what is stored: on this host, and in the cloud once that has come back.
    async fn look(&mut self) -> Result<Findings> {
        let id = self.ids.invocation(self.clock.now());
        let ctx = self.ctx(id, DEADLINE)?;
        let local = self.world.local.backends();
        let (expect, mut found) = (&self.scenario.expect, Findings::new(&self.redaction));
        kept::look(&local, &ctx, expect, self.folder(), &mut found).await?;
        kept::look_at_jobs(&*local.jobs, &ctx, expect, &mut found).await?;
        kept::look_at_messages(&self.world.outbox, expect, &mut found);
        for (capability, left) in self.world.come_back(&self.tenant).await? {
            let (waiting, parked) = (left.waiting, left.parked);
            let got = format!("{waiting} writes that wait and {parked} that it refuses");
            let at = format!("{} in the cloud", capability.as_str());
            Differences::new(at, &mut found).add("", "every write", got);
        }
        if let Some(cloud) = &self.world.cloud {
            let mut there = Findings::new(&self.redaction);
            kept::look(&cloud.backends(), &ctx, expect, self.folder(), &mut there).await?;
            found.extend(there, " in the cloud");
        }
        Ok(found)
    }

    /// Makes the component the tenant's agent.
    pub(crate) async fn deploy(&self) -> Result<Deployed, LoadError> {
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
            secrets: scenario.secrets.keys().cloned().collect(),
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
        let agent = Arc::new(watched(START_PATIENCE, START_PATIENCE, deploy).await?);
        let runner = Arc::new(Runner {
            agent: Arc::clone(&agent),
            queue: self.world.job_queue(),
            tenant: self.tenant.clone(),
            name: self.agent(),
            clock: Arc::clone(&self.clock),
            deadline: scenario.limits.deadline.map(|span| span.0),
            leases: AtomicU64::new(1),
            ran: std::sync::Mutex::default(),
        });
        self.world.turn.connect(&runner);
        Ok(Deployed { agent, runner })
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

    /// Makes a call, or lets jobs run.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) async fn call(
        &mut self,
        deployed: &Deployed,
        call: &Call,
    ) -> Result<Called, String> {
        if let Some(after) = call.after {
            self.clock.advance(after.0);
        }
        let mut called = match (&call.skill, call.run_jobs) {
            (None, Some(span)) => {
                self.capture.take();
                let run = deployed.runner.run_for(span.0).await;
                run.map_err(|error| error.to_string())?;
                let mut called = Called::refused("", Ended::Output(Value::Null));
                called.logs = self.capture.take();
                called
            }
            (skill, _) => {
                let skill = skill.clone().unwrap_or_default();
                self.call_skill(&deployed.agent, &skill, call).await?
            }
        };
        called.jobs = deployed.runner.take();
        if call.skill.is_none() {
            called.ended = Ended::Output(json!({"attempts": called.jobs.len()}));
        }
        Ok(called)
    }

    async fn call_skill(
        &mut self,
        agent: &Agent,
        skill: &str,
        call: &Call,
    ) -> Result<Called, String> {
        let input = self.input(call)?;
        if let Err(error) = self.mock.inputs.check(skill, &input) {
            return Ok(Called::refused(skill, misfit(skill, error)));
        }
        let now = self.clock.now();
        let mut invocation = self.ids.invocation(now);
        let mut accepted_at = now;
        if let Some(key) = &call.idempotency_key {
            let store = self.world.local.invocations();
            let digest = digest(skill, call, &input);
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
                    return Ok(Called::kept(skill, ended));
                }
                Claim::Mismatch => {
                    let message = "the idempotency key was used with another call";
                    let ended = Ended::failed(FailureKind::IdempotencyMismatch, message);
                    return Ok(Called::refused(skill, ended));
                }
            }
        }
        let called = self
            .invoke(agent, (skill, call), input, invocation, accepted_at)
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
        (skill, call): (&str, &Call),
        input: String,
        invocation: InvocationId,
        accepted_at: Timestamp,
    ) -> Result<Called, String> {
        let deadline = self.deadline(call.deadline.map(|span| span.0));
        let ctx = self.ctx(invocation, deadline).map_err(|e| e.to_string())?;
        let message = call.message.as_ref();
        let message = message.map(|letter| incoming(letter, &self.tenant, invocation));
        let ctx = CallCtx::new(
            ctx.tenant,
            ctx.agent,
            invocation,
            ctx.request,
            accepted_at,
            ctx.deadline,
        );
        let ctx = Arc::new(ctx.answering(message));
        let request = Request {
            skill: skill.to_owned(),
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
        let (reply, parts) = watched(deadline, deadline, both).await;
        let ended = match reply {
            Ok(reply) => {
                let output = serde_json::from_str(&reply.output);
                Ended::Output(output.map_err(|error| error.to_string())?)
            }
            Err(error) => ended(error),
        };
        Ok(Called {
            skill: skill.to_owned(),
            ended,
            kept: false,
            parts,
            logs: self.capture.take(),
            receipt: receipt.receipt.snapshot(),
            jobs: Vec::new(),
        })
    }

    /// Finds where an answer is not what the skill's schema says.
    fn check_output(&self, path: &str, called: &Called, found: &mut Findings) {
        let Ended::Output(output) = &called.ended else {
            return;
        };
        let checked = self.mock.outputs.check(&called.skill, &output.to_string());
        let Err(InputError::Misfits { errors, .. }) = checked else {
            return;
        };
        let mut differences = Differences::new(format!("{path}.output"), found);
        for Misfit { pointer, message } in errors {
            // A message quotes the answer in part, and with it perhaps a part of a secret.
            let message = match self.scenario.secrets.is_empty() {
                true => message,
                false => "something else".to_owned(),
            };
            let skill = &called.skill;
            let wanted = format!("what the output schema of skill {skill} says");
            let got = format!("{message}; make the schema and the type agree");
            differences.add(&pointer, wanted, got);
        }
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
