//! What a tenant may use up: every limit with its default and its maximum.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use stuga_core::invocation::RUN_LONGEST;

use crate::yaml::{Node, Report};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Longest deadline that any tenant may allow.
const DEADLINE_MOST: Duration = Duration::from_secs(600);
// What is remembered of a finished invocation's writes goes that long after its end.
const _: () = assert!(DEADLINE_MOST.as_secs() < RUN_LONGEST.as_secs());

/// Largest request body that any tenant may allow.
pub const REQUEST_MAX_BYTES: u64 = 64 * MIB;

/// Limits of one tenant. They hold for each of its agents; calls and storage for the tenant as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Limits {
    /// Largest linear memory of an instance.
    pub memory: u64,
    /// Longest time of an invocation, from acceptance to answer.
    #[serde(serialize_with = "as_text")]
    pub deadline: Duration,
    /// Calls of the tenant at once; more get 429.
    pub concurrent_calls: u32,
    /// Calls that may wait for an instance of one agent; more get 429.
    pub waiting_calls: u32,
    /// Calls of the tenant in a second on average; none for no such limit.
    pub calls_per_second: Option<NonZeroU32>,
    /// Largest request body.
    pub request_bytes: u64,
    /// Longest answer of an agent.
    pub answer_bytes: u64,
    /// What its agents may take of the models.
    pub model: ModelShare,
    /// What its jobs may take.
    pub jobs: JobLimits,
    /// What its agents may store.
    pub storage: Storage,
}

/// What the jobs of a tenant may take.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct JobLimits {
    /// Jobs of the tenant that run at the same time; more wait.
    pub concurrent: u32,
    /// How many jobs it may begin in its turn, when tenants compete for the places of the host.
    pub weight: u32,
    /// Longest run of an attempt.
    #[serde(serialize_with = "as_text")]
    pub deadline: Duration,
}

/// What a tenant's agents together may take of the models.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ModelShare {
    /// Completions at once.
    pub completions: u32,
    /// Tokens of prompts and answers a minute; none for no such limit.
    pub tokens_per_minute: Option<u32>,
}

/// How much a tenant's agents may store, in bytes and entries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Storage {
    /// Keys and values of memory.
    pub memory: u64,
    /// Keys in memory.
    pub memory_items: u64,
    /// Contents of files.
    pub files: u64,
    /// Number of files.
    pub files_count: u64,
    /// Inputs and outputs of jobs.
    pub jobs: u64,
    /// Number of jobs, those that ended and are kept included, and of schedules.
    pub jobs_count: u64,
    /// Documents in search with their vectors.
    pub search: u64,
    /// Number of documents in search.
    pub search_documents: u64,
    /// Messages in mailboxes, in bytes.
    pub mailbox: u64,
    /// Number of messages in mailboxes.
    pub mailbox_messages: u64,
    /// What the cloud does not know yet, in bytes.
    pub journal: u64,
    /// Number of writes that the cloud does not know yet.
    pub journal_entries: u64,
}

fn as_text<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::units::show_duration(*time))
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 * MIB,
            deadline: Duration::from_secs(30),
            concurrent_calls: 16,
            waiting_calls: 64,
            calls_per_second: None,
            request_bytes: 8 * MIB,
            answer_bytes: 4 * MIB,
            jobs: JobLimits {
                concurrent: 4,
                weight: 1,
                deadline: Duration::from_secs(300),
            },
            model: ModelShare {
                completions: 4,
                tokens_per_minute: None,
            },
            storage: Storage {
                memory: 256 * MIB,
                memory_items: 1_000_000,
                files: 4 * GIB,
                files_count: 100_000,
                jobs: 256 * MIB,
                jobs_count: 100_000,
                search: GIB,
                search_documents: 1_000_000,
                mailbox: 64 * MIB,
                mailbox_messages: 10_000,
                journal: GIB,
                journal_entries: 1_000_000,
            },
        }
    }
}

impl Limits {
    /// Reads the `limits` of a tenant's file. What is wrong keeps its default and is reported.
    pub(super) fn read(node: &Node, report: &mut Report) -> Self {
        let mut limits = Self::default();
        let Some(mut fields) = report.fields(node, "limits") else {
            return limits;
        };
        if let Some(node) = fields.optional("memory") {
            set(
                &mut limits.memory,
                report.bytes(node, "memory", MIB..=512 * MIB),
            );
        }
        if let Some(node) = fields.optional("deadline") {
            let range = Duration::from_millis(10)..=DEADLINE_MOST;
            set(
                &mut limits.deadline,
                report.duration(node, "deadline", range),
            );
        }
        if let Some(node) = fields.optional("concurrent_calls") {
            set(
                &mut limits.concurrent_calls,
                small(report, node, "concurrent_calls", 1_000),
            );
        }
        if let Some(node) = fields.optional("waiting_calls") {
            set(
                &mut limits.waiting_calls,
                small(report, node, "waiting_calls", 1_000),
            );
        }
        if let Some(node) = fields.optional("calls_per_second") {
            limits.calls_per_second =
                small(report, node, "calls_per_second", 100_000).and_then(NonZeroU32::new);
        }
        if let Some(node) = fields.optional("request_bytes") {
            set(
                &mut limits.request_bytes,
                report.bytes(node, "request_bytes", KIB..=REQUEST_MAX_BYTES),
            );
        }
        if let Some(node) = fields.optional("answer_bytes") {
            set(
                &mut limits.answer_bytes,
                report.bytes(node, "answer_bytes", KIB..=64 * MIB),
            );
        }
        if let Some(node) = fields.optional("jobs") {
            limits.jobs.read(node, report);
        }
        if let Some(node) = fields.optional("model") {
            limits.model.read(node, report);
        }
        if let Some(node) = fields.optional("storage") {
            limits.storage.read(node, report);
        }
        fields.finish(report);
        limits
    }
}

impl JobLimits {
    fn read(&mut self, node: &Node, report: &mut Report) {
        let Some(mut fields) = report.fields(node, "jobs") else {
            return;
        };
        if let Some(node) = fields.optional("concurrent") {
            set(
                &mut self.concurrent,
                small(report, node, "concurrent", 1_000),
            );
        }
        if let Some(node) = fields.optional("weight") {
            set(&mut self.weight, small(report, node, "weight", 100));
        }
        if let Some(node) = fields.optional("deadline") {
            let range = Duration::from_millis(10)..=Duration::from_secs(24 * 3_600);
            set(&mut self.deadline, report.duration(node, "deadline", range));
        }
        fields.finish(report);
    }
}

impl ModelShare {
    fn read(&mut self, node: &Node, report: &mut Report) {
        let Some(mut fields) = report.fields(node, "limits.model") else {
            return;
        };
        if let Some(node) = fields.optional("completions") {
            set(
                &mut self.completions,
                small(report, node, "completions", 1_000),
            );
        }
        if let Some(node) = fields.optional("tokens_per_minute") {
            self.tokens_per_minute = small(report, node, "tokens_per_minute", 1_000_000_000);
        }
        fields.finish(report);
    }
}

impl Storage {
    fn read(&mut self, node: &Node, report: &mut Report) {
        let Some(mut fields) = report.fields(node, "storage") else {
            return;
        };
        if let Some(node) = fields.optional("memory") {
            set(
                &mut self.memory,
                report.bytes(node, "memory", 0..=1_024 * GIB),
            );
        }
        if let Some(node) = fields.optional("memory_items") {
            set(
                &mut self.memory_items,
                report.integer(node, "memory_items", 0..=100_000_000),
            );
        }
        if let Some(node) = fields.optional("files") {
            set(
                &mut self.files,
                report.bytes(node, "files", 0..=1_024 * GIB),
            );
        }
        if let Some(node) = fields.optional("files_count") {
            set(
                &mut self.files_count,
                report.integer(node, "files_count", 0..=10_000_000),
            );
        }
        if let Some(node) = fields.optional("jobs") {
            set(&mut self.jobs, report.bytes(node, "jobs", 0..=1_024 * GIB));
        }
        if let Some(node) = fields.optional("jobs_count") {
            set(
                &mut self.jobs_count,
                report.integer(node, "jobs_count", 0..=10_000_000),
            );
        }
        if let Some(node) = fields.optional("search") {
            set(
                &mut self.search,
                report.bytes(node, "search", 0..=1_024 * GIB),
            );
        }
        if let Some(node) = fields.optional("search_documents") {
            set(
                &mut self.search_documents,
                report.integer(node, "search_documents", 0..=100_000_000),
            );
        }
        if let Some(node) = fields.optional("mailbox") {
            set(
                &mut self.mailbox,
                report.bytes(node, "mailbox", 0..=64 * GIB),
            );
        }
        if let Some(node) = fields.optional("mailbox_messages") {
            set(
                &mut self.mailbox_messages,
                report.integer(node, "mailbox_messages", 0..=1_000_000),
            );
        }
        if let Some(node) = fields.optional("journal") {
            set(
                &mut self.journal,
                report.bytes(node, "journal", 0..=64 * GIB),
            );
        }
        if let Some(node) = fields.optional("journal_entries") {
            set(
                &mut self.journal_entries,
                report.integer(node, "journal_entries", 0..=10_000_000),
            );
        }
        fields.finish(report);
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn small(report: &mut Report, node: &Node, what: &str, most: u32) -> Option<u32> {
    report
        .integer(node, what, 1..=u64::from(most))
        .and_then(|value| u32::try_from(value).ok())
}
