//! What writes to memory do inside a transaction.

use stuga_core::memory::{MemoryAck, MemoryWrite};
use stuga_core::standby::Adopted;
use stuga_core::{CallCtx, CapabilityName, Result, Write, WriteId};

use super::is_live;
use crate::Local;
use crate::applied::{DigestBuilder, WriteDigest};
use crate::effects::{Elsewhere, LocalWrite};
use crate::number;
use crate::room;
use crate::scope::Scope;
use crate::tally::{Held, Kind};
use crate::tx::WriteTx;

impl LocalWrite for MemoryWrite {
    type Kept = MemoryAck;
    type Prepared = ();

    fn check_bounds(&self) -> Result<()> {
        self.check()
    }

    fn digest(&self, scope: &Scope) -> Result<WriteDigest> {
        let parts = DigestBuilder::new(scope, CapabilityName::Memory, self.operation())
            .part(self.key().as_bytes());
        let parts = match self {
            MemoryWrite::Put {
                value,
                ttl,
                expected,
                ..
            } => {
                let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
                parts.part(value).number(ttl).expected(*expected)
            }
            MemoryWrite::Delete { .. } => parts,
        };
        Ok(parts.finish())
    }

    fn weight(&self) -> usize {
        match self {
            MemoryWrite::Put { value, .. } => value.len(),
            MemoryWrite::Delete { .. } => 0,
        }
    }

    async fn prepare(&self, _: &Local, _: &CallCtx) -> Result<()> {
        Ok(())
    }

    fn make(&self, tx: &mut WriteTx<'_>, scope: &Scope, _: WriteId, (): &()) -> Result<MemoryAck> {
        let operation = self.operation();
        let found = find(tx, operation, scope, self.key())?;
        let live = found.as_ref().filter(|found| found.live);
        let existed = live.is_some();
        let version = match self {
            MemoryWrite::Delete { .. } => {
                let version = live.map_or(0, |found| found.version);
                if let Some(found) = &found {
                    remove(tx, operation, found)?;
                }
                version
            }
            MemoryWrite::Put {
                key,
                value,
                ttl,
                expected,
            } => {
                expected.check(operation, "item", live.map(|found| found.version))?;
                let now = tx.now.as_millis();
                let created_at = live.map_or(now, |found| found.created_at);
                let version = tx.next_version();
                let item = New {
                    key,
                    value,
                    number: version,
                    version,
                    created_at,
                    updated_at: now,
                    expires_at: ttl.map(|ttl| tx.now.saturating_add(ttl).as_millis()),
                };
                store(tx, operation, scope, found.as_ref(), &item)?;
                version
            }
        };
        Ok(MemoryAck { version, existed })
    }

    fn adopt(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        _: WriteId,
        (): &(),
        origin: &Elsewhere<'_, MemoryAck>,
    ) -> Result<Adopted> {
        let operation = self.operation();
        let (made, ack) = (origin.made, origin.made.ack);
        let found = find(tx, operation, scope, self.key())?;
        let (key, value, ttl) = match (self, &found) {
            (MemoryWrite::Delete { .. }, _) if origin.known.is_some() => {
                return Ok(Adopted::Stands);
            }
            (MemoryWrite::Delete { .. }, None) => return Ok(Adopted::Stands),
            (MemoryWrite::Delete { .. }, Some(found)) => {
                if origin.comes_before(found.version, found.updated_at) {
                    return Ok(Adopted::Superseded);
                }
                remove(tx, operation, found)?;
                return Ok(Adopted::Stands);
            }
            (MemoryWrite::Put { .. }, Some(found)) if found.version > ack.version => {
                return Ok(Adopted::Superseded);
            }
            (MemoryWrite::Put { value, .. }, Some(found)) if found.version == ack.version => {
                return match holds(tx, operation, found, value)? {
                    true => Ok(Adopted::Stands),
                    false => Ok(Adopted::Superseded),
                };
            }
            // It was here, and was removed since.
            (MemoryWrite::Put { .. }, None) if origin.known.is_some() => {
                return Ok(Adopted::Superseded);
            }
            (
                MemoryWrite::Put {
                    key, value, ttl, ..
                },
                _,
            ) => (key, value, ttl),
        };
        let made_at = made.at.as_millis();
        let standing = found.as_ref().filter(|_| ack.existed);
        let item = New {
            key,
            value,
            number: number::free(tx, operation, number::ITEMS, ack.version)?,
            version: ack.version,
            created_at: standing.map_or(made_at, |found| found.created_at),
            updated_at: made_at,
            expires_at: ttl.map(|ttl| made.at.saturating_add(ttl).as_millis()),
        };
        store(tx, operation, scope, found.as_ref(), &item)?;
        Ok(Adopted::Stands)
    }

    fn kept(&self, ack: &MemoryAck) -> MemoryAck {
        *ack
    }

    fn answer(&self, kept: MemoryAck) -> MemoryAck {
        kept
    }
}

/// What stands in a row that a write meets, expired or not.
struct Found {
    number: u64,
    bytes: u64,
    version: u64,
    created_at: u64,
    updated_at: u64,
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
        "SELECT number, octet_length(key) + octet_length(value), version, created_at, updated_at, expires_at
         FROM memory_item WHERE agent = ?1 AND key = ?2",
        (scope.rows(), key),
        |row| {
            Ok(Found {
                number: row.get(0)?,
                bytes: row.get(1)?,
                version: row.get(2)?,
                created_at: row.get(3)?,
                updated_at: row.get(4)?,
                live: is_live(row.get(5)?, now),
            })
        },
    )
}

/// Whether a row has that value.
fn holds(tx: &WriteTx<'_>, operation: &'static str, found: &Found, value: &[u8]) -> Result<bool> {
    let sql = "SELECT value = ?2 FROM memory_item WHERE number = ?1";
    let same = tx.first(operation, sql, (found.number, value), |row| row.get(0))?;
    Ok(same.unwrap_or(false))
}

fn remove(tx: &mut WriteTx<'_>, operation: &'static str, found: &Found) -> Result<()> {
    tx.execute(
        operation,
        "DELETE FROM memory_item WHERE number = ?1",
        [found.number],
    )?;
    tx.tally.release(Kind::Item, Held::one(found.bytes));
    Ok(())
}

/// An item that is about to stand.
struct New<'w> {
    key: &'w str,
    value: &'w [u8],
    number: u64,
    version: u64,
    created_at: u64,
    updated_at: u64,
    expires_at: Option<u64>,
}

/// Makes `item` stand where `found` stood.
fn store(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    found: Option<&Found>,
    item: &New<'_>,
) -> Result<()> {
    let bytes = (item.key.len() as u64).saturating_add(item.value.len() as u64);
    let standing = found.map(|found| found.bytes);
    room::book(tx, operation, Kind::Item, bytes, standing, |tx| {
        Ok(find(tx, operation, scope, item.key)?.map(|found| found.bytes))
    })?;
    tx.execute(
        operation,
        "INSERT INTO memory_item (number, version, agent, key, created_at, updated_at, expires_at, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (agent, key) DO UPDATE SET number = excluded.number, version = excluded.version,
           created_at = excluded.created_at, updated_at = excluded.updated_at,
           expires_at = excluded.expires_at, value = excluded.value",
        (
            item.number,
            item.version,
            scope.rows(),
            item.key,
            item.created_at,
            item.updated_at,
            item.expires_at,
            item.value,
        ),
    )?;
    Ok(())
}
