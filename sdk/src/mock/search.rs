//! Search of a mock host: the host's own checks, analysis, filters and fusion over maps, and its own exact ranking.

mod convert;
mod find;

use std::collections::BTreeMap;

use stuga_core::embed::{self, DIMENSION, MODEL};
use stuga_core::search::check::{check_declared, check_id, check_index, document_bytes};
use stuga_core::search::{
    self as core, DOCUMENT_MAX_BYTES, FieldKind, INDICES_MAX, SearchWrite, Value, VectorSource,
};
use stuga_core::{Timestamp, Write};

use super::state::State;
use crate::search::{Answer, Change, Document, Field, Fields, IndexInfo, Outcome, Query};
use crate::{Capability, Error, Result};

/// Indices by name.
#[derive(Default)]
pub(crate) struct Store {
    indices: BTreeMap<String, Index>,
    last_version: u64,
}

#[derive(Clone)]
struct Index {
    fields: Vec<core::Field>,
    created_at: u64,
    /// By id, with all its vectors.
    documents: BTreeMap<String, core::Document>,
}

impl Index {
    /// What makes the vectors of each vector field.
    fn embeddings(&self) -> Vec<(String, core::Embedding)> {
        let embedding = |field: &core::Field| match &field.kind {
            FieldKind::Vector(VectorSource::Given(given)) => {
                Some((field.name.clone(), given.clone()))
            }
            FieldKind::Vector(VectorSource::MadeFrom(_)) => Some((field.name.clone(), built_in())),
            _ => None,
        };
        self.fields.iter().filter_map(embedding).collect()
    }

    /// Which field is made from which text.
    fn made(&self) -> Vec<(String, String)> {
        let made = |field: &core::Field| match &field.kind {
            FieldKind::Vector(VectorSource::MadeFrom(text)) => {
                Some((field.name.clone(), text.clone()))
            }
            _ => None,
        };
        self.fields.iter().filter_map(made).collect()
    }

    /// A document as it is handed out.
    fn shown(&self, document: &core::Document, with_given: bool) -> core::Document {
        let made = self.made();
        let is_shown = |(name, value): &&(String, Value)| {
            let is_vector = matches!(value, Value::Vector(_));
            !is_vector || with_given && !made.iter().any(|(made, _)| made == name)
        };
        core::Document {
            fields: document.fields.iter().filter(is_shown).cloned().collect(),
            ..document.clone()
        }
    }
}

/// What a mock host embeds with.
fn built_in() -> core::Embedding {
    core::Embedding {
        model: MODEL.to_owned(),
        dimension: u32::try_from(DIMENSION).unwrap_or(u32::MAX),
    }
}

fn missing(index: &str) -> Error {
    Error::not_found(format!("there is no index {index:?}; create it first"))
        .with_context("index", index)
}

pub(crate) fn create_index(state: &mut State, name: &str, fields: &[Field]) -> Result<bool> {
    let mut fields: Vec<core::Field> = fields.iter().map(core::Field::from).collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let write = SearchWrite::CreateIndex {
        index: name.to_owned(),
        fields: fields.clone(),
    };
    state.admit(Capability::Search, write.operation())?;
    write.check()?;
    let (now, store) = (state.now, &mut state.search);
    if let Some(found) = store.indices.get(name) {
        if found.fields == fields {
            return Ok(false);
        }
        return Err(Error::conflict(format!(
            "the index {name:?} exists with other fields; drop it first or choose another name"
        ))
        .with_context("index", name));
    }
    if store.indices.len() >= INDICES_MAX {
        let message = format!("the agent has {INDICES_MAX} indices; drop one first");
        return Err(Error::quota_exceeded(message).with_context("limit", INDICES_MAX));
    }
    let index = Index {
        fields,
        created_at: now,
        documents: BTreeMap::new(),
    };
    store.indices.insert(name.to_owned(), index);
    Ok(true)
}

pub(crate) fn drop_index(state: &mut State, name: &str) -> Result<bool> {
    state.admit(Capability::Search, "search.drop-index")?;
    check_index("search.drop-index", name)?;
    Ok(state.search.indices.remove(name).is_some())
}

pub(crate) fn describe_index(state: &State, name: &str) -> Result<Option<IndexInfo>> {
    state.admit(Capability::Search, "search.describe-index")?;
    check_index("search.describe-index", name)?;
    Ok(state
        .search
        .indices
        .get(name)
        .map(|index| info(name, index)))
}

pub(crate) fn list_indices(state: &State) -> Result<Vec<IndexInfo>> {
    state.admit(Capability::Search, "search.list-indices")?;
    let all = state.search.indices.iter();
    Ok(all.map(|(name, index)| info(name, index)).collect())
}

fn info(name: &str, index: &Index) -> IndexInfo {
    let bytes = index.documents.values().map(|document| {
        let bytes = document_bytes(&document.id, &document.fields);
        bytes as u64
    });
    convert::info(core::IndexInfo {
        name: name.to_owned(),
        fields: index.fields.clone(),
        embeddings: index.embeddings(),
        documents: index.documents.len() as u64,
        bytes: bytes.sum(),
        created_at: Timestamp::from_millis(index.created_at),
    })
}

/// Changes documents: all, or none when one is refused.
pub(crate) fn bulk(state: &mut State, name: &str, changes: Vec<Change>) -> Result<Vec<Outcome>> {
    let write = SearchWrite::Change {
        index: name.to_owned(),
        changes: changes.into_iter().map(core::Change::from).collect(),
    };
    state.admit(Capability::Search, write.operation())?;
    write.check()?;
    let SearchWrite::Change { changes, .. } = &write else {
        return Ok(Vec::new());
    };
    let (now, store) = (state.now, &mut state.search);
    let index = store.indices.get(name).ok_or_else(|| missing(name))?;
    let mut changed = index.clone();
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        store.last_version += 1;
        outcomes.push(apply(
            &mut changed,
            change,
            store.last_version,
            now,
            write.operation(),
        )?);
    }
    store.indices.insert(name.to_owned(), changed);
    Ok(outcomes)
}

fn apply(
    index: &mut Index,
    change: &core::Change,
    version: u64,
    now: u64,
    operation: &'static str,
) -> Result<Outcome> {
    check_declared(operation, &index.fields, change.values())?;
    let standing = index.documents.get(change.id());
    let existed = standing.is_some();
    let fields = match change {
        core::Change::Delete { id } => {
            let version = index
                .documents
                .remove(id)
                .map_or(0, |document| document.version);
            return Ok(Outcome { version, existed });
        }
        core::Change::Put { fields, .. } => fields.clone(),
        core::Change::Update { id, set, remove } => {
            for name in remove {
                core::check::declared_field(operation, &index.fields, name)?;
            }
            let standing = standing.ok_or_else(|| {
                Error::not_found(format!(
                    "there is no document {id:?} to update; put it first"
                ))
                .with_context("id", id)
            })?;
            let mut fields = standing.fields.clone();
            fields.retain(|(name, _)| !remove.contains(name) && core::value(set, name).is_none());
            fields.extend(set.iter().cloned());
            fields
        }
    };
    let created_at = standing.map_or(Timestamp::from_millis(now), |document| document.created_at);
    let document = core::Document {
        id: change.id().to_owned(),
        fields: with_made(index, fields),
        version,
        created_at,
        updated_at: Timestamp::from_millis(now),
    };
    let bytes = document_bytes(&document.id, &index.shown(&document, false).fields);
    if bytes > DOCUMENT_MAX_BYTES {
        let message =
            format!("the document would have {bytes} bytes; the limit is {DOCUMENT_MAX_BYTES}");
        return Err(Error::invalid(message).with_context("limit", DOCUMENT_MAX_BYTES));
    }
    index.documents.insert(document.id.clone(), document);
    Ok(Outcome { version, existed })
}

/// The fields in the order of the names, with the vectors that the host makes.
fn with_made(index: &Index, mut fields: core::Fields) -> core::Fields {
    for (name, source) in index.made() {
        fields.retain(|(other, _)| *other != name);
        let text = fields.iter().find_map(|(other, value)| match value {
            Value::Text(text) if *other == source => Some(text.as_str()),
            _ => None,
        });
        let vector = text.map(embed::embed).unwrap_or_default();
        if vector.iter().any(|number| *number != 0.0) {
            fields.push((name, Value::Vector(vector)));
        }
    }
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

pub(crate) fn get(state: &State, name: &str, id: &str) -> Result<Option<Document>> {
    state.admit(Capability::Search, "search.get")?;
    check_index("search.get", name)?;
    check_id("search.get", id)?;
    let index = state
        .search
        .indices
        .get(name)
        .ok_or_else(|| missing(name))?;
    let document = index.documents.get(id);
    Ok(document.map(|document| convert::document(index.shown(document, true))))
}

pub(crate) fn query(state: &State, name: &str, query: &Query) -> Result<Answer> {
    const OPERATION: &str = "search.query";
    state.admit(Capability::Search, OPERATION)?;
    check_index(OPERATION, name)?;
    let query = core::Query::from(query);
    query.check(OPERATION)?;
    let window = core::rank::Window::of(OPERATION, name, &query)?;
    let index = state
        .search
        .indices
        .get(name)
        .ok_or_else(|| missing(name))?;
    query.check_declared(OPERATION, &index.fields)?;
    let answer = find::Finding::new(index, &query)?.answer(&window);
    Ok(convert::answer(answer))
}

impl From<core::Fields> for Fields {
    fn from(fields: core::Fields) -> Self {
        let fields = fields.into_iter();
        let converted: Vec<(String, crate::search::Value)> =
            fields.map(|(name, value)| (name, value.into())).collect();
        Self::from(converted)
    }
}
