//! Keys of the journal's entries: made for a tenant, sealed by that tenant's key.
//!
//! An entry names the key that sealed it. A rotation of the tenant's key seals the keys of entries anew and begins another
//! one, so that it touches no entry, however many there are. An open key stays in memory as long as the tenant's store is
//! open: a write in an outage cannot wait for the master key's file.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use stuga_core::{Error, Result, TenantId};
use zeroize::Zeroizing;

use super::master::MasterKeyFile;
use super::seal::{Bound, Key};
use super::vault;
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
            let of_tenant = vault::key(tx, operation, &tenant, &masters)?;
            match latest(tx, operation)? {
                Some(id) => {
                    let sealed = tx.first(operation, SEALED, [id], |row| row.get(0))?;
                    open_sealed(operation, &tenant, id, sealed, &of_tenant)
                }
                None => begin(tx, operation, &tenant, &of_tenant),
            }
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
    let read = || -> rusqlite::Result<_> {
        // In one look: a rotation changes both.
        let snapshot = conn.unchecked_transaction()?;
        let sealed = snapshot
            .prepare_cached(SEALED)?
            .query_row([id], |row| row.get(0))
            .optional()?;
        let of_tenant = vault::sealed_key(&snapshot)?;
        Ok((sealed, of_tenant))
    };
    let (sealed, of_tenant) = read().map_err(|e| error::sqlite(operation, e))?;
    let of_tenant = of_tenant.ok_or_else(|| damaged(operation))?;
    let of_tenant = of_tenant.open(operation, tenant, &master.read(operation)?)?;
    open_sealed(operation, tenant, id, sealed, &of_tenant)
}

/// Seals the keys of all entries by another key of the tenant, and begins a new one for those to come. Keys that no entry
/// names go.
pub(super) fn rotate(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    tenant: &TenantId,
    old: &Key,
    new: &Key,
) -> Result<()> {
    tx.execute(
        operation,
        "DELETE FROM journal_key WHERE id NOT IN (SELECT sealed_by FROM journal)",
        [],
    )?;
    let keys: Vec<(u64, Vec<u8>)> = tx
        .statement(operation, "SELECT id, sealed FROM journal_key")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .map_err(|e| error::sqlite(operation, e))?;
    for (id, sealed) in keys {
        let EntryKey { key, .. } = open_sealed(operation, tenant, id, Some(sealed), old)?;
        let bound = Bound::entry_key(tenant, id);
        let sealed = new.seal(operation, &bound, key.as_bytes())?;
        tx.execute(
            operation,
            "UPDATE journal_key SET sealed = ?2 WHERE id = ?1",
            (id, sealed),
        )?;
    }
    begin(tx, operation, tenant, new).map(drop)
}

const SEALED: &str = "SELECT sealed FROM journal_key WHERE id = ?1";

fn begin(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    tenant: &TenantId,
    of_tenant: &Key,
) -> Result<EntryKey> {
    let key = Key::random(operation)?;
    // Given like a version: never twice, also after it went.
    let id = tx.next_version();
    let sealed = of_tenant.seal(operation, &Bound::entry_key(tenant, id), key.as_bytes())?;
    tx.execute(
        operation,
        "INSERT INTO journal_key (id, sealed) VALUES (?1, ?2)",
        (id, sealed),
    )?;
    Ok(EntryKey { id, key })
}

fn open_sealed(
    operation: &'static str,
    tenant: &TenantId,
    id: u64,
    sealed: Option<Vec<u8>>,
    of_tenant: &Key,
) -> Result<EntryKey> {
    let sealed = sealed.ok_or_else(|| damaged(operation))?;
    of_tenant
        .open(operation, &Bound::entry_key(tenant, id), &sealed)?
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
