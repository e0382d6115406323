//! A scenario that is a recording: the agent is given what it was given, and the tape answers in the backends' place.
//!
//! Everything must come to the byte: what the agent asks of the host, in its order, what it emits and logs, and its answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stuga_core::tape::Tape;
use stuga_core::{CallCtx, RequestId};
use stuga_recording::{Asked, Difference, Failure, Json, Line, Player, Recording};
use stuga_runtime::{Agent, AgentSettings, InstanceMode, JobCheck, Limits, LoadError, Request};
use tokio::time::Instant;

use super::{START_PATIENCE, Stage, ended};
use crate::LogLine;
use crate::compare::{Differences, Findings};
use crate::report::{Called, Ended, Run};
use crate::scenario::LogLevel;
use crate::watch::watched;

/// Deepest JSON within texts that a difference is looked for in.
const NESTED_MAX: usize = 4;

/// What came of a run.
struct Outcome {
    /// The answer as it was written.
    output: Option<String>,
    ended: Ended,
    parts: Vec<Json>,
    logs: Vec<Line>,
}

impl Stage {
    /// Runs a recording.
    pub(super) async fn replay(&self, recording: &Recording, run: &mut Run) {
        let agent = self.agent();
        if agent != recording.agent {
            return run.fail("agent", recording.agent.to_string(), agent.to_string());
        }
        let agent = match self.deploy_recorded(recording).await {
            Ok(agent) => agent,
            Err(error) => return run.fail("agent", "an agent that starts", error.to_string()),
        };
        let player = Arc::new(Player::new(recording));
        let outcome = self.perform(&agent, recording, &player).await;
        // A recording holds no secrets, so that nothing is to be kept out of the report.
        let mut found = Findings::default();
        let difference = player.difference();
        let is_lost = difference.as_ref().is_some_and(|d| d.asked.is_some());
        if let Some(difference) = difference {
            explain(&difference, &mut found);
        }
        // Nothing that comes after another question can be compared.
        if !is_lost {
            compare(recording, &outcome, &mut found);
        }
        run.mismatches.extend(found.mismatches);
        run.calls.push(Called {
            skill: recording.skill.clone(),
            ended: outcome.ended,
            kept: false,
            parts: outcome.parts.iter().map(Json::value).collect(),
            logs: outcome.logs.iter().map(log_line).collect(),
            receipt: Vec::new(),
            jobs: Vec::new(),
        });
        run.conclude();
    }

    /// The agent with what its tenant gave it then.
    async fn deploy_recorded(&self, recording: &Recording) -> Result<Agent, LoadError> {
        let jobs = Arc::clone(&self.mock.jobs);
        let config = recording.config.iter();
        let settings = AgentSettings {
            tenant: self.tenant.clone(),
            agent: recording.agent.clone(),
            grants: recording.grants.iter().copied().collect(),
            config: config
                .map(|(name, value)| (name.clone(), value.get().to_owned()))
                .collect(),
            secrets: recording.secrets.clone(),
            limits: Limits {
                memory_bytes: recording.limits.memory_bytes,
                deadline: told(recording),
                output_bytes: usize::try_from(recording.limits.output_bytes).unwrap_or(usize::MAX),
                waiting: 0,
            },
            instance: InstanceMode::Warm,
            max_instances: 1,
            max_invocations: u64::MAX,
            idle: Duration::MAX,
            job_check: JobCheck::new(move |kind, input| jobs.check(kind, input)),
        };
        let plugin = Arc::clone(&self.mock.plugin);
        let capabilities = self.world.capabilities();
        let deploy = self.mock.runtime.deploy(plugin, settings, capabilities);
        watched(START_PATIENCE, START_PATIENCE, deploy).await
    }

    async fn perform(&self, agent: &Agent, recording: &Recording, player: &Arc<Player>) -> Outcome {
        let tape = Arc::clone(player) as Arc<dyn Tape>;
        let ctx = CallCtx::new(
            self.tenant.clone(),
            recording.agent.clone(),
            recording.invocation,
            RequestId::from_uuid(*recording.invocation.as_uuid()),
            recording.accepted_at,
            Instant::now() + told(recording),
        );
        let ctx = ctx.answering(recording.message.clone()).taped(Some(tape));
        let request = Request {
            skill: recording.skill.clone(),
            input: recording.input.get().to_owned(),
            session: recording.session.clone(),
        };
        let invoked = agent.invoke(Arc::new(ctx), request, None);
        let reply = watched(told(recording), told(recording), invoked).await;
        let (output, ended) = match reply {
            Ok(reply) => {
                let value = serde_json::from_str(&reply.output).unwrap_or_default();
                (Some(reply.output), Ended::Output(value))
            }
            Err(error) => (None, ended(error)),
        };
        let (parts, logs) = player.heard();
        Outcome {
            output,
            ended,
            parts,
            logs,
        }
    }
}

/// How long the agent was told it has.
fn told(recording: &Recording) -> Duration {
    Duration::from_millis(recording.deadline_ms.max(1))
}

/// Says where the agent asked for something else.
fn explain(difference: &Difference, found: &mut Findings) {
    let Difference {
        call,
        recorded,
        asked,
    } = difference;
    let at = format!("call {call} of the host");
    match (recorded, asked) {
        (Some(recorded), Some(asked)) if recorded.operation == asked.operation => {
            let at = format!("{at}, {}, its arguments", asked.operation);
            let (wanted, got) = (opened(&recorded.asked, 0), opened(&asked.asked, 0));
            Differences::new(at, found).equal("", &wanted, &got);
        }
        (recorded, asked) => {
            let wanted = match recorded {
                Some(recorded) => format!("{}, as recorded", shown(recorded)),
                None => "no more calls: the recording has none".to_owned(),
            };
            let got = asked
                .as_ref()
                .map_or_else(|| "the end of the call of the skill".to_owned(), shown);
            Differences::new(at, found).add("", wanted, got);
        }
    }
}

fn shown(asked: &Asked) -> String {
    asked.to_string()
}

/// A value whose texts are opened when they are JSON, so that a difference is named by its place within them.
fn opened(value: &Value, nested: usize) -> Value {
    match value {
        Value::String(text) if nested < NESTED_MAX && text.starts_with(['{', '[']) => {
            let Ok(inner) = serde_json::from_str::<Value>(text) else {
                return value.clone();
            };
            let plain = inner.to_string();
            let inner = opened(&inner, nested + 1);
            // What is written in another way stays visible beside what it says.
            if plain == *text {
                inner
            } else {
                json!([text, inner])
            }
        }
        Value::Array(items) => items.iter().map(|item| opened(item, nested)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let opened = fields.map(|(name, field)| (name.clone(), opened(field, nested)));
            Value::Object(opened.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn compare(recording: &Recording, outcome: &Outcome, found: &mut Findings) {
    match (&recording.output, &outcome.output) {
        (Some(wanted), Some(got)) => bytes("output", wanted.get(), got, found),
        (Some(wanted), None) => {
            let wanted = format!("the output {}", wanted.get());
            Differences::new("output", found).add("", wanted, outcome.ended.to_string());
        }
        (None, _) => failure(recording.failure.as_ref(), &outcome.ended, found),
    }
    for at in 0..recording.parts.len().max(outcome.parts.len()) {
        let (wanted, got) = (recording.parts.get(at), outcome.parts.get(at));
        let path = format!("parts[{at}]");
        match (wanted, got) {
            (Some(wanted), Some(got)) => bytes(&path, wanted.get(), got.get(), found),
            (wanted, got) => {
                let text = |json: Option<&Json>| json.map_or("nothing", Json::get).to_owned();
                Differences::new(path, found).add("", text(wanted), text(got));
                break;
            }
        }
    }
    for at in 0..recording.logs.len().max(outcome.logs.len()) {
        let (wanted, got) = (recording.logs.get(at), outcome.logs.get(at));
        if wanted != got {
            let text = |line: Option<&Line>| line.map_or_else(|| "no line".to_owned(), written);
            let mut differences = Differences::new(format!("logs[{at}]"), found);
            differences.add("", text(wanted), text(got));
            break;
        }
    }
}

/// Compares JSON to the byte, and says where it differs in its own terms.
fn bytes(at: &str, wanted: &str, got: &str, found: &mut Findings) {
    if wanted == got {
        return;
    }
    let before = found.mismatches.len();
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    Differences::new(at, found).equal("", &value(wanted), &value(got));
    if found.mismatches.len() == before {
        let same = wanted.bytes().zip(got.bytes()).take_while(|(a, b)| a == b);
        let place = same.count();
        let near = |text: &str| {
            let from = text.floor_char_boundary(place.saturating_sub(20));
            text.get(from..).unwrap_or_default().to_owned()
        };
        let got = format!(
            "the same JSON in other bytes, from byte {place}: {}",
            near(got)
        );
        Differences::new(at, found).add("", near(wanted), got);
    }
}

fn failure(wanted: Option<&Failure>, got: &Ended, found: &mut Findings) {
    let wanted_text = wanted.map_or_else(
        || "an end".to_owned(),
        |wanted| format!("the error {}: {}", wanted.kind, wanted.message),
    );
    let fits = match (wanted, got) {
        (
            Some(wanted),
            Ended::Failed {
                kind,
                message,
                context,
            },
        ) => {
            let word = serde_json::to_value(kind).unwrap_or_default();
            // What the host says of an end by its own hand is its own business.
            let same =
                kind.is_hosts() || (*message == wanted.message && *context == wanted.context);
            word == wanted.kind.as_str() && same
        }
        _ => false,
    };
    if !fits {
        Differences::new("error", found).add("", wanted_text, got.to_string());
    }
}

fn written(line: &Line) -> String {
    let Line {
        level,
        message,
        fields,
    } = line;
    format!("{level} {message:?} {fields}")
        .trim_end()
        .to_owned()
}

fn log_line(line: &Line) -> LogLine {
    LogLine {
        level: match line.level.as_str() {
            "trace" => LogLevel::Trace,
            "debug" => LogLevel::Debug,
            "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        },
        message: line.message.clone(),
        fields: line.fields.clone(),
    }
}
