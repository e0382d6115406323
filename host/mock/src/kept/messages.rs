//! What the agent wrote to others.

use serde_json::Value;

use crate::compare::{Differences, Findings, shown};
use crate::outbox::Said;
use crate::scenario::ExpectMessage;

/// Compares all messages of one way, `sent` or `posted`, in their order.
pub(super) fn look(
    way: &str,
    expected: Option<&[ExpectMessage]>,
    said: &[Said],
    found: &mut Findings,
) {
    let Some(expected) = expected else { return };
    for at in 0..expected.len().max(said.len()) {
        let mut differences = Differences::new(format!("{way}[{at}]"), found);
        match (expected.get(at), said.get(at)) {
            (Some(expected), Some(said)) => compare(expected, said, &mut differences),
            (Some(expected), None) => {
                differences.add("", format!("a message to {}", expected.to), "nothing");
            }
            (None, Some(said)) => differences.add("", "nothing", text(said)),
            (None, None) => {}
        }
    }
}

fn compare(expected: &ExpectMessage, said: &Said, differences: &mut Differences<'_>) {
    if expected.to != said.to {
        return differences.add(".to", &expected.to, text(said));
    }
    let message = &said.message;
    if let Some(skill) = expected.skill.as_ref().filter(|s| **s != message.skill) {
        differences.add(".skill", skill, &message.skill);
    }
    let input: Value = serde_json::from_str(&message.input).unwrap_or_default();
    if let Some(wanted) = &expected.input {
        differences.equal(".input", wanted, &input);
    }
    if let Some(wanted) = &expected.contains {
        differences.contains(".input", wanted, &input);
    }
    if let Some(wanted) = &expected.session
        && message.session.as_ref() != Some(wanted)
    {
        let session = message.session.as_deref().unwrap_or("none");
        differences.add(".session", wanted, session);
    }
}

fn text(said: &Said) -> String {
    let input: Value = serde_json::from_str(&said.message.input).unwrap_or_default();
    format!(
        "{} of {} with {}",
        said.message.skill,
        said.to,
        shown(&input)
    )
}
