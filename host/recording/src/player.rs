//! Answering in the backends' place, as long as the guest does what it did.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use stuga_core::secrets::SecretValue;
use stuga_core::tape::{Tape, Turn};
use stuga_core::{Error, Result};

use crate::{Json, Line, Recording, TapedCall, pack};

/// Plays one recording, once.
pub struct Player {
    calls: Vec<TapedCall>,
    deadline_ms: u64,
    random_seed: Option<[u8; 32]>,
    heard: Mutex<Heard>,
}

/// What came of it so far.
#[derive(Default)]
struct Heard {
    next: usize,
    difference: Option<Difference>,
    parts: Vec<Json>,
    logs: Vec<Line>,
}

/// A call of the host.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    /// What was called.
    pub operation: String,
    /// Its arguments, as a recording writes them.
    pub asked: Value,
}

/// Where the guest did something else than it did when it was recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Which call, from 1.
    pub call: usize,
    /// What is recorded; none when the recording has no more calls.
    pub recorded: Option<Asked>,
    /// What the guest asked; none when it asked nothing more.
    pub asked: Option<Asked>,
}

impl Player {
    /// A player of a recording.
    pub fn new(recording: &Recording) -> Self {
        let seed = recording.random_seed.as_deref();
        Self {
            calls: recording.calls.clone(),
            deadline_ms: recording.deadline_ms,
            random_seed: seed.and_then(|seed| hex::decode(seed).ok()?.try_into().ok()),
            heard: Mutex::default(),
        }
    }

    /// The first difference, once the invocation has ended.
    pub fn difference(&self) -> Option<Difference> {
        let heard = self.lock();
        heard.difference.clone().or_else(|| {
            let left = self.calls.get(heard.next)?;
            Some(Difference {
                call: heard.next + 1,
                recorded: Some(Asked::of(left)),
                asked: None,
            })
        })
    }

    /// What the guest emitted and logged.
    pub fn heard(&self) -> (Vec<Json>, Vec<Line>) {
        let heard = self.lock();
        (heard.parts.clone(), heard.logs.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn of(call: &TapedCall) -> Self {
        Self {
            operation: call.operation.clone(),
            asked: call.asked.value(),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asked {
            Value::Null => f.write_str(&self.operation),
            asked => write!(f, "{} {asked}", self.operation),
        }
    }
}

impl Tape for Player {
    fn begin(&self, operation: &'static str, asked: String) -> Turn {
        let asked = Asked {
            operation: operation.to_owned(),
            asked: serde_json::from_str(&pack::pack(&asked)).unwrap_or_default(),
        };
        let mut heard = self.lock();
        let at = heard.next;
        let recorded = self.calls.get(at);
        let fits = recorded.map(Asked::of).is_some_and(|known| known == asked);
        let Some(call) = recorded.filter(|_| fits && heard.difference.is_none()) else {
            heard.difference.get_or_insert_with(|| Difference {
                call: at + 1,
                recorded: recorded.map(Asked::of),
                asked: Some(asked),
            });
            let message = "the recording has another call here";
            return Turn::Answer(Err(Error::internal(operation, message)));
        };
        heard.next += 1;
        match (&call.answer, &call.error) {
            (_, Some(fault)) => Turn::Answer(Err(fault.error(operation))),
            (Some(answer), None) => Turn::Answer(Ok(pack::unpack(&answer.value()))),
            (None, None) => Turn::Silence,
        }
    }

    fn end(&self, _: usize, _: Result<String, &Error>) {}

    fn hide(&self, _: &str, _: &SecretValue) {}

    fn part(&self, json: &str) {
        self.lock().parts.push(Json::new(json.to_owned()));
    }

    fn line(&self, level: &'static str, message: &str, fields: &str) {
        self.lock().logs.push(Line {
            level: level.to_owned(),
            message: message.to_owned(),
            fields: fields.to_owned(),
        });
    }

    fn deadline_ms(&self, _: u64) -> u64 {
        self.deadline_ms
    }

    fn random_seed(&self, derived: [u8; 32]) -> [u8; 32] {
        self.random_seed.unwrap_or(derived)
    }

    fn differs(&self) -> bool {
        self.lock().difference.is_some()
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Player(..)")
    }
}
