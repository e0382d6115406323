//! What an agent has stored: laid down before the first call, looked at after the last. One file for each capability.

mod files;
mod memory;
mod records;
mod sessions;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use stuga_core::{Backends, CallCtx, Error, Result};

use crate::compare::{Differences, Mismatch, cut, shown};
use crate::scenario::{Effects, Kept, State};

/// Items of a page while everything is counted.
const PAGE: u32 = 1_000;

/// Lays a scenario's state down on one side. `ctx` gives the ids, so that all sides get the same.
pub(crate) async fn lay(
    side: &Backends,
    ctx: &CallCtx,
    state: &State,
    folder: &Path,
) -> Result<()> {
    memory::lay(&*side.memory, ctx, &state.memory, folder).await?;
    files::lay(&*side.files, ctx, &state.files, folder).await?;
    sessions::lay(&*side.sessions, ctx, &state.sessions).await?;
    records::lay(&*side.records, ctx, &state.records).await
}

/// Compares what is stored with what a scenario expects.
pub(crate) async fn look(
    side: &Backends,
    ctx: &CallCtx,
    expect: &Effects,
    folder: &Path,
    found: &mut Vec<Mismatch>,
) -> Result<()> {
    memory::look(&*side.memory, ctx, &expect.memory, folder, found).await?;
    files::look(&*side.files, ctx, &expect.files, folder, found).await?;
    sessions::look(&*side.sessions, ctx, &expect.sessions, found).await?;
    records::look(&*side.records, ctx, &expect.records, found).await
}

fn unreadable(why: String) -> Error {
    Error::invalid("mock.state", why)
}

fn metadata(metadata: &BTreeMap<String, String>) -> Vec<(String, String)> {
    metadata
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Compares a content with what is expected of it.
fn compare(at: &str, kept: &Kept<'_>, content: &[u8], folder: &Path, found: &mut Vec<Mismatch>) {
    let text = String::from_utf8_lossy(content);
    let mut differences = Differences::new(at, found);
    if kept.whole.given() == 1 {
        let json = kept.whole.json.zip(serde_json::from_slice(content).ok());
        match (json, kept.whole.bytes(folder)) {
            (Some((wanted, there)), _) => differences.equal("", wanted, &there),
            (None, Ok(wanted)) if wanted == content => {}
            (None, Ok(wanted)) => {
                let wanted = String::from_utf8_lossy(&wanted).into_owned();
                differences.add("", cut(&format!("{wanted:?}")), cut(&format!("{text:?}")));
            }
            (None, Err(why)) => differences.add("", why, "a content that cannot be compared"),
        }
    }
    if kept.contains.is_some() || !kept.at.is_empty() {
        match serde_json::from_slice::<Value>(content) {
            Ok(there) => {
                if let Some(wanted) = kept.contains {
                    differences.contains("", wanted, &there);
                }
                differences.at(kept.at, &there);
            }
            Err(_) => differences.add("", "JSON", shown(&Value::from(text.as_ref()))),
        }
    }
    if let Some(pattern) = kept.matches
        && !regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&text))
    {
        let got = cut(&format!("{text:?}"));
        differences.add("", format!("text that matches {pattern}"), got);
    }
}
