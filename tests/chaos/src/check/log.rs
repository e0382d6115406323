//! Judges a log: each append once, in the order of those that did not overlap.

use std::collections::{HashMap, HashSet};

use super::{Judge, Last, Op, Reading, Rule};
use crate::words::{Action, Outcome};

pub(super) fn judge(judge: &mut Judge<'_>, ops: &[Op<'_>], last: Option<Last<'_>>) {
    let appends: HashMap<&str, Op<'_>> = ops
        .iter()
        .filter_map(|op| match op.action {
            Action::Append { value } => Some((value.as_str(), *op)),
            _ => None,
        })
        .collect();
    for op in ops {
        if let (Some(Outcome::Heard(values)), Some(end)) = (op.outcome, op.end) {
            let reading = Reading::of(op, end);
            hear(judge, &appends, values, &reading);
        }
    }
    if let Some(Last {
        outcome: Outcome::Heard(values),
        ..
    }) = last
    {
        hear(judge, &appends, values, &Reading::LAST);
    }
}

/// Judges what one reading heard.
fn hear(
    judge: &mut Judge<'_>,
    appends: &HashMap<&str, Op<'_>>,
    values: &[String],
    reading: &Reading,
) {
    let mut seen = HashSet::new();
    // Of each host the one heard so far that began last.
    let mut latest: HashMap<u32, Op<'_>> = HashMap::new();
    for value in values {
        let Some(append) = appends.get(value.as_str()) else {
            judge.stranger(value, reading);
            continue;
        };
        let number = append.number;
        if !seen.insert(number) {
            let words = format!("append {number} stands twice");
            judge.broken(Rule::Doubled, reading.ops(&[number]), words);
            continue;
        }
        if append.refused() || append.begin >= reading.end {
            let words = format!("append {number} was refused or not yet made");
            judge.broken(Rule::Phantom, reading.ops(&[number]), words);
        }
        if let (Some(before), Some(acked)) = (latest.get(&append.host), append.acked())
            && acked < before.begin
        {
            let words = format!(
                "append {number} stands behind {}, which was begun after its acknowledgement",
                before.number
            );
            judge.broken(Rule::Order, reading.ops(&[number, before.number]), words);
        }
        let latest = latest.entry(append.host).or_insert(*append);
        if latest.begin < append.begin {
            *latest = *append;
        }
    }
    for append in appends.values() {
        if reading.must_show(append) && !seen.contains(&append.number) {
            let words = format!("acknowledged append {} is not there", append.number);
            let rule = reading.missed(append);
            judge.broken(rule, reading.ops(&[append.number]), words);
        }
    }
}
