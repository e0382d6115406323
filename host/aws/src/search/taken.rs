//! What the changes of a write come to that another side has acknowledged: each document gets the version and the times that
//! were said there, unless a later one stands. Nothing is sent here.
//!
//! As with [`super::effects`], whoever completes such a write comes to the same documents, however much of it stands already.

use std::collections::HashMap;

use stuga_core::search::made::Made;
use stuga_core::search::{Change, Field, Outcome};
use stuga_core::{Result, Timestamp};

use super::effects::{Effects, Slot, Standing, gather, make};
use super::shape::Stored;

/// What another side has made of changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'t> {
    /// What it answered, one for each change.
    pub(super) outcomes: &'t [Outcome],
    /// What this side answered when the write landed here before and nobody heard of it; empty otherwise.
    pub(super) landed: &'t [Outcome],
    /// Where the write stands among all writes.
    pub(super) stamp: u64,
    pub(super) at: Timestamp,
}

impl Taken<'_> {
    /// Whether a document of that version stays as it is, whatever the change in this place would make of it. A removal has
    /// the place of the whole write, for it answers with the version of what it removed.
    fn is_outlived(&self, at: usize, change: &Change, standing: &Stored) -> bool {
        let is_from_before = match change {
            // Clocks differ: what was written no later goes, whatever version it was given.
            Change::Delete { .. } => standing.updated <= self.at.as_millis(),
            _ => self
                .landed
                .get(at)
                .is_some_and(|landed| landed.version == standing.version),
        };
        !is_from_before && standing.version >= self.place(at, change)
    }

    fn place(&self, at: usize, change: &Change) -> u64 {
        match (change, self.outcomes.get(at)) {
            (Change::Delete { .. }, _) | (_, None) => self.stamp,
            (_, Some(outcome)) => outcome.version,
        }
    }

    /// Whether nothing of the changes is true any more: of each document a later version stands.
    pub(super) fn is_superseded(
        &self,
        changes: &[Change],
        standing: &HashMap<String, Standing>,
    ) -> bool {
        changes.iter().enumerate().all(|(at, change)| {
            let standing = standing.get(change.id());
            standing.is_some_and(|Standing { stored, .. }| {
                stored.version != self.place(at, change) && self.is_outlived(at, change, stored)
            })
        })
    }

    /// Makes changes, each with its place in the write and the vectors that it replaces.
    ///
    /// # Errors
    /// As [`super::effects::effects`], but that nothing is not found.
    pub(super) fn effects<'c>(
        &self,
        operation: &'static str,
        fields: &[Field],
        changes: impl Iterator<Item = (usize, &'c Change, &'c [Made])>,
        standing: &HashMap<String, Standing>,
    ) -> Result<Effects> {
        gather(
            operation,
            fields,
            changes,
            standing,
            |at, change, made, slot: &mut Slot| {
                let created = match &slot.now {
                    Some(stored) if self.is_outlived(at, change, stored) => return Ok(None),
                    Some(stored) => Some(stored.created),
                    // What was to be updated was removed later.
                    None if matches!(change, Change::Update { .. }) => return Ok(None),
                    None => None,
                };
                let version = self.place(at, change);
                let outcome = make(operation, fields, change, made, slot, version, self.at)?;
                let existed = self.outcomes.get(at).is_some_and(|outcome| outcome.existed);
                if let Some(stored) = &mut slot.now {
                    let at = self.at.as_millis();
                    let created = created.filter(|_| existed);
                    stored.created = created.map_or(at, |created| created.min(at));
                }
                Ok(Some(outcome))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::effects::Effect;
    use super::super::many::Place;
    use super::super::samples::{all, change, fields, value};
    use super::*;

    fn standing(version: u64) -> Standing {
        Standing {
            place: Place::default(),
            stored: Stored {
                id: "a".to_owned(),
                doc: value(-1.0),
                version,
                created: 1,
                updated: 1,
                bytes: 10,
                ..Stored::default()
            },
        }
    }

    fn apply(to: &mut HashMap<String, Standing>, effects: Vec<Effect>) {
        for Effect { id, now, .. } in effects {
            match now {
                Some(stored) => to.insert(
                    id,
                    Standing {
                        place: Place::default(),
                        stored,
                    },
                ),
                None => to.remove(&id),
            };
        }
    }

    fn documents(standing: &HashMap<String, Standing>) -> Vec<Stored> {
        let mut all: Vec<Stored> = standing.values().map(|s| s.stored.clone()).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Outcomes as a side gives them that has versions from 101 on.
    fn outcomes(changes: &[Change]) -> Vec<Outcome> {
        (101..)
            .zip(changes)
            .map(|(version, _)| Outcome {
                version,
                existed: true,
            })
            .collect()
    }

    /// Every write of three changes to two documents, each absent, older, or later than a part of the write, cut after every
    /// part of its effects.
    #[test]
    fn whoever_completes_a_write_that_is_taken_over_comes_to_the_same_documents() {
        for kinds in 0..3_usize.pow(3) * 2_usize.pow(3) * 9 {
            let (operations, rest) = (kinds % 27, kinds / 27);
            let (ids, there) = (rest % 8, rest / 8);
            let changes: Vec<Change> = (0..3_u32)
                .map(|at| {
                    let id = if ids >> at & 1 == 0 { "a" } else { "b" };
                    change(operations / 3_usize.pow(at) % 3, id, f64::from(at))
                })
                .collect();
            let mut before = HashMap::new();
            for (id, there) in [("a", there % 3), ("b", there / 3)] {
                if let Some(version) = [None, Some(50), Some(200)][there] {
                    before.insert(id.to_owned(), standing(version));
                }
            }
            let outcomes = outcomes(&changes);
            let taken = Taken {
                outcomes: &outcomes,
                landed: &[],
                stamp: 104,
                at: Timestamp::from_millis(7),
            };
            let fields = fields();
            let effects = |standing: &HashMap<String, Standing>| {
                let effects = taken.effects("search.bulk", &fields, all(&changes), standing);
                effects.unwrap().documents
            };
            let whole = effects(&before);
            let mut after = before.clone();
            apply(&mut after, whole.clone());
            for part in 0..1_usize << whole.len() {
                let some = whole.iter().enumerate();
                let some = some.filter(|(at, _)| part >> at & 1 == 1);
                let mut cut = before.clone();
                apply(&mut cut, some.map(|(_, effect)| effect.clone()).collect());
                let left = effects(&cut);
                apply(&mut cut, left);
                assert_eq!(
                    documents(&cut),
                    documents(&after),
                    "{changes:?} on {before:?} cut at {part:b}"
                );
            }
        }
    }

    #[test]
    fn a_document_that_landed_gets_the_version_that_was_answered_and_a_later_one_stays() {
        let changes = [change(0, "a", 1.0)];
        let outcomes = [Outcome {
            version: 101,
            existed: false,
        }];
        let taken = |landed| Taken {
            outcomes: &outcomes,
            landed,
            stamp: 102,
            at: Timestamp::from_millis(7),
        };
        let landed = [Outcome {
            version: 150,
            existed: false,
        }];
        let there = HashMap::from([("a".to_owned(), standing(150))]);
        let effects = |taken: Taken<'_>| {
            let effects = taken.effects("search.put", &fields(), all(&changes), &there);
            effects.unwrap().documents
        };
        let mut own = effects(taken(&landed));
        let stored = own.remove(0).now.unwrap();
        assert_eq!(
            (stored.version, stored.created, stored.updated),
            (101, 7, 7)
        );
        assert!(!taken(&landed).is_superseded(&changes, &there));
        assert!(effects(taken(&[])).is_empty(), "it is somebody else's");
        assert!(taken(&[]).is_superseded(&changes, &there));
        let stands = HashMap::from([("a".to_owned(), standing(101))]);
        assert!(!taken(&[]).is_superseded(&changes, &stands));
        assert!(!taken(&[]).is_superseded(&changes, &HashMap::new()));
    }

    #[test]
    fn a_removal_takes_what_is_from_before_it() {
        let changes = [change(2, "a", 0.0)];
        let outcomes = [Outcome {
            version: 7,
            existed: true,
        }];
        // By its stamp, or by when it was made: the document was written at 1.
        for (version, at, goes) in [
            (101, 0, true),
            (102, 0, false),
            (103, 0, false),
            (103, 1, true),
        ] {
            let there = HashMap::from([("a".to_owned(), standing(version))]);
            let taken = Taken {
                outcomes: &outcomes,
                landed: &[],
                stamp: 102,
                at: Timestamp::from_millis(at),
            };
            let effects = taken.effects("search.delete", &fields(), all(&changes), &there);
            assert_eq!(effects.unwrap().documents.len(), usize::from(goes));
        }
    }
}
