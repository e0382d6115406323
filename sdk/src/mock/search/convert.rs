//! Records of `search`, between this crate and core.

use stuga_core::search as core;

use crate::search as sdk;

impl From<&sdk::Field> for core::Field {
    fn from(field: &sdk::Field) -> Self {
        use core::FieldKind as Kind;
        let kind = match &field.kind {
            sdk::FieldKind::Text(sdk::Analyzer::Simple) => Kind::Text(core::Analyzer::Simple),
            sdk::FieldKind::Text(sdk::Analyzer::Sv) => Kind::Text(core::Analyzer::Sv),
            sdk::FieldKind::Text(sdk::Analyzer::En) => Kind::Text(core::Analyzer::En),
            sdk::FieldKind::Keyword => Kind::Keyword,
            sdk::FieldKind::Number => Kind::Number,
            sdk::FieldKind::Date => Kind::Date,
            sdk::FieldKind::Vector(sdk::VectorSource::Given(given)) => {
                Kind::Vector(core::VectorSource::Given(core::Embedding {
                    model: given.model.clone(),
                    dimension: given.dimension,
                }))
            }
            sdk::FieldKind::Vector(sdk::VectorSource::MadeFrom(text)) => {
                Kind::Vector(core::VectorSource::MadeFrom(text.clone()))
            }
        };
        Self {
            name: field.name.clone(),
            kind,
        }
    }
}

pub(super) fn info(info: core::IndexInfo) -> sdk::IndexInfo {
    let embedding = |given: core::Embedding| sdk::Embedding {
        model: given.model,
        dimension: given.dimension,
    };
    let kind = |kind| match kind {
        core::FieldKind::Text(core::Analyzer::Simple) => {
            sdk::FieldKind::Text(sdk::Analyzer::Simple)
        }
        core::FieldKind::Text(core::Analyzer::Sv) => sdk::FieldKind::Text(sdk::Analyzer::Sv),
        core::FieldKind::Text(core::Analyzer::En) => sdk::FieldKind::Text(sdk::Analyzer::En),
        core::FieldKind::Keyword => sdk::FieldKind::Keyword,
        core::FieldKind::Number => sdk::FieldKind::Number,
        core::FieldKind::Date => sdk::FieldKind::Date,
        core::FieldKind::Vector(core::VectorSource::Given(given)) => {
            sdk::FieldKind::Vector(sdk::VectorSource::Given(embedding(given)))
        }
        core::FieldKind::Vector(core::VectorSource::MadeFrom(text)) => {
            sdk::FieldKind::Vector(sdk::VectorSource::MadeFrom(text))
        }
    };
    let fields = info.fields.into_iter();
    let embeddings = info.embeddings.into_iter();
    sdk::IndexInfo {
        name: info.name,
        fields: fields
            .map(|field| sdk::Field {
                name: field.name,
                kind: kind(field.kind),
            })
            .collect(),
        embeddings: embeddings.map(|(name, e)| (name, embedding(e))).collect(),
        documents: info.documents,
        bytes: info.bytes,
        created_at: info.created_at.as_millis(),
    }
}

impl From<core::Value> for sdk::Value {
    fn from(value: core::Value) -> Self {
        match value {
            core::Value::Text(text) => Self::Text(text),
            core::Value::Keywords(words) => Self::Keywords(words),
            core::Value::Number(number) => Self::Number(number),
            core::Value::Date(date) => Self::Date(date),
            core::Value::Vector(numbers) => Self::Vector(numbers),
        }
    }
}

/// Fields in the order of the names, as core takes them.
fn fields(fields: sdk::Fields) -> core::Fields {
    let value = |value| match value {
        sdk::Value::Text(text) => core::Value::Text(text),
        sdk::Value::Keywords(words) => core::Value::Keywords(words),
        sdk::Value::Number(number) => core::Value::Number(number),
        sdk::Value::Date(date) => core::Value::Date(date),
        sdk::Value::Vector(numbers) => core::Value::Vector(numbers),
    };
    let given = fields.into_vec().into_iter();
    let mut fields: core::Fields = given.map(|(name, held)| (name, value(held))).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

impl From<sdk::Change> for core::Change {
    fn from(change: sdk::Change) -> Self {
        match change {
            sdk::Change::Put { id, fields: given } => Self::Put {
                id,
                fields: fields(given),
            },
            sdk::Change::Update {
                id,
                set,
                mut remove,
            } => {
                remove.sort();
                Self::Update {
                    id,
                    set: fields(set),
                    remove,
                }
            }
            sdk::Change::Delete { id } => Self::Delete { id },
        }
    }
}

pub(super) fn document(document: core::Document) -> sdk::Document {
    sdk::Document {
        id: document.id,
        fields: document.fields.into(),
        version: document.version,
        created_at: document.created_at.as_millis(),
        updated_at: document.updated_at.as_millis(),
    }
}

impl From<&sdk::Query> for core::Query {
    fn from(query: &sdk::Query) -> Self {
        Self {
            text: query.text.as_ref().map(|part| core::TextPart {
                words: part.words.clone(),
                fields: part.fields.clone(),
                operator: match part.operator {
                    sdk::Operator::Any => core::Operator::Any,
                    sdk::Operator::All => core::Operator::All,
                },
            }),
            vector: query.vector.as_ref().map(|part| core::VectorPart {
                field: part.field.clone(),
                near: match &part.near {
                    sdk::Near::Vector(numbers) => core::Near::Vector(numbers.clone()),
                    sdk::Near::Words(words) => core::Near::Words(words.clone()),
                },
            }),
            filter: query.filter.as_ref().map(core::Filter::from),
            sort: query.sort.as_ref().map(|sort| core::Sort {
                field: sort.field.clone(),
                descending: sort.descending,
            }),
            highlight: query.highlight.clone(),
            facets: query.facets.clone(),
            freshness: match query.freshness {
                sdk::Freshness::Fresh => core::Freshness::Fresh,
                sdk::Freshness::Fast => core::Freshness::Fast,
            },
            cursor: query.cursor.clone(),
            limit: query.limit,
        }
    }
}

impl From<&sdk::Filter> for core::Filter {
    fn from(filter: &sdk::Filter) -> Self {
        let all = |parts: &[sdk::Filter]| parts.iter().map(Self::from).collect();
        match filter {
            sdk::Filter::Keyword { field, one_of } => Self::Keyword {
                field: field.clone(),
                one_of: one_of.clone(),
            },
            sdk::Filter::Number { field, from, to } => Self::Number {
                field: field.clone(),
                from: *from,
                to: *to,
            },
            sdk::Filter::Date { field, from, to } => Self::Date {
                field: field.clone(),
                from: *from,
                to: *to,
            },
            sdk::Filter::All(parts) => Self::All(all(parts)),
            sdk::Filter::Any(parts) => Self::Any(all(parts)),
            sdk::Filter::None(parts) => Self::None(all(parts)),
        }
    }
}

pub(super) fn answer(answer: core::Answer) -> sdk::Answer {
    let highlight = |shown: core::Highlight| sdk::Highlight {
        field: shown.field,
        fragment: shown.fragment,
        marks: shown.marks,
    };
    let hits = answer.hits.into_iter();
    let facets = answer.facets.into_iter();
    sdk::Answer {
        hits: hits
            .map(|hit| sdk::Hit {
                document: document(hit.document),
                score: hit.score,
                highlights: hit.highlights.into_iter().map(highlight).collect(),
            })
            .collect(),
        total: answer.total,
        facets: facets
            .map(|facet| sdk::Facet {
                field: facet.field,
                values: facet.values,
            })
            .collect(),
        next_cursor: answer.next_cursor,
        degraded: answer.degraded,
    }
}
