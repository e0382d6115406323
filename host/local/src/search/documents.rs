//! Documents inside a transaction: how each change of a write is made, with its vectors, its place in the sequence and what it
//! takes of the quota.

use stuga_core::embed::to_bytes;
use stuga_core::search::check::{check_declared, declared_field, document_bytes};
use stuga_core::search::made::Made;
use stuga_core::search::{Change, DOCUMENT_MAX_BYTES, Fields, Outcome, Value};
use stuga_core::{Error, Result};

use super::declared::{Declared, json, to_json};
use super::prepare::Prepared;
use crate::tally::{check_quota, replace};
use crate::tx::WriteTx;

/// What the changes of one write have in common, and the counts as they go.
pub(super) struct Applying<'d> {
    operation: &'static str,
    declared: &'d Declared,
    documents: u64,
    bytes: u64,
    last_seq: u64,
}

/// A document that stands.
pub(super) struct Standing {
    pub(super) seq: u64,
    pub(super) version: u64,
    pub(super) fields: Fields,
    pub(super) created_at: u64,
    pub(super) updated_at: u64,
    bytes: u64,
}

/// What a document is that is about to stand, beside what it holds.
pub(super) struct New<'w> {
    pub(super) id: &'w str,
    /// Its place in the sequence of this store.
    pub(super) seq: u64,
    pub(super) version: u64,
    pub(super) created_at: u64,
    pub(super) updated_at: u64,
}

impl<'d> Applying<'d> {
    /// Begins to change documents of an index, which what was prepared must be made for.
    pub(super) fn of(
        operation: &'static str,
        declared: &'d Declared,
        prepared: &Prepared,
    ) -> Result<Self> {
        if !prepared.is_for(declared) {
            return Err(Error::unavailable(
                operation,
                "the index was made anew at this moment; try again",
            ));
        }
        Ok(Self {
            operation,
            documents: declared.documents,
            bytes: declared.bytes,
            last_seq: declared.last_seq,
            declared,
        })
    }

    /// Books what the changes came to.
    pub(super) fn finish(self, tx: &WriteTx<'_>) -> Result<()> {
        tx.execute(
            self.operation,
            "UPDATE search_index SET documents = ?2, bytes = ?3, last_seq = ?4 WHERE id = ?1",
            (self.declared.id, self.documents, self.bytes, self.last_seq),
        )?;
        Ok(())
    }

    /// Makes one change.
    pub(super) fn apply(
        &mut self,
        tx: &mut WriteTx<'_>,
        change: &Change,
        made: &[Made],
    ) -> Result<Outcome> {
        self.check(change)?;
        let standing = self.standing(tx, change.id())?;
        let existed = standing.is_some();
        let version = match (change, &standing) {
            (Change::Delete { .. }, None) => 0,
            (Change::Delete { .. }, Some(standing)) => {
                self.delete(tx, standing)?;
                standing.version
            }
            (Change::Update { id, .. }, None) => {
                return Err(Error::not_found(
                    self.operation,
                    format!("there is no document {id:?} to update; put it first"),
                )
                .with_context("id", id));
            }
            (Change::Put { id, .. } | Change::Update { id, .. }, standing) => {
                let (seq, now) = (tx.next_version(), tx.now.as_millis());
                let standing = standing.as_ref();
                let new = New {
                    id,
                    seq,
                    version: seq,
                    created_at: standing.map_or(now, |standing| standing.created_at),
                    updated_at: now,
                };
                self.write(tx, change, made, standing, &new)?;
                seq
            }
        };
        Ok(Outcome { version, existed })
    }

    /// Checks what a change names against the fields of the index.
    pub(super) fn check(&self, change: &Change) -> Result<()> {
        let fields = &self.declared.fields;
        check_declared(self.operation, fields, change.values())?;
        let Change::Update { remove, .. } = change else {
            return Ok(());
        };
        remove
            .iter()
            .try_for_each(|name| declared_field(self.operation, fields, name).map(drop))
    }

    /// Takes a document away.
    pub(super) fn delete(&mut self, tx: &mut WriteTx<'_>, standing: &Standing) -> Result<()> {
        let change = tx.next_version();
        self.remove(tx, standing, change)?;
        self.forget_vectors(tx, standing.seq, None)?;
        self.book(tx, Some(standing), None)
    }

    /// Makes what a put or an update says stand as `new`, where `standing` stood.
    pub(super) fn write(
        &mut self,
        tx: &mut WriteTx<'_>,
        change: &Change,
        made: &[Made],
        standing: Option<&Standing>,
        new: &New<'_>,
    ) -> Result<()> {
        if let Some(standing) = standing {
            self.remove(tx, standing, new.seq)?;
        }
        let fields = match (change, standing) {
            (Change::Update { set, remove, .. }, Some(standing)) => {
                self.move_vectors(tx, standing.seq, new.seq, change, made)?;
                let touches = |name: &String| {
                    remove.contains(name) || set.iter().any(|(other, _)| other == name)
                };
                let mut fields: Fields = standing.fields.clone();
                fields.retain(|(name, _)| !touches(name));
                fields.extend(set.iter().cloned());
                fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                fields
            }
            (_, standing) => {
                if let Some(standing) = standing {
                    self.forget_vectors(tx, standing.seq, None)?;
                }
                change.values().to_vec()
            }
        };
        self.store(tx, fields, made, standing, new)
    }

    /// Vectors that an update does not touch go over to the new row, the others go.
    fn move_vectors(
        &self,
        tx: &WriteTx<'_>,
        from: u64,
        to: u64,
        change: &Change,
        made: &[Made],
    ) -> Result<()> {
        let removes = |name: &String| matches!(change, Change::Update { remove, .. } if remove.contains(name));
        for (name, _) in &self.declared.embeddings {
            let touched = removes(name)
                || change.values().iter().any(|(other, _)| other == name)
                || made.iter().any(|made| made.field == *name);
            if touched {
                self.forget_vectors(tx, from, Some(name))?;
            } else {
                tx.execute(
                    self.operation,
                    "UPDATE search_vector SET seq = ?4 WHERE search_index = ?1 AND field = ?2 AND seq = ?3",
                    (self.declared.id, name, from, to),
                )?;
            }
        }
        Ok(())
    }

    /// The document of that id.
    pub(super) fn standing(&self, tx: &WriteTx<'_>, id: &str) -> Result<Option<Standing>> {
        tx.first(
            self.operation,
            "SELECT seq, version, fields, created_at, updated_at, bytes FROM search_document
             WHERE search_index = ?1 AND id = ?2",
            (self.declared.id, id),
            |row| {
                Ok(Standing {
                    seq: row.get(0)?,
                    version: row.get(1)?,
                    fields: json(row, 2)?,
                    created_at: row.get(3)?,
                    updated_at: row.get(4)?,
                    bytes: row.get(5)?,
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

    /// Stores a document as a row; its vectors that are not brought along stand already.
    fn store(
        &mut self,
        tx: &mut WriteTx<'_>,
        fields: Fields,
        made: &[Made],
        standing: Option<&Standing>,
        new: &New<'_>,
    ) -> Result<()> {
        let seq = new.seq;
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
        let size = document_bytes(new.id, &kept);
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
        tx.execute(
            self.operation,
            "INSERT INTO search_document (seq, version, search_index, id, fields, created_at, updated_at, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                seq,
                new.version,
                self.declared.id,
                new.id,
                to_json(self.operation, &kept)?,
                new.created_at,
                new.updated_at,
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
