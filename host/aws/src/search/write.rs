//! How a write becomes one step though OpenSearch knows no transactions: it is *decided* by replacing the entry of its index in
//! the catalog, on the condition that nobody else has, and then *completed* by writing its documents and its mark
//! ([`super::complete`]).
//!
//! The entry names the write until the next one replaces it, so whoever comes next completes what a crash or a lost
//! connection has left, before anything else. Every step can be repeated: a document is stored with its version and
//! is not stored again once a later one stands, a mark is made once. A write is acknowledged when all of it stands. See
//! docs/adr/0032.

use std::collections::HashMap;

use stuga_core::search::made::{Made, embed_changes, embedding_of, embeddings_of};
use stuga_core::search::{Change, Field, INDICES_MAX, SearchAck, SearchWrite};
use stuga_core::standby::Adopted;
use stuga_core::{
    CallCtx, Error, Result, Timestamp, VERSION_BITS, Write, WriteId, first_version, next_version,
};

use super::adopt::{Known, Taking, changes_of};
use super::catalog::{self, Found, Head, IndexEntry, Mark, Pending, used};
use super::complete::{gets_of, numbered, standing, whole};
use super::effects::{Decided, Effects, Standing, effects};
use super::failed::is_unsent;
use super::many::{self, Get, Got, Place, Put, What};
use super::names::{Index, Names};
use super::wire::{Wire, json, read};
use super::{CloudSearch, digest, missing};
use crate::quota::meter::Held;

/// Most attempts at a write; each but the first follows another host's write to the same index, or its completion.
const TURNS_MAX: u32 = 64;

/// A write on its way.
pub(super) struct Writing<'a> {
    pub(super) search: &'a CloudSearch,
    pub(super) ctx: &'a CallCtx,
    pub(super) wire: Wire,
    pub(super) names: Names,
    pub(super) operation: &'static str,
    pub(super) write: &'a SearchWrite,
    pub(super) mark: String,
    pub(super) digest: String,
    /// What is known of it when another side has acknowledged it.
    pub(super) taking: Option<Taking<'a>>,
}

pub(super) enum Turn {
    Done(SearchAck, Adopted),
    Again,
}

impl<'a> Writing<'a> {
    pub(super) async fn new(
        search: &'a CloudSearch,
        ctx: &'a CallCtx,
        id: WriteId,
        write: &'a SearchWrite,
    ) -> Result<Self> {
        let operation = write.operation();
        let names = Names::of(&search.shared, ctx)?;
        Ok(Self {
            wire: search.domain.wire(ctx, operation, &names).await?,
            mark: names.mark(id),
            digest: digest(operation, &names, write)?,
            search,
            ctx,
            names,
            operation,
            write,
            taking: None,
        })
    }

    /// Applies the write. One at a time of this process works at an index; other processes are met in the catalog.
    pub(super) async fn run(&self) -> Result<(SearchAck, Adopted)> {
        let key = self.key();
        let turn = self.search.turn(&key);
        let _turn = turn.lock().await;
        for _ in 0..TURNS_MAX {
            if let Turn::Done(ack, adopted) = self.turn(&key).await? {
                return Ok((ack, adopted));
            }
        }
        Err(Error::unavailable(
            self.operation,
            "other hosts write to this index without a pause; try again",
        ))
    }

    /// The index in the memory of this process.
    fn key(&self) -> String {
        self.search.key(&self.names, self.write.key())
    }

    async fn turn(&self, key: &str) -> Result<Turn> {
        let ids = changes_of(self.write);
        let known = self.search.known.get(key);
        let index = known
            .as_ref()
            .map(|known| self.names.documents(self.write.key(), known.generation));
        let catalog = self.names.catalog();
        let mut gets = vec![
            whole(&catalog, self.mark.clone()),
            Get {
                without: &["work"],
                ..whole(&catalog, self.names.head(self.write.key()))
            },
        ];
        if let Some(index) = &index {
            gets.extend(gets_of(index, ids));
        }
        let got = many::get(&self.wire, self.operation, &catalog, &gets).await?;
        let mut got = got.into_iter();
        let (mark, head) = (got.next(), got.next());
        if matches!(head, None | Some(Got::NoIndex)) {
            self.make_catalog(&catalog).await?;
            return Ok(Turn::Again);
        }
        let found = match head {
            Some(Got::Found(place, source)) => {
                Some(catalog::entry(self.operation, place, source.get())?)
            }
            _ => None,
        };
        if let Some(found) = &found {
            let pending = &found.entry.pending;
            let is_ours = pending.mark == self.mark;
            if is_ours && pending.digest != self.digest {
                return Err(used(self.operation));
            }
            let is_applied = self.search.applied.get(key) == Some(pending.tag());
            if !is_applied || !found.entry.is_live() {
                let completed = self.complete(key, found).await;
                let taking = self.taking.as_ref();
                // What landed here otherwise than it was answered is taken over once it stands.
                let is_answer = taking.is_none_or(|taking| taking.made.ack == pending.ack);
                return match completed {
                    Ok(()) if is_ours && is_answer => {
                        Ok(Turn::Done(pending.ack.clone(), Adopted::Stands))
                    }
                    Ok(()) => Ok(Turn::Again),
                    Err(error) if is_ours => Err(landed(self.operation, error)),
                    Err(error) => Err(error),
                };
            }
        }
        let mark: Option<Mark> = match mark {
            Some(Got::Found(_, source)) => Some(read(self.operation, source.get().as_bytes())?),
            _ => None,
        };
        if let Some(taking) = &self.taking {
            let ack = &taking.made.ack;
            let known = Known::of(self.operation, mark, &self.digest, ack)?;
            let documents = found.as_ref().map(|found| {
                self.names
                    .documents(self.write.key(), found.entry.head.generation)
            });
            let standing = match index.is_some() && index == documents {
                true => Some(standing(self.operation, got)?),
                false => None,
            };
            return self.take(key, taking, found, known, standing).await;
        }
        if let Some(mark) = mark {
            let ack = mark.answer(self.operation, &self.digest)?;
            return Ok(Turn::Done(ack, Adopted::Stands));
        }
        match self.write {
            SearchWrite::CreateIndex { index, fields } => {
                self.create(key, found, index, fields).await
            }
            SearchWrite::DropIndex { index } => self.drop_index(key, found, index).await,
            SearchWrite::Change {
                index: name,
                changes,
            } => {
                let Some(found) = found else {
                    self.search.known.invalidate(key);
                    return Err(missing(self.operation, name));
                };
                let documents = self.names.documents(name, found.entry.head.generation);
                let standing = match index == Some(documents.clone()) {
                    true => standing(self.operation, got)?,
                    false => self.standing(&documents, changes).await?,
                };
                self.change(key, found, &documents, changes, &standing)
                    .await
            }
        }
    }

    async fn create(
        &self,
        key: &str,
        found: Option<Found>,
        name: &str,
        fields: &[Field],
    ) -> Result<Turn> {
        if let Some(found) = found {
            if found.entry.head.fields == fields {
                return self.remember(SearchAck::Created(false)).await;
            }
            return Err(Error::conflict(
                self.operation,
                format!(
                    "the index {name:?} exists with other fields; drop it first or choose another name"
                ),
            )
            .with_context("index", name));
        }
        let listed = self
            .search
            .list(&self.wire, self.operation, &self.names)
            .await?;
        if listed.len() >= INDICES_MAX {
            return Err(Error::quota_exceeded(
                self.operation,
                format!("the agent has {INDICES_MAX} indices; drop one first"),
            )
            .with_context("limit", INDICES_MAX));
        }
        let now = self.search.shared.now();
        let last = first_version(now);
        let head = Head {
            // Another one even within the millisecond in which an index of this name was dropped.
            generation: last.saturating_add(low_bits(&self.digest, &self.mark)),
            fields: fields.to_vec(),
            embeddings: embeddings_of(fields, &embedding_of(&*self.search.embedder)),
            created_at: now,
            documents: 0,
            bytes: 0,
            last,
            made: last,
        };
        let entry = self.decided(name, head, now, last, SearchAck::Created(true));
        if !self.decide(None, &entry).await? {
            return Ok(Turn::Again);
        }
        let completed = async {
            let index = self.names.documents(name, entry.head.generation);
            self.make_index(&index, &entry.head).await?;
            self.finish(key, &entry, &index, Vec::new()).await
        };
        self.done(key, &entry, completed.await)
    }

    async fn drop_index(&self, key: &str, found: Option<Found>, name: &str) -> Result<Turn> {
        let Some(found) = found else {
            return self.remember(SearchAck::Dropped(false)).await;
        };
        let (head, now) = (found.entry.head, self.search.shared.now());
        let last = head.last;
        let entry = self.decided(name, head, now, last, SearchAck::Dropped(true));
        if !self.decide(Some(found.place), &entry).await? {
            return Ok(Turn::Again);
        }
        let completed = self.remove(key, &entry).await;
        completed.map_err(|error| landed(self.operation, error))?;
        Ok(Turn::Done(entry.pending.ack, Adopted::Stands))
    }

    async fn change(
        &self,
        key: &str,
        found: Found,
        index: &Index,
        changes: &[Change],
        standing: &HashMap<String, Standing>,
    ) -> Result<Turn> {
        let mut head = found.entry.head;
        let made = self.embed(&head, changes).await?;
        let now = self.search.shared.now();
        let base = next_version(head.last, now).saturating_sub(1);
        let Effects {
            outcomes,
            documents,
            more,
            less,
        } = effects(
            self.operation,
            &head.fields,
            numbered(changes, &made),
            standing,
            Decided { base, now },
        )?;
        let (more, less) = (held(more), held(less));
        let (grown, shrunk) = (more.without(less), less.without(more));
        self.admit(grown).await?;
        head.last = base.saturating_add(changes.len() as u64);
        head.documents = head
            .documents
            .saturating_add(more.count)
            .saturating_sub(less.count);
        head.bytes = head
            .bytes
            .saturating_add(more.bytes)
            .saturating_sub(less.bytes);
        let ack = SearchAck::Changed(outcomes);
        let entry = self.decided(self.write.key(), head, now, base, ack);
        let meter = &self.search.meter;
        if !self.decide(Some(found.place), &entry).await? {
            meter.release(&self.ctx.tenant, grown);
            return Ok(Turn::Again);
        }
        meter.release(&self.ctx.tenant, shrunk);
        let completed = self.finish(key, &entry, index, documents).await;
        self.done(key, &entry, completed)
    }

    /// Holds the tenant to its quota.
    async fn admit(&self, more: Held) -> Result<()> {
        let (tenant, deadline) = (&self.ctx.tenant, self.ctx.deadline);
        let limit = self.search.shared.quotas.of(tenant).search();
        let meter = &self.search.meter;
        meter
            .admit(self.operation, tenant, more, limit, deadline)
            .await
    }

    /// The entry of the index once this write is decided.
    pub(super) fn decided(
        &self,
        name: &str,
        head: Head,
        now: Timestamp,
        base: u64,
        ack: SearchAck,
    ) -> IndexEntry {
        let pending = Pending {
            mark: self.mark.clone(),
            digest: self.digest.clone(),
            at: now,
            base,
            ack,
            taken: None,
        };
        IndexEntry::new(self.names.agent(), name, head, pending, self.write)
    }

    /// Decides the write; false when somebody else was first.
    pub(super) async fn decide(&self, place: Option<Place>, entry: &IndexEntry) -> Result<bool> {
        let body = json(self.operation, entry)?;
        let catalog = self.names.catalog();
        let what = match place {
            Some(place) => What::Replace(place, body),
            None => What::Create(body),
        };
        let put = Put {
            index: &catalog,
            id: self.names.head(&entry.name),
            what,
        };
        let result = many::put(&self.wire, self.operation, &catalog, put).await;
        let error = match result {
            Ok(Ok(())) => return Ok(true),
            Ok(Err(refusal)) if refusal.is_conflict() => return Ok(false),
            Ok(Err(refusal)) => refusal.into_error(self.operation),
            Err(error) => error,
        };
        Err(match is_unsent(&error) {
            true => error,
            false => landed(self.operation, error),
        })
    }

    pub(super) fn done(
        &self,
        key: &str,
        entry: &IndexEntry,
        completed: Result<()>,
    ) -> Result<Turn> {
        completed.map_err(|error| landed(self.operation, error))?;
        self.search
            .known
            .insert(key.to_owned(), entry.head.clone().into());
        Ok(Turn::Done(entry.pending.ack.clone(), Adopted::Stands))
    }

    /// Remembers a write that changes nothing.
    async fn remember(&self, ack: SearchAck) -> Result<Turn> {
        let now = self.search.shared.now();
        let mark = Mark::new(now, self.digest.clone(), ack.clone());
        let catalog = self.names.catalog();
        let put = Put {
            index: &catalog,
            id: self.mark.clone(),
            what: What::Create(json(self.operation, &mark)?),
        };
        match many::put(&self.wire, self.operation, &catalog, put).await? {
            Ok(()) => Ok(Turn::Done(ack, Adopted::Stands)),
            Err(refusal) if refusal.is_conflict() => Ok(Turn::Again),
            Err(refusal) => Err(refusal.into_error(self.operation)),
        }
    }

    pub(super) async fn embed(&self, head: &Head, changes: &[Change]) -> Result<Vec<Vec<Made>>> {
        let embedder = &*self.search.embedder;
        let host = embedding_of(embedder);
        embed_changes(&head.fields, &head.embeddings, changes, embedder, &host).await
    }
}

/// Documents and their bytes.
fn held((count, bytes): (u64, u64)) -> Held {
    Held { count, bytes }
}

/// Some bits of what tells writes apart.
pub(super) fn low_bits(digest: &str, mark: &str) -> u64 {
    let bytes = digest.bytes().chain(mark.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash >> (u64::BITS - VERSION_BITS)
}

/// An outage after the write was decided: it may stand, now or later.
pub(super) fn landed(operation: &'static str, error: Error) -> Error {
    Error::timeout(
        operation,
        "the search domain did not confirm the write; it may have been made",
    )
    .with_source(error)
}
