//! Judges a history by what the host promises.
//!
//! The rules, each a [`Rule`]: what is acknowledged stands in the cloud in the end, once and with its latest value (the larger
//! version wins); who reads after an acknowledgement sees it, or something later; versions only grow; a compare-and-set
//! replaces what it expected; a log keeps the order of what did not overlap; nobody sees what is another tenant's or
//! what nobody wrote; and no client is told of an error while the host itself is up.
//!
//! What was not acknowledged may have happened or not. Times are those of the clients, so what overlapped has no order.
//! With several hosts each client works through one of them, and what one host promises at once holds among the clients of
//! that host: what another host wrote may show later, and may be set between by its version (docs/adr/0042).

mod errors;
mod log;
mod register;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::history::Event;
use crate::words::{Action, Mark, Outcome, Store, Thing};

/// What was broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// An acknowledged write does not stand in the cloud, nor anything later.
    Lost,
    /// One write stands twice.
    Doubled,
    /// A client did not see its own acknowledged write.
    OwnWrite,
    /// A client did not see what another one had acknowledged before.
    Stale,
    /// A log has what came later before what came earlier.
    Order,
    /// A version did not grow, or a write stands under another version than was acknowledged.
    Version,
    /// A compare-and-set replaced something else than it expected.
    Cas,
    /// A compare-and-set was refused though what it expected stood.
    FalseConflict,
    /// A tenant saw what is another one's.
    Crossed,
    /// Something stands that nobody wrote, not yet, or that was refused.
    Phantom,
    /// A client was told of an error that the rules forbid.
    Error,
    /// What was acknowledged was not looked for in the cloud: the check is not complete.
    Unread,
}

/// One break of a rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// Of what; none when it concerns no single thing.
    pub thing: Option<Thing>,
    /// The operations that show it.
    pub ops: Vec<u64>,
    /// In plain words.
    pub words: String,
}

/// What a history holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Operations that clients began.
    pub operations: u64,
    /// Writes, removals and appends that were acknowledged.
    pub acknowledged: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Compare-and-sets that were refused.
    pub conflicts: u64,
    /// Operations whose client gave up.
    pub unknown: u64,
    /// Attempts that failed in a way that the rules allow, and were made again: nearly all because the host was down.
    pub retried: u64,
    /// Answers that this host gave and not the cloud.
    pub local: u64,
    /// Writes that were acknowledged while they waited for the cloud.
    pub pending: u64,
}

impl Counted {
    /// Takes in what another history holds.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.acknowledged += other.acknowledged;
        self.reads += other.reads;
        self.conflicts += other.conflicts;
        self.unknown += other.unknown;
        self.retried += other.retried;
        self.local += other.local;
        self.pending += other.pending;
    }
}

/// The judgement.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// What there was to judge.
    pub counted: Counted,
    /// What was broken; empty when all rules held.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// How often a rule was broken.
    pub fn count(&self, rule: Rule) -> usize {
        self.violations.iter().filter(|v| v.rule == rule).count()
    }
}

/// One operation.
#[derive(Clone, Copy)]
struct Op<'h> {
    number: u64,
    client: u32,
    host: u32,
    action: &'h Action,
    begin: u64,
    /// None when nobody knows whether it ended.
    end: Option<u64>,
    outcome: Option<&'h Outcome>,
}

impl Op<'_> {
    /// When it was acknowledged; none when it was not.
    fn acked(&self) -> Option<u64> {
        match self.outcome? {
            Outcome::Written(_) | Outcome::Deleted { .. } => self.end,
            _ => None,
        }
    }

    /// Whether it certainly did not happen.
    fn refused(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Conflict))
    }

    fn version(&self) -> Option<u64> {
        match self.outcome? {
            Outcome::Written(version) => Some(*version),
            _ => None,
        }
    }
}

/// What the second host read.
#[derive(Clone, Copy)]
struct Last<'h> {
    outcome: &'h Outcome,
    versions: &'h [(u64, String)],
    unreadable: &'h [(u64, String)],
}

/// Someone's reading, be it a client's or the last one.
#[derive(Clone, Copy)]
struct Reading {
    begin: u64,
    end: u64,
    /// None for the last one.
    reader: Option<Reader>,
}

#[derive(Clone, Copy)]
struct Reader {
    client: u32,
    host: u32,
    number: u64,
}

impl Reading {
    const LAST: Self = Self {
        begin: u64::MAX,
        end: u64::MAX,
        reader: None,
    };

    fn of(op: &Op<'_>, end: u64) -> Self {
        Self {
            begin: op.begin,
            end,
            reader: Some(Reader {
                client: op.client,
                host: op.host,
                number: op.number,
            }),
        }
    }

    /// Whether it must show what this operation did.
    fn must_show(&self, op: &Op<'_>) -> bool {
        let acked = op.acked().is_some_and(|acked| acked < self.begin);
        acked && self.reader.is_none_or(|reader| reader.host == op.host)
    }

    /// The rule that is broken when this reading does not show what `op` did.
    fn missed(&self, op: &Op<'_>) -> Rule {
        match self.reader {
            None => Rule::Lost,
            Some(reader) if reader.client == op.client => Rule::OwnWrite,
            Some(_) => Rule::Stale,
        }
    }

    fn ops(&self, others: &[u64]) -> Vec<u64> {
        let own = self.reader.iter().map(|reader| reader.number);
        own.chain(others.iter().copied()).collect()
    }
}

/// Collects violations of one thing.
struct Judge<'h> {
    thing: &'h Thing,
    violations: Vec<Violation>,
}

impl Judge<'_> {
    fn broken(&mut self, rule: Rule, ops: Vec<u64>, words: impl Into<String>) {
        self.violations.push(Violation {
            rule,
            thing: Some(self.thing.clone()),
            ops,
            words: words.into(),
        });
    }

    /// Judges a value that no operation on this thing wrote.
    fn stranger(&mut self, value: &str, reading: &Reading) {
        let ops = reading.ops(&[]);
        match Mark::of(value) {
            Some(mark) if mark.tenant != self.thing.tenant => {
                let whose = mark.tenant;
                let words = format!("operation {} of tenant {whose} shows here", mark.number);
                self.broken(Rule::Crossed, ops, words);
            }
            Some(mark) => {
                let words = format!("operation {} was not on this", mark.number);
                self.broken(Rule::Phantom, ops, words);
            }
            None => self.broken(Rule::Phantom, ops, "a value that no client writes"),
        }
    }
}

/// Judges a history.
pub fn check(history: &[Event]) -> Verdict {
    let mut things: BTreeMap<&Thing, Vec<Op<'_>>> = BTreeMap::new();
    let mut last: HashMap<&Thing, Last<'_>> = HashMap::new();
    let mut ends: HashMap<u64, (u64, &Outcome)> = HashMap::new();
    for event in history {
        match event {
            Event::End {
                op, at, outcome, ..
            } => {
                ends.insert(*op, (*at, outcome));
            }
            Event::Final {
                thing,
                outcome,
                versions,
                unreadable,
            } => {
                let read = Last {
                    outcome,
                    versions,
                    unreadable,
                };
                last.insert(thing, read);
            }
            _ => {}
        }
    }
    for event in history {
        if let Event::Begin {
            op,
            at,
            client,
            host,
            thing,
            action,
        } = event
        {
            let ended = ends.get(op);
            // Whoever gave up does not know when it happens, if it does.
            let known = ended.filter(|(_, outcome)| !matches!(outcome, Outcome::Unknown(_)));
            things.entry(thing).or_default().push(Op {
                number: *op,
                client: *client,
                host: *host,
                action,
                begin: *at,
                end: known.map(|(at, _)| *at),
                outcome: known.map(|(_, outcome)| *outcome),
            });
        }
    }
    let mut verdict = Verdict {
        counted: count(history),
        violations: errors::judge(history),
    };
    verdict.counted.retried = errors::forgiven(history);
    for (thing, ops) in &things {
        let mut judge = Judge {
            thing,
            violations: Vec::new(),
        };
        let last = last.get(thing).copied();
        if last.is_none() && ops.iter().any(|op| op.acked().is_some()) {
            judge.broken(
                Rule::Unread,
                Vec::new(),
                "nobody looked for it in the cloud",
            );
        }
        if let Some(Last {
            outcome: Outcome::Unknown(why),
            ..
        }) = last
        {
            judge.broken(Rule::Lost, Vec::new(), format!("it cannot be read: {why}"));
        }
        match thing.store {
            Store::Sessions => log::judge(&mut judge, ops, last),
            Store::Memory | Store::Files | Store::Records => register::judge(&mut judge, ops, last),
        }
        verdict.violations.append(&mut judge.violations);
    }
    verdict
}

fn count(history: &[Event]) -> Counted {
    let mut counted = Counted::default();
    for event in history {
        match event {
            Event::Begin { .. } => counted.operations += 1,
            Event::End {
                outcome, served, ..
            } => {
                match outcome {
                    Outcome::Written(_) | Outcome::Deleted { .. } => counted.acknowledged += 1,
                    Outcome::Found { .. } | Outcome::Heard(_) => counted.reads += 1,
                    Outcome::Conflict => counted.conflicts += 1,
                    Outcome::Unknown(_) => counted.unknown += 1,
                }
                if let Some(served) = served {
                    counted.local += u64::from(served.local);
                    counted.pending += u64::from(served.pending);
                }
            }
            _ => {}
        }
    }
    counted
}
