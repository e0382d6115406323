//! Remembers which writes were applied and what they answered, so that a repetition changes nothing.
//!
//! A row is needed as long as its write may come again. That is over when its invocation has ended for good, which
//! [`crate::ended`] notes; what nobody says so of, as after a crash, goes when it is old. So the table holds little more
//! than what is under way, however many writes a tenant makes. Rows lie in the order of their ids in one tree: an
//! invocation's stand together, and neither insertion nor removal needs a second one.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use stuga_core::memory::Expected;
use stuga_core::{CapabilityName, Error, InvocationId, Result, Timestamp, WriteId};

use crate::error;
use crate::scope::Scope;
use crate::tx::WriteTx;

/// How long a write is remembered whose invocation is not known to have ended. The contract asks for at least 24 hours.
pub(crate) const RETENTION: Duration = Duration::from_secs(25 * 3_600);
/// Most writes that are remembered for a tenant: about two gigabytes. Only writes of invocations that run, or that a crash
/// or a temporary failure cut off, count towards it for long.
pub(crate) const MAX_ROWS: u64 = 16_000_000;
/// When to try again once that many are remembered.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Rows that one step of the search for old ones looks at.
const STEP_MAX_ROWS: u32 = 1_024;
/// Time from the begin of one search through all rows to the begin of the next.
const SEARCH_EVERY: Duration = Duration::from_secs(600);
/// Bytes of the digest that are kept. Only a guest that wants to confuse itself could look for two writes of one digest.
pub(crate) const DIGEST_BYTES: usize = 16;

/// Tells writes apart that come under the same id: the digest of everything that a write says, and of its scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WriteDigest([u8; DIGEST_BYTES]);

impl WriteDigest {
    /// The digest's bytes.
    pub(crate) fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        self.0
    }
}

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

    /// Begins with what an operator changes: no agent is in it, and no agent's name is empty.
    pub(crate) fn of_operator(capability: CapabilityName, operation: &str) -> Self {
        Self(Sha256::new())
            .part(b"")
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

    /// Adds metadata.
    pub(crate) fn metadata(self, metadata: &[(String, String)]) -> Self {
        metadata.iter().fold(self, |parts, (name, value)| {
            parts.part(name.as_bytes()).part(value.as_bytes())
        })
    }

    /// Adds what a put expects.
    pub(crate) fn expected(self, expected: Expected) -> Self {
        let (condition, version) = match expected {
            Expected::Any => (0, None),
            Expected::Absent => (1, None),
            Expected::Version(version) => (2, Some(version)),
        };
        self.number(Some(condition)).number(version)
    }

    /// The digest of what was added.
    pub(crate) fn finish(self) -> WriteDigest {
        let mut kept = [0; DIGEST_BYTES];
        for (kept, byte) in kept.iter_mut().zip(self.0.finalize()) {
            *kept = byte;
        }
        WriteDigest(kept)
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
    if let Some(ack) = find(tx, operation, id, digest)? {
        return Ok(ack);
    }
    check_room(tx, operation)?;
    let ack = effect(tx)?;
    remember(tx, operation, id, digest, &ack)?;
    Ok(ack)
}

/// What is remembered of the write `id`; none when it was not applied.
///
/// # Errors
/// `Conflict` when it was another write.
pub(crate) fn find<A: DeserializeOwned>(
    tx: &WriteTx<'_>,
    operation: &'static str,
    id: WriteId,
    digest: WriteDigest,
) -> Result<Option<A>> {
    let known = tx.first(
        operation,
        "SELECT digest, ack FROM applied_write WHERE invocation = ?1 AND call = ?2",
        (id.invocation.as_uuid().as_bytes(), id.call),
        |row| {
            Ok((
                row.get::<_, [u8; DIGEST_BYTES]>(0)?,
                row.get::<_, String>(1)?,
            ))
        },
    )?;
    let Some((known, ack)) = known else {
        return Ok(None);
    };
    if known != digest.0 {
        return Err(Error::conflict(
            operation,
            format!("another write was applied under id {id}"),
        ));
    }
    serde_json::from_str(&ack)
        .map(Some)
        .map_err(|e| Error::internal(operation, "a remembered answer is damaged").with_source(e))
}

/// Checks that one more write can be remembered.
pub(crate) fn check_room(tx: &WriteTx<'_>, operation: &'static str) -> Result<()> {
    if tx.tally.applied < MAX_ROWS {
        return Ok(());
    }
    Err(Error::rate_limited(
        operation,
        "too many writes of unfinished invocations are remembered for the tenant; try again later",
    )
    .with_context("limit", MAX_ROWS)
    .with_retry_after(RETRY_AFTER))
}

/// Remembers the write `id`, in the place of what was remembered of it.
pub(crate) fn remember<A: Serialize>(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    id: WriteId,
    digest: WriteDigest,
    ack: &A,
) -> Result<()> {
    let text = serde_json::to_string(ack)
        .map_err(|e| Error::internal(operation, "an answer cannot be kept").with_source(e))?;
    let (invocation, now) = (id.invocation.as_uuid().as_bytes(), seconds(tx.now));
    let inserted = tx.execute(
        operation,
        "INSERT INTO applied_write (invocation, call, digest, ack, applied_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (invocation, call) DO NOTHING",
        (invocation, id.call, digest.0, &text, now),
    )?;
    if inserted == 0 {
        tx.execute(
            operation,
            "UPDATE applied_write SET ack = ?3, applied_at = ?4 WHERE invocation = ?1 AND call = ?2",
            (invocation, id.call, &text, now),
        )?;
    }
    tx.tally.applied = tx.tally.applied.saturating_add(inserted as u64);
    Ok(())
}

/// Forgets at most `max` writes of an invocation; says how many.
pub(crate) fn forget(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    invocation: InvocationId,
    max: u32,
) -> Result<u32> {
    let removed = tx.execute(
        operation,
        "DELETE FROM applied_write WHERE invocation = ?1 AND call <=
           (SELECT max(call) FROM (SELECT call FROM applied_write WHERE invocation = ?1 ORDER BY call LIMIT ?2))",
        (invocation.as_uuid().as_bytes(), max),
    )?;
    tx.tally.applied = tx.tally.applied.saturating_sub(removed as u64);
    Ok(u32::try_from(removed).unwrap_or(u32::MAX))
}

/// The search for rows that are older than [`RETENTION`], which goes through the table again and again, a step at a time.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// When it began at the first row.
    begun: Option<Timestamp>,
    /// After which row it goes on; none when it came to the end.
    after: Option<([u8; 16], u32)>,
}

impl Search {
    /// Looks at some rows and forgets those that are old. True when it found so many that the next step should follow
    /// at once.
    pub(crate) fn step(&mut self, tx: &mut WriteTx<'_>, operation: &'static str) -> Result<bool> {
        let rests = self
            .begun
            .is_some_and(|begun| begun <= tx.now && tx.now.since(begun) < SEARCH_EVERY);
        let after = match self.after {
            Some(after) => after,
            None if rests => return Ok(false),
            None => {
                self.begun = Some(tx.now);
                ([0; 16], 0)
            }
        };
        let rows = tx
            .statement(
                operation,
                // An id comes from the host and is never all zeros.
                "SELECT invocation, call, applied_at FROM applied_write
                 WHERE (invocation, call) > (?1, ?2) ORDER BY invocation, call LIMIT ?3",
            )?
            .query_map((after.0, after.1, STEP_MAX_ROWS), |row| {
                Ok((
                    row.get::<_, [u8; 16]>(0)?,
                    row.get::<_, u32>(1)?,
                    row.get::<_, u64>(2)?,
                ))
            })
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map_err(|e| error::sqlite(operation, e))?;
        let cutoff = seconds(tx.now.saturating_sub(RETENTION));
        let mut removed = 0;
        for (invocation, call, _) in rows.iter().filter(|(_, _, at)| *at < cutoff) {
            removed += tx.execute(
                operation,
                "DELETE FROM applied_write WHERE invocation = ?1 AND call = ?2",
                (invocation, call),
            )?;
        }
        tx.tally.applied = tx.tally.applied.saturating_sub(removed as u64);
        let is_full = rows.len() >= STEP_MAX_ROWS as usize;
        self.after = rows
            .last()
            .filter(|_| is_full)
            .map(|(invocation, call, _)| (*invocation, *call));
        Ok(is_full && removed > 0)
    }
}

/// Whole seconds: what ages by the hour needs no more.
fn seconds(moment: Timestamp) -> u64 {
    moment.as_millis() / 1_000
}
