//! What the changes of a write come to: what each answers, and how each document stands afterwards. Nothing is sent here.
//!
//! It depends on the documents as they stand, the changes, and the version and time that were fixed when the write was
//! decided, and on nothing else: whoever completes a write that another host left comes to the same documents.

use std::collections::HashMap;

use stuga_core::search::check::{check_declared, declared_field, document_bytes};
use stuga_core::search::made::Made;
use stuga_core::search::{Change, DOCUMENT_MAX_BYTES, Field, Fields, Outcome, Value};
use stuga_core::{Error, Result, Timestamp};

use super::many::Place;
use super::shape::{Stored, numbers, pack};

/// A document as it was read.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) place: Place,
    pub(super) stored: Stored,
}

/// What a document becomes.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub(super) id: String,
    /// Where it stood.
    pub(super) was: Option<Place>,
    /// The version at which it stood; 0 of none.
    pub(super) was_version: u64,
    /// None when it goes.
    pub(super) now: Option<Stored>,
}

/// What the changes come to.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// One for each change.
    pub(super) outcomes: Vec<Outcome>,
    /// One for each document.
    pub(super) documents: Vec<Effect>,
    /// Documents and bytes that come.
    pub(super) more: (u64, u64),
    /// Documents and bytes that go.
    pub(super) less: (u64, u64),
}

/// What was fixed when the write was decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    /// The version before the first change; each change has the next one.
    pub(super) base: u64,
    pub(super) now: Timestamp,
}

/// How a document stands while changes are made.
pub(super) struct Slot {
    was: Option<Place>,
    before: Option<(u64, u64)>,
    pub(super) now: Option<Stored>,
    is_changed: bool,
}

/// Makes changes, each with its place in the write and the vectors that it replaces. `standing` are the documents that they
/// name, as far as there are any; those that are only put or deleted need no more than their state.
///
/// # Errors
/// As [`stuga_core::search::SearchWrite::Change`]; nothing is to be written then.
pub(super) fn effects<'c>(
    operation: &'static str,
    fields: &[Field],
    changes: impl Iterator<Item = (usize, &'c Change, &'c [Made])>,
    standing: &HashMap<String, Standing>,
    decided: Decided,
) -> Result<Effects> {
    gather(
        operation,
        fields,
        changes,
        standing,
        |at, change, made, slot| {
            let number = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
            let version = decided.base.saturating_add(number);
            make(operation, fields, change, made, slot, version, decided.now).map(Some)
        },
    )
}

/// Makes changes in their order by `one`, which says what a change answers, or nothing of one that comes to nothing.
pub(super) fn gather<'c>(
    operation: &'static str,
    fields: &[Field],
    changes: impl Iterator<Item = (usize, &'c Change, &'c [Made])>,
    standing: &HashMap<String, Standing>,
    one: impl Fn(usize, &Change, &[Made], &mut Slot) -> Result<Option<Outcome>>,
) -> Result<Effects> {
    let mut effects = Effects::default();
    let mut slots: Vec<(&str, Slot)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (at, change, made) in changes {
        check_declared(operation, fields, change.values())?;
        let id = change.id();
        let place = *places.entry(id).or_insert_with(|| {
            let standing = standing.get(id);
            slots.push((
                id,
                Slot {
                    was: standing.map(|standing| standing.place),
                    before: standing.map(|Standing { stored, .. }| (stored.version, stored.bytes)),
                    now: standing.map(|standing| standing.stored.clone()),
                    is_changed: false,
                },
            ));
            slots.len() - 1
        });
        let Some((_, slot)) = slots.get_mut(place) else {
            continue;
        };
        if let Some(outcome) = one(at, change, made, slot)? {
            slot.is_changed = true;
            effects.outcomes.push(outcome);
        }
    }
    for (id, slot) in slots {
        if !slot.is_changed {
            continue;
        }
        if let Some((_, before)) = slot.before {
            effects.less = (effects.less.0 + 1, effects.less.1.saturating_add(before));
        }
        if let Some(stored) = &slot.now {
            let more = effects.more.1.saturating_add(stored.bytes);
            effects.more = (effects.more.0 + 1, more);
        }
        if slot.was.is_some() || slot.now.is_some() {
            effects.documents.push(Effect {
                id: id.to_owned(),
                was: slot.was,
                was_version: slot.before.map_or(0, |(version, _)| version),
                now: slot.now,
            });
        }
    }
    Ok(effects)
}

pub(super) fn make(
    operation: &'static str,
    fields: &[Field],
    change: &Change,
    made: &[Made],
    slot: &mut Slot,
    version: u64,
    now: Timestamp,
) -> Result<Outcome> {
    let standing = slot.now.take();
    let existed = standing.is_some();
    let created = standing.as_ref().map(|standing| standing.created);
    let (mut stored, values) = match change {
        Change::Delete { .. } => {
            return Ok(Outcome {
                version: standing.map_or(0, |standing| standing.version),
                existed,
            });
        }
        Change::Put { fields, .. } => (Stored::default(), fields),
        Change::Update { id, set, remove } => {
            let Some(mut stored) = standing else {
                return Err(Error::not_found(
                    operation,
                    format!("there is no document {id:?} to update; put it first"),
                )
                .with_context("id", id));
            };
            for name in remove {
                declared_field(operation, fields, name)?;
            }
            let touched =
                |name: &String| remove.contains(name) || set.iter().any(|(other, _)| other == name);
            stored.doc.retain(|(name, _)| !touched(name));
            stored
                .vectors
                .retain(|name, _| !touched(name) && !made.iter().any(|made| made.field == *name));
            (stored, set)
        }
    };
    for (name, value) in values {
        match value {
            Value::Vector(vector) => {
                stored.vectors.insert(name.clone(), pack(vector));
            }
            value => stored.doc.push((name.clone(), value.clone())),
        }
    }
    for Made { field, vector } in made {
        if let Some(vector) = vector {
            stored.vectors.insert(field.clone(), pack(vector));
        }
    }
    stored.doc.sort_by(|(a, _), (b, _)| a.cmp(b));
    stored.id = change.id().to_owned();
    stored.version = version;
    stored.created = created.unwrap_or(now.as_millis());
    stored.updated = now.as_millis();
    stored.bytes = size(operation, &stored.id, &stored.doc, stored.vectors.values())?;
    slot.now = Some(stored);
    Ok(Outcome { version, existed })
}

/// The size of a document as the quota counts it.
fn size<'v>(
    operation: &'static str,
    id: &str,
    doc: &Fields,
    vectors: impl Iterator<Item = &'v String>,
) -> Result<u64> {
    let size = document_bytes(id, doc);
    if size > DOCUMENT_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!("the document would have {size} bytes; the limit is {DOCUMENT_MAX_BYTES}"),
        )
        .with_context("limit", DOCUMENT_MAX_BYTES));
    }
    let of_vectors: u64 = vectors
        .map(|vector| numbers(vector).saturating_mul(4))
        .sum();
    Ok((size as u64).saturating_add(of_vectors))
}

/// Which changes of a write that was decided before are still to be made: `standing` may show some of their effects. The next
/// write begins only when all of them stand, so a document of a later version than `base` has got its effect.
pub(super) fn is_left(
    changes: &[Change],
    standing: &HashMap<String, Standing>,
    base: u64,
    id: &str,
) -> bool {
    match standing.get(id) {
        Some(standing) => standing.stored.version <= base,
        None => {
            // What was there to be updated and is gone was deleted by a later change of the same write.
            let first = changes.iter().find(|change| change.id() == id);
            !matches!(first, Some(Change::Update { .. }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::many::Place;
    use super::super::samples::{all, change, fields, value};
    use super::*;

    const DECIDED: Decided = Decided {
        base: 100,
        now: Timestamp::from_millis(7),
    };

    fn standing_as(stored: Stored) -> Standing {
        Standing {
            place: Place::default(),
            stored,
        }
    }

    fn apply(to: &mut HashMap<String, Standing>, effects: Vec<Effect>) {
        for Effect { id, now, .. } in effects {
            match now {
                Some(stored) => to.insert(id, standing_as(stored)),
                None => to.remove(&id),
            };
        }
    }

    fn documents(standing: &HashMap<String, Standing>) -> Vec<Stored> {
        let mut all: Vec<Stored> = standing.values().map(|s| s.stored.clone()).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// Every write of three changes to two documents, each there before or not, cut after every part of its effects.
    #[test]
    fn whoever_completes_a_write_comes_to_the_same_documents() {
        let mut written = 0;
        for kinds in 0..3_usize.pow(3) * 2_usize.pow(3) * 4 {
            let (operations, rest) = (kinds % 27, kinds / 27);
            let (ids, there) = (rest % 8, rest / 8);
            let changes: Vec<Change> = (0..3_u32)
                .map(|at| {
                    let id = if ids >> at & 1 == 0 { "a" } else { "b" };
                    change(operations / 3_usize.pow(at) % 3, id, f64::from(at))
                })
                .collect();
            let mut before = HashMap::new();
            for (at, id) in ["a", "b"].into_iter().enumerate() {
                if there >> at & 1 == 1 {
                    let stored = Stored {
                        id: id.to_owned(),
                        doc: value(-1.0),
                        version: 50,
                        created: 1,
                        updated: 1,
                        bytes: 10,
                        ..Stored::default()
                    };
                    before.insert(id.to_owned(), standing_as(stored));
                }
            }
            let fields = fields();
            let Ok(whole) = effects("search.bulk", &fields, all(&changes), &before, DECIDED) else {
                continue;
            };
            written += 1;
            let mut after = before.clone();
            apply(&mut after, whole.documents.clone());
            for part in 0..1_usize << whole.documents.len() {
                let some = whole.documents.iter().enumerate();
                let some = some.filter(|(at, _)| part >> at & 1 == 1);
                let mut cut = before.clone();
                apply(&mut cut, some.map(|(_, effect)| effect.clone()).collect());
                let left = all(&changes)
                    .filter(|(_, change, _)| is_left(&changes, &cut, DECIDED.base, change.id()));
                let left = effects("search.bulk", &fields, left, &cut, DECIDED).unwrap();
                apply(&mut cut, left.documents);
                assert_eq!(
                    documents(&cut),
                    documents(&after),
                    "{changes:?} cut at {part:b}"
                );
            }
        }
        assert!(written > 400, "{written} writes were possible");
    }

    #[test]
    fn counts_follow_what_comes_and_goes() {
        let mut standing = HashMap::new();
        let changes = [
            change(0, "a", 1.0),
            change(0, "b", 1.0),
            change(2, "b", 0.0),
        ];
        let made = effects("search.bulk", &fields(), all(&changes), &standing, DECIDED).unwrap();
        assert_eq!((made.more.0, made.less.0), (1, 0));
        let size = made.more.1;
        apply(&mut standing, made.documents);
        let gone = [change(2, "a", 0.0)];
        let gone = effects("search.delete", &fields(), all(&gone), &standing, DECIDED).unwrap();
        assert_eq!((gone.more, gone.less), ((0, 0), (1, size)));
        assert_eq!(gone.outcomes[0].version, 101);
    }
}
