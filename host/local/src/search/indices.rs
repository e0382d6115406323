//! Indices inside a transaction: found, made, dropped, and what is left of dropped ones and of documents that are gone.

use stuga_core::search::made::embeddings_of;
use stuga_core::search::{Field, INDICES_MAX};
use stuga_core::{Error, Result};

use super::declared::{COLUMNS, Declared, to_json};
use super::prepare::Prepared;
use crate::scope::Scope;
use crate::tally::replace;
use crate::tx::WriteTx;

/// The agent's index of that name.
pub(super) fn find(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    index: &str,
) -> Result<Option<Declared>> {
    tx.first(
        operation,
        &format!("SELECT {COLUMNS} FROM search_index WHERE agent = ?1 AND name = ?2"),
        (scope.rows(), index),
        Declared::of,
    )
}

/// An index that is about to be made.
pub(super) struct NewIndex<'w> {
    pub(super) name: &'w str,
    pub(super) fields: &'w [Field],
    /// Never given twice: what is derived is named like it.
    pub(super) id: u64,
    pub(super) created_at: u64,
}

/// Makes an index whose name is free.
pub(super) fn create(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    index: &NewIndex<'_>,
    prepared: &Prepared,
) -> Result<()> {
    let count = tx.first(
        operation,
        "SELECT count(*) FROM search_index WHERE agent = ?1 AND name IS NOT NULL",
        [scope.rows()],
        |row| row.get::<_, usize>(0),
    )?;
    if count.unwrap_or(0) >= INDICES_MAX {
        return Err(Error::quota_exceeded(
            operation,
            format!("the agent has {INDICES_MAX} indices; drop one first"),
        )
        .with_context("limit", INDICES_MAX));
    }
    let embeddings = embeddings_of(index.fields, &prepared.embedding);
    tx.execute(
        operation,
        "INSERT INTO search_index
           (id, agent, name, fields, embeddings, created_at, documents, bytes, last_seq, gone_floor)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, 0)",
        (
            index.id,
            scope.rows(),
            index.name,
            to_json(operation, &index.fields)?,
            to_json(operation, &embeddings)?,
            index.created_at,
        ),
    )?;
    Ok(())
}

/// Takes the name and the counts away at once; the rows are swept in steps.
pub(super) fn drop_index(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    found: &Declared,
) -> Result<()> {
    tx.execute(
        operation,
        "UPDATE search_index SET name = NULL WHERE id = ?1",
        [found.id],
    )?;
    replace(&mut tx.tally.search_documents, found.documents, 0);
    replace(&mut tx.tally.search_bytes, found.bytes, 0);
    Ok(())
}

/// Removes at most `max` rows of indices that were dropped; says how many.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let dropped = tx.first(
        operation,
        "SELECT id FROM search_index WHERE name IS NULL LIMIT 1",
        [],
        |row| row.get::<_, u64>(0),
    )?;
    let Some(index) = dropped else { return Ok(0) };
    let mut removed = 0_usize;
    for (table, key) in [("search_document", "seq"), ("search_vector", "id")] {
        removed += tx.execute(
            operation,
            &format!(
                "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE search_index = ?1 LIMIT ?2)"
            ),
            (index, max),
        )?;
    }
    removed += tx.execute(
        operation,
        "DELETE FROM search_gone WHERE (search_index, change, seq) IN
           (SELECT search_index, change, seq FROM search_gone WHERE search_index = ?1 LIMIT ?2)",
        (index, max),
    )?;
    if removed == 0 {
        removed = tx.execute(operation, "DELETE FROM search_index WHERE id = ?1", [index])?;
    }
    Ok(u32::try_from(removed).unwrap_or(u32::MAX))
}

/// Forgets what is gone up to the change `position`, which the derived index has seen and kept.
pub(super) fn prune(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    index: u64,
    position: u64,
) -> Result<()> {
    tx.execute(
        operation,
        "DELETE FROM search_gone WHERE search_index = ?1 AND change <= ?2",
        (index, position),
    )?;
    tx.execute(
        operation,
        "UPDATE search_index SET gone_floor = max(gone_floor, ?2) WHERE id = ?1",
        (index, position),
    )?;
    Ok(())
}
