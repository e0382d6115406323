//! Keys of the journal's entries: made for a tenant, sealed by a master key of the host.
//!
//! An entry names the key that sealed it. A rotation seals the keys of entries anew and begins another one, so that it touches
//! no entry, however many there are. An open key stays in memory as long as the tenant's store is open: a write in an outage
//! cannot wait for the master key's file. Nor can it wait for a key service, which may be what is away: so these keys are
//! sealed here whether the host has one or not (ADR 0040).

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::{Error, Result, TenantId};
use zeroize::Zeroizing;

use super::master::{MasterKeyFile, MasterKeys};
use super::seal::{Bound, Key};
use crate::error;
use crate::tenant::Tenant;
use crate::tx::WriteTx;

/// A key of a tenant's journal. Wiped when it is dropped.
pub(crate) struct EntryKey {
    id: u64,
    key: Key,
}

impl EntryKey {
    /// Which one it is.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Seals an entry as what `parts` say it is.
    pub(crate) fn seal(
        &self,
        operation: &'static str,
        tenant: &TenantId,
        parts: &[&[u8]],
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        self.key
            .seal(operation, &Bound::entry(tenant, parts), plain)
    }

    /// Opens what was sealed as what `parts` say it is; none when it is not that.
    pub(crate) fn open(
        &self,
        operation: &'static str,
        tenant: &TenantId,
        parts: &[&[u8]],
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.key
            .open(operation, &Bound::entry(tenant, parts), sealed)
    }
}

/// The key that new entries are sealed with; made when the tenant has none.
pub(crate) async fn current(
    store: &Arc<Tenant>,
    operation: &'static str,
    master: &MasterKeyFile,
) -> Result<EntryKey> {
    let master = master.clone();
    let masters = store
        .blocking(operation, move || master.read_or_create(operation))
        .await?;
    let tenant = store.id().clone();
    store
        .write(operation, 0, move |tx| {
            let Some(id) = latest(tx, operation)? else {
                return begin(tx, operation, &tenant, &masters);
            };
            let sealed = tx.first(operation, SEALED, [id], Sealed::of_row)?;
            open_sealed(operation, &tenant, id, sealed, &masters)
        })
        .await
}

/// Which key new entries are sealed with; none before the first.
pub(crate) fn latest(tx: &WriteTx<'_>, operation: &'static str) -> Result<Option<u64>> {
    let sql = "SELECT id FROM journal_key ORDER BY id DESC LIMIT 1";
    tx.first(operation, sql, [], |row| row.get(0))
}

/// The key that an entry names. Blocks.
pub(crate) fn find(
    conn: &Connection,
    operation: &'static str,
    tenant: &TenantId,
    master: &MasterKeyFile,
    id: u64,
) -> Result<EntryKey> {
    let sealed = conn
        .prepare_cached(SEALED)
        .and_then(|mut found| found.query_row([id], Sealed::of_row).optional())
        .map_err(|e| error::sqlite(operation, e))?;
    open_sealed(operation, tenant, id, sealed, &master.read(operation)?)
}

/// Whether the tenant's journal has keys.
pub(super) fn has_keys(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT EXISTS (SELECT 1 FROM journal_key)", [], |row| {
        row.get(0)
    })
}

/// Seals the keys of all entries by the current master key, and begins a new one for those to come. Keys that no entry names
/// go.
pub(super) fn rotate(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    tenant: &TenantId,
    masters: &MasterKeys,
) -> Result<()> {
    tx.execute(
        operation,
        "DELETE FROM journal_key WHERE id NOT IN (SELECT sealed_by FROM journal)",
        [],
    )?;
    let keys: Vec<(u64, Sealed)> = tx
        .statement(operation, "SELECT sealed_by, sealed, id FROM journal_key")?
        .query_map([], |row| Ok((row.get(2)?, Sealed::of_row(row)?)))
        .and_then(Iterator::collect)
        .map_err(|e| error::sqlite(operation, e))?;
    for (id, sealed) in keys {
        let EntryKey { key, .. } = open_sealed(operation, tenant, id, Some(sealed), masters)?;
        let sealed = Sealed::new(operation, tenant, id, &key, masters)?;
        tx.execute(
            operation,
            "UPDATE journal_key SET sealed_by = ?2, sealed = ?3 WHERE id = ?1",
            (id, sealed.by, sealed.key),
        )?;
    }
    begin(tx, operation, tenant, masters).map(drop)
}

const SEALED: &str = "SELECT sealed_by, sealed FROM journal_key WHERE id = ?1";

/// A key as it is stored.
struct Sealed {
    /// Which master key sealed it.
    by: Vec<u8>,
    key: Vec<u8>,
}

impl Sealed {
    /// The key in the first two columns.
    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            by: row.get(0)?,
            key: row.get(1)?,
        })
    }

    /// Seals a key by the current master key.
    fn new(
        operation: &'static str,
        tenant: &TenantId,
        id: u64,
        key: &Key,
        masters: &MasterKeys,
    ) -> Result<Self> {
        let (by, master) = masters.current(operation)?;
        let bound = Bound::entry_key(tenant, id);
        Ok(Self {
            by: by.to_vec(),
            key: master.seal(operation, &bound, key.as_bytes())?,
        })
    }
}

fn begin(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    tenant: &TenantId,
    masters: &MasterKeys,
) -> Result<EntryKey> {
    let key = Key::random(operation)?;
    // Given like a version: never twice, also after it went.
    let id = tx.next_version();
    let sealed = Sealed::new(operation, tenant, id, &key, masters)?;
    tx.execute(
        operation,
        "INSERT INTO journal_key (id, sealed_by, sealed) VALUES (?1, ?2, ?3)",
        (id, sealed.by, sealed.key),
    )?;
    Ok(EntryKey { id, key })
}

fn open_sealed(
    operation: &'static str,
    tenant: &TenantId,
    id: u64,
    sealed: Option<Sealed>,
    masters: &MasterKeys,
) -> Result<EntryKey> {
    let sealed = sealed.ok_or_else(|| damaged(operation))?;
    masters
        .find(operation, &sealed.by)?
        .open(operation, &Bound::entry_key(tenant, id), &sealed.key)?
        .and_then(|key| Key::from_bytes(&key))
        .map(|key| EntryKey { id, key })
        .ok_or_else(|| damaged(operation))
}

fn damaged(operation: &'static str) -> Error {
    Error::internal(
        operation,
        "a key of the tenant's journal is damaged or missing; the operator must restore the tenant's store",
    )
}
