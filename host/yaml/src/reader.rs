//! The reader: asks a tree for values and writes down everything that does not fit.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::fields::Fields;
use super::tree::{Node, Place, Value};
use super::{did_you_mean, parse};
use crate::units;

/// One mistake in a file: where, what, and what is allowed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: PathBuf,
    /// Where in it.
    #[serde(flatten)]
    pub at: Place,
    /// What is wrong.
    pub message: String,
    /// What is allowed or what to do; empty when the message says it all.
    pub help: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.at.line > 0 {
            write!(f, ":{}:{}", self.at.line, self.at.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

/// Collects the mistakes of one file. Every asking method answers none after writing down why.
#[derive(Debug)]
pub struct Report {
    file: PathBuf,
    found: Vec<Diagnostic>,
}

impl Report {
    /// An empty report on `file`.
    pub fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            found: Vec::new(),
        }
    }

    /// Parses the file's text.
    pub fn parse(&mut self, text: &str) -> Option<Node> {
        parse(text)
            .map_err(|(at, message)| self.add(at, message, ""))
            .ok()
    }

    /// Writes down a mistake.
    pub fn add(&mut self, at: Place, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Diagnostic {
            file: self.file.clone(),
            at,
            message: message.into(),
            help: help.into(),
        });
    }

    /// What was found, in the order of the file.
    pub fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| diagnostic.at);
        self.found
    }

    /// Whether anything was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The fields of a mapping; `what` names it in messages.
    pub fn fields<'n>(&mut self, node: &'n Node, what: impl Into<String>) -> Option<Fields<'n>> {
        let what = what.into();
        match &node.value {
            Value::Map(entries) => Some(Fields::new(what, node.at, entries)),
            other => {
                self.add(
                    node.at,
                    format!("{what} is {}", other.kind()),
                    "write a mapping of names to values",
                );
                None
            }
        }
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(nodes) => Some(nodes),
            other => {
                self.add(
                    node.at,
                    format!("{what} is {}", other.kind()),
                    "write a list",
                );
                None
            }
        }
    }

    /// Text. A number or a word that YAML reads otherwise must be quoted by the author.
    pub fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) => Some(text),
            other => {
                self.add(
                    node.at,
                    format!("{what} is {}", other.kind()),
                    "write text, in quotes if need be",
                );
                None
            }
        }
    }

    /// Text that `read` understands; its error becomes the message.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        node: &Node,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        read(text)
            .map_err(|error| self.add(node.at, format!("{what}: {error}"), ""))
            .ok()
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.add(node.at, format!("{what} is {text:?}"), help(text, &allowed));
        None
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, node: &Node, what: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = match &node.value {
            Value::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        };
        if let Some(value) = value.filter(|value| range.contains(value)) {
            return Some(value);
        }
        self.add(
            node.at,
            format!("{what} is {}", shown(&node.value)),
            format!(
                "write a whole number from {} to {}",
                range.start(),
                range.end()
            ),
        );
        None
    }

    /// A number, whole or not, within bounds.
    pub fn number(&mut self, node: &Node, what: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = match &node.value {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        };
        if let Some(value) = value.filter(|value| range.contains(value)) {
            return Some(value);
        }
        self.add(
            node.at,
            format!("{what} is {}", shown(&node.value)),
            format!("write a number from {} to {}", range.start(), range.end()),
        );
        None
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        self.add(
            node.at,
            format!("{what} is {}", shown(&node.value)),
            "write true or false",
        );
        None
    }

    /// A size such as `64MiB` within bounds.
    pub fn bytes(&mut self, node: &Node, what: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = match &node.value {
            Value::Int(value) => u64::try_from(*value).ok(),
            Value::Text(text) => units::parse_bytes(text),
            _ => None,
        };
        if let Some(value) = value.filter(|value| range.contains(value)) {
            return Some(value);
        }
        let (least, most) = (
            units::show_bytes(*range.start()),
            units::show_bytes(*range.end()),
        );
        self.add(
            node.at,
            format!("{what} is {}", shown(&node.value)),
            format!(
                "write a size from {least} to {most}, such as 64MiB (KiB, MiB, GiB, kB, MB, GB)"
            ),
        );
        None
    }

    /// A time such as `10s` within bounds.
    pub fn duration(
        &mut self,
        node: &Node,
        what: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let value = match &node.value {
            Value::Text(text) => units::parse_duration(text),
            _ => None,
        };
        if let Some(value) = value.filter(|value| range.contains(value)) {
            return Some(value);
        }
        let (least, most) = (
            units::show_duration(*range.start()),
            units::show_duration(*range.end()),
        );
        self.add(
            node.at,
            format!("{what} is {}", shown(&node.value)),
            format!("write a time from {least} to {most}, such as 10s (ms, s, m, h, d)"),
        );
        None
    }
}

/// A value as a message shows it: short, on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        other => other.kind().to_owned(),
    }
}

/// `did you mean ...` when something is close, and what is allowed.
pub(super) fn help(word: &str, allowed: &[&str]) -> String {
    let list = allowed.join(", ");
    match did_you_mean(word, allowed.iter().copied()) {
        Some(close) => format!("did you mean {close:?}? Allowed: {list}"),
        None => format!("allowed: {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_found_in_one_pass_with_place_and_help() {
        let mut report = Report::new(Path::new("t.yaml"));
        let text = "name: 5\nsise: 1\nwait: 10\nrate: 1.5\nwhole: 0.25\non: 1\noff: false\n";
        let node = report.parse(text).unwrap();
        let mut fields = report.fields(&node, "the file").unwrap();
        let name = fields.required("name", &mut report).unwrap();
        report.text(name, "name");
        assert!(fields.optional("size").is_none());
        let wait = fields.optional("wait").unwrap();
        report.duration(wait, "wait", Duration::ZERO..=Duration::from_secs(60));
        let rate = fields.optional("rate").unwrap();
        assert_eq!(report.number(rate, "rate", 0.0..=1.0), None);
        let whole = fields.optional("whole").unwrap();
        assert_eq!(report.number(whole, "whole", 0.0..=1.0), Some(0.25));
        let on = fields.optional("on").unwrap();
        assert_eq!(report.boolean(on, "on"), None);
        let off = fields.optional("off").unwrap();
        assert_eq!(report.boolean(off, "off"), Some(false));
        fields.required("id", &mut report);
        fields.finish(&mut report);
        let shown: Vec<String> = report
            .into_diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "t.yaml:1:1: the file has no `id`; add `id: ...`",
                "t.yaml:1:7: name is a number; write text, in quotes if need be",
                "t.yaml:2:1: unknown key \"sise\" in the file; did you mean \"size\"? Allowed: name, size, wait, rate, whole, on, off, id",
                "t.yaml:3:7: wait is 10; write a time from 0ms to 1m, such as 10s (ms, s, m, h, d)",
                "t.yaml:4:7: rate is 1.5; write a number from 0 to 1",
                "t.yaml:6:5: on is 1; write true or false",
            ]
        );
    }
}
