//! One client: it does one thing at a time, and tries again under the same Idempotency-Key until it knows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::history::{Event, Recorder};
use crate::site::AGENT;
use crate::words::{Action, Outcome, Served, Thing, outcome, request};

/// Longest wait for one answer: above every deadline of a host.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// How long a client tries before it gives up.
const PATIENCE: Duration = Duration::from_secs(180);
/// Wait before another attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// What the type of every problem begins with.
const PROBLEM: &str = "urn:stuga:problem:";
/// Most characters of an error that a history keeps.
const DETAIL_CHARS: usize = 240;

/// One client of one tenant.
pub struct Client {
    http: reqwest::Client,
    recorder: Arc<Recorder>,
    url: String,
    key: String,
    tenant: String,
    id: u32,
    host: u32,
    /// What tells the keys of this run from those of all others.
    run: String,
}

/// What came of one attempt.
enum Attempt {
    Answered(Outcome, Option<Served>),
    /// No answer, or one that may change when it is asked for again.
    Failed {
        status: Option<u16>,
        why: String,
        detail: String,
    },
}

impl Client {
    /// A client of `tenant` at the host's address. `run` is unique among all runs on this host.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        recorder: Arc<Recorder>,
        address: SocketAddr,
        key: &str,
        tenant: &str,
        id: u32,
        run: &str,
    ) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_PATIENCE)
            .build()
            .context("no HTTP client can be made")?;
        Ok(Self {
            http,
            recorder,
            url: format!("http://{address}/v1/tenants/{tenant}/agents/{AGENT}/invoke"),
            key: key.to_owned(),
            tenant: tenant.to_owned(),
            id,
            host: 0,
            run: run.to_owned(),
        })
    }

    /// The same, as a client of this host among several.
    #[must_use]
    pub fn of_host(self, host: u32) -> Self {
        Self { host, ..self }
    }

    /// Its number among the clients of its tenant.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The history that it writes.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Does something, notes it, and says how it ended. `number` is new, from the recorder.
    pub async fn perform(&self, number: u64, thing: &Thing, action: Action) -> Outcome {
        self.recorder.note(Event::Begin {
            op: number,
            at: self.recorder.now(),
            client: self.id,
            host: self.host,
            thing: thing.clone(),
            action: action.clone(),
        });
        let until = Instant::now() + PATIENCE;
        loop {
            let began = self.recorder.now();
            match self.attempt(number, thing, &action).await {
                Attempt::Answered(outcome, served) => {
                    self.end(number, began, outcome.clone(), served);
                    return outcome;
                }
                Attempt::Failed {
                    status,
                    why,
                    detail,
                } => {
                    self.recorder.note(Event::Trouble {
                        op: number,
                        began,
                        at: self.recorder.now(),
                        status,
                        why: why.clone(),
                        detail,
                    });
                    if Instant::now() >= until || is_final(status, &why) {
                        let outcome = Outcome::Unknown(why);
                        self.end(number, began, outcome.clone(), None);
                        return outcome;
                    }
                }
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Reads something once, without a trace in the history.
    ///
    /// # Errors
    /// When it is not answered.
    pub async fn look(&self, skill: &str, input: Value) -> Result<Value> {
        let body = json!({"skill": skill, "input": input}).to_string();
        let sent = self.http.post(&self.url).bearer_auth(&self.key).body(body);
        let answer = sent.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(
            status.is_success(),
            "{skill} was answered with {status}: {text}"
        );
        let answer: Value = serde_json::from_str(&text).context("the answer is not JSON")?;
        answer.get("output").cloned().context("no output")
    }

    /// Reads a thing once, without a trace in the history.
    ///
    /// # Errors
    /// When it is not answered.
    pub async fn read(&self, thing: &Thing) -> Result<Outcome> {
        let (skill, input) = request(thing, &Action::Read).context("nothing reads that")?;
        let output = self.look(skill, input).await;
        let output = output.with_context(|| format!("{thing} cannot be read"))?;
        outcome(thing, &Action::Read, &output).context("the answer does not fit")
    }

    fn end(&self, op: u64, began: u64, outcome: Outcome, served: Option<Served>) {
        self.recorder.note(Event::End {
            op,
            at: self.recorder.now(),
            began,
            outcome,
            served,
        });
    }

    async fn attempt(&self, number: u64, thing: &Thing, action: &Action) -> Attempt {
        let Some((skill, input)) = request(thing, action) else {
            return Attempt::failed(None, "no skill does that", "");
        };
        let body = json!({"skill": skill, "input": input}).to_string();
        let mut sent = self.http.post(&self.url).bearer_auth(&self.key).body(body);
        if *action != Action::Read {
            sent = sent.header("Idempotency-Key", format!("{}-{number}", self.run));
        }
        let answer = match sent.send().await {
            Ok(answer) => answer,
            Err(error) => return Attempt::failed(None, "no answer", &causes(&error)),
        };
        let status = answer.status();
        let text = match answer.text().await {
            Ok(text) => text,
            Err(error) => return Attempt::failed(None, "half an answer", &causes(&error)),
        };
        let Ok(answer) = serde_json::from_str::<Value>(&text) else {
            return Attempt::failed(Some(status), "an answer that is not JSON", &text);
        };
        if status.is_success() {
            let output = answer.get("output").unwrap_or(&Value::Null);
            return match outcome(thing, action, output) {
                Some(outcome) => Attempt::Answered(outcome, served(thing, &answer)),
                None => Attempt::failed(Some(status), "an answer that does not fit", &text),
            };
        }
        let kind = answer.get("type").and_then(Value::as_str);
        let kind = kind
            .and_then(|kind| kind.strip_prefix(PROBLEM))
            .unwrap_or("no problem");
        if kind == "conflict" && action.is_conditional() {
            return Attempt::Answered(Outcome::Conflict, None);
        }
        Attempt::failed(Some(status), kind, &text)
    }
}

impl Attempt {
    fn failed(status: Option<StatusCode>, why: &str, detail: &str) -> Self {
        Self::Failed {
            status: status.map(|status| status.as_u16()),
            why: why.to_owned(),
            detail: detail.chars().take(DETAIL_CHARS).collect(),
        }
    }
}

/// Whether the same request would be refused again.
fn is_final(status: Option<u16>, why: &str) -> bool {
    let refused = matches!(status, Some(400..=499)) && status != Some(429);
    refused && why != "idempotency-in-progress"
}

/// What the receipt says of the thing's capability.
fn served(thing: &Thing, answer: &Value) -> Option<Served> {
    let uses = answer.pointer("/receipt/capabilities")?.as_array()?;
    let name = thing.store.name();
    let used = uses
        .iter()
        .find(|used| used.get("capability").and_then(Value::as_str) == Some(name))?;
    let breaker = used.get("breaker").and_then(Value::as_str);
    Some(Served {
        local: used.get("backend")?.as_str()? == "local",
        breaker: breaker.map(str::to_owned),
        pending: used.get("pending").and_then(Value::as_u64) > Some(0),
    })
}

/// An error and what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
