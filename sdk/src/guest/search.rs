//! `search` of the real host: bindings on one side, the records of this crate on the other.

use std::ops::Bound;

use super::{Result, host::search as wit};
use crate::search::{
    Analyzer, Answer, Change, Document, Embedding, Facet, Field, FieldKind, Fields, Filter,
    Freshness, Highlight, Hit, IndexInfo, Near, Operator, Outcome, Query, Value, VectorSource,
};

pub(crate) fn create_index(name: &str, fields: &[Field]) -> Result<bool> {
    let fields: Vec<wit::Field> = fields.iter().map(to_field).collect();
    Ok(wit::create_index(name, &fields)?)
}

pub(crate) fn drop_index(name: &str) -> Result<bool> {
    Ok(wit::drop_index(name)?)
}

pub(crate) fn describe_index(name: &str) -> Result<Option<IndexInfo>> {
    Ok(wit::describe_index(name)?.map(info))
}

pub(crate) fn list_indices() -> Result<Vec<IndexInfo>> {
    Ok(wit::list_indices()?.into_iter().map(info).collect())
}

pub(crate) fn put(index: &str, id: &str, fields: Fields) -> Result<Outcome> {
    let document = wit::Document {
        id: id.to_owned(),
        fields: to_fields(fields),
    };
    Ok(outcome(wit::put(index, &document)?))
}

pub(crate) fn update(index: &str, id: &str, set: Fields, remove: Vec<String>) -> Result<Outcome> {
    let patch = wit::Patch {
        id: id.to_owned(),
        set: to_fields(set),
        remove,
    };
    Ok(outcome(wit::update(index, &patch)?))
}

pub(crate) fn delete(index: &str, id: &str) -> Result<bool> {
    Ok(wit::delete(index, id)?)
}

pub(crate) fn bulk(index: &str, changes: Vec<Change>) -> Result<Vec<Outcome>> {
    let changes: Vec<wit::Change> = changes
        .into_iter()
        .map(|change| match change {
            Change::Put { id, fields } => wit::Change::Put(wit::Document {
                id,
                fields: to_fields(fields),
            }),
            Change::Update { id, set, remove } => wit::Change::Update(wit::Patch {
                id,
                set: to_fields(set),
                remove,
            }),
            Change::Delete { id } => wit::Change::Delete(id),
        })
        .collect();
    let outcomes = wit::bulk(index, &changes)?;
    Ok(outcomes.into_iter().map(outcome).collect())
}

pub(crate) fn get(index: &str, id: &str) -> Result<Option<Document>> {
    Ok(wit::get(index, id)?.map(document))
}

pub(crate) fn query(index: &str, query: &Query) -> Result<Answer> {
    Ok(answer(wit::query(index, &to_query(query))?))
}

fn to_field(field: &Field) -> wit::Field {
    let kind = match &field.kind {
        FieldKind::Text(Analyzer::Simple) => wit::FieldKind::Text(wit::Analyzer::Simple),
        FieldKind::Text(Analyzer::Sv) => wit::FieldKind::Text(wit::Analyzer::Sv),
        FieldKind::Text(Analyzer::En) => wit::FieldKind::Text(wit::Analyzer::En),
        FieldKind::Keyword => wit::FieldKind::Keyword,
        FieldKind::Number => wit::FieldKind::Number,
        FieldKind::Date => wit::FieldKind::Date,
        FieldKind::Vector(VectorSource::Given(embedding)) => {
            wit::FieldKind::Vector(wit::VectorSource::Given(wit::Embedding {
                model: embedding.model.clone(),
                dimension: embedding.dimension,
            }))
        }
        FieldKind::Vector(VectorSource::MadeFrom(text)) => {
            wit::FieldKind::Vector(wit::VectorSource::MadeFrom(text.clone()))
        }
    };
    wit::Field {
        name: field.name.clone(),
        kind,
    }
}

fn info(info: wit::IndexInfo) -> IndexInfo {
    let embedding = |embedding: wit::Embedding| Embedding {
        model: embedding.model,
        dimension: embedding.dimension,
    };
    let kind = |kind| match kind {
        wit::FieldKind::Text(wit::Analyzer::Simple) => FieldKind::Text(Analyzer::Simple),
        wit::FieldKind::Text(wit::Analyzer::Sv) => FieldKind::Text(Analyzer::Sv),
        wit::FieldKind::Text(wit::Analyzer::En) => FieldKind::Text(Analyzer::En),
        wit::FieldKind::Keyword => FieldKind::Keyword,
        wit::FieldKind::Number => FieldKind::Number,
        wit::FieldKind::Date => FieldKind::Date,
        wit::FieldKind::Vector(wit::VectorSource::Given(given)) => {
            FieldKind::Vector(VectorSource::Given(embedding(given)))
        }
        wit::FieldKind::Vector(wit::VectorSource::MadeFrom(text)) => {
            FieldKind::Vector(VectorSource::MadeFrom(text))
        }
    };
    let fields = info.fields.into_iter();
    let embeddings = info.embeddings.into_iter();
    IndexInfo {
        name: info.name,
        fields: fields
            .map(|field| Field {
                name: field.name,
                kind: kind(field.kind),
            })
            .collect(),
        embeddings: embeddings.map(|(name, e)| (name, embedding(e))).collect(),
        documents: info.documents,
        bytes: info.bytes,
        created_at: info.created_at,
    }
}

fn to_fields(fields: Fields) -> Vec<(String, wit::Value)> {
    let value = |value| match value {
        Value::Text(text) => wit::Value::Text(text),
        Value::Keywords(words) => wit::Value::Keywords(words),
        Value::Number(number) => wit::Value::Number(number),
        Value::Date(date) => wit::Value::Date(date),
        Value::Vector(numbers) => wit::Value::Vector(numbers),
    };
    let fields = fields.into_vec().into_iter();
    fields.map(|(name, held)| (name, value(held))).collect()
}

fn document(document: wit::StoredDocument) -> Document {
    let value = |value| match value {
        wit::Value::Text(text) => Value::Text(text),
        wit::Value::Keywords(words) => Value::Keywords(words),
        wit::Value::Number(number) => Value::Number(number),
        wit::Value::Date(date) => Value::Date(date),
        wit::Value::Vector(numbers) => Value::Vector(numbers),
    };
    let fields: Vec<(String, Value)> = document
        .fields
        .into_iter()
        .map(|(name, held)| (name, value(held)))
        .collect();
    Document {
        id: document.id,
        fields: fields.into(),
        version: document.version,
        created_at: document.created_at,
        updated_at: document.updated_at,
    }
}

fn outcome(outcome: wit::Outcome) -> Outcome {
    Outcome {
        version: outcome.version,
        existed: outcome.existed,
    }
}

fn to_query(query: &Query) -> wit::SearchQuery {
    let mut filter = Vec::new();
    if let Some(tree) = &query.filter {
        flatten(tree, &mut filter);
    }
    wit::SearchQuery {
        text: query.text.as_ref().map(|part| wit::TextPart {
            words: part.words.clone(),
            fields: part.fields.clone(),
            operator: match part.operator {
                Operator::Any => wit::Operator::Any,
                Operator::All => wit::Operator::All,
            },
        }),
        vector: query.vector.as_ref().map(|part| wit::VectorPart {
            field: part.field.clone(),
            near: match &part.near {
                Near::Vector(numbers) => wit::Near::Vector(numbers.clone()),
                Near::Words(words) => wit::Near::Words(words.clone()),
            },
        }),
        filter,
        sort: query.sort.as_ref().map(|sort| wit::Sort {
            field: sort.field.clone(),
            descending: sort.descending,
        }),
        highlight: query.highlight.clone(),
        facets: query.facets.clone(),
        freshness: match query.freshness {
            Freshness::Fresh => wit::Freshness::Fresh,
            Freshness::Fast => wit::Freshness::Fast,
        },
        cursor: query.cursor.clone(),
        limit: query.limit,
    }
}

/// Appends a tree to the list that the host takes, its parts before it, and says at which place it stands.
fn flatten(filter: &Filter, list: &mut Vec<wit::Condition>) -> u32 {
    let number = |bound: &Bound<f64>| match *bound {
        Bound::Unbounded => wit::NumberBound::Open,
        Bound::Included(number) => wit::NumberBound::Included(number),
        Bound::Excluded(number) => wit::NumberBound::Excluded(number),
    };
    let date = |bound: &Bound<i64>| match *bound {
        Bound::Unbounded => wit::DateBound::Open,
        Bound::Included(date) => wit::DateBound::Included(date),
        Bound::Excluded(date) => wit::DateBound::Excluded(date),
    };
    let mut places =
        |parts: &[Filter]| -> Vec<u32> { parts.iter().map(|part| flatten(part, list)).collect() };
    let condition = match filter {
        Filter::Keyword { field, one_of } => wit::Condition::Keyword(wit::KeywordTest {
            field: field.clone(),
            one_of: one_of.clone(),
        }),
        Filter::Number { field, from, to } => wit::Condition::Number(wit::NumberRange {
            field: field.clone(),
            from: number(from),
            to: number(to),
        }),
        Filter::Date { field, from, to } => wit::Condition::Date(wit::DateRange {
            field: field.clone(),
            from: date(from),
            to: date(to),
        }),
        Filter::All(parts) => wit::Condition::AllOf(places(parts)),
        Filter::Any(parts) => wit::Condition::AnyOf(places(parts)),
        Filter::None(parts) => wit::Condition::NoneOf(places(parts)),
    };
    list.push(condition);
    u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
}

fn answer(answer: wit::Answer) -> Answer {
    let highlight = |shown: wit::Highlight| Highlight {
        field: shown.field,
        fragment: shown.fragment,
        marks: shown
            .marks
            .into_iter()
            .map(|(start, end)| start as usize..end as usize)
            .collect(),
    };
    let hits = answer.hits.into_iter();
    let facets = answer.facets.into_iter();
    Answer {
        hits: hits
            .map(|hit| Hit {
                document: document(hit.document),
                score: hit.score,
                highlights: hit.highlights.into_iter().map(highlight).collect(),
            })
            .collect(),
        total: answer.total,
        facets: facets
            .map(|facet| Facet {
                field: facet.field,
                values: facet.values,
            })
            .collect(),
        next_cursor: answer.next_cursor,
        degraded: answer.degraded,
    }
}
