//! Which errors a client may meet: those of a host that is down or on its way, that its first attempt goes on, that a
//! conditional write may have landed in a cloud that did not answer, and that a host does not find without the cloud a session
//! into which only other hosts wrote. No others.

mod apart;

use std::collections::{HashMap, HashSet};

use self::apart::Apart;
use super::{Rule, Violation};
use crate::history::Event;
use crate::words::{Action, Outcome};

/// A problem that only tells that the first attempt goes on.
const IN_PROGRESS: &str = "idempotency-in-progress";

/// A problem that tells that nobody answered in time.
const TIMEOUT: &str = "timeout";
/// What the host says when the cloud kept silent about a write whose condition does not hold here: docs/failover.md.
const UNSURE: &str = "may have landed";

/// All errors that the rules forbid.
pub(super) fn judge(history: &[Event]) -> Vec<Violation> {
    let mut violations = Vec::new();
    visit(history, |op, words, forgiven| {
        if !forgiven {
            violations.push(Violation {
                rule: Rule::Error,
                thing: None,
                ops: vec![op],
                words,
            });
        }
    });
    violations
}

/// How many errors are forgiven.
pub(super) fn forgiven(history: &[Event]) -> u64 {
    let mut count = 0;
    visit(history, |_, _, forgiven| count += u64::from(forgiven));
    count
}

/// Calls `each` with the operation, the words, and whether it is forgiven.
fn visit(history: &[Event], mut each: impl FnMut(u64, String, bool)) {
    let downs = downs(history);
    let apart = Apart::of(history);
    let begun: HashMap<u64, (u32, &Action)> = history
        .iter()
        .filter_map(|event| match event {
            Event::Begin {
                op, host, action, ..
            } => Some((*op, (*host, action))),
            _ => None,
        })
        .collect();
    let is_down = |op: &u64, from: u64, to: u64| {
        let host = begun.get(op).map_or(0, |(host, _)| *host);
        let of_host = downs.iter().filter(|(other, _, _)| *other == host);
        of_host
            .into_iter()
            .any(|(_, down, up)| *down <= to && from <= *up)
    };
    // Operations of which an attempt may still go on in the host.
    let mut lost: HashSet<u64> = HashSet::new();
    // Operations whose client was told, as it may be, that this host has no such session, and gave up.
    let mut unknown_here: HashSet<u64> = HashSet::new();
    for event in history {
        match event {
            Event::Trouble {
                op,
                began,
                at,
                status,
                why,
                detail,
            } => {
                let goes_on = why.ends_with(IN_PROGRESS) && lost.contains(op);
                let conditional = begun
                    .get(op)
                    .is_some_and(|(_, action)| action.is_conditional());
                let unsure = conditional && why == TIMEOUT && detail.contains(UNSURE);
                let unknown = apart.explains(event);
                let forgiven = is_down(op, *began, *at) || goes_on || unsure || unknown;
                if unknown {
                    unknown_here.insert(*op);
                }
                if status.is_none() {
                    lost.insert(*op);
                }
                let status = status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
                let millis = at.saturating_sub(*began) / 1_000;
                let words = format!("{status} {why} after {millis} ms: {detail}");
                each(*op, words, forgiven);
            }
            Event::End {
                op,
                outcome: Outcome::Unknown(why),
                ..
            } if !(why == apart::NOT_FOUND && unknown_here.contains(op)) => {
                each(*op, format!("the client gave up: {why}"), false);
            }
            _ => {}
        }
    }
}

/// When which host was down: from its end to its start.
fn downs(history: &[Event]) -> Vec<(u32, u64, u64)> {
    let mut downs = Vec::new();
    let mut since: HashMap<u32, u64> = HashMap::new();
    for event in history {
        match event {
            Event::Host {
                at,
                host,
                up: false,
            } => {
                since.entry(*host).or_insert(*at);
            }
            Event::Host { at, host, up: true } => {
                if let Some(down) = since.remove(host) {
                    downs.push((*host, down, *at));
                }
            }
            _ => {}
        }
    }
    downs.extend(since.into_iter().map(|(host, down)| (host, down, u64::MAX)));
    downs
}
