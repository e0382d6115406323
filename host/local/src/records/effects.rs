//! What writes to records do inside a transaction.

use stuga_core::records::{RecordAck, RecordWrite};
use stuga_core::{CapabilityName, Error, Result, Write, WriteId};

use super::Vector;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::scope::Scope;
use crate::sweep::free_memory;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// Tells this write from any other under its id.
pub(super) fn digest(scope: &Scope, write: &RecordWrite) -> WriteDigest {
    let parts = DigestBuilder::new(scope, CapabilityName::Records, write.operation())
        .part(write.key().as_bytes());
    match write {
        RecordWrite::Put {
            id, text, metadata, ..
        } => {
            // An id is never empty, so none differs from all of them.
            let parts = parts
                .part(id.as_deref().unwrap_or_default().as_bytes())
                .part(text.as_bytes());
            metadata.iter().fold(parts, |parts, (name, value)| {
                parts.part(name.as_bytes()).part(value.as_bytes())
            })
        }
        RecordWrite::Delete { id, .. } => parts.part(id.as_bytes()),
    }
    .finish()
}

/// Applies a checked write inside a transaction, once for its id. `vector` is that of a put's text.
pub(super) fn apply_in(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: WriteId,
    digest: WriteDigest,
    write: &RecordWrite,
    vector: &Vector,
) -> Result<RecordAck> {
    let operation = write.operation();
    applied::once(tx, operation, id, digest, |tx| match write {
        RecordWrite::Put {
            namespace,
            id: name,
            text,
            metadata,
        } => {
            let name = name.clone().unwrap_or_else(|| id.to_name());
            let metadata = serde_json::to_string(metadata).map_err(|e| {
                Error::internal(operation, "metadata cannot be kept").with_source(e)
            })?;
            let found = find(tx, operation, scope, namespace, &name)?;
            let bytes = [namespace, &name, text, &metadata]
                .iter()
                .map(|part| part.len() as u64)
                .sum::<u64>()
                .saturating_add(vector.bytes.len() as u64);
            book(tx, operation, found.as_ref(), bytes)?;
            let created_at = found
                .as_ref()
                .map_or(tx.now.as_millis(), |found| found.created_at);
            let version = tx.tally.next_version();
            tx.execute(
                operation,
                "INSERT INTO record (agent, namespace, name, text, metadata, version, created_at, updated_at,
                   bytes, model, vector)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT (agent, namespace, name) DO UPDATE SET text = excluded.text,
                   metadata = excluded.metadata, version = excluded.version, updated_at = excluded.updated_at,
                   bytes = excluded.bytes, model = excluded.model, vector = excluded.vector",
                (
                    scope.rows(),
                    namespace,
                    &name,
                    text,
                    metadata,
                    version,
                    created_at,
                    tx.now.as_millis(),
                    bytes,
                    &vector.model,
                    &vector.bytes,
                ),
            )?;
            Ok(RecordAck {
                id: name,
                version,
                existed: found.is_some(),
            })
        }
        RecordWrite::Delete {
            namespace,
            id: name,
        } => {
            let found = find(tx, operation, scope, namespace, name)?;
            let ack = RecordAck {
                id: name.clone(),
                version: found.as_ref().map_or(0, |found| found.version),
                existed: found.is_some(),
            };
            if let Some(found) = found {
                tx.execute(operation, "DELETE FROM record WHERE id = ?1", [found.row])?;
                replace(&mut tx.tally.memory_items, 1, 0);
                replace(&mut tx.tally.memory_bytes, found.bytes, 0);
            }
            Ok(ack)
        }
    })
}

/// Replaces the vectors of records (row, version, vector) that still are what they were.
///
/// The bytes of a vector are booked whatever the quota says: the record stands already.
pub(super) fn renew_in(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    model: &str,
    made: &[(i64, u64, Vec<u8>)],
) -> Result<()> {
    for (row, version, vector) in made {
        let old: Option<u64> = tx.first(
            operation,
            "SELECT octet_length(vector) FROM record WHERE id = ?1 AND version = ?2",
            (row, version),
            |row| row.get(0),
        )?;
        let Some(old) = old else {
            continue;
        };
        let new = vector.len() as u64;
        tx.execute(
            operation,
            "UPDATE record SET model = ?2, vector = ?3, bytes = bytes - ?4 + ?5 WHERE id = ?1",
            (row, model, vector, old, new),
        )?;
        replace(&mut tx.tally.memory_bytes, old, new);
    }
    Ok(())
}

/// What stands where a write goes.
struct Found {
    row: i64,
    bytes: u64,
    version: u64,
    created_at: u64,
}

fn find(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    namespace: &str,
    name: &str,
) -> Result<Option<Found>> {
    tx.first(
        operation,
        "SELECT id, bytes, version, created_at FROM record
         WHERE agent = ?1 AND namespace = ?2 AND name = ?3",
        (scope.rows(), namespace, name),
        |row| {
            Ok(Found {
                row: row.get(0)?,
                bytes: row.get(1)?,
                version: row.get(2)?,
                created_at: row.get(3)?,
            })
        },
    )
}

/// Books the bytes of a put, after removing what has expired if that is what it takes.
fn book(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    found: Option<&Found>,
    bytes: u64,
) -> Result<()> {
    let (old_items, old_bytes) = found.map_or((0, 0), |found| (1, found.bytes));
    let check = |tx: &WriteTx<'_>| {
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
            bytes,
        )
    };
    if let Err(refused) = check(tx) {
        match free_memory(tx, operation)? {
            0 => return Err(refused),
            _ => check(tx)?,
        }
    }
    replace(&mut tx.tally.memory_items, old_items, 1);
    replace(&mut tx.tally.memory_bytes, old_bytes, bytes);
    Ok(())
}
