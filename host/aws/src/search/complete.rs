//! The second half of a write: making what was decided stand. Safe to repeat, by whoever comes by.

use std::collections::{HashMap, HashSet};

use opensearch::http::Method;
use stuga_core::search::made::Made;
use stuga_core::search::{Change, Outcome, SearchAck, SearchWrite};
use stuga_core::{Error, Result};

use super::catalog::{self, Found, Head, IndexEntry, Mark, Pending};
use super::effects::{Decided, Effect, Effects, Standing, effects, is_left};
use super::gone;
use super::many::{self, Bulk, Get, Got, Put, What};
use super::names::Index;
use super::shape::{self, Entry, STATE, Stored};
use super::taken::Taken;
use super::wire::{Body, Request, json, read};
use super::write::Writing;

impl Writing<'_> {
    /// Completes the write that an entry names, if anything of it is left.
    pub(super) async fn complete(&self, key: &str, found: &Found) -> Result<()> {
        let (operation, catalog) = (self.operation, self.names.catalog());
        let id = self.names.head(&found.entry.name);
        let got = many::get(&self.wire, operation, &catalog, &[whole(&catalog, id)]).await?;
        let Some(Got::Found(place, source)) = got.into_iter().next() else {
            return Ok(());
        };
        let Found { entry, .. } = catalog::entry(operation, place, source.get())?;
        if place != found.place {
            return Ok(());
        }
        let index = self.names.documents(&entry.name, entry.head.generation);
        match &entry.work {
            Some(SearchWrite::CreateIndex { .. }) => {
                self.make_index(&index, &entry.head).await?;
                self.finish(key, &entry, &index, Vec::new()).await
            }
            Some(SearchWrite::DropIndex { .. }) => self.remove(key, &entry).await,
            Some(SearchWrite::Change { changes, .. }) => {
                let standing = self.standing(&index, changes).await?;
                if let Some(taken) = taken_of(&entry.pending) {
                    let made = self.embed(&entry.head, changes).await?;
                    let numbered = numbered(changes, &made);
                    let fields = &entry.head.fields;
                    let effects = taken.effects(operation, fields, numbered, &standing)?;
                    return self.finish(key, &entry, &index, effects.documents).await;
                }
                let base = entry.pending.base;
                let left: Vec<bool> = changes
                    .iter()
                    .map(|change| is_left(changes, &standing, base, change.id()))
                    .collect();
                let some: Vec<Change> = changes
                    .iter()
                    .zip(&left)
                    .filter(|(_, left)| **left)
                    .map(|(change, _)| change.clone())
                    .collect();
                if !some.is_empty() {
                    tracing::info!(
                        operation,
                        documents = some.len(),
                        "completing a write that was left half-way"
                    );
                }
                let made = self.embed(&entry.head, &some).await?;
                let places = left.iter().enumerate().filter(|(_, left)| **left);
                let numbered = places
                    .zip(numbered(&some, &made))
                    .map(|((at, _), (_, change, made))| (at, change, made));
                let decided = Decided {
                    base,
                    now: entry.pending.at,
                };
                let fields = &entry.head.fields;
                let Effects { documents, .. } =
                    effects(operation, fields, numbered, &standing, decided)?;
                self.finish(key, &entry, &index, documents).await
            }
            None => Err(Error::internal(
                operation,
                "the catalog does not say which write is pending",
            )),
        }
    }

    /// Writes the documents and then the mark.
    pub(super) async fn finish(
        &self,
        key: &str,
        entry: &IndexEntry,
        index: &Index,
        documents: Vec<Effect>,
    ) -> Result<()> {
        let (operation, catalog) = (self.operation, self.names.catalog());
        let pending = &entry.pending;
        let fields = &entry.head.fields;
        let mut bulk = Bulk::new(&self.wire, operation, &catalog);
        for effect in documents {
            let Effect {
                id,
                was,
                was_version,
                now,
            } = effect;
            let what = match (now, was) {
                (Some(stored), was) => {
                    let document = Entry {
                        stored: &stored,
                        fields,
                    };
                    let body = json(operation, &document)?;
                    match was {
                        // It landed here with a larger version than was answered.
                        Some(place) if was_version > stored.version => What::Replace(place, body),
                        _ => What::Version(stored.version, body),
                    }
                }
                (None, Some(place)) => What::Delete(place),
                (None, None) => continue,
            };
            bulk.push(Put { index, id, what }).await?;
        }
        // It is remembered from when it came here, however long ago another side made it.
        let at = match pending.taken {
            None => pending.at,
            Some(_) => self.search.shared.now(),
        };
        let mark = Mark::new(at, pending.digest.clone(), pending.ack.clone());
        let mark = json(operation, &mark)?;
        let mark = Put {
            index: &catalog,
            id: pending.mark.clone(),
            what: match pending.taken {
                None => What::Create(mark),
                Some(_) => What::Store(mark),
            },
        };
        bulk.push(mark).await?;
        for result in bulk.finish().await? {
            match result {
                Ok(()) => {}
                // It stands already, or a later one does.
                Err(refusal) if refusal.is_conflict() => {}
                Err(refusal) => return Err(refusal.into_error(operation)),
            }
        }
        self.search.applied.insert(key.to_owned(), pending.tag());
        Ok(())
    }

    /// Removes the documents of an index, marks the write, and only then forgets the index.
    pub(super) async fn remove(&self, key: &str, entry: &IndexEntry) -> Result<()> {
        let (operation, catalog) = (self.operation, self.names.catalog());
        self.search.known.invalidate(key);
        let index = self.names.documents(&entry.name, entry.head.generation);
        let request = Request {
            operation,
            method: Method::Delete,
            index: &index,
            what: "",
            query: &[],
            body: Body::None,
        };
        match self.wire.send(request).await? {
            Ok(_) => {}
            Err(refusal) if refusal.is_no_index() => {}
            Err(refusal) => return Err(refusal.into_error(operation)),
        }
        self.finish(key, entry, &index, Vec::new()).await?;
        let id = self.names.head(&entry.name);
        let got = many::get(
            &self.wire,
            operation,
            &catalog,
            &[whole(&catalog, id.clone())],
        )
        .await?;
        if let Some(Got::Found(place, source)) = got.into_iter().next() {
            let found = catalog::entry(operation, place, source.get())?;
            if found.entry.pending.mark == entry.pending.mark {
                let put = Put {
                    index: &catalog,
                    id,
                    what: What::Delete(place),
                };
                // Refused, it was done by somebody else, or the next one does it.
                many::put(&self.wire, operation, &catalog, put).await?.ok();
            }
        }
        Ok(())
    }

    pub(super) async fn make_index(&self, index: &Index, head: &Head) -> Result<()> {
        let replicas = self.search.domain.replicas()?;
        let body = shape::create(&index.alias(), &head.fields, &head.embeddings, replicas);
        self.make(index, &body).await
    }

    pub(super) async fn make_catalog(&self, catalog: &Index) -> Result<()> {
        let body = catalog::create(&catalog.alias(), self.search.domain.replicas()?);
        self.make(catalog, &body).await
    }

    async fn make(&self, index: &Index, body: &serde_json::Value) -> Result<()> {
        let request = Request {
            operation: self.operation,
            method: Method::Put,
            index,
            what: "",
            query: &[],
            body: Body::Json(json(self.operation, body)?),
        };
        match self.wire.send(request).await? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_index_there() => Ok(()),
            Err(refusal) => Err(refusal.into_error(self.operation)),
        }
    }

    pub(super) async fn standing(
        &self,
        index: &Index,
        changes: &[Change],
    ) -> Result<HashMap<String, Standing>> {
        let gets = gets_of(index, changes);
        let via = self.names.catalog();
        let got = many::get(&self.wire, self.operation, &via, &gets).await?;
        standing(self.operation, got.into_iter())
    }
}

/// How a write was taken over; none of one that was made here.
fn taken_of(pending: &Pending) -> Option<Taken<'_>> {
    let taken = pending.taken.as_ref()?;
    Some(Taken {
        outcomes: outcomes(Some(&pending.ack)),
        landed: outcomes(taken.landed.as_ref()),
        stamp: taken.stamp,
        at: pending.at,
    })
}

/// What changes have answered.
pub(super) fn outcomes(ack: Option<&SearchAck>) -> &[Outcome] {
    match ack {
        Some(SearchAck::Changed(outcomes)) => outcomes,
        _ => &[],
    }
}

/// The documents that changes name, each once; what is updated with all it holds.
pub(super) fn gets_of<'g>(index: &'g Index, changes: &[Change]) -> Vec<Get<'g>> {
    let updated: HashSet<&str> = changes
        .iter()
        .filter(|change| matches!(change, Change::Update { .. }))
        .map(Change::id)
        .collect();
    let mut seen = HashSet::new();
    changes
        .iter()
        .map(Change::id)
        .filter(|id| seen.insert(*id))
        .map(|id| Get {
            only: match updated.contains(id) {
                true => &[],
                false => STATE,
            },
            ..whole(index, id.to_owned())
        })
        .collect()
}

pub(super) fn whole(index: &Index, id: String) -> Get<'_> {
    Get {
        index,
        id,
        only: &[],
        without: &[],
    }
}

/// Documents by their ids.
pub(super) fn standing(
    operation: &'static str,
    got: impl Iterator<Item = Got>,
) -> Result<HashMap<String, Standing>> {
    let mut standing = HashMap::new();
    for got in got {
        match got {
            Got::Found(place, source) => {
                let stored: Stored = read(operation, source.get().as_bytes())?;
                standing.insert(stored.id.clone(), Standing { place, stored });
            }
            Got::Absent => {}
            Got::NoIndex => return Err(gone(operation)),
        }
    }
    Ok(standing)
}

pub(super) fn numbered<'c>(
    changes: &'c [Change],
    made: &'c [Vec<Made>],
) -> impl Iterator<Item = (usize, &'c Change, &'c [Made])> {
    let none: &[Made] = &[];
    changes.iter().enumerate().map(move |(at, change)| {
        let made = made.get(at).map_or(none, Vec::as_slice);
        (at, change, made)
    })
}
