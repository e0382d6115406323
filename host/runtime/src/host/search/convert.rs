//! Records of `search`, between the bindings and core. What a list of conditions means is checked here, because core
//! knows filters as trees.

use std::ops::Bound;

use stuga_core::Result;
use stuga_core::search::filter::FlatCondition;
use stuga_core::search::{self as core, Filter};

use crate::bindings::stuga::agent::search as wit;

impl From<wit::Field> for core::Field {
    fn from(field: wit::Field) -> Self {
        use core::FieldKind as Kind;
        let kind = match field.kind {
            wit::FieldKind::Text(analyzer) => Kind::Text(match analyzer {
                wit::Analyzer::Simple => core::Analyzer::Simple,
                wit::Analyzer::Sv => core::Analyzer::Sv,
                wit::Analyzer::En => core::Analyzer::En,
            }),
            wit::FieldKind::Keyword => Kind::Keyword,
            wit::FieldKind::Number => Kind::Number,
            wit::FieldKind::Date => Kind::Date,
            wit::FieldKind::Vector(wit::VectorSource::Given(embedding)) => {
                Kind::Vector(core::VectorSource::Given(core::Embedding {
                    model: embedding.model,
                    dimension: embedding.dimension,
                }))
            }
            wit::FieldKind::Vector(wit::VectorSource::MadeFrom(text)) => {
                Kind::Vector(core::VectorSource::MadeFrom(text))
            }
        };
        Self {
            name: field.name,
            kind,
        }
    }
}

impl From<core::Field> for wit::Field {
    fn from(field: core::Field) -> Self {
        use core::FieldKind as Kind;
        let kind = match field.kind {
            Kind::Text(analyzer) => wit::FieldKind::Text(match analyzer {
                core::Analyzer::Simple => wit::Analyzer::Simple,
                core::Analyzer::Sv => wit::Analyzer::Sv,
                core::Analyzer::En => wit::Analyzer::En,
            }),
            Kind::Keyword => wit::FieldKind::Keyword,
            Kind::Number => wit::FieldKind::Number,
            Kind::Date => wit::FieldKind::Date,
            Kind::Vector(core::VectorSource::Given(given)) => {
                wit::FieldKind::Vector(wit::VectorSource::Given(given.into()))
            }
            Kind::Vector(core::VectorSource::MadeFrom(text)) => {
                wit::FieldKind::Vector(wit::VectorSource::MadeFrom(text))
            }
        };
        Self {
            name: field.name,
            kind,
        }
    }
}

impl From<core::Embedding> for wit::Embedding {
    fn from(embedding: core::Embedding) -> Self {
        Self {
            model: embedding.model,
            dimension: embedding.dimension,
        }
    }
}

impl From<core::IndexInfo> for wit::IndexInfo {
    fn from(info: core::IndexInfo) -> Self {
        let embeddings = info.embeddings.into_iter();
        Self {
            name: info.name,
            fields: info.fields.into_iter().map(wit::Field::from).collect(),
            embeddings: embeddings
                .map(|(name, embedding)| (name, embedding.into()))
                .collect(),
            documents: info.documents,
            bytes: info.bytes,
            created_at: info.created_at.as_millis(),
        }
    }
}

/// Fields in the order of the names, as core takes them.
fn fields(given: Vec<(String, wit::Value)>) -> core::Fields {
    let value = |value| match value {
        wit::Value::Text(text) => core::Value::Text(text),
        wit::Value::Keywords(words) => core::Value::Keywords(words),
        wit::Value::Number(number) => core::Value::Number(number),
        wit::Value::Date(date) => core::Value::Date(date),
        wit::Value::Vector(numbers) => core::Value::Vector(numbers),
    };
    let mut fields: core::Fields = given.into_iter().map(|(n, v)| (n, value(v))).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

pub(super) fn put(document: wit::Document) -> core::Change {
    core::Change::Put {
        id: document.id,
        fields: fields(document.fields),
    }
}

pub(super) fn update(patch: wit::Patch) -> core::Change {
    let mut remove = patch.remove;
    remove.sort();
    core::Change::Update {
        id: patch.id,
        set: fields(patch.set),
        remove,
    }
}

pub(super) fn change(change: wit::Change) -> core::Change {
    match change {
        wit::Change::Put(document) => put(document),
        wit::Change::Update(patch) => update(patch),
        wit::Change::Delete(id) => core::Change::Delete { id },
    }
}

impl From<core::Outcome> for wit::Outcome {
    fn from(outcome: core::Outcome) -> Self {
        Self {
            version: outcome.version,
            existed: outcome.existed,
        }
    }
}

impl From<core::Document> for wit::StoredDocument {
    fn from(document: core::Document) -> Self {
        let value = |value| match value {
            core::Value::Text(text) => wit::Value::Text(text),
            core::Value::Keywords(words) => wit::Value::Keywords(words),
            core::Value::Number(number) => wit::Value::Number(number),
            core::Value::Date(date) => wit::Value::Date(date),
            core::Value::Vector(numbers) => wit::Value::Vector(numbers),
        };
        let fields = document.fields.into_iter();
        Self {
            id: document.id,
            fields: fields.map(|(name, held)| (name, value(held))).collect(),
            version: document.version,
            created_at: document.created_at.as_millis(),
            updated_at: document.updated_at.as_millis(),
        }
    }
}

pub(super) fn query(operation: &'static str, query: wit::SearchQuery) -> Result<core::Query> {
    let text = query.text.map(|part| core::TextPart {
        words: part.words,
        fields: part.fields,
        operator: match part.operator {
            wit::Operator::Any => core::Operator::Any,
            wit::Operator::All => core::Operator::All,
        },
    });
    let vector = query.vector.map(|part| core::VectorPart {
        field: part.field,
        near: match part.near {
            wit::Near::Vector(numbers) => core::Near::Vector(numbers),
            wit::Near::Words(words) => core::Near::Words(words),
        },
    });
    let conditions = query.filter.into_iter().map(condition).collect();
    Ok(core::Query {
        text,
        vector,
        filter: Filter::from_flat(operation, conditions)?,
        sort: query.sort.map(|sort| core::Sort {
            field: sort.field,
            descending: sort.descending,
        }),
        highlight: query.highlight,
        facets: query.facets,
        freshness: match query.freshness {
            wit::Freshness::Fresh => core::Freshness::Fresh,
            wit::Freshness::Fast => core::Freshness::Fast,
        },
        cursor: query.cursor,
        limit: query.limit,
    })
}

fn condition(condition: wit::Condition) -> FlatCondition {
    let number = |bound| match bound {
        wit::NumberBound::Open => Bound::Unbounded,
        wit::NumberBound::Included(number) => Bound::Included(number),
        wit::NumberBound::Excluded(number) => Bound::Excluded(number),
    };
    let date = |bound| match bound {
        wit::DateBound::Open => Bound::Unbounded,
        wit::DateBound::Included(date) => Bound::Included(date),
        wit::DateBound::Excluded(date) => Bound::Excluded(date),
    };
    match condition {
        wit::Condition::Keyword(test) => FlatCondition::Test(Filter::Keyword {
            field: test.field,
            one_of: test.one_of,
        }),
        wit::Condition::Number(range) => FlatCondition::Test(Filter::Number {
            field: range.field,
            from: number(range.from),
            to: number(range.to),
        }),
        wit::Condition::Date(range) => FlatCondition::Test(Filter::Date {
            field: range.field,
            from: date(range.from),
            to: date(range.to),
        }),
        wit::Condition::AllOf(places) => FlatCondition::All(places),
        wit::Condition::AnyOf(places) => FlatCondition::Any(places),
        wit::Condition::NoneOf(places) => FlatCondition::None(places),
    }
}

impl From<core::Answer> for wit::Answer {
    fn from(answer: core::Answer) -> Self {
        // Places in a fragment, which is short.
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let highlight = |shown: core::Highlight| wit::Highlight {
            field: shown.field,
            fragment: shown.fragment,
            marks: shown
                .marks
                .into_iter()
                .map(|at| (place(at.start), place(at.end)))
                .collect(),
        };
        let hits = answer.hits.into_iter();
        let facets = answer.facets.into_iter();
        Self {
            hits: hits
                .map(|hit| wit::Hit {
                    document: hit.document.into(),
                    score: hit.score,
                    highlights: hit.highlights.into_iter().map(highlight).collect(),
                })
                .collect(),
            total: answer.total,
            facets: facets
                .map(|facet| wit::Facet {
                    field: facet.field,
                    values: facet.values,
                })
                .collect(),
            next_cursor: answer.next_cursor,
            degraded: answer.degraded,
        }
    }
}
