//! `a2a` of the real host.

use std::time::Duration;

use super::{Result, host::a2a as wit};
use crate::a2a::Message;

fn message(message: &Message<'_>) -> wit::Message {
    wit::Message {
        skill: message.skill.to_owned(),
        input: message.input.clone(),
        session: message.session.map(str::to_owned),
    }
}

pub(crate) fn send(said: &Message<'_>, deadline: Option<Duration>) -> Result<String> {
    let deadline = deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    Ok(wit::send(said.to, &message(said), deadline)?)
}

pub(crate) fn post(said: &Message<'_>) -> Result<String> {
    Ok(wit::post(said.to, &message(said))?)
}
