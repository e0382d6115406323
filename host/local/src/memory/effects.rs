//! What writes to memory do inside a transaction, and the sweep of expired items.

use stuga_core::memory::{Expected, MemoryAck, MemoryWrite};
use stuga_core::{CapabilityName, Error, Result, Write, WriteId};

use super::is_live;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::room;
use crate::scope::Scope;
use crate::tally::{Held, Kind};
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
        "SELECT octet_length(key) + octet_length(value), version, created_at, expires_at
         FROM memory_item WHERE agent = ?1 AND key = ?2",
        (scope.rows(), key),
        |row| {
            Ok(Found {
                bytes: row.get(0)?,
                version: row.get(1)?,
                created_at: row.get(2)?,
                live: is_live(row.get(3)?, now),
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
                    "DELETE FROM memory_item WHERE version = ?1",
                    [found.version],
                )?;
                tx.tally.release(Kind::Item, Held::one(found.bytes));
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
            let bytes = (key.len() as u64).saturating_add(value.len() as u64);
            let standing = found.as_ref().map(|found| found.bytes);
            room::book(tx, operation, Kind::Item, bytes, standing, |tx| {
                Ok(find(tx, operation, scope, key)?.map(|found| found.bytes))
            })?;
            let expires_at = ttl.map(|ttl| tx.now.saturating_add(ttl).as_millis());
            let version = tx.next_version();
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
