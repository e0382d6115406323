//! The lines that an agent writes, caught on their way to the host's log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::scenario::LogLevel;

/// Where the runtime sends what guests log.
const TARGET: &str = "stuga::guest";

/// A line of an agent's log.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// What it says.
    pub message: String,
    /// Its fields as `name="value"`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fields: String,
}

/// Catches agents' lines on the thread where it is the default subscriber.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<LogLine>>>);

impl Capture {
    /// What was caught since it was taken last.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = match *event.metadata().level() {
            Level::TRACE => LogLevel::Trace,
            Level::DEBUG => LogLevel::Debug,
            Level::INFO => LogLevel::Info,
            Level::WARN => LogLevel::Warn,
            Level::ERROR => LogLevel::Error,
        };
        let mut line = LogLine {
            level,
            message: String::new(),
            fields: String::new(),
        };
        event.record(&mut Line(&mut line));
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line<'l>(&'l mut LogLine);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.message = format!("{value:?}"),
            "fields" => self.0.fields = format!("{value:?}"),
            _ => {}
        }
    }
}
