//! Counters of a tenant: what is stored, the last version given, and the bounds they are held to.
//!
//! A batch of writes loads them once, changes them in memory and stores them once, all inside its transaction. So no
//! write sums up rows, and a crash leaves counters and rows in agreement.

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
}

impl Default for Quotas {
    /// 256 MiB and a million items of memory; 4 GiB and a hundred thousand files; a hundred thousand jobs of 256 MiB; 1 GiB
    /// and a million documents in search.
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
}

impl Tally {
    /// Reads the row.
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        conn.prepare_cached(
            "SELECT version, memory_items, memory_bytes, files_count, files_bytes, content_bytes, applied, claims,
             answer_bytes, file_versions, file_version_bytes, jobs, jobs_bytes, search_documents, search_bytes FROM tally
             WHERE id = 0",
        )?
        .query_row([], |row| {
            Ok(Self {
                version: row.get(0)?,
                memory_items: row.get(1)?,
                memory_bytes: row.get(2)?,
                files_count: row.get(3)?,
                files_bytes: row.get(4)?,
                content_bytes: row.get(5)?,
                applied: row.get(6)?,
                claims: row.get(7)?,
                answer_bytes: row.get(8)?,
                file_versions: row.get(9)?,
                file_version_bytes: row.get(10)?,
                jobs: row.get(11)?,
                jobs_bytes: row.get(12)?,
                search_documents: row.get(13)?,
                search_bytes: row.get(14)?,
            })
        })
    }

    /// Writes the row.
    pub(crate) fn store(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "UPDATE tally SET version = ?1, memory_items = ?2, memory_bytes = ?3, files_count = ?4, files_bytes = ?5,
             content_bytes = ?6, applied = ?7, claims = ?8, answer_bytes = ?9, file_versions = ?10,
             file_version_bytes = ?11, jobs = ?12, jobs_bytes = ?13, search_documents = ?14, search_bytes = ?15 WHERE id = 0",
        )?
        .execute((
            self.version,
            self.memory_items,
            self.memory_bytes,
            self.files_count,
            self.files_bytes,
            self.content_bytes,
            self.applied,
            self.claims,
            self.answer_bytes,
            self.file_versions,
            self.file_version_bytes,
            self.jobs,
            self.jobs_bytes,
            self.search_documents,
            self.search_bytes,
        ))?;
        Ok(())
    }

    /// The next version of whatever is being written: larger than any that this tenant's store ever gave.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
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
        }
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
