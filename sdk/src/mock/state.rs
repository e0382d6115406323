//! Everything that a mock host holds, and the rules that concern no single capability.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Line, a2a, files, jobs, memory, model, records, search, secrets, sessions, uploads};
use crate::log::Level;
use crate::{Capability, Error, Result};

/// Longest message of a line in bytes; what is over is cut.
const MESSAGE_MAX_BYTES: usize = 8 << 10;
/// Most fields of a line.
const FIELDS_MAX: usize = 32;
/// Most lines of an invocation.
const LINES_MAX: u32 = 1_000;
/// Largest partial result in bytes.
const PART_MAX_BYTES: usize = 256 << 10;
/// What each look at the stopwatch takes, so that it is never seen standing still.
const TICK_NANOS: u64 = 1_000;

pub(crate) struct State {
    pub(super) now: u64,
    pub(super) config: BTreeMap<String, String>,
    pub(super) denied: BTreeSet<Capability>,
    pub(super) faults: BTreeMap<String, Error>,
    pub(super) logs: Vec<Line>,
    pub(super) outputs: Vec<Value>,
    pub(super) memory: memory::Store,
    pub(super) files: files::Store,
    pub(super) uploads: uploads::Uploads,
    pub(super) models: model::Models,
    pub(super) sessions: sessions::Store,
    pub(super) records: records::Store,
    pub(super) jobs: jobs::Store,
    /// The job that runs and its attempt.
    pub(super) job: Option<(String, u32)>,
    /// The kinds of jobs of the running agent with their schemas; none outside an invocation, where everything is open.
    pub(super) kinds: Option<Vec<(&'static str, String)>>,
    /// Runs what is due of the running agent.
    pub(super) run_jobs: Option<fn()>,
    pub(super) search: search::Store,
    pub(super) secrets: secrets::Store,
    pub(super) a2a: a2a::Store,
    /// What the agent of the running invocation wants; none outside an invocation, where everything is open.
    pub(super) wanted: Option<&'static [Capability]>,
    pub(super) invocations: u64,
    seed: u64,
    random: u64,
    elapsed: u64,
    lines: u32,
}

/// What belongs to one invocation.
pub(super) struct Suspended {
    wanted: Option<&'static [Capability]>,
    job: Option<(String, u32)>,
    kinds: Option<Vec<(&'static str, String)>>,
    run_jobs: Option<fn()>,
    random: u64,
    elapsed: u64,
    lines: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: 1_700_000_000_000,
            config: BTreeMap::new(),
            denied: BTreeSet::new(),
            faults: BTreeMap::new(),
            logs: Vec::new(),
            outputs: Vec::new(),
            memory: memory::Store::default(),
            files: files::Store::default(),
            uploads: uploads::Uploads::default(),
            models: model::Models::default(),
            sessions: sessions::Store::default(),
            records: records::Store::default(),
            jobs: jobs::Store::default(),
            job: None,
            kinds: None,
            run_jobs: None,
            search: search::Store::default(),
            secrets: secrets::Store::default(),
            a2a: a2a::Store::default(),
            wanted: None,
            invocations: 0,
            seed: 0,
            random: 0,
            elapsed: 0,
            lines: 0,
        }
    }
}

impl State {
    pub(super) fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
        self.random = seed;
    }

    /// Begins an invocation: its own randomness, stopwatch and allowance of lines. Returns its number, from 1.
    pub(super) fn begin(&mut self, wanted: &'static [Capability]) -> u64 {
        self.invocations += 1;
        self.random = self.seed.wrapping_add(self.invocations << 32);
        self.elapsed = 0;
        self.lines = 0;
        self.uploads.end_all();
        self.models.end_all();
        self.secrets.begin();
        self.wanted = Some(wanted);
        self.invocations
    }

    pub(super) fn end(&mut self) {
        self.wanted = None;
        self.job = None;
        self.kinds = None;
        self.run_jobs = None;
    }

    /// Takes down what belongs to the invocation that runs, before another runs within it.
    pub(super) fn suspend(&mut self) -> Suspended {
        Suspended {
            wanted: self.wanted,
            job: self.job.take(),
            kinds: self.kinds.take(),
            run_jobs: self.run_jobs.take(),
            random: self.random,
            elapsed: self.elapsed,
            lines: self.lines,
        }
    }

    /// Goes on with an invocation that was suspended.
    pub(super) fn resume(&mut self, suspended: Suspended) {
        self.wanted = suspended.wanted;
        self.job = suspended.job;
        self.kinds = suspended.kinds;
        self.run_jobs = suspended.run_jobs;
        self.random = suspended.random;
        self.elapsed = suspended.elapsed;
        self.lines = suspended.lines;
    }

    /// Checks that the running agent has this kind of job and the input fits it.
    pub(super) fn check_job(&self, kind: &str, input: &str) -> Result<()> {
        let Some(kinds) = &self.kinds else {
            return Ok(());
        };
        let Some((_, schema)) = kinds.iter().find(|(known, _)| *known == kind) else {
            let known: Vec<_> = kinds.iter().map(|(known, _)| *known).collect();
            return Err(crate::instance::unknown_job("this", kind, &known));
        };
        let input = serde_json::from_str(input)
            .map_err(|e| Error::invalid(format!("the input is not JSON: {e}")))?;
        super::invoke::check_input(schema, &input, "job", kind)
    }

    /// What comes before every call of a capability that needs a grant.
    pub(super) fn admit(&self, capability: Capability, operation: &str) -> Result<()> {
        let name = capability.as_str();
        if self
            .wanted
            .is_some_and(|wanted| !wanted.contains(&capability))
        {
            return Err(Error::denied(format!(
                "the agent does not want `{name}`; add Capability::{capability:?} to Agent::CAPABILITIES"
            ))
            .with_context("capability", name));
        }
        if self.denied.contains(&capability) {
            return Err(
                Error::denied(format!("the tenant does not grant `{name}` to this agent"))
                    .with_context("capability", name),
            );
        }
        self.healthy(operation)
    }

    /// Fails when the test wants the operation to fail.
    pub(super) fn healthy(&self, operation: &str) -> Result<()> {
        self.faults.get(operation).cloned().map_or(Ok(()), Err)
    }

    pub(super) fn log(&mut self, level: Level, message: &str, fields: &[(String, String)]) {
        if self.lines == LINES_MAX {
            return;
        }
        self.lines += 1;
        let clean = |text: &String| self.secrets.clean(text);
        let message = self.secrets.clean(message);
        let end = message.floor_char_boundary(MESSAGE_MAX_BYTES);
        let line = Line {
            level,
            message: message.get(..end).unwrap_or_default().to_owned(),
            fields: fields
                .iter()
                .take(FIELDS_MAX)
                .map(|(name, value)| (clean(name), clean(value)))
                .collect(),
        };
        self.logs.push(line);
    }

    /// An error as it leaves the host: without what was revealed.
    pub(super) fn without_secrets(&self, mut error: Error) -> Error {
        error.message = self.secrets.clean(&error.message);
        for (name, value) in &mut error.context {
            *name = self.secrets.clean(name);
            *value = self.secrets.clean(value);
        }
        error
    }

    pub(super) fn emit(&mut self, json: &str) -> Result<()> {
        self.healthy("output.emit")?;
        if json.len() > PART_MAX_BYTES {
            let size = json.len();
            return Err(Error::invalid(format!(
                "the part has {size} bytes; the limit is {PART_MAX_BYTES}"
            ))
            .with_context("limit", PART_MAX_BYTES));
        }
        let part = serde_json::from_str(json)
            .map_err(|e| Error::invalid(format!("the part is not JSON: {e}")))?;
        self.outputs.push(part);
        Ok(())
    }

    pub(super) fn elapsed(&mut self) -> u64 {
        self.elapsed += TICK_NANOS;
        self.elapsed
    }

    /// SplitMix64: small, and the same everywhere.
    pub(super) fn next_u64(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn bytes(&mut self, len: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len as usize);
        while bytes.len() < len as usize {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(len as usize);
        bytes
    }
}
