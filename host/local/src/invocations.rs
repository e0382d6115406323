//! Idempotency keys and kept answers on SQLite.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::OptionalExtension;
use stuga_core::invocation::{
    Answer, Claim, IDEMPOTENCY_RETENTION, InvocationStore, RUN_LONGEST, check_idempotency_key,
};
use stuga_core::{Error, InvocationId, Result, TenantId, Timestamp};
use uuid::Uuid;

use crate::Local;
use crate::error;
use crate::tally::replace;
use crate::tx::WriteTx;

/// Most keys of a tenant that are kept: 11 new ones a second over the whole retention.
const CLAIMS_MAX: u64 = 1_000_000;
/// Most bytes of answers of a tenant that are kept; new keys are refused beyond.
const ANSWERS_MAX_BYTES: u64 = 1 << 30;
/// Largest answer that is kept.
const ANSWER_MAX_BYTES: usize = 32 << 20;
/// When to try again after a bound was reached: keys go as they come of age.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Idempotency keys of all tenants on this host.
pub(crate) struct LocalInvocations {
    pub(crate) local: Local,
}

#[async_trait]
impl InvocationStore for LocalInvocations {
    async fn claim(
        &self,
        tenant: &TenantId,
        key: &str,
        request_digest: &[u8; 32],
        invocation: InvocationId,
        accepted_at: Timestamp,
    ) -> Result<Claim> {
        check_idempotency_key(key)?;
        let (key, digest) = (key.to_owned(), *request_digest);
        let store = self.local.tenant(tenant).await?;
        store
            .write("invocation.claim", 0, move |tx| {
                claim_in(tx, &key, &digest, invocation, accepted_at)
            })
            .await
    }

    async fn finish(&self, tenant: &TenantId, key: &str, answer: &Answer) -> Result<()> {
        const OPERATION: &str = "invocation.finish";
        check_idempotency_key(key)?;
        if answer.body.len() > ANSWER_MAX_BYTES {
            return Err(Error::quota_exceeded(
                OPERATION,
                "the answer is too large to be kept for its idempotency key",
            )
            .with_context("limit", ANSWER_MAX_BYTES)
            .with_context("used", answer.body.len()));
        }
        let (key, answer) = (key.to_owned(), answer.clone());
        let (invocation, store) = (answer.invocation, self.local.tenant(tenant).await?);
        store
            .write(OPERATION, answer.body.len(), move |tx| {
                finish_in(tx, OPERATION, &key, &answer)
            })
            .await?;
        let from = store.now().saturating_add(RUN_LONGEST);
        store.ended().note_from(invocation, from);
        Ok(())
    }

    fn forget(&self, tenant: &TenantId, invocation: InvocationId) {
        // A store that was closed meanwhile forgets by age.
        if let Some(store) = self.local.opened(tenant) {
            store.ended().note(invocation);
        }
    }

    async fn find(&self, tenant: &TenantId, invocation: InvocationId) -> Result<Option<Answer>> {
        const OPERATION: &str = "invocation.find";
        let store = self.local.tenant(tenant).await?;
        store
            .read(OPERATION, move |store, conn| {
                let cutoff = store
                    .now()
                    .saturating_sub(IDEMPOTENCY_RETENTION)
                    .as_millis();
                conn.prepare_cached(
                    "SELECT status, body FROM claim
                     WHERE invocation = ?1 AND status IS NOT NULL AND touched_at > ?2 LIMIT 1",
                )
                .and_then(|mut statement| {
                    statement
                        .query_row((invocation.as_uuid().as_bytes(), cutoff), |row| {
                            Ok(Answer {
                                invocation,
                                status: row.get(0)?,
                                body: row.get(1)?,
                            })
                        })
                        .optional()
                })
                .map_err(|e| error::sqlite(OPERATION, e))
            })
            .await
    }
}

/// The row of a key that has not come of age.
struct Found {
    digest: [u8; 32],
    invocation: InvocationId,
    accepted_at: Timestamp,
    answer: Option<(u16, Vec<u8>)>,
}

fn find_key(tx: &WriteTx<'_>, operation: &'static str, key: &str) -> Result<Option<Found>> {
    let cutoff = tx.now.saturating_sub(IDEMPOTENCY_RETENTION).as_millis();
    tx.first(
        operation,
        "SELECT request_digest, invocation, accepted_at, status, body FROM claim WHERE key = ?1 AND touched_at > ?2",
        (key, cutoff),
        |row| {
            let status: Option<u16> = row.get(3)?;
            let body: Option<Vec<u8>> = row.get(4)?;
            Ok(Found {
                digest: row.get(0)?,
                invocation: InvocationId::from_uuid(Uuid::from_bytes(row.get(1)?)),
                accepted_at: Timestamp::from_millis(row.get(2)?),
                answer: status.zip(body),
            })
        },
    )
}

fn claim_in(
    tx: &mut WriteTx<'_>,
    key: &str,
    digest: &[u8; 32],
    invocation: InvocationId,
    accepted_at: Timestamp,
) -> Result<Claim> {
    const OPERATION: &str = "invocation.claim";
    if let Some(found) = find_key(tx, OPERATION, key)? {
        return Ok(match found.answer {
            _ if found.digest != *digest => Claim::Mismatch,
            Some((status, body)) => Claim::Finished(Answer {
                invocation: found.invocation,
                status,
                body,
            }),
            None => Claim::Unfinished {
                invocation: found.invocation,
                accepted_at: found.accepted_at,
            },
        });
    }
    if tx.tally.claims >= CLAIMS_MAX || tx.tally.answer_bytes >= ANSWERS_MAX_BYTES {
        return Err(Error::rate_limited(
            OPERATION,
            "the tenant has used too many idempotency keys within a day; try again later or without a key",
        )
        .with_context("limit", CLAIMS_MAX)
        .with_retry_after(RETRY_AFTER));
    }
    // A row of this key can only be one that has come of age and waits for the sweep.
    remove(
        tx,
        OPERATION,
        "DELETE FROM claim WHERE key = ?1 RETURNING octet_length(body)",
        [key],
    )?;
    tx.execute(
        OPERATION,
        "INSERT INTO claim (key, request_digest, invocation, accepted_at, touched_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            key,
            digest,
            invocation.as_uuid().as_bytes(),
            accepted_at.as_millis(),
            tx.now.as_millis(),
        ),
    )?;
    tx.tally.claims += 1;
    Ok(Claim::New)
}

fn finish_in(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    key: &str,
    answer: &Answer,
) -> Result<()> {
    let Some(found) = find_key(tx, operation, key)? else {
        return Err(Error::not_found(
            operation,
            "the idempotency key is not claimed",
        ));
    };
    if found.invocation != answer.invocation {
        return Err(Error::conflict(
            operation,
            "the idempotency key stands for another invocation",
        ));
    }
    if found.answer.is_some() {
        return Ok(());
    }
    tx.execute(
        operation,
        "UPDATE claim SET status = ?2, body = ?3, touched_at = ?4 WHERE key = ?1",
        (key, answer.status, &answer.body, tx.now.as_millis()),
    )?;
    replace(&mut tx.tally.answer_bytes, 0, answer.body.len() as u64);
    Ok(())
}

/// Removes at most `max` keys older than [`IDEMPOTENCY_RETENTION`]; says how many.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let cutoff = tx.now.saturating_sub(IDEMPOTENCY_RETENTION).as_millis();
    remove(
        tx,
        operation,
        "DELETE FROM claim WHERE key IN (SELECT key FROM claim WHERE touched_at <= ?1 ORDER BY touched_at LIMIT ?2)
         RETURNING octet_length(body)",
        (cutoff, max),
    )
}

/// Runs a delete that returns the sizes of the answers it removed, and books them.
fn remove(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<u32> {
    let sizes = tx
        .statement(operation, sql)?
        .query_map(params, |row| row.get::<_, Option<u64>>(0))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(|e| error::sqlite(operation, e))?;
    replace(&mut tx.tally.claims, sizes.len() as u64, 0);
    replace(&mut tx.tally.answer_bytes, sizes.iter().flatten().sum(), 0);
    Ok(u32::try_from(sizes.len()).unwrap_or(u32::MAX))
}
