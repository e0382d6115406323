//! Counters of a tenant: what is stored, the last version given, and the bounds they are held to.
//!
//! A batch of writes loads them once, changes them in memory and stores them once, all inside its transaction. So no
//! write sums up rows, and a crash leaves counters and rows in agreement.

use std::sync::LazyLock;

use rusqlite::Connection;
use serde::Deserialize;
use stuga_core::{Error, Result};

/// How much a tenant may store. A write that would exceed one is `QuotaExceeded`; one that shrinks is always allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Bytes of keys and values in memory, of sessions with their events and of records, of all the tenant's agents together.
    pub memory_bytes: u64,
    /// Items in memory, sessions, events and records.
    pub memory_items: u64,
    /// Bytes of all files and their earlier versions, which give way to files that stand. Contents that nothing names
    /// any more may take as much again until they are swept.
    pub files_bytes: u64,
    /// Files.
    pub files_count: u64,
    /// Jobs, those that ended and are kept included, and schedules.
    pub jobs: u64,
    /// Bytes of their inputs and outputs.
    pub jobs_bytes: u64,
    /// Bytes of documents in search: ids, names, values and vectors. What is derived from them takes about as much again.
    pub search_bytes: u64,
    /// Documents in search.
    pub search_documents: u64,
    /// Messages in the mailboxes of the tenant's agents, dead ones included.
    pub mailbox_messages: u64,
    /// Bytes of them.
    pub mailbox_bytes: u64,
    /// Entries of the journal: writes that the cloud does not know yet, and those that it refused or had a later one for.
    pub journal_entries: u64,
    /// Bytes of them.
    pub journal_bytes: u64,
}

impl Default for Quotas {
    /// 256 MiB and a million items of memory; 4 GiB and a hundred thousand files; a hundred thousand jobs of 256 MiB; 1 GiB
    /// and a million documents in search; ten thousand messages of 64 MiB; a million entries and 1 GiB of the journal.
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            memory_items: 1_000_000,
            files_bytes: 4 << 30,
            files_count: 100_000,
            jobs: 100_000,
            jobs_bytes: 256 << 20,
            search_bytes: 1 << 30,
            search_documents: 1_000_000,
            mailbox_messages: 10_000,
            mailbox_bytes: 64 << 20,
            journal_entries: 1_000_000,
            journal_bytes: 1 << 30,
        }
    }
}

/// How much a tenant has stored. Expired items count until they are swept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Bytes of keys and values in memory, of sessions with their events and of records.
    pub memory_bytes: u64,
    /// Items in memory, sessions, events and records.
    pub memory_items: u64,
    /// Bytes of all files.
    pub files_bytes: u64,
    /// Files.
    pub files_count: u64,
    /// Earlier versions of files.
    pub file_versions: u64,
    /// Bytes of earlier versions.
    pub file_version_bytes: u64,
    /// Jobs and schedules.
    pub jobs: u64,
    /// Bytes of jobs and schedules.
    pub jobs_bytes: u64,
    /// Bytes of documents in search.
    pub search_bytes: u64,
    /// Documents in search.
    pub search_documents: u64,
    /// Entries of the journal.
    pub journal_entries: u64,
    /// Bytes of them.
    pub journal_bytes: u64,
}

/// What counts towards the quota of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Item,
    Session,
    Event,
    Record,
}

/// How much is stored of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// The row of table `tally`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) version: u64,
    pub(crate) memory_items: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) files_count: u64,
    pub(crate) files_bytes: u64,
    pub(crate) content_bytes: u64,
    pub(crate) applied: u64,
    pub(crate) claims: u64,
    pub(crate) answer_bytes: u64,
    pub(crate) file_versions: u64,
    pub(crate) file_version_bytes: u64,
    pub(crate) jobs: u64,
    pub(crate) jobs_bytes: u64,
    pub(crate) search_documents: u64,
    pub(crate) search_bytes: u64,
    /// What of `memory_items` and `memory_bytes` are items, events and records; the rest are sessions.
    pub(crate) items: Held,
    pub(crate) events: Held,
    pub(crate) records: Held,
    pub(crate) journal_entries: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) journal_waiting: u64,
    pub(crate) journal_changes: u64,
}

/// How many counters the row has.
const COLUMNS: usize = 25;

static SELECT: LazyLock<String> = LazyLock::new(|| {
    let columns = Tally::default().columns().map(|(name, _)| name);
    format!("SELECT {} FROM tally WHERE id = 0", columns.join(", "))
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let columns = Tally::default().columns().map(|(name, _)| name);
    format!(
        "UPDATE tally SET {} = ? WHERE id = 0",
        columns.join(" = ?, ")
    )
});

impl Tally {
    /// Every column with its counter: the one place that says which belongs to which.
    fn columns(&mut self) -> [(&'static str, &mut u64); COLUMNS] {
        [
            ("version", &mut self.version),
            ("memory_items", &mut self.memory_items),
            ("memory_bytes", &mut self.memory_bytes),
            ("items", &mut self.items.rows),
            ("item_bytes", &mut self.items.bytes),
            ("events", &mut self.events.rows),
            ("event_bytes", &mut self.events.bytes),
            ("records", &mut self.records.rows),
            ("record_bytes", &mut self.records.bytes),
            ("files_count", &mut self.files_count),
            ("files_bytes", &mut self.files_bytes),
            ("file_versions", &mut self.file_versions),
            ("file_version_bytes", &mut self.file_version_bytes),
            ("content_bytes", &mut self.content_bytes),
            ("applied", &mut self.applied),
            ("claims", &mut self.claims),
            ("answer_bytes", &mut self.answer_bytes),
            ("jobs", &mut self.jobs),
            ("jobs_bytes", &mut self.jobs_bytes),
            ("search_documents", &mut self.search_documents),
            ("search_bytes", &mut self.search_bytes),
            ("journal_entries", &mut self.journal_entries),
            ("journal_bytes", &mut self.journal_bytes),
            ("journal_waiting", &mut self.journal_waiting),
            ("journal_changes", &mut self.journal_changes),
        ]
    }

    /// Reads the row.
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        conn.prepare_cached(&SELECT)?.query_row([], |row| {
            let mut tally = Self::default();
            for (column, (_, counter)) in tally.columns().into_iter().enumerate() {
                *counter = row.get(column)?;
            }
            Ok(tally)
        })
    }

    /// Writes the row.
    pub(crate) fn store(mut self, conn: &Connection) -> rusqlite::Result<()> {
        let counters = self.columns().map(|(_, counter)| *counter);
        conn.prepare_cached(&UPDATE)?
            .execute(rusqlite::params_from_iter(counters))?;
        Ok(())
    }

    /// Books that `new` takes the place of `old` in memory.
    pub(crate) fn replace(&mut self, kind: Kind, old: Held, new: Held) {
        let change = |rows: &mut u64, bytes: &mut u64| {
            replace(rows, old.rows, new.rows);
            replace(bytes, old.bytes, new.bytes);
        };
        change(&mut self.memory_items, &mut self.memory_bytes);
        let held = match kind {
            Kind::Item => &mut self.items,
            Kind::Event => &mut self.events,
            Kind::Record => &mut self.records,
            Kind::Session => return,
        };
        change(&mut held.rows, &mut held.bytes);
    }

    /// What is held of a kind that is counted by itself.
    pub(crate) fn held(&self, kind: Kind) -> Held {
        match kind {
            Kind::Item => self.items,
            Kind::Event => self.events,
            Kind::Record => self.records,
            Kind::Session => Held::default(),
        }
    }

    /// Books that `gone` is not in memory any more.
    pub(crate) fn release(&mut self, kind: Kind, gone: Held) {
        self.replace(kind, gone, Held::default());
    }

    /// What the tenant's operator wants to know of it.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            memory_bytes: self.memory_bytes,
            memory_items: self.memory_items,
            files_bytes: self.files_bytes,
            files_count: self.files_count,
            file_versions: self.file_versions,
            file_version_bytes: self.file_version_bytes,
            jobs: self.jobs,
            jobs_bytes: self.jobs_bytes,
            search_bytes: self.search_bytes,
            search_documents: self.search_documents,
            journal_entries: self.journal_entries,
            journal_bytes: self.journal_bytes,
        }
    }
}

impl Held {
    /// One row of that size.
    pub(crate) fn one(bytes: u64) -> Self {
        Self { rows: 1, bytes }
    }

    /// Counts one more.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Replaces `old` by `new` in `counter`.
pub(crate) fn replace(counter: &mut u64, old: u64, new: u64) {
    *counter = counter.saturating_sub(old).saturating_add(new);
}

/// Checks that a counter of `used` may lose `old` and gain `new`.
pub(crate) fn check_quota(
    operation: &'static str,
    quota: &'static str,
    limit: u64,
    used: u64,
    old: u64,
    new: u64,
) -> Result<()> {
    let mut after = used;
    replace(&mut after, old, new);
    if after <= limit || new <= old {
        return Ok(());
    }
    Err(Error::quota_exceeded(
        operation,
        format!(
            "the tenant's quota {quota} is reached; delete something or ask the operator for more"
        ),
    )
    .with_context("quota", quota)
    .with_context("limit", limit)
    .with_context("used", used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stuga_core::ErrorKind;

    #[test]
    fn a_quota_admits_up_to_its_limit_and_whatever_shrinks() {
        assert!(check_quota("memory.put", "memory_bytes", 10, 6, 0, 4).is_ok());
        let error = check_quota("memory.put", "memory_bytes", 10, 6, 0, 5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert_eq!(error.context_value("limit"), Some("10"));
        assert_eq!(error.context_value("used"), Some("6"));
        assert!(
            check_quota("memory.put", "memory_bytes", 10, 20, 8, 7).is_ok(),
            "over the limit, but smaller"
        );
    }
}
