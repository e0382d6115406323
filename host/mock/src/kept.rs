//! What an agent has stored: laid down before the first call, looked at after the last. One file for each capability.

mod files;
pub(crate) mod jobs;
mod memory;
mod messages;
mod records;
mod search;
mod sessions;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use stuga_core::jobs::Jobs;
use stuga_core::{Backends, CallCtx, Error, Result};

use crate::compare::{Differences, Findings, shown};
use crate::outbox::Outbox;
use crate::scenario::{Effects, Kept, State};

/// Items of a page while everything is counted.
const PAGE: u32 = 1_000;

/// Lays a scenario's state down on one side, jobs apart, which lie on one alone. `ctx` gives the ids, so that both sides get the
/// same.
pub(crate) async fn lay(
    side: &Backends,
    ctx: &CallCtx,
    state: &State,
    folder: &Path,
) -> Result<()> {
    memory::lay(&*side.memory, ctx, &state.memory, folder).await?;
    files::lay(&*side.files, ctx, &state.files, folder).await?;
    sessions::lay(&*side.sessions, ctx, &state.sessions).await?;
    records::lay(&*side.records, ctx, &state.records).await?;
    search::lay(&*side.search, ctx, &state.search).await
}

/// Compares what is stored on one side, jobs apart, with what a scenario expects.
pub(crate) async fn look(
    side: &Backends,
    ctx: &CallCtx,
    expect: &Effects,
    folder: &Path,
    found: &mut Findings,
) -> Result<()> {
    memory::look(&*side.memory, ctx, &expect.memory, folder, found).await?;
    files::look(&*side.files, ctx, &expect.files, folder, found).await?;
    sessions::look(&*side.sessions, ctx, &expect.sessions, found).await?;
    records::look(&*side.records, ctx, &expect.records, found).await?;
    search::look(&*side.search, ctx, &expect.search, found).await
}

/// Compares jobs and schedules with what a scenario expects.
pub(crate) async fn look_at_jobs(
    there: &dyn Jobs,
    ctx: &CallCtx,
    expect: &Effects,
    found: &mut Findings,
) -> Result<()> {
    jobs::look(there, ctx, &expect.jobs, found).await?;
    jobs::look_at_schedules(there, ctx, &expect.schedules, found).await
}

/// Compares what the agent wrote to others with what a scenario expects.
pub(crate) fn look_at_messages(outbox: &Outbox, expect: &Effects, found: &mut Findings) {
    messages::look("sent", expect.sent.as_deref(), &outbox.sent(), found);
    messages::look("posted", expect.posted.as_deref(), &outbox.posted(), found);
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
fn compare(at: &str, kept: &Kept<'_>, content: &[u8], folder: &Path, found: &mut Findings) {
    let text = String::from_utf8_lossy(content);
    let mut differences = Differences::new(at, found);
    if kept.whole.given() == 1 {
        let json = kept.whole.json.zip(serde_json::from_slice(content).ok());
        match (json, kept.whole.bytes(folder)) {
            (Some((wanted, there)), _) => differences.equal("", wanted, &there),
            (None, Ok(wanted)) if wanted == content => {}
            (None, Ok(wanted)) => {
                let wanted = String::from_utf8_lossy(&wanted).into_owned();
                differences.add("", format!("{wanted:?}"), format!("{text:?}"));
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
        let wanted = format!("text that matches {pattern}");
        differences.add("", wanted, format!("{text:?}"));
    }
}
