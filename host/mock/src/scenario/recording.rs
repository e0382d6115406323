//! `recording`: a scenario that is a recorded invocation.

use std::path::Path;
use std::sync::Arc;

use stuga_recording::Recording;
use stuga_yaml::{Node, Value};

use super::{Scenario, read_file};

/// What may stand beside a recording.
const BESIDE: [&str; 2] = ["description", "recording"];

impl Scenario {
    /// Whether it is a recorded invocation.
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Reads the recording that the scenario names, if it names one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read_recording(&mut self, folder: &Path) -> Result<(), String> {
        let Some(name) = &self.recording else {
            return Ok(());
        };
        let text = String::from_utf8(read_file(folder, name)?)
            .map_err(|_| format!("{name} is not UTF-8; record the invocation again"))?;
        let recording = Recording::read(&text);
        let recording = recording.map_err(|error| format!("{name}: {}", error.message()))?;
        self.recorded = Some(Arc::new(recording));
        Ok(())
    }
}

/// The keys that say what the recording says itself.
pub(crate) fn besides(node: &Node) -> Vec<&str> {
    let Value::Map(entries) = &node.value else {
        return Vec::new();
    };
    let keys = entries.iter().map(|entry| entry.key.as_str());
    keys.filter(|key| !BESIDE.contains(key)).collect()
}
