//! One tenant's key and values inside its database.

use rusqlite::{Connection, OptionalExtension};
use stuga_core::secrets::{Removal, SECRETS_MAX, SecretInfo, SecretValue, VERSIONS_MAX};
use stuga_core::{Error, Result, TenantId, Timestamp};

use super::keeper::StoredKey;
use super::seal::{Bound, Key};
use crate::error;
use crate::tx::WriteTx;

/// The one row of the tenant's key.
const STORED_KEY: &str = "SELECT sealed_by, sealed FROM secret_key WHERE id = 0";

pub(super) fn damaged(operation: &'static str) -> Error {
    Error::internal(
        operation,
        "the tenant's secret is damaged or was moved; the operator must set it again",
    )
}

/// A value as it is stored, and the key that sealed it, read in one look.
pub(super) fn sealed_value(
    conn: &Connection,
    name: &str,
    version: u64,
) -> rusqlite::Result<Option<(Vec<u8>, StoredKey)>> {
    conn.prepare_cached(
        "SELECT secret.sealed, secret_key.sealed_by, secret_key.sealed FROM secret, secret_key
         WHERE secret.name = ?1 AND secret.version = ?2",
    )?
    .query_row((name, version), |row| {
        Ok((row.get(0)?, StoredKey::of_row(row, 1)?))
    })
    .optional()
}

/// Opens what [`sealed_value`] read.
pub(super) fn open_value(
    operation: &'static str,
    tenant: &TenantId,
    (name, version): (&str, u64),
    sealed: &[u8],
    key: &Key,
) -> Result<SecretValue> {
    let mut value = key
        .open(operation, &Bound::value(tenant, name, version), sealed)?
        .ok_or_else(|| damaged(operation))?;
    SecretValue::new(std::mem::take(&mut *value)).map_err(|_| damaged(operation))
}

/// The latest version of a secret, or the given one.
pub(super) fn find(
    conn: &Connection,
    name: &str,
    version: Option<u64>,
) -> rusqlite::Result<Option<SecretInfo>> {
    conn.prepare_cached(
        "SELECT name, version, created_at FROM secret WHERE name = ?1 AND version = coalesce(?2, version)
         ORDER BY version DESC LIMIT 1",
    )?
    .query_row((name, version), info)
    .optional()
}

/// All versions of all secrets, by name, the newest first.
pub(super) fn list(conn: &Connection) -> rusqlite::Result<Vec<SecretInfo>> {
    conn.prepare_cached("SELECT name, version, created_at FROM secret ORDER BY name, version DESC")?
        .query_map([], info)?
        .collect()
}

fn info(row: &rusqlite::Row<'_>) -> rusqlite::Result<SecretInfo> {
    Ok(SecretInfo {
        name: row.get(0)?,
        version: row.get(1)?,
        created_at: Timestamp::from_millis(row.get(2)?),
    })
}

/// The tenant's key as it is stored; none when the tenant has had no secret.
pub(super) fn stored_key(conn: &Connection) -> rusqlite::Result<Option<StoredKey>> {
    conn.prepare_cached(STORED_KEY)?
        .query_row([], |row| StoredKey::of_row(row, 0))
        .optional()
}

/// Whether the tenant's key is still the one that was read before the transaction.
pub(super) fn is_unchanged(
    tx: &WriteTx<'_>,
    operation: &'static str,
    before: Option<&StoredKey>,
) -> Result<bool> {
    let now = tx.first(operation, STORED_KEY, [], |row| StoredKey::of_row(row, 0))?;
    Ok(now.as_ref() == before)
}

/// Stores the tenant's key in the place of the one before.
pub(super) fn put_key(tx: &WriteTx<'_>, operation: &'static str, stored: &StoredKey) -> Result<()> {
    tx.execute(
        operation,
        "INSERT OR REPLACE INTO secret_key (id, sealed_by, sealed) VALUES (0, ?1, ?2)",
        (&stored.sealed_by, &stored.sealed),
    )
    .map(drop)
}

/// Adds a version and lets go of those that are too many.
pub(super) fn set(
    tx: &WriteTx<'_>,
    operation: &'static str,
    tenant: &TenantId,
    key: &Key,
    name: &str,
    value: &SecretValue,
) -> Result<SecretInfo> {
    let last: Option<u64> = tx
        .first(
            operation,
            "SELECT max(version) FROM secret WHERE name = ?1",
            [name],
            |row| row.get(0),
        )?
        .flatten();
    let info = SecretInfo {
        name: name.to_owned(),
        version: last.unwrap_or_default().saturating_add(1),
        created_at: tx.now,
    };
    put(tx, operation, tenant, key, &info, value)?;
    Ok(info)
}

/// Keeps a value as that version, in the place of whatever is kept as it, and lets go of versions that are too many.
pub(super) fn put(
    tx: &WriteTx<'_>,
    operation: &'static str,
    tenant: &TenantId,
    key: &Key,
    info: &SecretInfo,
    value: &SecretValue,
) -> Result<()> {
    let SecretInfo {
        name,
        version,
        created_at,
    } = info;
    check_room(tx, operation, name)?;
    let sealed = key.seal(
        operation,
        &Bound::value(tenant, name, *version),
        value.reveal(),
    )?;
    tx.execute(
        operation,
        "INSERT OR REPLACE INTO secret (name, version, created_at, sealed) VALUES (?1, ?2, ?3, ?4)",
        (name, version, created_at.as_millis(), sealed),
    )?;
    tx.execute(
        operation,
        "DELETE FROM secret WHERE name = ?1 AND version <= ?2",
        (name, version.saturating_sub(VERSIONS_MAX as u64)),
    )?;
    Ok(())
}

/// Refuses one secret more than a tenant may have.
fn check_room(tx: &WriteTx<'_>, operation: &'static str, name: &str) -> Result<()> {
    let names = tx
        .first(
            operation,
            "SELECT count(DISTINCT name) FROM secret WHERE name <> ?1",
            [name],
            |row| row.get::<_, u64>(0),
        )?
        .unwrap_or_default();
    if names < SECRETS_MAX as u64 {
        return Ok(());
    }
    let message = "the tenant has as many secrets as it may; remove one";
    Err(Error::quota_exceeded(operation, message).with_context("limit", SECRETS_MAX))
}

/// Removes versions and says how many.
pub(super) fn remove(
    tx: &WriteTx<'_>,
    operation: &'static str,
    name: &str,
    what: Removal,
) -> Result<u64> {
    let removed = match what {
        Removal::All => tx.execute(operation, "DELETE FROM secret WHERE name = ?1", [name]),
        Removal::Older => tx.execute(
            operation,
            "DELETE FROM secret WHERE name = ?1
               AND version < (SELECT max(version) FROM secret WHERE name = ?1)",
            [name],
        ),
        Removal::Version(version) => tx.execute(
            operation,
            "DELETE FROM secret WHERE name = ?1 AND version = ?2",
            (name, version),
        ),
    }?;
    Ok(removed as u64)
}

/// Seals all values, which `old` opens, anew under `new` and says how many.
pub(super) fn reseal(
    tx: &WriteTx<'_>,
    operation: &'static str,
    tenant: &TenantId,
    old: &Key,
    new: &Key,
) -> Result<u64> {
    let rows: Vec<(String, u64)> = tx
        .statement(operation, "SELECT name, version FROM secret")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .map_err(|e| error::sqlite(operation, e))?;
    let count = rows.len() as u64;
    for (name, version) in rows {
        let sealed: Option<Vec<u8>> = tx.first(
            operation,
            "SELECT sealed FROM secret WHERE name = ?1 AND version = ?2",
            (&name, version),
            |row| row.get(0),
        )?;
        let sealed = sealed.ok_or_else(|| damaged(operation))?;
        let value = open_value(operation, tenant, (&name, version), &sealed, old)?;
        let sealed = new.seal(
            operation,
            &Bound::value(tenant, &name, version),
            value.reveal(),
        )?;
        tx.execute(
            operation,
            "UPDATE secret SET sealed = ?3 WHERE name = ?1 AND version = ?2",
            (&name, version, sealed),
        )?;
    }
    Ok(count)
}
