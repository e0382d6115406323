//! `search` of the mock host that is running on this thread.

use super::with;
use crate::Result;
use crate::mock::search as store;
use crate::search::{Answer, Change, Document, Field, Fields, IndexInfo, Outcome, Query};

pub(crate) fn create_index(name: &str, fields: &[Field]) -> Result<bool> {
    with(|state| store::create_index(state, name, fields))
}

pub(crate) fn drop_index(name: &str) -> Result<bool> {
    with(|state| store::drop_index(state, name))
}

pub(crate) fn describe_index(name: &str) -> Result<Option<IndexInfo>> {
    with(|state| store::describe_index(state, name))
}

pub(crate) fn list_indices() -> Result<Vec<IndexInfo>> {
    with(|state| store::list_indices(state))
}

pub(crate) fn put(index: &str, id: &str, fields: Fields) -> Result<Outcome> {
    let id = id.to_owned();
    change(index, Change::Put { id, fields })
}

pub(crate) fn update(index: &str, id: &str, set: Fields, remove: Vec<String>) -> Result<Outcome> {
    let id = id.to_owned();
    change(index, Change::Update { id, set, remove })
}

pub(crate) fn delete(index: &str, id: &str) -> Result<bool> {
    let id = id.to_owned();
    change(index, Change::Delete { id }).map(|outcome| outcome.existed)
}

fn change(index: &str, change: Change) -> Result<Outcome> {
    let outcomes = bulk(index, vec![change])?;
    let none = Outcome {
        version: 0,
        existed: false,
    };
    Ok(outcomes.into_iter().next().unwrap_or(none))
}

pub(crate) fn bulk(index: &str, changes: Vec<Change>) -> Result<Vec<Outcome>> {
    with(|state| store::bulk(state, index, changes))
}

pub(crate) fn get(index: &str, id: &str) -> Result<Option<Document>> {
    with(|state| store::get(state, index, id))
}

pub(crate) fn query(index: &str, query: &Query) -> Result<Answer> {
    with(|state| store::query(state, index, query))
}
