//! Facets and totals.

use super::super::suite::{Case, cases};
use super::{Shelf, put, tags, text, words};
use crate::search::{FACET_VALUES_MAX, Filter, Query, Search};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        facets_count_the_documents_that_match,
        a_facet_hands_out_its_most_frequent_values,
        total_counts_beyond_the_page,
    ]
}

fn facets(mut query: Query) -> Query {
    query.facets = vec!["tag".to_owned()];
    query
}

async fn facets_count_the_documents_that_match(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let empty = shelf.query(&facets(Query::default())).await;
    assert_eq!(empty.facets.len(), 1);
    assert!(empty.facets[0].values.is_empty());
    shelf
        .change(vec![
            put("a", vec![tags(&["red", "small"]), text("stuga")]),
            put("b", vec![tags(&["red", "red"]), text("stuga")]),
            put("c", vec![tags(&["blue"]), text("båt")]),
            put("d", vec![text("stuga")]),
        ])
        .await;
    let counted = async |query: Query| {
        let answer = shelf.query(&facets(query)).await;
        assert_eq!(answer.facets[0].field, "tag");
        let values = answer.facets.into_iter().next().unwrap().values;
        values
            .into_iter()
            .map(|(value, count)| format!("{value} {count}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        counted(Query::default()).await,
        ["red 2", "blue 1", "small 1"]
    );
    let mut one = words("stugor");
    one.limit = 1;
    assert_eq!(counted(one).await, ["red 2", "small 1"], "beyond the page");
    let filter = Filter::Keyword {
        field: "tag".to_owned(),
        one_of: vec!["blue".to_owned(), "small".to_owned()],
    };
    let filtered = Query {
        filter: Some(filter),
        ..Query::default()
    };
    assert_eq!(counted(filtered).await, ["blue 1", "red 1", "small 1"]);
}

async fn a_facet_hands_out_its_most_frequent_values(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let many: Vec<String> = (0..FACET_VALUES_MAX + 20)
        .map(|n| format!("t{n:03}"))
        .collect();
    let changes = many.iter().map(|tag| put(tag, vec![tags(&[tag, "zz"])]));
    shelf.change(changes.collect()).await;
    let answer = shelf.query(&facets(Query::default())).await;
    let values = &answer.facets[0].values;
    assert_eq!(values.len(), FACET_VALUES_MAX);
    assert_eq!(values[0], ("zz".to_owned(), many.len() as u64));
    assert_eq!(
        (values[1].0.as_str(), values[99].0.as_str()),
        ("t000", "t098")
    );
}

async fn total_counts_beyond_the_page(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let changes = (0..30).map(|n| put(&format!("{n:02}"), vec![text("stuga")]));
    shelf.change(changes.collect()).await;
    let mut query = words("stugan");
    query.limit = 7;
    let answer = shelf.query(&query).await;
    assert_eq!((answer.hits.len(), answer.total), (7, 30));
}
