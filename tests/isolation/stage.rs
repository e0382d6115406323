//! The tenants and agents of the isolation tests, what they own, and everything that each of them can do.

mod a2a;
mod files;
mod jobs;
mod memory;
mod model;
mod records;
mod search;
mod secrets;
mod sessions;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stuga_core::memory::{Expected, MemoryAck, MemoryWrite};
use stuga_core::testkit::{ManualClock, ctx};
use stuga_core::{CallCtx, Capability, Clock, Result, Timestamp};
use stuga_local::{Local, LocalConfig};
use stuga_tests::openai::OpenAi;
use tempfile::TempDir;

/// Keys and paths that all of them use.
const KEYS: [&str; 3] = ["k", "k/1", "k/2"];

/// Ids of sessions and records that all of them use.
const SESSIONS: [&str; 2] = ["s", "s-1"];

/// Two tenants with two agents each. However the names are glued together, some of them become equal.
pub(crate) fn everybody() -> [CallCtx; 4] {
    [("a", "b-c"), ("a", "b"), ("a-b", "c"), ("a-b", "b")].map(|(t, a)| ctx(t, a))
}

/// What an agent writes into everything that it owns.
pub(crate) fn mark(ctx: &CallCtx) -> String {
    mark_of(ctx.tenant.as_str(), ctx.agent.as_str())
}

pub(crate) fn mark_of(tenant: &str, agent: &str) -> String {
    format!("<secret of {agent} of {tenant}>")
}

pub(crate) fn put(key: &str, value: &str) -> MemoryWrite {
    put_if(Expected::Any, key, value)
}

fn put_if(expected: Expected, key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.into(),
        ttl: None,
        expected,
    }
}

/// A data directory that all of them share.
pub(crate) struct Stage {
    pub(crate) local: Local,
    pub(crate) directory: TempDir,
    clock: Arc<ManualClock>,
    _parrot: OpenAi,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let directory = TempDir::new().unwrap();
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let parrot = OpenAi::start();
        let config = LocalConfig::default();
        let local = Local::open_with(directory.path(), time, config, &parrot.models()).unwrap();
        Self {
            local,
            directory,
            clock,
            _parrot: parrot,
        }
    }

    /// Moves this stage's clock forward to where the other's stands.
    pub(crate) fn catch_up(&self, other: &Self) {
        self.clock
            .advance(other.clock.now().since(self.clock.now()));
    }

    pub(crate) async fn try_put(&self, ctx: &CallCtx, key: &str, value: &str) -> Result<MemoryAck> {
        let id = ctx.next_write_id()?;
        self.local.memory().apply(ctx, id, &put(key, value)).await
    }

    /// Gives an agent something of every kind at the names that all use, with its mark in it.
    pub(crate) async fn furnish(&self, ctx: &CallCtx) {
        for key in KEYS {
            self.try_put(ctx, key, &mark(ctx)).await.unwrap();
        }
        self.furnish_mail(ctx).await;
        self.furnish_files(ctx).await;
        self.furnish_jobs(ctx).await;
        self.furnish_records(ctx).await;
        self.furnish_search(ctx).await;
        self.furnish_secrets(ctx).await;
        self.furnish_sessions(ctx).await;
    }

    /// All that an agent owns, versions and times included, as text.
    pub(crate) async fn everything_of(&self, owner: &CallCtx) -> Vec<String> {
        let mut all = self.memory_of(owner).await;
        all.extend(self.mail_of(owner).await);
        all.extend(self.files_of(owner).await);
        all.extend(self.jobs_of(owner).await);
        all.extend(self.records_of(owner).await);
        all.extend(self.search_of(owner).await);
        all.extend(self.secrets_of(owner).await);
        all.extend(self.sessions_of(owner).await);
        all
    }

    /// Does everything that an agent can do, at the names that all use, and returns all that it hears, errors included.
    pub(crate) async fn do_everything(&self, ctx: &CallCtx) -> Heard {
        let mut heard = Heard::default();
        self.use_memory(ctx, &mut heard).await;
        self.use_a2a(ctx, &mut heard).await;
        self.use_files(ctx, &mut heard).await;
        self.use_jobs(ctx, &mut heard).await;
        self.use_sessions(ctx, &mut heard).await;
        self.use_records(ctx, &mut heard).await;
        self.use_model(ctx, &mut heard).await;
        self.use_search(ctx, &mut heard).await;
        self.use_secrets(ctx, &mut heard).await;
        // What a sweep removes must be the sweeper's own, too.
        self.clock.advance(Duration::from_secs(2 * 3_600));
        let last = self.try_put(ctx, "last", "x").await;
        heard.hear("memory.put", last.map(|ack| ack.existed));
        heard
    }
}

/// What somebody heard, and from which functions of the world.
#[derive(Default)]
pub(crate) struct Heard {
    /// Each answer, or all that an error says to the caller.
    pub(crate) answers: Vec<String>,
    /// How often each function was called, by `interface.function` as in `wit/`.
    pub(crate) calls: BTreeMap<&'static str, u32>,
}

impl Heard {
    fn hear(&mut self, function: &'static str, result: Result<impl Debug>) {
        *self.calls.entry(function).or_default() += 1;
        self.answers.push(match result {
            Ok(answer) => format!("{answer:?}"),
            Err(error) => format!("{error} {:?}", error.context()),
        });
    }
}

fn values(values: impl Iterator<Item = Vec<u8>>) -> String {
    let texts = values.map(|value| String::from_utf8_lossy(&value).into_owned());
    texts.collect::<Vec<_>>().join(", ")
}

/// The directories in `directory`.
pub(crate) fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

/// The bytes of every file below `directory`.
pub(crate) fn bytes_below(directory: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            all.push(std::fs::read(&path).unwrap());
        }
    }
    all
}
