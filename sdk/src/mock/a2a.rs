//! Messages of a mock host: other agents that a test plays, and what was posted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use stuga_core::a2a::{Message as CoreMessage, Target};

use super::Host;
use super::state::State;
use crate::a2a::Message;
use crate::{Capability, Error, Result};

/// How another agent answers: skill and input to output.
type Answer = Arc<dyn Fn(&str, &Value) -> Result<Value> + Send + Sync>;

/// A message that was posted.
#[derive(Clone, PartialEq, Debug)]
pub struct Posted {
    /// Its id.
    pub id: String,
    /// To whom, as the agent wrote it.
    pub to: String,
    /// Which skill.
    pub skill: String,
    /// The input.
    pub input: Value,
    /// The session.
    pub session: Option<String>,
}

/// Who answers, and what was posted.
#[derive(Default)]
pub(crate) struct Store {
    answers: BTreeMap<String, Answer>,
    posts: Vec<Posted>,
}

impl Host {
    /// Plays the agent at `to`, as the agent under test addresses it: what it answers to a skill and an input.
    #[must_use]
    pub fn answers(
        self,
        to: &str,
        answer: impl Fn(&str, &Value) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        self.state()
            .a2a
            .answers
            .insert(to.to_owned(), Arc::new(answer));
        self
    }

    /// What was posted so far, in order. A mock delivers nothing.
    pub fn posts(&self) -> Vec<Posted> {
        self.state().a2a.posts.clone()
    }
}

fn check(state: &State, operation: &'static str, message: &Message<'_>) -> Result<Value> {
    state.admit(Capability::A2a, operation)?;
    Target::parse(operation, message.to)?;
    let said = CoreMessage {
        skill: message.skill.to_owned(),
        input: message.input.clone(),
        session: message.session.map(str::to_owned),
    };
    said.check(operation)?;
    serde_json::from_str(&message.input)
        .map_err(|e| Error::invalid(format!("the message's input is not JSON: {e}")))
}

/// Who answers a message, and its input.
pub(crate) fn route(
    state: &State,
    operation: &'static str,
    message: &Message<'_>,
) -> Result<(Answer, Value)> {
    let input = check(state, operation, message)?;
    let answer = state.a2a.answers.get(message.to).cloned();
    let answer = answer.ok_or_else(|| {
        let to = message.to;
        Error::not_found(format!(
            "the tenant has no agent \"{to}\"; in a test, play it with Host::answers(\"{to}\", ...)"
        ))
        .with_context("agent", to)
    })?;
    Ok((answer, input))
}

pub(crate) fn answer(message: &Message<'_>, answer: Answer, input: &Value) -> Result<String> {
    Ok(answer(message.skill, input)?.to_string())
}

pub(crate) fn post(state: &mut State, message: &Message<'_>) -> Result<String> {
    let input = check(state, "a2a.post", message)?;
    let number = state.a2a.posts.len();
    let id = format!("{:032x}-{number}", state.invocations);
    state.a2a.posts.push(Posted {
        id: id.clone(),
        to: message.to.to_owned(),
        skill: message.skill.to_owned(),
        input,
        session: message.session.map(str::to_owned),
    });
    Ok(id)
}
