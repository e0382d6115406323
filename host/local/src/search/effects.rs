//! What writes to search do inside a transaction. Nothing derived is touched here: it catches up from the sequence.

use stuga_core::embed::to_bytes;
use stuga_core::search::check::{check_declared, document_bytes};
use stuga_core::search::made::{Made, embeddings_of};
use stuga_core::search::{
    Change, DOCUMENT_MAX_BYTES, Field, Fields, INDICES_MAX, Outcome, SearchAck, SearchWrite, Value,
};
use stuga_core::{CapabilityName, Error, Result, Write, WriteId};

use super::declared::{self, COLUMNS, Declared};
use super::prepare::Prepared;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::scope::Scope;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// Tells this write from any other under its id.
pub(super) fn digest(
    operation: &'static str,
    scope: &Scope,
    write: &SearchWrite,
) -> Result<WriteDigest> {
    // Fields are in order, so equal writes are equal bytes.
    let bytes = serde_json::to_vec(write)
        .map_err(|e| Error::internal(operation, "a write cannot be told apart").with_source(e))?;
    Ok(DigestBuilder::new(scope, CapabilityName::Search, operation)
        .part(&bytes)
        .finish())
}

/// Applies a checked write inside a transaction, once for its id.
pub(super) fn apply_in(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: WriteId,
    digest: WriteDigest,
    write: &SearchWrite,
    prepared: &Prepared,
) -> Result<SearchAck> {
    let operation = write.operation();
    applied::once(tx, operation, id, digest, |tx| match write {
        SearchWrite::CreateIndex { index, fields } => {
            create(tx, operation, scope, index, fields, prepared).map(SearchAck::Created)
        }
        SearchWrite::DropIndex { index } => {
            drop_index(tx, operation, scope, index).map(SearchAck::Dropped)
        }
        SearchWrite::Change { index, changes } => {
            let declared = find(tx, operation, scope, index)?
                .ok_or_else(|| declared::missing(operation, index))?;
            if prepared.index != Some(declared.id) {
                return Err(Error::unavailable(
                    operation,
                    "the index was made anew at this moment; try again",
                ));
            }
            let mut applying = Applying {
                operation,
                documents: declared.documents,
                bytes: declared.bytes,
                last_seq: declared.last_seq,
                declared: &declared,
            };
            let none = Vec::new();
            let outcomes = changes
                .iter()
                .enumerate()
                .map(|(at, change)| {
                    let made = prepared.made.get(at).unwrap_or(&none);
                    applying.apply(tx, change, made)
                })
                .collect::<Result<Vec<_>>>()?;
            tx.execute(
                operation,
                "UPDATE search_index SET documents = ?2, bytes = ?3, last_seq = ?4 WHERE id = ?1",
                (
                    declared.id,
                    applying.documents,
                    applying.bytes,
                    applying.last_seq,
                ),
            )?;
            Ok(SearchAck::Changed(outcomes))
        }
    })
}

fn find(
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

fn create(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    index: &str,
    fields: &[Field],
    prepared: &Prepared,
) -> Result<bool> {
    if let Some(found) = find(tx, operation, scope, index)? {
        if found.fields == fields {
            return Ok(false);
        }
        return Err(Error::conflict(
            operation,
            format!(
                "the index {index:?} exists with other fields; drop it first or choose another name"
            ),
        )
        .with_context("index", index));
    }
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
    let embeddings = embeddings_of(fields, &prepared.embedding);
    let id = tx.next_version();
    tx.execute(
        operation,
        "INSERT INTO search_index (id, agent, name, fields, embeddings, created_at, documents, bytes, last_seq, gone_floor)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, 0)",
        (
            id,
            scope.rows(),
            index,
            to_json(operation, &fields)?,
            to_json(operation, &embeddings)?,
            tx.now.as_millis(),
        ),
    )?;
    Ok(true)
}

/// Takes the name and the counts away at once; the rows are swept in steps.
fn drop_index(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    index: &str,
) -> Result<bool> {
    let Some(found) = find(tx, operation, scope, index)? else {
        return Ok(false);
    };
    tx.execute(
        operation,
        "UPDATE search_index SET name = NULL WHERE id = ?1",
        [found.id],
    )?;
    replace(&mut tx.tally.search_documents, found.documents, 0);
    replace(&mut tx.tally.search_bytes, found.bytes, 0);
    Ok(true)
}

/// What the changes of one write have in common, and the counts as they go.
struct Applying<'d> {
    operation: &'static str,
    declared: &'d Declared,
    documents: u64,
    bytes: u64,
    last_seq: u64,
}

/// A document that stands.
struct Standing {
    seq: u64,
    fields: Fields,
    created_at: u64,
    bytes: u64,
}

impl Applying<'_> {
    fn apply(&mut self, tx: &mut WriteTx<'_>, change: &Change, made: &[Made]) -> Result<Outcome> {
        check_declared(self.operation, &self.declared.fields, change.values())?;
        let standing = self.standing(tx, change.id())?;
        let outcome = |version| Outcome {
            version,
            existed: standing.is_some(),
        };
        match change {
            Change::Delete { .. } => {
                let version = standing.as_ref().map_or(0, |standing| standing.seq);
                if let Some(standing) = &standing {
                    let change = tx.next_version();
                    self.remove(tx, standing, change)?;
                    self.forget_vectors(tx, standing.seq, None)?;
                    self.book(tx, Some(standing), None)?;
                }
                Ok(outcome(version))
            }
            Change::Put { id, fields } => {
                let seq = tx.next_version();
                if let Some(standing) = &standing {
                    self.remove(tx, standing, seq)?;
                    self.forget_vectors(tx, standing.seq, None)?;
                }
                self.store(tx, id, fields.clone(), made, standing.as_ref(), seq)?;
                Ok(outcome(seq))
            }
            Change::Update { id, set, remove } => {
                let Some(standing) = &standing else {
                    return Err(Error::not_found(
                        self.operation,
                        format!("there is no document {id:?} to update; put it first"),
                    )
                    .with_context("id", id));
                };
                for name in remove {
                    stuga_core::search::check::declared_field(
                        self.operation,
                        &self.declared.fields,
                        name,
                    )?;
                }
                let seq = tx.next_version();
                self.remove(tx, standing, seq)?;
                // Vectors that the change does not touch go over to the new row.
                for (name, _) in &self.declared.embeddings {
                    let touched = remove.contains(name)
                        || set.iter().any(|(other, _)| other == name)
                        || made.iter().any(|made| made.field == *name);
                    if touched {
                        self.forget_vectors(tx, standing.seq, Some(name))?;
                    } else {
                        tx.execute(
                            self.operation,
                            "UPDATE search_vector SET seq = ?4 WHERE search_index = ?1 AND field = ?2 AND seq = ?3",
                            (self.declared.id, name, standing.seq, seq),
                        )?;
                    }
                }
                let touches = |name: &String| {
                    remove.contains(name) || set.iter().any(|(other, _)| other == name)
                };
                let mut fields: Fields = standing.fields.clone();
                fields.retain(|(name, _)| !touches(name));
                fields.extend(set.iter().cloned());
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                self.store(tx, id, fields, made, Some(standing), seq)?;
                Ok(outcome(seq))
            }
        }
    }

    fn standing(&self, tx: &WriteTx<'_>, id: &str) -> Result<Option<Standing>> {
        tx.first(
            self.operation,
            "SELECT seq, fields, created_at, bytes FROM search_document WHERE search_index = ?1 AND id = ?2",
            (self.declared.id, id),
            |row| {
                Ok(Standing {
                    seq: row.get(0)?,
                    fields: declared::json(row, 1)?,
                    created_at: row.get(2)?,
                    bytes: row.get(3)?,
                })
            },
        )
    }

    /// Takes a row away and notes for what is derived that it is gone.
    fn remove(&mut self, tx: &WriteTx<'_>, standing: &Standing, change: u64) -> Result<()> {
        tx.execute(
            self.operation,
            "DELETE FROM search_document WHERE seq = ?1",
            [standing.seq],
        )?;
        tx.execute(
            self.operation,
            "INSERT INTO search_gone (search_index, change, seq) VALUES (?1, ?2, ?3)",
            (self.declared.id, change, standing.seq),
        )?;
        self.last_seq = change;
        Ok(())
    }

    fn forget_vectors(&self, tx: &WriteTx<'_>, seq: u64, field: Option<&str>) -> Result<()> {
        if self.declared.embeddings.is_empty() {
            return Ok(());
        }
        let fields = self
            .declared
            .embeddings
            .iter()
            .map(|(name, _)| name.as_str());
        for name in fields.filter(|name| field.is_none_or(|only| only == *name)) {
            tx.execute(
                self.operation,
                "DELETE FROM search_vector WHERE search_index = ?1 AND field = ?2 AND seq = ?3",
                (self.declared.id, name, seq),
            )?;
        }
        Ok(())
    }

    /// Stores a document as the row `seq`; its vectors that are not brought along stand already.
    fn store(
        &mut self,
        tx: &mut WriteTx<'_>,
        id: &str,
        fields: Fields,
        made: &[Made],
        standing: Option<&Standing>,
        seq: u64,
    ) -> Result<()> {
        let mut kept = Fields::with_capacity(fields.len());
        for (name, value) in fields {
            match value {
                Value::Vector(numbers) => {
                    self.store_vector(tx, &name, seq, &to_bytes(&numbers))?;
                }
                value => kept.push((name, value)),
            }
        }
        for Made { field, vector } in made {
            if let Some(vector) = vector {
                self.store_vector(tx, field, seq, &to_bytes(vector))?;
            }
        }
        let size = document_bytes(id, &kept);
        let mut of_vectors = 0_u64;
        for (name, _) in &self.declared.embeddings {
            let length = tx.first(
                self.operation,
                "SELECT octet_length(vector) FROM search_vector WHERE search_index = ?1 AND field = ?2 AND seq = ?3",
                (self.declared.id, name, seq),
                |row| row.get::<_, u64>(0),
            )?;
            of_vectors = of_vectors.saturating_add(length.unwrap_or(0));
        }
        if size > DOCUMENT_MAX_BYTES {
            return Err(Error::invalid(
                self.operation,
                format!("the document would have {size} bytes; the limit is {DOCUMENT_MAX_BYTES}"),
            )
            .with_context("limit", DOCUMENT_MAX_BYTES));
        }
        let bytes = (size as u64).saturating_add(of_vectors);
        let created_at = standing.map_or(tx.now.as_millis(), |standing| standing.created_at);
        tx.execute(
            self.operation,
            "INSERT INTO search_document (seq, search_index, id, fields, created_at, updated_at, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                seq,
                self.declared.id,
                id,
                to_json(self.operation, &kept)?,
                created_at,
                tx.now.as_millis(),
                bytes,
            ),
        )?;
        self.last_seq = seq;
        self.book(tx, standing, Some(bytes))
    }

    fn store_vector(&self, tx: &WriteTx<'_>, field: &str, seq: u64, vector: &[u8]) -> Result<()> {
        tx.execute(
            self.operation,
            "INSERT INTO search_vector (search_index, field, seq, vector) VALUES (?1, ?2, ?3, ?4)",
            (self.declared.id, field, seq, vector),
        )?;
        Ok(())
    }

    /// Books what a document takes now instead of what it took.
    fn book(
        &mut self,
        tx: &mut WriteTx<'_>,
        before: Option<&Standing>,
        bytes: Option<u64>,
    ) -> Result<()> {
        let (old_count, old_bytes) = before.map_or((0, 0), |standing| (1, standing.bytes));
        let (new_count, new_bytes) = bytes.map_or((0, 0), |bytes| (1, bytes));
        let (tally, quotas) = (&mut tx.tally, &tx.quotas);
        check_quota(
            self.operation,
            "search_documents",
            quotas.search_documents,
            tally.search_documents,
            old_count,
            new_count,
        )?;
        check_quota(
            self.operation,
            "search_bytes",
            quotas.search_bytes,
            tally.search_bytes,
            old_bytes,
            new_bytes,
        )?;
        replace(&mut tally.search_documents, old_count, new_count);
        replace(&mut tally.search_bytes, old_bytes, new_bytes);
        replace(&mut self.documents, old_count, new_count);
        replace(&mut self.bytes, old_bytes, new_bytes);
        Ok(())
    }
}

fn to_json<T: serde::Serialize>(operation: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::internal(operation, "a document cannot be kept").with_source(e))
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
