//! What happened, in the order in which it was noted: one JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::words::{Action, Outcome, Served, Store, Thing};

/// Something that happened. Times are microseconds since the history was begun.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A client begins an operation.
    Begin {
        /// Its number, unique in the history.
        op: u64,
        /// When.
        at: u64,
        /// Which client; one client does one thing at a time.
        client: u32,
        /// Which host it works through, always the same.
        #[serde(default)]
        host: u32,
        /// Of what.
        thing: Thing,
        /// What is to be done.
        action: Action,
    },
    /// An attempt at an operation failed. The client tries again under the same Idempotency-Key, or ends it as unknown.
    Trouble {
        /// Which operation.
        op: u64,
        /// When the attempt was begun.
        began: u64,
        /// When it failed.
        at: u64,
        /// The status of the answer; none when there was no whole answer.
        status: Option<u16>,
        /// The problem's type, or what happened to the connection.
        why: String,
        /// What else is known.
        detail: String,
    },
    /// An operation ended.
    End {
        /// Which one.
        op: u64,
        /// When.
        at: u64,
        /// When the attempt was begun that was answered.
        began: u64,
        /// How.
        outcome: Outcome,
        /// Who answered, when a receipt said so.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        served: Option<Served>,
    },
    /// The host goes down or is up again.
    Host {
        /// When: before it is ended, and after it takes calls.
        at: u64,
        /// Which one.
        #[serde(default)]
        host: u32,
        /// Whether it takes calls.
        up: bool,
    },
    /// Something is broken or mended.
    Fault {
        /// When.
        at: u64,
        /// What, in plain words.
        what: String,
        /// The stores whose cloud cannot be reached because of it.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        away: Vec<Store>,
    },
    /// How much waits for the cloud.
    Journal {
        /// When.
        at: u64,
        /// On which host.
        #[serde(default)]
        host: u32,
        /// Whose.
        tenant: String,
        /// How many entries.
        waiting: u64,
        /// How many entries the cloud refuses for good.
        parked: u64,
    },
    /// What stands in the cloud after everything, as a host without a past reads it.
    Final {
        /// What was read.
        thing: Thing,
        /// What it was; unknown when it could not be read.
        outcome: Outcome,
        /// Of a file: all its versions with their values, in any order.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        versions: Vec<(u64, String)>,
        /// Of a file: versions that are listed and could not be read, with the reasons.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        unreadable: Vec<(u64, String)>,
    },
}

/// Takes down a history, in memory and in a file.
pub struct Recorder {
    began: Instant,
    kept: Mutex<Kept>,
}

struct Kept {
    events: Vec<Event>,
    next: u64,
    file: Option<BufWriter<File>>,
}

impl Recorder {
    /// A new history, also written to `file` when there is one.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(file: Option<&Path>) -> Result<Self> {
        let file = file.map(|path| {
            File::create(path)
                .map(BufWriter::new)
                .with_context(|| format!("{} cannot be written", path.display()))
        });
        Ok(Self {
            began: Instant::now(),
            kept: Mutex::new(Kept {
                events: Vec::new(),
                next: 0,
                file: file.transpose()?,
            }),
        })
    }

    /// The time in a history's own measure.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A number for an operation.
    pub fn number(&self) -> u64 {
        let mut kept = self.kept();
        kept.next += 1;
        kept.next
    }

    /// Notes what happened. A file that cannot be written is told at the end, by [`Recorder::finish`].
    pub fn note(&self, event: Event) {
        let mut kept = self.kept();
        if let Some(file) = &mut kept.file {
            let line = serde_json::to_string(&event).unwrap_or_default();
            if writeln!(file, "{line}").is_err() {
                kept.file = None;
            }
        }
        kept.events.push(event);
    }

    /// What was noted since the event of that number.
    pub fn since(&self, from: usize) -> Vec<Event> {
        let kept = self.kept();
        kept.events.get(from..).unwrap_or_default().to_vec()
    }

    /// The whole history. The file has it, too, when it returns.
    ///
    /// # Errors
    /// When the file could not be written.
    pub fn finish(&self) -> Result<Vec<Event>> {
        let mut kept = self.kept();
        if let Some(file) = &mut kept.file {
            file.flush().context("the history cannot be written")?;
        }
        Ok(kept.events.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a history that was written before.
///
/// # Errors
/// When it cannot be read, naming the line.
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut events = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
        let event = serde_json::from_str(&line).with_context(|| {
            let line = number + 1;
            format!("{} is no history: line {line}", path.display())
        })?;
        events.push(event);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::new(Some(&path)).unwrap();
        recorder.note(Event::Host {
            at: 1,
            host: 0,
            up: true,
        });
        recorder.note(Event::End {
            op: recorder.number(),
            at: 5,
            began: 2,
            outcome: Outcome::Heard(vec!["a".to_owned()]),
            served: None,
        });
        let kept = recorder.finish().unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(read(&path).unwrap(), kept);
        assert_eq!(recorder.since(1), kept[1..]);
    }
}
