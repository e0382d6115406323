//! What a call was expected to do, beside what it did.

use serde_json::Value;

use crate::compare::{Differences, Findings, shown};
use crate::report::{Called, Ended, Ran};
use crate::scenario::{Expect, ExpectError, ExpectLog, ExpectRan};

/// Writes down every difference; `path` is the call's.
pub(crate) fn compare(path: &str, expect: &Expect, called: &Called, found: &mut Findings) {
    match (&expect.error, &called.ended) {
        (None, Ended::Output(got)) => output(path, expect, got, found),
        (Some(error), Ended::Failed { .. }) => failure(path, error, &called.ended, found),
        (None, Ended::Failed { .. }) => {
            let wanted = match &expect.output {
                Some(output) => format!("the output {}", shown(output)),
                None => "an output".to_owned(),
            };
            Differences::new(path, found).add("", wanted, called.ended.to_string());
        }
        (Some(error), Ended::Output(got)) => {
            let wanted = format!("an error of kind {}", kind(error));
            Differences::new(path, found).add("", wanted, format!("the output {}", shown(got)));
        }
    }
    if let Some(parts) = &expect.parts {
        let (wanted, got) = (
            Value::from(parts.clone()),
            Value::from(called.parts.clone()),
        );
        Differences::new(format!("{path}.parts"), found).equal("", &wanted, &got);
    }
    logs(path, &expect.logs, called, found);
    if let Some(expected) = &expect.ran {
        ran(path, expected, &called.jobs, found);
    }
    for (name, wanted) in &expect.receipt {
        let used = called
            .receipt
            .iter()
            .find(|used| used.capability.as_str() == name);
        let (reads, writes) = used.map_or((0, 0), |used| (used.reads, used.writes));
        let mut differences = Differences::new(format!("{path}.receipt.{name}"), found);
        for (what, wanted, got) in [
            (".reads", wanted.reads, reads),
            (".writes", wanted.writes, writes),
        ] {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != got) {
                differences.add(what, wanted.to_string(), got.to_string());
            }
        }
    }
}

fn output(path: &str, expect: &Expect, got: &Value, found: &mut Findings) {
    let mut differences = Differences::new(format!("{path}.output"), found);
    if let Some(wanted) = &expect.output {
        differences.equal("", wanted, got);
    }
    if let Some(wanted) = &expect.contains {
        differences.contains("", wanted, got);
    }
    differences.at(&expect.at, got);
    differences.matches(&expect.matches, got);
    for pointer in &expect.absent {
        if let Some(there) = got.pointer(pointer) {
            differences.add(pointer, "nothing", shown(there));
        }
    }
}

fn failure(path: &str, wanted: &ExpectError, got: &Ended, found: &mut Findings) {
    let Ended::Failed {
        kind: got_kind,
        message,
        context,
    } = got
    else {
        return;
    };
    let mut differences = Differences::new(format!("{path}.error"), found);
    if wanted.kind != *got_kind {
        differences.add(".kind", kind(wanted), got.to_string());
        return;
    }
    if let Some(part) = wanted.contains.as_ref().filter(|p| !message.contains(*p)) {
        differences.add(".message", format!("text with {part:?}"), message);
    }
    for (name, value) in &wanted.context {
        let there = context.iter().find(|(known, _)| known == name);
        if there.is_none_or(|(_, got)| got != value) {
            let got = there.map_or_else(|| "nothing".to_owned(), |(_, got)| got.clone());
            differences.add(&format!(".context.{name}"), value, got);
        }
    }
}

/// Compares the attempts of jobs, all of them in their order.
fn ran(path: &str, expected: &[ExpectRan], ran: &[Ran], found: &mut Findings) {
    for at in 0..expected.len().max(ran.len()) {
        let path = format!("{path}.ran[{at}]");
        let (expected, ran) = match (expected.get(at), ran.get(at)) {
            (Some(expected), Some(ran)) => (expected, ran),
            (Some(expected), None) => {
                let wanted = format!("an attempt of {}", expected.kind);
                Differences::new(path, found).add("", wanted, "nothing");
                continue;
            }
            (None, Some(ran)) => {
                let got = format!("an attempt of {} with {}", ran.kind, ran.ended);
                Differences::new(path, found).add("", "nothing", got);
                continue;
            }
            (None, None) => return,
        };
        let mut differences = Differences::new(path.clone(), found);
        if expected.kind != ran.kind {
            differences.add(".kind", &expected.kind, &ran.kind);
            continue;
        }
        if let Some(attempt) = expected.attempt.filter(|attempt| *attempt != ran.attempt) {
            differences.add(".attempt", attempt.to_string(), ran.attempt.to_string());
        }
        match (&expected.error, &ran.ended) {
            (None, Ended::Output(got)) => {
                if let Some(wanted) = &expected.output {
                    differences.equal(".output", wanted, got);
                }
                if let Some(wanted) = &expected.contains {
                    differences.contains(".output", wanted, got);
                }
            }
            (Some(error), failed @ Ended::Failed { .. }) => failure(&path, error, failed, found),
            (None, failed) => differences.add("", "an output", failed.to_string()),
            (Some(error), output) => {
                let wanted = format!("an error of kind {}", kind(error));
                differences.add("", wanted, output.to_string());
            }
        }
    }
}

fn kind(error: &ExpectError) -> String {
    serde_json::to_value(error.kind)
        .ok()
        .and_then(|kind| kind.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn logs(path: &str, wanted: &[ExpectLog], called: &Called, found: &mut Findings) {
    let mut lines = called.logs.iter();
    for (at, wanted) in wanted.iter().enumerate() {
        let fits = |line: &crate::LogLine| {
            wanted.level.is_none_or(|level| level == line.level)
                && wanted
                    .contains
                    .as_ref()
                    .is_none_or(|part| line.message.contains(part))
                && wanted
                    .fields
                    .as_ref()
                    .is_none_or(|part| line.fields.contains(part))
        };
        if !lines.by_ref().any(fits) {
            let there: Vec<String> = called
                .logs
                .iter()
                .map(|line| format!("{:?} {:?} {}", line.level, line.message, line.fields))
                .collect();
            let got = if there.is_empty() {
                "no lines at all".to_owned()
            } else {
                format!("not among the lines: {}", there.join(" | "))
            };
            let mut line = String::from("a line");
            if let Some(level) = wanted.level {
                line.push_str(&format!(" of level {level:?}"));
            }
            if let Some(part) = &wanted.contains {
                line.push_str(&format!(" with {part:?}"));
            }
            if let Some(part) = &wanted.fields {
                line.push_str(&format!(" and the fields {part:?}"));
            }
            Differences::new(format!("{path}.logs[{at}]"), found).add("", line, got);
            return;
        }
    }
}
