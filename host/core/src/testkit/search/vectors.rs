//! Finding by nearness, and by both.

use std::ops::Bound;

use super::super::suite::{Case, cases};
use super::{INDEX, Shelf, create, field, ids, price, put, tags, text, words};
use crate::search::{
    CANDIDATES, Change, Embedding, FieldKind, Filter, Near, Query, Search, Value, VectorPart,
    VectorSource,
};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        the_nearest_vectors_come_first,
        a_replaced_vector_is_found_where_it_is_now,
        a_document_without_a_vector_is_not_near,
        nearness_respects_a_filter,
        texts_are_found_by_what_the_host_makes_of_them,
        an_update_of_the_text_makes_its_vector_anew,
        words_and_nearness_are_fused_by_rank,
        equally_near_ones_come_in_the_order_of_their_ids,
        what_another_model_made_is_found_by_words_and_the_answer_says_so,
    ]
}

async fn plane(shelf: &Shelf) {
    let plane = Embedding {
        model: "plane-1".to_owned(),
        dimension: 2,
    };
    let declared = vec![
        field("at", FieldKind::Vector(VectorSource::Given(plane))),
        field("price", FieldKind::Number),
        field("tag", FieldKind::Keyword),
        field("text", FieldKind::Text(crate::search::Analyzer::Sv)),
    ];
    shelf.apply(&create(INDEX, declared)).await;
}

fn at(degrees: f32, length: f32) -> (String, Value) {
    let (y, x) = degrees.to_radians().sin_cos();
    ("at".to_owned(), Value::Vector(vec![x * length, y * length]))
}

fn toward(degrees: f32) -> Query {
    let (_, Value::Vector(vector)) = at(degrees, 3.0) else {
        unreachable!("`at` makes vectors");
    };
    Query {
        vector: Some(VectorPart {
            field: "at".to_owned(),
            near: Near::Vector(vector),
        }),
        ..Query::default()
    }
}

fn like(words: &str) -> Query {
    Query {
        vector: Some(VectorPart {
            field: "vec".to_owned(),
            near: Near::Words(words.to_owned()),
        }),
        ..Query::default()
    }
}

async fn the_nearest_vectors_come_first(shelf: Shelf) {
    plane(&shelf).await;
    let directions = [
        ("east", 0.0),
        ("north", 90.0),
        ("west", 180.0),
        ("northeast", 45.0),
    ];
    let changes = directions.map(|(id, degrees)| put(id, vec![at(degrees, degrees + 0.1)]));
    shelf.change(changes.to_vec()).await;
    let answer = shelf.query(&toward(10.0)).await;
    assert_eq!(ids(&answer), ["east", "northeast", "north", "west"]);
    assert_eq!(answer.total, 4);
    assert!(answer.degraded.is_none());
    let cosine = 10.0_f32.to_radians().cos();
    assert!(
        (answer.hits[0].score - cosine).abs() < 1e-3,
        "{}",
        answer.hits[0].score
    );
    let mut two = toward(170.0);
    two.limit = 2;
    assert_eq!(
        shelf.all_pages(&two).await,
        ["west", "north", "northeast", "east"]
    );
}

async fn a_replaced_vector_is_found_where_it_is_now(shelf: Shelf) {
    plane(&shelf).await;
    shelf
        .change(vec![
            put("a", vec![at(0.0, 1.0)]),
            put("b", vec![at(30.0, 1.0)]),
        ])
        .await;
    assert_eq!(shelf.found(&toward(0.0)).await, ["a", "b"]);
    shelf.change(vec![put("a", vec![at(180.0, 1.0)])]).await;
    assert_eq!(shelf.found(&toward(0.0)).await, ["b", "a"]);
    shelf.change(vec![super::delete("b")]).await;
    assert_eq!(shelf.found(&toward(0.0)).await, ["a"]);
}

async fn a_document_without_a_vector_is_not_near(shelf: Shelf) {
    plane(&shelf).await;
    assert!(shelf.found(&toward(0.0)).await.is_empty());
    shelf
        .change(vec![
            put("a", vec![text("stuga")]),
            put("b", vec![at(90.0, 1.0)]),
        ])
        .await;
    assert_eq!(shelf.found(&toward(0.0)).await, ["b"]);
    let remove = Change::Update {
        id: "b".to_owned(),
        set: Vec::new(),
        remove: vec!["at".to_owned()],
    };
    shelf.change(vec![remove]).await;
    assert!(shelf.found(&toward(0.0)).await.is_empty());
}

async fn nearness_respects_a_filter(shelf: Shelf) {
    plane(&shelf).await;
    let changes = (0..CANDIDATES + 50).map(|n| {
        let tag = if n % 10 == 9 { "rare" } else { "common" };
        let degrees = u16::try_from(n).unwrap();
        put(
            &format!("{n:03}"),
            vec![at(f32::from(degrees), 1.0), price(n as f64), tags(&[tag])],
        )
    });
    shelf.change(changes.collect()).await;
    let mut query = toward(0.0);
    query.facets = vec!["tag".to_owned()];
    let all = shelf.query(&query).await;
    assert_eq!(all.total, CANDIDATES as u64, "so many and no more are near");
    assert_eq!(all.facets[0].values[0], ("common".to_owned(), 90));
    query.filter = Some(Filter::Keyword {
        field: "tag".to_owned(),
        one_of: vec!["rare".to_owned()],
    });
    let rare = shelf.query(&query).await;
    assert_eq!(rare.total, 15);
    assert_eq!(ids(&rare)[..3], ["009", "019", "029"]);
    query.filter = Some(Filter::Number {
        field: "price".to_owned(),
        from: Bound::Included(1e6),
        to: Bound::Unbounded,
    });
    assert_eq!(shelf.query(&query).await.total, 0);
}

async fn texts_are_found_by_what_the_host_makes_of_them(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf
        .put_texts(&[
            ("cabin", "Den röda stugan vid sjön"),
            ("budget", "Kvartalets budget och prognos"),
            ("empty", "?!"),
        ])
        .await;
    let answer = shelf.query(&like("en röd stuga")).await;
    assert_eq!(ids(&answer)[0], "cabin");
    assert!(!ids(&answer).contains(&"empty"), "no words, no vector");
    assert!(answer.degraded.is_none());
    assert_eq!(shelf.found(&like("budgeten")).await[0], "budget");
    assert!(shelf.found(&like("!")).await.is_empty());
}

async fn an_update_of_the_text_makes_its_vector_anew(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf
        .put_texts(&[("a", "den röda stugan"), ("b", "kvartalets budget")])
        .await;
    let update = |set: Vec<(String, Value)>, remove: &[&str]| Change::Update {
        id: "a".to_owned(),
        set,
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
    };
    shelf.change(vec![update(vec![price(1.0)], &[])]).await;
    assert_eq!(shelf.found(&like("röda stugan")).await[0], "a");
    shelf
        .change(vec![update(vec![text("en kvarn vid bäcken")], &[])])
        .await;
    assert_eq!(shelf.found(&like("kvarn bäcken")).await[0], "a");
    shelf.change(vec![update(Vec::new(), &["text"])]).await;
    assert_eq!(shelf.found(&like("kvarn bäcken")).await, ["b"]);
}

async fn words_and_nearness_are_fused_by_rank(shelf: Shelf) {
    plane(&shelf).await;
    shelf
        .change(vec![
            put("far-by-both", vec![at(120.0, 1.0), text("båt")]),
            put("near", vec![at(0.0, 1.0), text("båt")]),
            put("near-and-worded", vec![at(20.0, 1.0), text("stugan")]),
            put("worded", vec![text("stugan och båten vid bryggan")]),
        ])
        .await;
    let query = Query {
        text: words("stugan").text,
        ..toward(0.0)
    };
    let answer = shelf.query(&query).await;
    // Second and first; then first alone, second alone, third alone.
    assert_eq!(
        ids(&answer),
        ["near-and-worded", "near", "worded", "far-by-both"]
    );
    assert!((answer.hits[0].score - (1.0 / 61.0 + 1.0 / 62.0)).abs() < 1e-5);
    assert_eq!(answer.total, 4);
    let paged = Query { limit: 1, ..query };
    assert_eq!(shelf.all_pages(&paged).await.len(), 4);
}

async fn equally_near_ones_come_in_the_order_of_their_ids(shelf: Shelf) {
    plane(&shelf).await;
    let ids: Vec<String> = (0..CANDIDATES + 20).map(|n| format!("{n:03}")).collect();
    let changes = ids.iter().rev().map(|id| put(id, vec![at(45.0, 1.0)]));
    shelf.change(changes.collect()).await;
    let query = Query {
        limit: 100,
        ..toward(45.0)
    };
    assert_eq!(shelf.found(&query).await, ids[..CANDIDATES]);
}

async fn what_another_model_made_is_found_by_words_and_the_answer_says_so(shelf: Shelf) {
    plane(&shelf).await;
    shelf
        .change(vec![
            put("a", vec![at(0.0, 1.0), text("stugan")]),
            put("b", vec![at(0.0, 1.0)]),
        ])
        .await;
    let mut query = toward(0.0);
    query.vector.as_mut().unwrap().near = Near::Words("en stuga".to_owned());
    let answer = shelf.query(&query).await;
    assert_eq!(ids(&answer), ["a"]);
    let reason = answer.degraded.unwrap();
    assert!(
        reason.contains("plane-1") && !reason.contains('\n'),
        "{reason}"
    );
}
