//! Remembers which writes were applied and what they answered, so that a repetition changes nothing.

use std::time::Duration;

use rusqlite::OptionalExtension;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use stuga_core::{CapabilityName, Error, Result, WriteId};

use crate::error;
use crate::scope::Scope;
use crate::sweep::before;
use crate::tx::WriteTx;

/// How long a write is remembered. The contract asks for at least 24 hours.
pub(crate) const RETENTION: Duration = Duration::from_secs(25 * 3_600);
/// Most writes that are remembered for a tenant: 46 a second over the whole retention, about half a gigabyte.
pub(crate) const MAX_ROWS: u64 = 4_000_000;
/// When to try again once a tenant has written that much: rows go as they come of age.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Tells writes apart that come under the same id: the digest of everything that a write says, and of its scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WriteDigest([u8; 32]);

/// Collects the parts of a write. Each part is preceded by its length, so that parts cannot run into each other. What
/// is fed in, and in which order, is kept on disk for a day: change it only with that in mind.
pub(crate) struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Begins with the scope, the capability and the operation.
    pub(crate) fn new(scope: &Scope, capability: CapabilityName, operation: &str) -> Self {
        Self(Sha256::new())
            .part(scope.rows().as_bytes())
            .part(capability.as_str().as_bytes())
            .part(operation.as_bytes())
    }

    /// Adds a part.
    pub(crate) fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number, or that there is none.
    pub(crate) fn number(self, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.part(&number.to_le_bytes()),
            None => self.part(&[]),
        }
    }

    /// The digest of what was added.
    pub(crate) fn finish(self) -> WriteDigest {
        WriteDigest(self.0.finalize().into())
    }
}

/// Runs `effect` unless the write `id` was applied before; answers what the first time answered.
///
/// # Errors
/// `Conflict` when another write came under this id; else what `effect` says, and then nothing is remembered.
pub(crate) fn once<A: Serialize + DeserializeOwned>(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    id: WriteId,
    digest: WriteDigest,
    effect: impl FnOnce(&mut WriteTx<'_>) -> Result<A>,
) -> Result<A> {
    let invocation = id.invocation.as_uuid().as_bytes();
    let known = tx.first(
        operation,
        "SELECT digest, ack FROM applied_write WHERE invocation = ?1 AND call = ?2",
        (invocation, id.call),
        |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?)),
    )?;
    if let Some((known, ack)) = known {
        if known != digest.0 {
            return Err(Error::conflict(
                operation,
                format!("another write was applied under id {id}"),
            ));
        }
        return serde_json::from_str(&ack).map_err(|e| {
            Error::internal(operation, "a remembered answer is damaged").with_source(e)
        });
    }
    if tx.tally.applied >= MAX_ROWS {
        return Err(Error::rate_limited(
            operation,
            "the tenant has made too many writes within a day; try again later",
        )
        .with_context("limit", MAX_ROWS)
        .with_retry_after(RETRY_AFTER));
    }
    let ack = effect(tx)?;
    let text = serde_json::to_string(&ack)
        .map_err(|e| Error::internal(operation, "an answer cannot be kept").with_source(e))?;
    tx.execute(
        operation,
        "INSERT INTO applied_write (invocation, call, digest, ack, applied_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (invocation, id.call, digest.0, text, tx.now.as_millis()),
    )?;
    tx.tally.applied += 1;
    Ok(ack)
}

/// Forgets at most `max` writes that are older than [`RETENTION`], oldest first; says how many.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let cutoff = before(tx.now, RETENTION).as_millis();
    // Rows are in order of application, so the first that is young ends the search.
    let last = tx
        .statement(
            operation,
            "SELECT max(seq) FROM (SELECT seq, applied_at FROM applied_write ORDER BY seq LIMIT ?1)
             WHERE applied_at <= ?2",
        )?
        .query_row((max, cutoff), |row| row.get::<_, Option<i64>>(0))
        .optional()
        .map_err(|e| error::sqlite(operation, e))?
        .flatten();
    let Some(last) = last else { return Ok(0) };
    let removed = tx.execute(
        operation,
        "DELETE FROM applied_write WHERE seq <= ?1 AND applied_at <= ?2",
        (last, cutoff),
    )?;
    tx.tally.applied = tx.tally.applied.saturating_sub(removed as u64);
    Ok(u32::try_from(removed).unwrap_or(u32::MAX))
}
