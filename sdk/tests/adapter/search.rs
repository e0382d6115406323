//! Search over the SDK's functions.

use async_trait::async_trait;
use stuga_core::search::{
    self as core, Answer, Document, IndexInfo, Query, Search, SearchAck, SearchWrite,
};
use stuga_core::{CallCtx, Capability, Result, Timestamp, Write, WriteId};
use stuga_sdk::search as sdk;

use super::Mock;

/// Search of the mock hosts.
pub(crate) struct SearchOf(pub(crate) Mock);

#[async_trait]
impl Capability for SearchOf {
    type Write = SearchWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SearchWrite) -> Result<SearchAck> {
        self.0.once(ctx, id, write, || {
            self.0.run(ctx, write.operation(), || apply(write))
        })
    }
}

fn apply(write: &SearchWrite) -> stuga_sdk::Result<SearchAck> {
    match write {
        SearchWrite::CreateIndex { index, fields } => {
            let fields: Vec<sdk::Field> = fields.iter().map(to_field).collect();
            sdk::create_index(index, &fields).map(SearchAck::Created)
        }
        SearchWrite::DropIndex { index } => sdk::drop_index(index).map(SearchAck::Dropped),
        SearchWrite::Change { index, changes } => {
            let outcomes = match changes.as_slice() {
                [core::Change::Put { id, fields }] => {
                    vec![sdk::put(index, id, to_fields(fields))?]
                }
                [core::Change::Update { id, set, remove }] => {
                    let remove: Vec<&str> = remove.iter().map(String::as_str).collect();
                    vec![sdk::update(index, id, to_fields(set), &remove)?]
                }
                changes => sdk::bulk(index, changes.iter().map(to_change).collect())?,
            };
            let outcome = |outcome: sdk::Outcome| core::Outcome {
                version: outcome.version,
                existed: outcome.existed,
            };
            Ok(SearchAck::Changed(
                outcomes.into_iter().map(outcome).collect(),
            ))
        }
    }
}

#[async_trait]
impl Search for SearchOf {
    async fn describe(&self, ctx: &CallCtx, index: &str) -> Result<Option<IndexInfo>> {
        let describe = || sdk::describe_index(index);
        Ok(self
            .0
            .run(ctx, "search.describe-index", describe)?
            .map(info))
    }

    async fn indices(&self, ctx: &CallCtx) -> Result<Vec<IndexInfo>> {
        let all = self.0.run(ctx, "search.list-indices", sdk::list_indices)?;
        Ok(all.into_iter().map(info).collect())
    }

    async fn get(&self, ctx: &CallCtx, index: &str, id: &str) -> Result<Option<Document>> {
        let get = || sdk::get(index, id);
        Ok(self.0.run(ctx, "search.get", get)?.map(document))
    }

    async fn query(&self, ctx: &CallCtx, index: &str, query: &Query) -> Result<Answer> {
        let query = to_query(query);
        let answer = self
            .0
            .run(ctx, "search.query", || sdk::query(index, &query))?;
        let hits = answer.hits.into_iter().map(|hit| core::Hit {
            document: document(hit.document),
            score: hit.score,
            highlights: hit
                .highlights
                .into_iter()
                .map(|shown| core::Highlight {
                    field: shown.field,
                    fragment: shown.fragment,
                    marks: shown.marks,
                })
                .collect(),
        });
        let facets = answer.facets.into_iter().map(|facet| core::Facet {
            field: facet.field,
            values: facet.values,
        });
        Ok(Answer {
            hits: hits.collect(),
            total: answer.total,
            facets: facets.collect(),
            next_cursor: answer.next_cursor,
            degraded: answer.degraded,
        })
    }
}

fn to_field(field: &core::Field) -> sdk::Field {
    use sdk::FieldKind as Kind;
    let kind = match &field.kind {
        core::FieldKind::Text(core::Analyzer::Simple) => Kind::Text(sdk::Analyzer::Simple),
        core::FieldKind::Text(core::Analyzer::Sv) => Kind::Text(sdk::Analyzer::Sv),
        core::FieldKind::Text(core::Analyzer::En) => Kind::Text(sdk::Analyzer::En),
        core::FieldKind::Keyword => Kind::Keyword,
        core::FieldKind::Number => Kind::Number,
        core::FieldKind::Date => Kind::Date,
        core::FieldKind::Vector(core::VectorSource::Given(given)) => {
            return sdk::Field::vector(&field.name, &given.model, given.dimension);
        }
        core::FieldKind::Vector(core::VectorSource::MadeFrom(text)) => {
            return sdk::Field::vector_made_from(&field.name, text);
        }
    };
    sdk::Field::new(&field.name, kind)
}

fn info(info: sdk::IndexInfo) -> IndexInfo {
    let embedding = |given: sdk::Embedding| core::Embedding {
        model: given.model,
        dimension: given.dimension,
    };
    let kind = |kind| match kind {
        sdk::FieldKind::Text(sdk::Analyzer::Simple) => {
            core::FieldKind::Text(core::Analyzer::Simple)
        }
        sdk::FieldKind::Text(sdk::Analyzer::Sv) => core::FieldKind::Text(core::Analyzer::Sv),
        sdk::FieldKind::Text(sdk::Analyzer::En) => core::FieldKind::Text(core::Analyzer::En),
        sdk::FieldKind::Keyword => core::FieldKind::Keyword,
        sdk::FieldKind::Number => core::FieldKind::Number,
        sdk::FieldKind::Date => core::FieldKind::Date,
        sdk::FieldKind::Vector(sdk::VectorSource::Given(given)) => {
            core::FieldKind::Vector(core::VectorSource::Given(embedding(given)))
        }
        sdk::FieldKind::Vector(sdk::VectorSource::MadeFrom(text)) => {
            core::FieldKind::Vector(core::VectorSource::MadeFrom(text))
        }
    };
    let fields = info.fields.into_iter().map(|field| core::Field {
        name: field.name,
        kind: kind(field.kind),
    });
    let embeddings = info.embeddings.into_iter();
    IndexInfo {
        name: info.name,
        fields: fields.collect(),
        embeddings: embeddings.map(|(name, e)| (name, embedding(e))).collect(),
        documents: info.documents,
        bytes: info.bytes,
        created_at: Timestamp::from_millis(info.created_at),
    }
}

fn to_fields(fields: &[(String, core::Value)]) -> sdk::Fields {
    fields
        .iter()
        .fold(sdk::Fields::new(), |fields, (name, value)| {
            fields.with(
                name,
                match value.clone() {
                    core::Value::Text(text) => sdk::Value::Text(text),
                    core::Value::Keywords(words) => sdk::Value::Keywords(words),
                    core::Value::Number(number) => sdk::Value::Number(number),
                    core::Value::Date(date) => sdk::Value::Date(date),
                    core::Value::Vector(numbers) => sdk::Value::Vector(numbers),
                },
            )
        })
}

fn to_change(change: &core::Change) -> sdk::Change {
    match change {
        core::Change::Put { id, fields } => sdk::Change::Put {
            id: id.clone(),
            fields: to_fields(fields),
        },
        core::Change::Update { id, set, remove } => sdk::Change::Update {
            id: id.clone(),
            set: to_fields(set),
            remove: remove.clone(),
        },
        core::Change::Delete { id } => sdk::Change::Delete { id: id.clone() },
    }
}

fn document(document: sdk::Document) -> Document {
    let fields = document.fields.into_vec().into_iter().map(|(name, value)| {
        let value = match value {
            sdk::Value::Text(text) => core::Value::Text(text),
            sdk::Value::Keywords(words) => core::Value::Keywords(words),
            sdk::Value::Number(number) => core::Value::Number(number),
            sdk::Value::Date(date) => core::Value::Date(date),
            sdk::Value::Vector(numbers) => core::Value::Vector(numbers),
        };
        (name, value)
    });
    Document {
        id: document.id,
        fields: fields.collect(),
        version: document.version,
        created_at: Timestamp::from_millis(document.created_at),
        updated_at: Timestamp::from_millis(document.updated_at),
    }
}

fn to_query(query: &Query) -> sdk::Query {
    let mut asked = sdk::Query::new().limit(query.limit);
    if let Some(text) = &query.text {
        let fields: Vec<&str> = text.fields.iter().map(String::as_str).collect();
        let operator = match text.operator {
            core::Operator::Any => sdk::Operator::Any,
            core::Operator::All => sdk::Operator::All,
        };
        asked = asked.text(&text.words, &fields, operator);
    }
    if let Some(core::VectorPart { field, near }) = &query.vector {
        asked = match near {
            core::Near::Vector(numbers) => asked.near_vector(field, numbers.clone()),
            core::Near::Words(words) => asked.near_words(field, words),
        };
    }
    if let Some(filter) = &query.filter {
        asked = asked.filter(to_filter(filter));
    }
    if let Some(sort) = &query.sort {
        asked = match sort.descending {
            true => asked.sort_by_descending(&sort.field),
            false => asked.sort_by(&sort.field),
        };
    }
    asked = query
        .highlight
        .iter()
        .fold(asked, |asked, name| asked.highlight(name));
    asked = query
        .facets
        .iter()
        .fold(asked, |asked, name| asked.facet(name));
    if query.freshness == core::Freshness::Fast {
        asked = asked.fast();
    }
    match &query.cursor {
        Some(cursor) => asked.after(cursor),
        None => asked,
    }
}

fn to_filter(filter: &core::Filter) -> sdk::Filter {
    let all = |parts: &[core::Filter]| parts.iter().map(to_filter).collect();
    match filter {
        core::Filter::Keyword { field, one_of } => {
            let values: Vec<&str> = one_of.iter().map(String::as_str).collect();
            sdk::Filter::one_of(field, &values)
        }
        core::Filter::Number { field, from, to } => sdk::Filter::number(field, (*from, *to)),
        core::Filter::Date { field, from, to } => sdk::Filter::date(field, (*from, *to)),
        core::Filter::All(parts) => sdk::Filter::All(all(parts)),
        core::Filter::Any(parts) => sdk::Filter::Any(all(parts)),
        core::Filter::None(parts) => sdk::Filter::None(all(parts)),
    }
}
