//! What SQLite and the file system say, as kinds of [`Error`].
//!
//! The only place that knows their codes. Messages name no path and no statement; those stay in the source, for the log.

use std::io;
use std::time::Duration;

use rusqlite::ErrorCode;
use stuga_core::Error;

/// When to try again after another process held the lock for longer than the busy timeout.
const LOCKED_RETRY_AFTER: Duration = Duration::from_millis(250);
/// When to try again after the disk refused a write: somebody has to make room first.
const DISK_RETRY_AFTER: Duration = Duration::from_secs(10);

/// An error of SQLite in `operation`.
pub(crate) fn sqlite(operation: &'static str, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    of_code(operation, code).with_source(error)
}

/// The same failure told to one of several callers: kind and message by `code`, the source as text.
pub(crate) fn sqlite_copy(operation: &'static str, error: &rusqlite::Error) -> Error {
    of_code(operation, error.sqlite_error_code()).with_source(error.to_string())
}

fn of_code(operation: &'static str, code: Option<ErrorCode>) -> Error {
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::unavailable(
            operation,
            "the tenant's store is locked by another process; try again",
        )
        .with_retry_after(LOCKED_RETRY_AFTER),
        Some(ErrorCode::DiskFull) => Error::unavailable(
            operation,
            "the disk of the tenant's store is full; the operator must make room",
        )
        .with_retry_after(DISK_RETRY_AFTER),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory,
        ) => Error::unavailable(
            operation,
            "the tenant's store cannot be read or written; see the host's log",
        )
        .with_retry_after(DISK_RETRY_AFTER),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::internal(
            operation,
            "the tenant's store is damaged; the operator must restore it",
        ),
        _ => Error::internal(operation, "the tenant's store failed; see the host's log"),
    }
}

/// An error of the file system in `operation`.
pub(crate) fn io(operation: &'static str, error: io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk of the tenant's files is full; the operator must make room"
        }
        _ => "the tenant's files cannot be read or written; see the host's log",
    };
    Error::unavailable(operation, message)
        .with_retry_after(DISK_RETRY_AFTER)
        .with_source(error)
}

/// An error of a migration while a store is opened.
pub(crate) fn migration(operation: &'static str, error: rusqlite_migration::Error) -> Error {
    use rusqlite_migration::{Error as Migration, MigrationDefinitionError};
    match error {
        Migration::RusqliteError { err, .. } => sqlite(operation, err),
        Migration::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            Error::internal(
                operation,
                "the tenant's store was written by a newer version of the host; run that version",
            )
        }
        other => Error::internal(
            operation,
            "the tenant's store cannot be brought to this version; see the host's log",
        )
        .with_source(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;
    use stuga_core::ErrorKind;

    #[test]
    fn a_full_disk_and_a_lock_are_outages_and_a_damaged_file_is_not() {
        for (code, kind) in [
            (ffi::SQLITE_FULL, ErrorKind::Unavailable),
            (ffi::SQLITE_BUSY, ErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, ErrorKind::Unavailable),
            (ffi::SQLITE_CORRUPT, ErrorKind::Internal),
            (ffi::SQLITE_NOTADB, ErrorKind::Internal),
        ] {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let error = sqlite("memory.put", failure);
            assert_eq!(error.kind(), kind, "{code}");
            assert!(!error.causes().is_empty());
        }
    }
}
