//! Which contents are named by files, versions and entries of the journal, and the sweep of those that are not.

use std::time::Duration;

use stuga_core::{Error, Result};

use crate::error;
use crate::tally::replace;
use crate::tx::WriteTx;

/// How long a content without a name stays at least, so that no process loses it between its spool and its put.
const UNNAMED_RETENTION: Duration = Duration::from_secs(3_600);

/// Enters a content that is about to be written, or keeps one that lies there from being swept.
pub(super) fn enter(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    sha256: &str,
    size: u64,
) -> Result<()> {
    let known = tx.execute(
        operation,
        "UPDATE content SET wanted_at = ?2 WHERE sha256 = ?1",
        (sha256, tx.now.as_millis()),
    )?;
    if known > 0 {
        return Ok(());
    }
    let limit = tx.quotas.files_bytes.saturating_mul(2);
    let after = tx.tally.content_bytes.saturating_add(size);
    if after > limit {
        return Err(Error::rate_limited(
            operation,
            "too many contents were replaced or left unused within an hour; try again later",
        )
        .with_context("limit", limit)
        .with_context("used", tx.tally.content_bytes)
        .with_retry_after(UNNAMED_RETENTION));
    }
    tx.execute(
        operation,
        "INSERT INTO content (sha256, size, named_by, wanted_at) VALUES (?1, ?2, 0, ?3)",
        (sha256, size, tx.now.as_millis()),
    )?;
    tx.tally.content_bytes = after;
    Ok(())
}

/// Counts one more file or version that names a content, which must be there.
pub(super) fn name(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    sha256: &str,
    size: u64,
) -> Result<()> {
    let spooled: Option<u64> = tx.first(
        operation,
        "SELECT size FROM content WHERE sha256 = ?1",
        [sha256],
        |row| row.get(0),
    )?;
    if spooled != Some(size) || !tx.content.holds(operation, sha256, size)? {
        return Err(Error::not_found(
            operation,
            "no content of this digest and size is spooled; spool it again",
        )
        .with_context("sha256", sha256)
        .with_context("size", size));
    }
    hold(tx, operation, sha256)
}

/// Keeps a content from being swept that the journal names.
pub(crate) fn hold(tx: &mut WriteTx<'_>, operation: &'static str, sha256: &str) -> Result<()> {
    tx.execute(
        operation,
        "UPDATE content SET named_by = named_by + 1 WHERE sha256 = ?1",
        [sha256],
    )?;
    Ok(())
}

/// Lets go of a content that the journal named.
pub(crate) fn let_go(tx: &mut WriteTx<'_>, operation: &'static str, sha256: &str) -> Result<()> {
    unname(tx, operation, sha256)
}

/// Counts one file or version less that names a content.
pub(super) fn unname(tx: &mut WriteTx<'_>, operation: &'static str, sha256: &str) -> Result<()> {
    tx.execute(
        operation,
        "UPDATE content SET named_by = named_by - 1, wanted_at = ?2 WHERE sha256 = ?1",
        (sha256, tx.now.as_millis()),
    )?;
    Ok(())
}

/// Removes at most `max` contents that nothing has named for [`UNNAMED_RETENTION`]; says how many.
///
/// It holds the write lock of the store, so no other process can name one meanwhile. When the transaction fails after a
/// removal, the next sweep finds the row and no file.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let cutoff = tx.now.saturating_sub(UNNAMED_RETENTION).as_millis();
    let unnamed = tx
        .statement(
            operation,
            "SELECT sha256, size FROM content WHERE named_by = 0 AND wanted_at <= ?1 ORDER BY wanted_at LIMIT ?2",
        )?
        .query_map((cutoff, max), |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<(String, u64)>>>)
        .map_err(|e| error::sqlite(operation, e))?;
    let mut removed = 0;
    for (sha256, size) in unnamed {
        tx.content.remove(operation, &sha256)?;
        tx.execute(
            operation,
            "DELETE FROM content WHERE sha256 = ?1",
            [&sha256],
        )?;
        replace(&mut tx.tally.content_bytes, size, 0);
        removed += 1;
    }
    Ok(removed)
}
