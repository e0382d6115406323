//! Errors of capabilities, written down and brought back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::{Error, ErrorKind};

/// Most names of operations that are brought back; what is over bears the name of the call.
const NAMES_MAX: usize = 256;

/// An error that a guest was answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Why it failed.
    pub kind: ErrorKind,
    /// What was being done.
    pub operation: String,
    /// One line.
    pub message: String,
    /// Facts, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<(String, String)>,
    /// When trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Fault {
    /// Writes an error down, without its source, which guests do not see.
    pub fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            operation: error.operation().to_owned(),
            message: error.message().to_owned(),
            context: error
                .context()
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
            retry_after_ms: error
                .retry_after()
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// The error, as an answer of `call`.
    pub fn error(&self, call: &'static str) -> Error {
        let operation = named(&self.operation, call);
        let mut error = Error::new(self.kind, operation, self.message.clone());
        for (name, value) in &self.context {
            error = error.with_context(name.clone(), value);
        }
        match self.retry_after_ms {
            Some(after) => error.with_retry_after(Duration::from_millis(after)),
            None => error,
        }
    }
}

/// The name of an operation for the life of the process, which is what errors bear. There are few, and they are kept.
fn named(operation: &str, call: &'static str) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    if operation == call {
        return call;
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.iter().find(|known| **known == operation) {
        return known;
    }
    if names.len() >= NAMES_MAX {
        return call;
    }
    let kept: &'static str = Box::leak(operation.to_owned().into_boxed_str());
    names.push(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_back_as_the_guest_saw_it() {
        let error = Error::conflict("memory.compare-and-set", "another version is there")
            .with_context("version", 7)
            .with_retry_after(Duration::from_millis(20));
        let text = serde_json::to_string(&Fault::of(&error)).unwrap();
        let back = serde_json::from_str::<Fault>(&text).unwrap();
        let back = back.error("memory.put");
        assert_eq!(back.to_string(), error.to_string());
        assert_eq!(back.kind(), error.kind());
        assert_eq!(back.context_value("version"), Some("7"));
        assert_eq!(back.retry_after(), error.retry_after());
    }
}
