//! How a write is made here that another side has acknowledged: decided and completed like every other ([`super::write`]), with
//! the versions and the time that were said there.
//!
//! OpenSearch does not remember for long what was deleted. A document that another host deleted meanwhile comes back when an
//! earlier put of it is taken over.

use std::collections::HashMap;

use stuga_core::search::made::{embedding_of, embeddings_of};
use stuga_core::search::{Change, Field, SearchAck, SearchWrite};
use stuga_core::standby::{Adopted, Made};
use stuga_core::{CallCtx, Error, Result, WriteId};

use super::CloudSearch;
use super::catalog::{Found, Head, Mark, TakenOver, used};
use super::complete::{numbered, outcomes};
use super::effects::{Effects, Standing};
use super::many::{self, Put, What};
use super::taken::Taken;
use super::wire::json;
use super::write::{Turn, Writing, landed, low_bits};
use crate::adopted::{mismatched, stamp_of};

/// A write that another side has acknowledged.
#[derive(Clone, Copy)]
pub(super) struct Taking<'t> {
    pub(super) made: &'t Made<SearchAck>,
    /// Where it stands among all writes.
    pub(super) stamp: u64,
}

impl<'t> Taking<'t> {
    /// # Errors
    /// `Invalid` when the answer is another write's.
    pub(super) fn of(
        operation: &'static str,
        write: &SearchWrite,
        made: &'t Made<SearchAck>,
    ) -> Result<Self> {
        match (write, &made.ack) {
            (SearchWrite::CreateIndex { .. }, SearchAck::Created(_))
            | (SearchWrite::DropIndex { .. }, SearchAck::Dropped(_)) => {}
            (SearchWrite::Change { changes, .. }, SearchAck::Changed(outcomes))
                if changes.len() == outcomes.len() => {}
            _ => return Err(mismatched(operation)),
        }
        Ok(Self {
            made,
            stamp: stamp_of::<SearchWrite>(operation, made)?,
        })
    }
}

/// What is known of the write itself.
pub(super) enum Known {
    Nothing,
    /// It was taken over.
    Taken,
    /// It landed here and was answered so.
    Landed(SearchAck),
}

impl Known {
    /// By the write's mark.
    ///
    /// # Errors
    /// `Conflict` when it is another write's.
    pub(super) fn of(
        operation: &'static str,
        mark: Option<Mark>,
        digest: &str,
        made: &SearchAck,
    ) -> Result<Self> {
        match mark {
            None => Ok(Self::Nothing),
            Some(mark) if mark.digest != digest => Err(used(operation)),
            Some(mark) if mark.ack == *made => Ok(Self::Taken),
            Some(mark) => Ok(Self::Landed(mark.ack)),
        }
    }

    fn into_landed(self) -> Option<SearchAck> {
        match self {
            Self::Landed(ack) => Some(ack),
            Self::Nothing | Self::Taken => None,
        }
    }
}

impl<'a> Writing<'a> {
    pub(super) async fn taking(
        search: &'a CloudSearch,
        ctx: &'a CallCtx,
        id: WriteId,
        write: &'a SearchWrite,
        taking: Taking<'a>,
    ) -> Result<Self> {
        Ok(Self {
            taking: Some(taking),
            ..Self::new(search, ctx, id, write).await?
        })
    }

    /// One attempt, once nothing is left half-way that was decided before.
    pub(super) async fn take(
        &self,
        key: &str,
        taking: &Taking<'_>,
        found: Option<Found>,
        known: Known,
        standing: Option<HashMap<String, Standing>>,
    ) -> Result<Turn> {
        match self.write {
            SearchWrite::CreateIndex { index, fields } => {
                self.take_index(key, taking, found, known, index, fields)
                    .await
            }
            SearchWrite::DropIndex { index } => match found {
                Some(found) if found.entry.head.made >= taking.stamp => {
                    self.note(taking, &known, Adopted::Superseded).await
                }
                Some(found) => {
                    let head = found.entry.head.clone();
                    let mut entry =
                        self.decided(index, head, taking.made.at, 0, taking.made.ack.clone());
                    entry.pending.taken = taken_over(taking, known);
                    if !self.decide(Some(found.place), &entry).await? {
                        return Ok(Turn::Again);
                    }
                    let completed = self.remove(key, &entry).await;
                    completed.map_err(|error| landed(self.operation, error))?;
                    Ok(Turn::Done(entry.pending.ack, Adopted::Stands))
                }
                None => self.note(taking, &known, Adopted::Stands).await,
            },
            SearchWrite::Change {
                index: name,
                changes,
            } => {
                let Some(found) = found.filter(|found| found.entry.head.made < taking.stamp) else {
                    // The index was dropped, and perhaps made anew, since.
                    return self.note(taking, &known, Adopted::Superseded).await;
                };
                let documents = self.names.documents(name, found.entry.head.generation);
                let standing = match standing {
                    Some(standing) => standing,
                    None => self.standing(&documents, changes).await?,
                };
                let landed_before = match &known {
                    Known::Landed(ack) => Some(ack.clone()),
                    _ => None,
                };
                let taken = Taken {
                    outcomes: outcomes(Some(&taking.made.ack)),
                    landed: outcomes(landed_before.as_ref()),
                    stamp: taking.stamp,
                    at: taking.made.at,
                };
                if taken.is_superseded(changes, &standing) {
                    return self.note(taking, &known, Adopted::Superseded).await;
                }
                if matches!(known, Known::Taken) {
                    return Ok(Turn::Done(taking.made.ack.clone(), Adopted::Stands));
                }
                let mut head = found.entry.head;
                let made = self.embed(&head, changes).await?;
                let effects = taken.effects(
                    self.operation,
                    &head.fields,
                    numbered(changes, &made),
                    &standing,
                )?;
                let Effects {
                    documents: changed,
                    more,
                    less,
                    ..
                } = effects;
                // One that is stored again in its place counts as a version more there.
                let last = head.last.max(taking.stamp);
                head.last = last.saturating_add(changes.len() as u64);
                head.documents = head.documents.saturating_add(more.0).saturating_sub(less.0);
                head.bytes = head.bytes.saturating_add(more.1).saturating_sub(less.1);
                let at = taking.made.at;
                let mut entry = self.decided(name, head, at, last, taking.made.ack.clone());
                entry.pending.taken = taken_over(taking, known);
                if !self.decide(Some(found.place), &entry).await? {
                    return Ok(Turn::Again);
                }
                let completed = self.finish(key, &entry, &documents, changed).await;
                self.done(key, &entry, completed)
            }
        }
    }

    async fn take_index(
        &self,
        key: &str,
        taking: &Taking<'_>,
        found: Option<Found>,
        known: Known,
        name: &str,
        fields: &[Field],
    ) -> Result<Turn> {
        let (at, ack) = (taking.made.at, taking.made.ack.clone());
        let (place, head) = match found {
            None if matches!(known, Known::Taken) => {
                return self.note(taking, &known, Adopted::Superseded).await;
            }
            None => {
                let now = stuga_core::first_version(self.search.shared.now());
                let last = now.max(taking.stamp);
                let head = Head {
                    // Another one even within the millisecond in which an index of this name was dropped.
                    generation: now.saturating_add(low_bits(&self.digest, &self.mark)),
                    fields: fields.to_vec(),
                    embeddings: embeddings_of(fields, &embedding_of(&*self.search.embedder)),
                    created_at: at,
                    documents: 0,
                    bytes: 0,
                    last,
                    made: taking.stamp,
                };
                (None, head)
            }
            Some(found) if found.entry.head.fields != fields => {
                return Err(Error::conflict(
                    self.operation,
                    format!(
                        "the index {name:?} was made elsewhere with other fields; drop one of them"
                    ),
                )
                .with_context("index", name));
            }
            Some(found) => {
                let is_own = matches!(known, Known::Landed(SearchAck::Created(true)))
                    && ack == SearchAck::Created(true);
                let head = &found.entry.head;
                let is_so = match is_own {
                    true => head.made == taking.stamp && head.created_at == at,
                    // What either side wrote to it is written after it was made.
                    false => head.made <= taking.stamp,
                };
                if is_so {
                    return self.note(taking, &known, Adopted::Stands).await;
                }
                let head = Head {
                    created_at: if is_own { at } else { head.created_at.min(at) },
                    made: match is_own {
                        true => taking.stamp,
                        false => head.made.min(taking.stamp),
                    },
                    last: head.last.max(taking.stamp),
                    ..head.clone()
                };
                (Some(found.place), head)
            }
        };
        let mut entry = self.decided(name, head, at, 0, ack);
        entry.pending.taken = taken_over(taking, known);
        if !self.decide(place, &entry).await? {
            return Ok(Turn::Again);
        }
        let completed = async {
            let index = self.names.documents(name, entry.head.generation);
            self.make_index(&index, &entry.head).await?;
            self.finish(key, &entry, &index, Vec::new()).await
        };
        self.done(key, &entry, completed.await)
    }

    /// Remembers a write that changes nothing.
    async fn note(&self, taking: &Taking<'_>, known: &Known, adopted: Adopted) -> Result<Turn> {
        let ack = taking.made.ack.clone();
        if matches!(known, Known::Taken) {
            return Ok(Turn::Done(ack, adopted));
        }
        let now = self.search.shared.now();
        let mark = Mark::new(now, self.digest.clone(), ack.clone());
        let catalog = self.names.catalog();
        let put = Put {
            index: &catalog,
            id: self.mark.clone(),
            what: What::Store(json(self.operation, &mark)?),
        };
        match many::put(&self.wire, self.operation, &catalog, put).await? {
            Ok(()) => Ok(Turn::Done(ack, adopted)),
            Err(refusal) => Err(refusal.into_error(self.operation)),
        }
    }
}

fn taken_over(taking: &Taking<'_>, known: Known) -> Option<TakenOver> {
    Some(TakenOver {
        stamp: taking.stamp,
        landed: known.into_landed(),
    })
}

/// The changes of a write; none of one that is of the index itself.
pub(super) fn changes_of(write: &SearchWrite) -> &[Change] {
    match write {
        SearchWrite::Change { changes, .. } => changes,
        SearchWrite::CreateIndex { .. } | SearchWrite::DropIndex { .. } => &[],
    }
}
