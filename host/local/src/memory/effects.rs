//! What writes to memory do inside a transaction, and the sweep of expired items.

use stuga_core::memory::{Expected, MemoryAck, MemoryWrite};
use stuga_core::{CapabilityName, Error, Result, Write, WriteId};

use super::is_live;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::error;
use crate::scope::Scope;
use crate::sweep::free_memory;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// Tells this write from any other under its id.
pub(super) fn digest(scope: &Scope, write: &MemoryWrite) -> WriteDigest {
    let parts = DigestBuilder::new(scope, CapabilityName::Memory, write.operation())
        .part(write.key().as_bytes());
    match write {
        MemoryWrite::Put {
            value,
            ttl,
            expected,
            ..
        } => {
            let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            let (condition, version) = match expected {
                Expected::Any => (0, None),
                Expected::Absent => (1, None),
                Expected::Version(version) => (2, Some(*version)),
            };
            parts
                .part(value)
                .number(ttl)
                .number(Some(condition))
                .number(version)
        }
        MemoryWrite::Delete { .. } => parts,
    }
    .finish()
}

/// Applies a checked write inside a transaction, once for its id.
pub(crate) fn apply_in(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: WriteId,
    digest: WriteDigest,
    write: &MemoryWrite,
) -> Result<MemoryAck> {
    applied::once(tx, write.operation(), id, digest, |tx| {
        put_or_delete(tx, scope, write)
    })
}

/// What stands in a row that a write meets, expired or not.
struct Found {
    id: i64,
    bytes: u64,
    version: u64,
    created_at: u64,
    live: bool,
}

fn find(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    key: &str,
) -> Result<Option<Found>> {
    let now = tx.now;
    tx.first(
        operation,
        "SELECT id, octet_length(key) + octet_length(value), version, created_at, expires_at
         FROM memory_item WHERE agent = ?1 AND key = ?2",
        (scope.rows(), key),
        |row| {
            Ok(Found {
                id: row.get(0)?,
                bytes: row.get(1)?,
                version: row.get(2)?,
                created_at: row.get(3)?,
                live: is_live(row.get(4)?, now),
            })
        },
    )
}

fn put_or_delete(tx: &mut WriteTx<'_>, scope: &Scope, write: &MemoryWrite) -> Result<MemoryAck> {
    let operation = write.operation();
    let found = find(tx, operation, scope, write.key())?;
    let live = found.as_ref().filter(|found| found.live);
    let existed = live.is_some();
    match write {
        MemoryWrite::Delete { .. } => {
            let ack = MemoryAck {
                version: live.map_or(0, |found| found.version),
                existed,
            };
            if let Some(found) = found {
                tx.execute(
                    operation,
                    "DELETE FROM memory_item WHERE id = ?1",
                    [found.id],
                )?;
                replace(&mut tx.tally.memory_items, 1, 0);
                replace(&mut tx.tally.memory_bytes, found.bytes, 0);
            }
            Ok(ack)
        }
        MemoryWrite::Put {
            key,
            value,
            ttl,
            expected,
        } => {
            check_expected(operation, *expected, live.map(|found| found.version))?;
            let created_at = live.map_or(tx.now.as_millis(), |found| found.created_at);
            make_room(tx, operation, scope, key, value.len())?;
            let expires_at = ttl.map(|ttl| tx.now.saturating_add(ttl).as_millis());
            let version = tx.tally.next_version();
            tx.execute(
                operation,
                "INSERT INTO memory_item (agent, key, version, created_at, updated_at, expires_at, value)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (agent, key) DO UPDATE SET version = excluded.version,
                   created_at = excluded.created_at, updated_at = excluded.updated_at,
                   expires_at = excluded.expires_at, value = excluded.value",
                (scope.rows(), key, version, created_at, tx.now.as_millis(), expires_at, value),
            )?;
            Ok(MemoryAck { version, existed })
        }
    }
}

fn check_expected(operation: &'static str, expected: Expected, actual: Option<u64>) -> Result<()> {
    let holds = match expected {
        Expected::Any => true,
        Expected::Absent => actual.is_none(),
        Expected::Version(version) => actual == Some(version),
    };
    if holds {
        return Ok(());
    }
    let actual = actual.map_or_else(|| "absent".to_owned(), |version| version.to_string());
    Err(Error::conflict(
        operation,
        "the item is not at the expected version; read it again",
    )
    .with_context("version", actual))
}

/// Books the bytes of a put, after removing what has expired if that is what it takes.
fn make_room(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    key: &str,
    value_bytes: usize,
) -> Result<()> {
    let new = (key.len() as u64).saturating_add(value_bytes as u64);
    let check = |tx: &WriteTx<'_>| {
        let found = find(tx, operation, scope, key)?;
        let (old_items, old_bytes) = found.map_or((0, 0), |found| (1, found.bytes));
        let (tally, quotas) = (&tx.tally, &tx.quotas);
        check_quota(
            operation,
            "memory_items",
            quotas.memory_items,
            tally.memory_items,
            old_items,
            1,
        )?;
        check_quota(
            operation,
            "memory_bytes",
            quotas.memory_bytes,
            tally.memory_bytes,
            old_bytes,
            new,
        )?;
        Ok((old_items, old_bytes))
    };
    let (old_items, old_bytes) = match check(tx) {
        Ok(old) => old,
        Err(refused) => match free_memory(tx, operation)? {
            0 => return Err(refused),
            _ => check(tx)?,
        },
    };
    replace(&mut tx.tally.memory_items, old_items, 1);
    replace(&mut tx.tally.memory_bytes, old_bytes, new);
    Ok(())
}

/// Removes at most `max` items that have expired, longest expired first; says how many.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let mut removed = 0_u32;
    let mut bytes = 0_u64;
    let mut statement = tx.statement(
        operation,
        "DELETE FROM memory_item WHERE id IN
           (SELECT id FROM memory_item WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
         RETURNING octet_length(key) + octet_length(value)",
    )?;
    let mut rows = statement
        .query((tx.now.as_millis(), max))
        .map_err(|e| error::sqlite(operation, e))?;
    while let Some(row) = rows.next().map_err(|e| error::sqlite(operation, e))? {
        let size: u64 = row.get(0).map_err(|e| error::sqlite(operation, e))?;
        bytes = bytes.saturating_add(size);
        removed += 1;
    }
    replace(&mut tx.tally.memory_items, u64::from(removed), 0);
    replace(&mut tx.tally.memory_bytes, bytes, 0);
    Ok(removed)
}
