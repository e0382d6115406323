//! The fields of a mapping, and which of them nobody asked for.

use super::reader::{Report, help};
use super::tree::{Entry, Node, Place, Value};

/// The fields of one mapping. Every name that is asked for is allowed; [`Fields::finish`] reports all others.
#[derive(Debug)]
pub struct Fields<'n> {
    what: String,
    at: Place,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    pub(super) fn new(what: String, at: Place, entries: &'n [Entry]) -> Self {
        Self {
            what,
            at,
            entries,
            asked: Vec::new(),
        }
    }

    /// The value of `name`, if it is there and not empty.
    pub fn optional(&mut self, name: &'static str) -> Option<&'n Node> {
        self.asked.push(name);
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        (entry.node.value != Value::Null).then_some(&entry.node)
    }

    /// The value of `name`; a mistake when it is not there.
    pub fn required(&mut self, name: &'static str, report: &mut Report) -> Option<&'n Node> {
        let node = self.optional(name);
        if node.is_none() {
            report.add(
                self.at,
                format!("{} has no `{name}`", self.what),
                format!("add `{name}: ...`"),
            );
        }
        node
    }

    /// Reports every field that was not asked for.
    pub fn finish(self, report: &mut Report) {
        for entry in self.entries {
            if !self.asked.contains(&entry.key.as_str()) {
                let what = format!("unknown key {:?} in {}", entry.key, self.what);
                report.add(entry.at, what, help(&entry.key, &self.asked));
            }
        }
    }
}
