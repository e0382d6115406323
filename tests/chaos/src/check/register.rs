//! Judges a register: the larger version wins, and whoever reads sees nothing older than what was acknowledged.

use std::collections::{HashMap, HashSet};

use super::{Judge, Last, Op, Reading, Rule};
use crate::words::{Action, Outcome, Store};

/// How many earlier versions of a file are kept for certain.
const VERSIONS_KEPT: usize = 32;

/// A register's operations.
struct Register<'h> {
    writes: Vec<Op<'h>>,
    by_value: HashMap<&'h str, Op<'h>>,
    deletes: Vec<Op<'h>>,
}

pub(super) fn judge(judge: &mut Judge<'_>, ops: &[Op<'_>], last: Option<Last<'_>>) {
    let mut register = Register {
        writes: Vec::new(),
        by_value: HashMap::new(),
        deletes: Vec::new(),
    };
    for op in ops {
        match op.action {
            Action::Write { value, .. } => {
                register.by_value.insert(value, *op);
                register.writes.push(*op);
            }
            Action::Delete => register.deletes.push(*op),
            Action::Append { .. } | Action::Read => {}
        }
    }
    register.judge_versions(judge);
    register.judge_conditions(judge);
    for op in ops {
        if let (Some(Outcome::Found { value, version }), Some(end)) = (op.outcome, op.end) {
            let reading = Reading::of(op, end);
            register.judge_reading(judge, &reading, value.as_deref(), *version);
        }
    }
    let Some(last) = last else { return };
    if let Outcome::Found { value, version } = last.outcome {
        register.judge_reading(judge, &Reading::LAST, value.as_deref(), *version);
    }
    if judge.thing.store == Store::Files {
        register.judge_kept(judge, &last);
    }
}

impl Register<'_> {
    /// Versions only grow, and no two writes have the same.
    fn judge_versions(&self, judge: &mut Judge<'_>) {
        // Two hosts that do not see each other may give one version twice; one of them loses.
        let mut given: HashMap<(u32, u64), u64> = HashMap::new();
        for later in &self.writes {
            let Some(version) = later.version() else {
                continue;
            };
            if let Some(other) = given.insert((later.host, version), later.number) {
                let words = format!("two writes have version {version}");
                judge.broken(Rule::Version, vec![other, later.number], words);
            }
            let earlier = self.writes.iter().find(|earlier| {
                earlier.acked().is_some_and(|acked| acked < later.begin)
                    && earlier.host == later.host
                    && earlier.version() > Some(version)
            });
            if let Some(earlier) = earlier {
                let words = format!("version {version} came after {:?}", earlier.version());
                judge.broken(Rule::Version, vec![earlier.number, later.number], words);
            }
        }
    }

    /// A compare-and-set replaces what it expected, and is refused only when something else stood.
    fn judge_conditions(&self, judge: &mut Judge<'_>) {
        for write in &self.writes {
            let Action::Write {
                expected: Some(expected),
                ..
            } = write.action
            else {
                continue;
            };
            if let Some(version) = write.version()
                && *expected > 0
            {
                let between = self.writes.iter().find(|other| {
                    let within = |other| *expected < other && other < version;
                    other.host == write.host && other.version().is_some_and(within)
                });
                if let Some(other) = between {
                    let words = format!("it replaced {expected}, but {:?} stood", other.version());
                    judge.broken(Rule::Cas, vec![write.number, other.number], words);
                }
            }
            let Some(end) = write.end else { continue };
            if write.refused() && !self.may_conflict(write, *expected, end) {
                let words = format!("version {expected} stood, and it was refused");
                judge.broken(Rule::FalseConflict, vec![write.number], words);
            }
        }
    }

    /// Whether something else than `expected` may have stood before `end`.
    fn may_conflict(&self, cas: &Op<'_>, expected: u64, end: u64) -> bool {
        let replaced = |write: &Op<'_>| {
            write.number != cas.number
                && !write.refused()
                && write.begin < end
                && write.version().is_none_or(|version| version > expected)
        };
        let base = self
            .writes
            .iter()
            .find(|write| write.version() == Some(expected));
        let removed = |delete: &Op<'_>| {
            let since = base.map_or(0, |base| base.begin);
            delete.begin < end && delete.end.is_none_or(|end| end > since)
        };
        self.writes.iter().any(replaced) || self.deletes.iter().any(removed)
    }

    fn judge_reading(
        &self,
        judge: &mut Judge<'_>,
        reading: &Reading,
        value: Option<&str>,
        version: Option<u64>,
    ) {
        let Some(value) = value else {
            return self.judge_nothing(judge, reading);
        };
        let Some(write) = self.by_value.get(value) else {
            return judge.stranger(value, reading);
        };
        let number = write.number;
        if write.refused() || write.begin >= reading.end {
            let words = format!("write {number} was refused or not yet made");
            judge.broken(Rule::Phantom, reading.ops(&[number]), words);
            return;
        }
        // Until it is drained, another host may see what landed unheard under the version that it landed with.
        if reading.must_show(write) && version != write.version() {
            let words = format!(
                "write {number} was acknowledged as {:?} and stands as {version:?}",
                write.version()
            );
            judge.broken(Rule::Version, reading.ops(&[number]), words);
        }
        let newer = self.writes.iter().chain(&self.deletes).find(|other| {
            other.number != number
                && reading.must_show(other)
                && match other.version() {
                    Some(other) => Some(other) > version,
                    // A removal has no version: only what did not overlap has an order.
                    None => write.acked().is_some_and(|acked| acked < other.begin),
                }
        });
        if let Some(newer) = newer {
            let words = format!(
                "write {number} shows, not the later operation {}",
                newer.number
            );
            let rule = reading.missed(newer);
            judge.broken(rule, reading.ops(&[number, newer.number]), words);
        }
    }

    /// Judges that nothing was found.
    fn judge_nothing(&self, judge: &mut Judge<'_>, reading: &Reading) {
        let missed = self.writes.iter().find(|write| {
            reading.must_show(write)
                && !self.deletes.iter().any(|delete| {
                    let after = delete.end.is_none_or(|end| end > write.begin);
                    after && delete.begin < reading.end
                })
        });
        if let Some(write) = missed {
            let words = format!("nothing shows, though write {} stood", write.number);
            let rule = reading.missed(write);
            judge.broken(rule, reading.ops(&[write.number]), words);
        }
    }

    /// Judges the versions of a file: each acknowledged write is one, once.
    fn judge_kept(&self, judge: &mut Judge<'_>, last: &Last<'_>) {
        let mut seen = HashSet::new();
        for (version, why) in last.unreadable {
            let write = self.writes.iter().find(|w| w.version() == Some(*version));
            let ops = write.iter().map(|write| write.number);
            let words = format!("version {version} is listed and cannot be read: {why}");
            judge.broken(Rule::Lost, ops.clone().collect(), words);
            seen.extend(ops);
        }
        for (version, value) in last.versions {
            let Some(write) = self.by_value.get(value.as_str()) else {
                judge.stranger(value, &Reading::LAST);
                continue;
            };
            let number = write.number;
            if !seen.insert(number) {
                let words = format!("write {number} stands as two versions of the file");
                judge.broken(Rule::Doubled, vec![number], words);
            } else if write.refused() {
                let words = format!("write {number} was refused and is a version of the file");
                judge.broken(Rule::Phantom, vec![number], words);
            } else if write.version().is_some_and(|acked| acked != *version) {
                let words = format!("write {number} stands as version {version}");
                judge.broken(Rule::Version, vec![number], words);
            }
        }
        if self.writes.len() > VERSIONS_KEPT {
            return;
        }
        for write in &self.writes {
            // Of two hosts that gave one version apart, one write stands, and the journal keeps the other.
            let displaced = self.writes.iter().any(|other| {
                other.host != write.host
                    && other.version() == write.version()
                    && seen.contains(&other.number)
            });
            if write.acked().is_some() && !seen.contains(&write.number) && !displaced {
                let words = format!("write {} is no version of the file", write.number);
                judge.broken(Rule::Lost, vec![write.number], words);
            }
        }
    }
}
