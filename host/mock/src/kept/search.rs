//! Indices of search and their documents.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stuga_core::search::{
    Analyzer, BULK_MAX_CHANGES, Change, Document, Embedding, Field, FieldKind, Search, SearchWrite,
    Value, VectorSource,
};
use stuga_core::{CallCtx, Result};

use super::unreadable;
use crate::compare::{Differences, Findings, shown};
use crate::scenario::{AnalyzerWord, ExpectDocument, FieldWord, StateField, StateIndex};

pub(super) async fn lay(search: &dyn Search, ctx: &CallCtx, state: &[StateIndex]) -> Result<()> {
    for StateIndex {
        index,
        fields,
        documents,
    } in state
    {
        let kind = |(name, field): (&String, &StateField)| {
            let kind = kind(field).map_err(|why| format!("field {name:?} of {index:?} {why}"))?;
            let name = name.clone();
            Ok(Field { name, kind })
        };
        let declared: Result<Vec<Field>, String> = fields.iter().map(kind).collect();
        let declared = declared.map_err(unreadable)?;
        let create = SearchWrite::CreateIndex {
            index: index.clone(),
            fields: declared.clone(),
        };
        search.apply(ctx, ctx.next_write_id()?, &create).await?;
        let put = |document: &crate::scenario::StateDocument| {
            let fields = values(&declared, &document.fields)
                .map_err(|why| format!("document {:?} of {index:?}: {why}", document.id))?;
            let id = document.id.clone();
            Ok(Change::Put { id, fields })
        };
        let changes: Result<Vec<Change>, String> = documents.iter().map(put).collect();
        for changes in changes.map_err(unreadable)?.chunks(BULK_MAX_CHANGES) {
            let change = SearchWrite::Change {
                index: index.clone(),
                changes: changes.to_vec(),
            };
            search.apply(ctx, ctx.next_write_id()?, &change).await?;
        }
    }
    Ok(())
}

fn kind(field: &StateField) -> Result<FieldKind, String> {
    Ok(match field.kind {
        FieldWord::Text => FieldKind::Text(match field.analyzer {
            None | Some(AnalyzerWord::Simple) => Analyzer::Simple,
            Some(AnalyzerWord::Sv) => Analyzer::Sv,
            Some(AnalyzerWord::En) => Analyzer::En,
        }),
        FieldWord::Keyword => FieldKind::Keyword,
        FieldWord::Number => FieldKind::Number,
        FieldWord::Date => FieldKind::Date,
        FieldWord::Vector => {
            FieldKind::Vector(match (&field.from, &field.model, field.dimension) {
                (Some(from), None, None) => VectorSource::MadeFrom(from.clone()),
                (None, Some(model), Some(dimension)) => VectorSource::Given(Embedding {
                    model: model.clone(),
                    dimension,
                }),
                _ => return Err("is a vector: give `from`, or `model` and `dimension`".to_owned()),
            })
        }
    })
}

/// The values of a document, as its index declares them.
fn values(
    declared: &[Field],
    fields: &BTreeMap<String, Json>,
) -> Result<Vec<(String, Value)>, String> {
    let value = |(name, json): (&String, &Json)| {
        let known = declared.iter().find(|field| field.name == *name);
        let field = known.ok_or_else(|| format!("the index has no field {name:?}"))?;
        let value = value(&field.kind, json).ok_or_else(|| {
            let kind = field.kind.as_str();
            format!("{} is no {kind} for field {name:?}", shown(json))
        })?;
        Ok((name.clone(), value))
    };
    fields.iter().map(value).collect()
}

fn value(kind: &FieldKind, json: &Json) -> Option<Value> {
    Some(match (kind, json) {
        (FieldKind::Text(_), Json::String(text)) => Value::Text(text.clone()),
        (FieldKind::Keyword, Json::String(word)) => Value::Keywords(vec![word.clone()]),
        (FieldKind::Keyword, Json::Array(words)) => {
            let words = words.iter().map(|word| word.as_str().map(str::to_owned));
            Value::Keywords(words.collect::<Option<_>>()?)
        }
        (FieldKind::Number, Json::Number(number)) => Value::Number(number.as_f64()?),
        (FieldKind::Date, Json::Number(millis)) => Value::Date(millis.as_i64()?),
        (FieldKind::Date, Json::String(text)) => {
            Value::Date(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())
        }
        (FieldKind::Vector(_), Json::Array(_)) => {
            Value::Vector(serde_json::from_value(json.clone()).ok()?)
        }
        _ => return None,
    })
}

/// A value as a report shows it.
fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Keywords(words) => json!(words),
        Value::Number(number) => json!(number),
        Value::Date(millis) => json!(millis),
        Value::Vector(numbers) => json!(numbers),
    }
}

pub(super) async fn look(
    search: &dyn Search,
    ctx: &CallCtx,
    expected: &[ExpectDocument],
    found: &mut Findings,
) -> Result<()> {
    for expect in expected {
        let index = search.describe(ctx, &expect.index).await?;
        let at = match &expect.id {
            Some(id) => format!("document {id:?} of {:?}", expect.index),
            None => format!("index {:?}", expect.index),
        };
        let mut differences = Differences::new(at, found);
        let Some(info) = index else {
            if !expect.absent {
                differences.add("", "an index", "nothing");
            }
            continue;
        };
        if let Some(count) = expect.count.filter(|count| *count != info.documents) {
            let there = info.documents;
            differences.add(
                "",
                format!("{count} documents"),
                format!("{there} documents"),
            );
        }
        let Some(id) = &expect.id else {
            if expect.absent {
                differences.add("", "nothing", "an index");
            }
            continue;
        };
        match (search.get(ctx, &expect.index, id).await?, expect.absent) {
            (None, true) => {}
            (None, false) => differences.add("", "a document", "nothing"),
            (Some(_), true) => differences.add("", "nothing", "a document"),
            (Some(document), false) => {
                fields(&info.fields, &expect.fields, &document, &mut differences);
            }
        }
    }
    Ok(())
}

fn fields(
    declared: &[Field],
    expected: &BTreeMap<String, Json>,
    document: &Document,
    differences: &mut Differences<'_>,
) {
    for (name, wanted) in expected {
        let pointer = format!("/{name}");
        let kind = declared.iter().find(|field| field.name == *name);
        let wanted_value = kind.and_then(|field| value(&field.kind, wanted));
        match stuga_core::search::value(&document.fields, name) {
            None => differences.add(&pointer, shown(wanted), "nothing"),
            Some(there) if wanted_value.as_ref() == Some(there) => {}
            Some(there) => differences.add(&pointer, shown(wanted), shown(&json(there))),
        }
    }
}
