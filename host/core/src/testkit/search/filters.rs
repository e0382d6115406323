//! Filters and sorting.

use std::ops::Bound;

use super::super::suite::{Case, cases};
use super::{Shelf, price, put, tags, text, words};
use crate::search::{Filter, Query, Search, Sort, Value};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        a_filter_lets_through_what_it_says,
        a_filter_does_not_change_the_rank,
        hits_are_sorted_by_a_field_and_then_by_id,
        a_sorted_query_still_needs_its_words,
    ]
}

/// Five documents: `d` has no price, `e` nothing at all.
async fn filled(shelf: Shelf) -> Shelf {
    let shelf = shelf.with_index().await;
    let date = |date: i64| ("date".to_owned(), Value::Date(date));
    shelf
        .change(vec![
            put(
                "a",
                vec![
                    date(-10),
                    price(1.0),
                    tags(&["red", "small"]),
                    text("stuga"),
                ],
            ),
            put(
                "b",
                vec![date(0), price(2.5), tags(&["red"]), text("stuga")],
            ),
            put(
                "c",
                vec![date(10), price(-3.0), tags(&["blue", "small"]), text("båt")],
            ),
            put("d", vec![date(20), tags(&["blue"]), text("stuga")]),
            put("e", Vec::new()),
        ])
        .await;
    shelf
}

fn tag(one_of: &[&str]) -> Filter {
    Filter::Keyword {
        field: "tag".to_owned(),
        one_of: one_of.iter().map(|tag| (*tag).to_owned()).collect(),
    }
}

fn priced(from: Bound<f64>, to: Bound<f64>) -> Filter {
    Filter::Number {
        field: "price".to_owned(),
        from,
        to,
    }
}

fn dated(from: Bound<i64>, to: Bound<i64>) -> Filter {
    Filter::Date {
        field: "date".to_owned(),
        from,
        to,
    }
}

async fn a_filter_lets_through_what_it_says(shelf: Shelf) {
    use Bound::{Excluded, Included, Unbounded};
    let shelf = filled(shelf).await;
    let cases: Vec<(Filter, &[&str])> = vec![
        (tag(&["red"]), &["a", "b"]),
        (tag(&["small", "blue"]), &["a", "c", "d"]),
        (tag(&["re"]), &[]),
        (priced(Included(1.0), Unbounded), &["a", "b"]),
        (priced(Excluded(1.0), Unbounded), &["b"]),
        (priced(Unbounded, Excluded(1.0)), &["c"]),
        (priced(Included(1.0), Included(1.0)), &["a"]),
        (priced(Included(3.0), Included(-3.0)), &[]),
        (priced(Unbounded, Unbounded), &["a", "b", "c"]),
        (dated(Included(0), Excluded(20)), &["b", "c"]),
        (dated(Unbounded, Included(-10)), &["a"]),
        (dated(Unbounded, Unbounded), &["a", "b", "c", "d"]),
        (Filter::All(vec![tag(&["red"]), tag(&["small"])]), &["a"]),
        (
            Filter::Any(vec![tag(&["red"]), dated(Included(20), Unbounded)]),
            &["a", "b", "d"],
        ),
        (Filter::None(vec![tag(&["red"])]), &["c", "d", "e"]),
        (
            Filter::None(vec![tag(&["red"]), priced(Unbounded, Unbounded)]),
            &["d", "e"],
        ),
        (Filter::All(Vec::new()), &["a", "b", "c", "d", "e"]),
        (Filter::Any(Vec::new()), &[]),
        (Filter::None(Vec::new()), &["a", "b", "c", "d", "e"]),
        (
            Filter::All(vec![
                Filter::Any(vec![tag(&["red"]), tag(&["blue"])]),
                Filter::None(vec![Filter::All(vec![
                    tag(&["small"]),
                    priced(Unbounded, Included(0.0)),
                ])]),
            ]),
            &["a", "b", "d"],
        ),
    ];
    for (filter, expected) in cases {
        let query = Query {
            filter: Some(filter),
            ..Query::default()
        };
        let answer = shelf.query(&query).await;
        assert_eq!(super::ids(&answer), expected, "{:?}", query.filter);
        assert_eq!(answer.total, expected.len() as u64);
    }
}

async fn a_filter_does_not_change_the_rank(shelf: Shelf) {
    let shelf = filled(shelf).await;
    let mut query = words("stuga båt");
    let before = shelf.query(&query).await;
    assert_eq!(super::ids(&before), ["c", "a", "b", "d"]);
    query.filter = Some(Filter::None(vec![tag(&["nothing"])]));
    let after = shelf.query(&query).await;
    assert_eq!(super::ids(&after), ["c", "a", "b", "d"]);
    query.filter = Some(tag(&["small"]));
    assert_eq!(shelf.found(&query).await, ["c", "a"]);
}

async fn hits_are_sorted_by_a_field_and_then_by_id(shelf: Shelf) {
    let shelf = filled(shelf).await;
    let cases: [(&str, bool, [&str; 5]); 6] = [
        ("price", false, ["c", "a", "b", "d", "e"]),
        ("price", true, ["b", "a", "c", "d", "e"]),
        ("date", false, ["a", "b", "c", "d", "e"]),
        ("date", true, ["d", "c", "b", "a", "e"]),
        // Of several keywords the first counts.
        ("tag", false, ["c", "d", "a", "b", "e"]),
        ("tag", true, ["a", "b", "c", "d", "e"]),
    ];
    for (field, descending, expected) in cases {
        let query = Query {
            sort: Some(Sort {
                field: field.to_owned(),
                descending,
            }),
            ..Query::default()
        };
        let answer = shelf.query(&query).await;
        assert_eq!(super::ids(&answer), expected, "{field} {descending}");
        assert!(answer.hits.iter().all(|hit| hit.score == 0.0));
        let paged = Query { limit: 2, ..query };
        assert_eq!(shelf.all_pages(&paged).await, expected);
    }
}

async fn a_sorted_query_still_needs_its_words(shelf: Shelf) {
    let shelf = filled(shelf).await;
    let mut query = words("stugor");
    query.sort = Some(Sort {
        field: "date".to_owned(),
        descending: true,
    });
    assert_eq!(shelf.found(&query).await, ["d", "b", "a"]);
}
