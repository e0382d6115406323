//! Other agents, which say what the scenario says.
//!
//! Who may be written to is decided as on a host, in its words; the agents that the scenario names are the ones there are,
//! and the files of both tenants allow what it names of other tenants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use stuga_core::a2a::{Address, Exchange, Message, Target};
use stuga_core::{AgentName, CallCtx, Error, Result, TenantId, WriteId};
use tokio::time::{Instant, sleep, sleep_until};

use crate::compare::includes;
use crate::faults::{Effect, Faults};
use crate::outbox::Outbox;
use crate::scenario::OtherAgent;

/// The exchange of a scenario.
pub(crate) struct Neighbours {
    own: (TenantId, AgentName),
    answers: Vec<(Address, OtherAgent)>,
    /// How often each answer was given, and which one a message got: a repeated message gets the same.
    given: Mutex<Given>,
    faults: Arc<Faults>,
    outbox: Arc<Outbox>,
}

#[derive(Default)]
struct Given {
    counts: BTreeMap<usize, u64>,
    to: BTreeMap<WriteId, Option<usize>>,
}

impl Neighbours {
    /// The agents of a scenario around the one under test.
    ///
    /// # Errors
    /// `Invalid` when an address is none.
    pub(crate) fn new(
        own: (TenantId, AgentName),
        agents: &[OtherAgent],
        faults: Arc<Faults>,
        outbox: Arc<Outbox>,
    ) -> Result<Self> {
        let address = |other: &OtherAgent| {
            let target = Target::parse("mock.agents", &other.agent)?;
            let address = Address {
                tenant: target.tenant.unwrap_or_else(|| own.0.clone()),
                agent: target.agent,
            };
            Ok((address, other.clone()))
        };
        Ok(Self {
            answers: agents.iter().map(address).collect::<Result<_>>()?,
            own,
            given: Mutex::default(),
            faults,
            outbox,
        })
    }

    /// The first answer that fits and may still be given; the same one when the message is repeated.
    fn choose(&self, id: WriteId, to: &Address, message: &Message) -> Option<&OtherAgent> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = match given.to.get(&id) {
            Some(chosen) => *chosen,
            None => {
                let input: Value = serde_json::from_str(&message.input).unwrap_or_default();
                let mut answers = self.answers.iter().enumerate();
                let chosen = answers.find(|(at, (address, other))| {
                    let count = given.counts.get(at).copied().unwrap_or_default();
                    let is_asked = other.skill.as_ref().is_none_or(|s| *s == message.skill);
                    address == to
                        && is_asked
                        && (other.answer.is_some() || other.error.is_some())
                        && other
                            .when
                            .as_ref()
                            .is_none_or(|part| includes(part, &input))
                        && other.times.is_none_or(|times| count < times)
                });
                let chosen = chosen.map(|(at, _)| at);
                given.to.insert(id, chosen);
                if let Some(at) = chosen {
                    *given.counts.entry(at).or_default() += 1;
                }
                chosen
            }
        };
        self.answers.get(chosen?).map(|(_, other)| other)
    }
}

#[async_trait]
impl Exchange for Neighbours {
    fn route(&self, ctx: &CallCtx, operation: &'static str, to: &Target) -> Result<Address> {
        let address = Address {
            tenant: to.tenant.clone().unwrap_or_else(|| ctx.tenant.clone()),
            agent: to.agent.clone(),
        };
        let is_own = address.tenant == self.own.0 && address.agent == self.own.1;
        if is_own || self.answers.iter().any(|(known, _)| *known == address) {
            return Ok(address);
        }
        let agent = address.agent.as_str();
        if address.tenant != ctx.tenant {
            let why = format!(
                "messages to {address} are not allowed; both tenants' files must: `a2a.to` of {}, `a2a.from` of the other (in a scenario, name it in `agents`)",
                ctx.tenant
            );
            return Err(Error::denied(operation, why).with_context("agent", address));
        }
        let why = format!(
            "the tenant has no agent {agent:?}; in a scenario, name it in `agents` with what it answers"
        );
        Err(Error::not_found(operation, why).with_context("agent", agent))
    }

    async fn send(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        to: &Address,
        message: Message,
        deadline: Instant,
    ) -> Result<String> {
        const OPERATION: &str = "a2a.send";
        let struck = self.faults.strike(ctx, OPERATION).await;
        if let Some(Effect { error, landed }) = struck {
            if landed {
                // It arrived; only the answer is lost.
                self.say(ctx, id, to, &message);
            }
            return Err(error);
        }
        let agent = to.seen_from(&ctx.tenant);
        let Some(other) = self.say(ctx, id, to, &message) else {
            return Err(Error::unavailable(
                OPERATION,
                format!("no answer of {agent} under `agents` in the scenario fits this message, or all that fit were given"),
            )
            .with_context("agent", agent));
        };
        if let Some(delay) = other.delay {
            if Instant::now() + delay.0 >= deadline {
                // An answer at the end of the call would race with it: there is none.
                if deadline >= ctx.deadline {
                    std::future::pending::<()>().await;
                }
                sleep_until(deadline).await;
                let why = format!(
                    "the agent {agent} did not answer in time; what it did until then stands"
                );
                return Err(Error::timeout(OPERATION, why).with_context("agent", agent));
            }
            sleep(delay.0).await;
        }
        match (&other.answer, &other.error) {
            (_, Some(failed)) => {
                let error = Error::new(failed.kind, OPERATION, failed.message.clone());
                let facts = failed.context.iter();
                let error = facts.fold(error, |error, (name, value)| {
                    error.with_context(name.clone(), value)
                });
                Err(match failed.retry_after {
                    Some(after) => error.with_retry_after(after.0),
                    None => error,
                })
            }
            (answer, None) => Ok(answer.clone().unwrap_or_default().to_string()),
        }
    }
}

impl Neighbours {
    /// Notes a message that arrives, and what is answered.
    fn say(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        to: &Address,
        message: &Message,
    ) -> Option<&OtherAgent> {
        self.outbox.send(id, to.seen_from(&ctx.tenant), message);
        self.choose(id, to, message)
    }
}
