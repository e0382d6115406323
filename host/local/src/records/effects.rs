//! What writes to records do inside a transaction.

use stuga_core::records::{RecordAck, RecordWrite};
use stuga_core::standby::Adopted;
use stuga_core::{CallCtx, CapabilityName, Result, Write, WriteId};

use crate::Local;
use crate::applied::{DigestBuilder, WriteDigest};
use crate::effects::{Elsewhere, LocalWrite, metadata_to_json, other_answer};
use crate::number;
use crate::room;
use crate::scope::Scope;
use crate::tally::{Held, Kind};
use crate::tx::WriteTx;
use crate::vectors::{self, Kept};

impl LocalWrite for RecordWrite {
    type Kept = RecordAck;
    /// The vector of a put's text.
    type Prepared = Option<Kept>;

    fn check_bounds(&self) -> Result<()> {
        self.check()
    }

    fn digest(&self, scope: &Scope) -> Result<WriteDigest> {
        let parts = DigestBuilder::new(scope, CapabilityName::Records, self.operation())
            .part(self.key().as_bytes());
        let parts = match self {
            RecordWrite::Put {
                id, text, metadata, ..
            } => {
                // An id is never empty, so none differs from all of them.
                parts
                    .part(id.as_deref().unwrap_or_default().as_bytes())
                    .part(text.as_bytes())
                    .metadata(metadata)
            }
            RecordWrite::Delete { id, .. } => parts.part(id.as_bytes()),
        };
        Ok(parts.finish())
    }

    fn weight(&self) -> usize {
        match self {
            RecordWrite::Put { text, .. } => text.len(),
            RecordWrite::Delete { .. } => 0,
        }
    }

    async fn prepare(&self, local: &Local, ctx: &CallCtx) -> Result<Option<Kept>> {
        match self {
            RecordWrite::Put { text, .. } => local.embed(ctx, text).await,
            RecordWrite::Delete { .. } => Ok(None),
        }
    }

    fn make(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        write: WriteId,
        vector: &Option<Kept>,
    ) -> Result<RecordAck> {
        let operation = self.operation();
        match self {
            RecordWrite::Put {
                namespace,
                id,
                text,
                metadata,
            } => {
                let id = id.clone().unwrap_or_else(|| write.to_name());
                let found = find(tx, operation, scope, namespace, &id)?;
                let now = tx.now.as_millis();
                let version = tx.next_version();
                let record = New {
                    namespace,
                    name: &id,
                    text,
                    metadata: &metadata_to_json(operation, metadata)?,
                    vector: vector.as_ref(),
                    number: version,
                    version,
                    created_at: found.as_ref().map_or(now, |found| found.created_at),
                    updated_at: now,
                };
                store(tx, operation, scope, found.as_ref(), &record)?;
                Ok(RecordAck {
                    id,
                    version,
                    existed: found.is_some(),
                })
            }
            RecordWrite::Delete { namespace, id } => {
                let found = find(tx, operation, scope, namespace, id)?;
                if let Some(found) = &found {
                    remove(tx, operation, found)?;
                }
                Ok(RecordAck {
                    id: id.clone(),
                    version: found.as_ref().map_or(0, |found| found.version),
                    existed: found.is_some(),
                })
            }
        }
    }

    fn adopt(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        _: WriteId,
        vector: &Option<Kept>,
        origin: &Elsewhere<'_, RecordAck>,
    ) -> Result<Adopted> {
        let operation = self.operation();
        let (made, ack) = (origin.made, &origin.made.ack);
        let found = find(tx, operation, scope, self.key(), &ack.id)?;
        let (namespace, text, metadata) = match self {
            RecordWrite::Delete { id, .. } if *id != ack.id => return Err(other_answer(operation)),
            RecordWrite::Delete { .. } => {
                return match &found {
                    _ if origin.known.is_some() => Ok(Adopted::Stands),
                    None => Ok(Adopted::Stands),
                    Some(found) if origin.comes_before(found.version, found.updated_at) => {
                        Ok(Adopted::Superseded)
                    }
                    Some(found) => remove(tx, operation, found).map(|()| Adopted::Stands),
                };
            }
            RecordWrite::Put { id: Some(id), .. } if *id != ack.id => {
                return Err(other_answer(operation));
            }
            RecordWrite::Put {
                namespace,
                text,
                metadata,
                ..
            } => (namespace, text, metadata),
        };
        match &found {
            Some(found) if found.version > ack.version => return Ok(Adopted::Superseded),
            Some(found) if found.version == ack.version => {
                return match holds(tx, operation, found, text)? {
                    true => Ok(Adopted::Stands),
                    false => Ok(Adopted::Superseded),
                };
            }
            // It was here, and was removed since.
            None if origin.known.is_some() => return Ok(Adopted::Superseded),
            _ => {}
        }
        let made_at = made.at.as_millis();
        let standing = found.as_ref().filter(|_| ack.existed);
        let record = New {
            namespace,
            name: &ack.id,
            text,
            metadata: &metadata_to_json(operation, metadata)?,
            vector: vector.as_ref(),
            number: number::free(tx, operation, number::RECORDS_AND_EVENTS, ack.version)?,
            version: ack.version,
            created_at: standing.map_or(made_at, |found| found.created_at),
            updated_at: made_at,
        };
        store(tx, operation, scope, found.as_ref(), &record)?;
        Ok(Adopted::Stands)
    }

    fn kept(&self, ack: &RecordAck) -> RecordAck {
        ack.clone()
    }

    fn answer(&self, kept: RecordAck) -> RecordAck {
        kept
    }
}

/// What stands where a write goes.
struct Found {
    number: u64,
    bytes: u64,
    version: u64,
    created_at: u64,
    updated_at: u64,
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
        "SELECT number, bytes, version, created_at, updated_at FROM record
         WHERE agent = ?1 AND namespace = ?2 AND name = ?3",
        (scope.rows(), namespace, name),
        |row| {
            Ok(Found {
                number: row.get(0)?,
                bytes: row.get(1)?,
                version: row.get(2)?,
                created_at: row.get(3)?,
                updated_at: row.get(4)?,
            })
        },
    )
}

/// Whether a row has that text.
fn holds(tx: &WriteTx<'_>, operation: &'static str, found: &Found, text: &str) -> Result<bool> {
    let sql = "SELECT text = ?2 FROM record WHERE number = ?1";
    let same = tx.first(operation, sql, (found.number, text), |row| row.get(0))?;
    Ok(same.unwrap_or(false))
}

fn remove(tx: &mut WriteTx<'_>, operation: &'static str, found: &Found) -> Result<()> {
    tx.execute(
        operation,
        "DELETE FROM record WHERE number = ?1",
        [found.number],
    )?;
    vectors::forget(tx, operation, found.number)?;
    tx.tally.release(Kind::Record, Held::one(found.bytes));
    Ok(())
}

/// A record that is about to stand.
struct New<'w> {
    namespace: &'w str,
    name: &'w str,
    text: &'w str,
    /// As JSON.
    metadata: &'w str,
    vector: Option<&'w Kept>,
    number: u64,
    version: u64,
    created_at: u64,
    updated_at: u64,
}

/// Makes `record` stand where `found` stood.
fn store(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    found: Option<&Found>,
    record: &New<'_>,
) -> Result<()> {
    let parts = [record.namespace, record.name, record.text, record.metadata];
    let bytes = parts
        .iter()
        .map(|part| part.len() as u64)
        .sum::<u64>()
        .saturating_add(record.vector.map_or(0, Kept::bytes));
    let standing = found.map(|found| found.bytes);
    // Records do not expire, so what stands does not change.
    room::book(tx, operation, Kind::Record, bytes, standing, |_| {
        Ok(standing)
    })?;
    tx.execute(
        operation,
        "INSERT INTO record (number, version, agent, namespace, name, text, metadata, created_at, updated_at, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (agent, namespace, name) DO UPDATE SET number = excluded.number, version = excluded.version,
           text = excluded.text, metadata = excluded.metadata, created_at = excluded.created_at,
           updated_at = excluded.updated_at, bytes = excluded.bytes",
        (
            record.number,
            record.version,
            scope.rows(),
            record.namespace,
            record.name,
            record.text,
            record.metadata,
            record.created_at,
            record.updated_at,
            bytes,
        ),
    )?;
    if let Some(found) = found {
        vectors::forget(tx, operation, found.number)?;
    }
    if let Some(vector) = record.vector {
        vectors::keep(tx, operation, record.number, vector)?;
    }
    Ok(())
}
