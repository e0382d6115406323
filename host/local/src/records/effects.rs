//! What writes to records do inside a transaction.

use stuga_core::records::{RecordAck, RecordWrite};
use stuga_core::{CapabilityName, Error, Result, Write, WriteId};

use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::room;
use crate::scope::Scope;
use crate::tally::{Held, Kind};
use crate::tx::WriteTx;
use crate::vectors::{self, Kept};

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
    vector: Option<&Kept>,
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
                .saturating_add(vector.map_or(0, Kept::bytes));
            let standing = found.as_ref().map(|found| found.bytes);
            // Records do not expire, so what stands does not change.
            room::book(tx, operation, Kind::Record, bytes, standing, |_| {
                Ok(standing)
            })?;
            let created_at = found
                .as_ref()
                .map_or(tx.now.as_millis(), |found| found.created_at);
            let version = tx.next_version();
            tx.execute(
                operation,
                "INSERT INTO record (agent, namespace, name, text, metadata, version, created_at, updated_at, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (agent, namespace, name) DO UPDATE SET text = excluded.text,
                   metadata = excluded.metadata, version = excluded.version, updated_at = excluded.updated_at,
                   bytes = excluded.bytes",
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
                ),
            )?;
            if let Some(found) = &found {
                vectors::forget(tx, operation, found.version)?;
            }
            if let Some(vector) = vector {
                vectors::keep(tx, operation, version, vector)?;
            }
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
                tx.execute(
                    operation,
                    "DELETE FROM record WHERE version = ?1",
                    [found.version],
                )?;
                vectors::forget(tx, operation, found.version)?;
                tx.tally.release(Kind::Record, Held::one(found.bytes));
            }
            Ok(ack)
        }
    })
}

/// What stands where a write goes.
struct Found {
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
        "SELECT bytes, version, created_at FROM record
         WHERE agent = ?1 AND namespace = ?2 AND name = ?3",
        (scope.rows(), namespace, name),
        |row| {
            Ok(Found {
                bytes: row.get(0)?,
                version: row.get(1)?,
                created_at: row.get(2)?,
            })
        },
    )
}
