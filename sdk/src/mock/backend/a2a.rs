//! `a2a` of the mock host.

use std::time::Duration;

use super::with;
use crate::Result;
use crate::a2a::Message;
use crate::mock::a2a as store;

/// A mock answers at once, so nobody asks for the deadline.
pub(crate) fn send(message: &Message<'_>, _: Option<Duration>) -> Result<String> {
    let (answer, input) = with(|state| store::route(state, "a2a.send", message))?;
    // Outside of the host's state: the agent that a test plays may use it as well.
    store::answer(message, answer, &input)
}

pub(crate) fn post(message: &Message<'_>) -> Result<String> {
    with(|state| store::post(state, message))
}
