//! What is sent to find documents. Nothing is sent here.

use std::ops::Bound;

use serde_json::{Map, Value as Json, json};
use stuga_core::search::check::find;
use stuga_core::search::{CANDIDATES, FACET_VALUES_MAX, Field, FieldKind, Filter, Operator, Sort};
use stuga_core::{Error, Result};

use super::shape::{first, indexed};

/// Most terms of a query: what OpenSearch takes by default, less room for the filter.
const CLAUSES_MAX: usize = 900;
/// Up to so many documents every vector is compared, which is exact; above, the graph is asked.
pub(super) const EXACT_MAX_DOCUMENTS: u64 = 10_000;

/// What matches the words: `groups` are the words of the query, each with the terms that stand for it by place of the
/// field among `texts`.
///
/// # Errors
/// `Invalid` when there are more terms than a domain looks for at once.
pub(super) fn by_words(
    operation: &'static str,
    texts: &[&str],
    groups: &[Vec<(usize, String)>],
    operator: Operator,
) -> Result<Json> {
    let terms: usize = groups.iter().map(Vec::len).sum();
    if terms > CLAUSES_MAX {
        return Err(Error::invalid(
            operation,
            format!(
                "the words of the query in all fields make {terms} terms; the cloud looks for at most {CLAUSES_MAX}: choose fewer fields"
            ),
        )
        .with_context("limit", CLAUSES_MAX));
    }
    let (mut must, mut should) = (Vec::new(), Vec::new());
    for group in groups {
        let terms = group.iter().filter_map(|(place, term)| {
            let text = texts.get(*place)?;
            Some(json!({"term": {*text: {"value": term}}}))
        });
        let word = any_of(terms.collect());
        match operator {
            Operator::All if group.len() >= texts.len() => must.push(word),
            _ => should.push(word),
        }
    }
    Ok(match must.is_empty() {
        true => any_of(should),
        false => json!({"bool": {"must": must, "should": should}}),
    })
}

fn any_of(mut parts: Vec<Json>) -> Json {
    match parts.len() {
        0 => json!({"match_none": {}}),
        1 => parts.remove(0),
        _ => json!({"bool": {"should": parts, "minimum_should_match": 1}}),
    }
}

/// `query` restricted to what passes the filters, which do not count for the rank; without a query everything that passes.
pub(super) fn filtered(query: Option<Json>, filters: Vec<Json>) -> Json {
    match (query, filters.is_empty()) {
        (Some(query), true) => query,
        (Some(query), false) => json!({"bool": {"must": [query], "filter": filters}}),
        (None, true) => json!({"match_all": {}}),
        (None, false) => json!({"bool": {"filter": filters}}),
    }
}

/// A checked filter, so of bounded depth.
pub(super) fn filter(filter: &Filter) -> Json {
    let all = |parts: &[Filter]| parts.iter().map(self::filter).collect::<Vec<_>>();
    match filter {
        Filter::Keyword { field, one_of } => {
            json!({"terms": {indexed(&FieldKind::Keyword, field): one_of}})
        }
        Filter::Number { field, from, to } => range(&indexed(&FieldKind::Number, field), from, to),
        Filter::Date { field, from, to } => range(&indexed(&FieldKind::Date, field), from, to),
        Filter::All(parts) if parts.is_empty() => json!({"match_all": {}}),
        Filter::All(parts) => json!({"bool": {"filter": all(parts)}}),
        Filter::Any(parts) => any_of(all(parts)),
        Filter::None(parts) => json!({"bool": {"must_not": all(parts)}}),
    }
}

fn range<T: serde::Serialize>(field: &str, from: &Bound<T>, to: &Bound<T>) -> Json {
    let mut ends = Map::new();
    for (bound, included, excluded) in [(from, "gte", "gt"), (to, "lte", "lt")] {
        match bound {
            Bound::Included(end) => ends.insert(included.to_owned(), json!(end)),
            Bound::Excluded(end) => ends.insert(excluded.to_owned(), json!(end)),
            Bound::Unbounded => None,
        };
    }
    match ends.is_empty() {
        true => json!({"exists": {"field": field}}),
        false => json!({"range": {field: ends}}),
    }
}

/// What is near to a vector of length 1, with the cosine as the score, which is made of it: see [`cosine`].
pub(super) fn near(field: &str, vector: &[f32], filter: Option<Json>, documents: u64) -> Json {
    let field = format!("v_{field}");
    if documents > EXACT_MAX_DOCUMENTS {
        let mut near = json!({"vector": vector, "k": CANDIDATES});
        if let (Some(filter), Json::Object(near)) = (filter, &mut near) {
            near.insert("filter".to_owned(), filter);
        }
        return json!({"knn": {field: near}});
    }
    let mut filters = vec![json!({"exists": {"field": field}})];
    filters.extend(filter);
    json!({"script_score": {
        "query": {"bool": {"filter": filters}},
        "script": {
            "lang": "knn",
            "source": "knn_score",
            "params": {"field": field, "query_value": vector, "space_type": "cosinesimil"},
        },
    }})
}

/// The cosine that a score of [`near`] says: OpenSearch's is never negative.
pub(super) fn cosine(score: f32) -> f32 {
    score * 2.0 - 1.0
}

/// The best first, of equal ones in the order of the ids' bytes.
pub(super) fn by_score() -> Json {
    json!([{"_score": "desc"}, {"id": "asc"}])
}

/// By a field or, without one, by the ids.
pub(super) fn by_field(sort: Option<&Sort>, fields: &[Field]) -> Json {
    let Some(Sort { field, descending }) = sort else {
        return json!([{"id": "asc"}]);
    };
    let kind = find(fields, field).map(|field| &field.kind);
    let name = match kind {
        Some(FieldKind::Keyword) | None => first(field),
        Some(kind) => indexed(kind, field),
    };
    let order = if *descending { "desc" } else { "asc" };
    json!([{name: {"order": order, "missing": "_last"}}, {"id": "asc"}])
}

/// Counts the values of keyword fields, each under its place.
pub(super) fn facets(fields: &[String]) -> Json {
    let counts = fields.iter().enumerate().map(|(place, field)| {
        let terms = json!({"terms": {
            "field": indexed(&FieldKind::Keyword, field),
            "size": FACET_VALUES_MAX,
            "order": [{"_count": "desc"}, {"_key": "asc"}],
        }});
        (place.to_string(), terms)
    });
    Json::Object(counts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_one_field_leaves_out_is_not_needed() {
        let groups = vec![
            vec![(0, "och".to_owned())],
            vec![(0, "sjön".to_owned()), (1, "sjön".to_owned())],
        ];
        let query = by_words("search.query", &["t_a", "t_b"], &groups, Operator::All).unwrap();
        assert_eq!(query["bool"]["must"].as_array().unwrap().len(), 1);
        assert_eq!(query["bool"]["should"].as_array().unwrap().len(), 1);
        let none = by_words("search.query", &["t_a"], &[], Operator::Any).unwrap();
        assert_eq!(none, json!({"match_none": {}}));
    }

    #[test]
    fn more_terms_than_a_domain_takes_are_refused_with_the_fix() {
        let group = |n: usize| (0..30).map(|place| (place, format!("w{n}"))).collect();
        let groups: Vec<_> = (0..31).map(group).collect();
        let texts = ["t_a"; 30];
        let refused = by_words("search.query", &texts, &groups, Operator::Any).unwrap_err();
        assert!(refused.message().contains("fewer fields"), "{refused}");
    }

    #[test]
    fn a_filter_keeps_its_meaning_at_its_edges() {
        assert_eq!(filter(&Filter::All(Vec::new())), json!({"match_all": {}}));
        assert_eq!(filter(&Filter::Any(Vec::new())), json!({"match_none": {}}));
        let open = Filter::Date {
            field: "date".to_owned(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
        };
        assert_eq!(filter(&open), json!({"exists": {"field": "d_date"}}));
    }
}
