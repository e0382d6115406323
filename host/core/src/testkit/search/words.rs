//! Finding by words: analysis, fields, operators, order, highlights.

use super::super::suite::{Case, cases};
use super::{INDEX, Shelf, create, field, ids, put, text, words};
use crate::search::{Analyzer, FieldKind, Freshness, Operator, Query, Search, Value};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        forms_of_a_swedish_word_find_each_other,
        swedish_letters_are_not_their_neighbours,
        forms_of_an_english_word_find_each_other,
        a_simple_text_is_found_by_its_words_as_they_are,
        frequent_words_alone_match_nothing,
        one_word_is_enough_or_all_are_needed,
        all_words_may_stand_in_different_fields,
        only_the_chosen_fields_are_looked_into,
        rarer_and_more_words_rank_higher,
        equal_ones_come_in_the_order_of_their_ids,
        the_matching_part_is_shown_with_its_words_marked,
        without_words_everything_comes_in_the_order_of_the_ids,
        a_fresh_query_finds_every_acknowledged_write,
        a_fast_query_finds_what_a_fresh_one_found,
    ]
}

async fn forms_of_a_swedish_word_find_each_other(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf
        .put_texts(&[
            ("meeting", "Mötet om stugorna hölls på torsdagen."),
            ("other", "Kvarnen maler havre."),
        ])
        .await;
    for form in ["möten", "möte", "MÖTET", "stuga", "stugan", "torsdag"] {
        assert_eq!(shelf.found(&words(form)).await, ["meeting"], "{form}");
    }
}

async fn swedish_letters_are_not_their_neighbours(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf
        .put_texts(&[("hair", "långt hår"), ("beer", "kallt öl")])
        .await;
    assert_eq!(shelf.found(&words("hår")).await, ["hair"]);
    assert!(shelf.found(&words("har")).await.is_empty());
    assert!(shelf.found(&words("ol")).await.is_empty());
    // Letter and mark, as some file systems write it.
    assert_eq!(shelf.found(&words("ha\u{30a}r")).await, ["hair"]);
}

async fn forms_of_an_english_word_find_each_other(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let summary = |words: &str| vec![("summary".to_owned(), Value::Text(words.to_owned()))];
    shelf
        .change(vec![
            put("a", summary("The meetings were running late.")),
            put("b", summary("A quiet mill")),
        ])
        .await;
    for form in ["meeting", "run", "Runs"] {
        assert_eq!(shelf.found(&words(form)).await, ["a"], "{form}");
    }
}

async fn a_simple_text_is_found_by_its_words_as_they_are(shelf: Shelf) {
    let declared = vec![field("text", FieldKind::Text(Analyzer::Simple))];
    shelf.apply(&create(INDEX, declared)).await;
    shelf.put_texts(&[("a", "Och mötet, RFC-9457!")]).await;
    for word in ["och", "Mötet", "rfc", "9457"] {
        assert_eq!(shelf.found(&words(word)).await, ["a"], "{word}");
    }
    assert!(shelf.found(&words("möten")).await.is_empty());
    assert!(shelf.found(&words("945")).await.is_empty());
}

async fn frequent_words_alone_match_nothing(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf
        .put_texts(&[("a", "jag och du"), ("b", "stugan")])
        .await;
    let answer = shelf.query(&words("och")).await;
    assert_eq!((answer.hits.len(), answer.total), (0, 0));
    assert!(shelf.found(&words("")).await.is_empty());
    assert!(shelf.found(&words("?! …")).await.is_empty());
    assert_eq!(shelf.found(&words("och stugan")).await, ["b"]);
}

fn all(of: &str) -> Query {
    let mut query = words(of);
    if let Some(text) = &mut query.text {
        text.operator = Operator::All;
    }
    query
}

async fn one_word_is_enough_or_all_are_needed(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf
        .put_texts(&[("a", "röd stuga"), ("b", "röd båt"), ("c", "blå båt")])
        .await;
    let mut any = shelf.found(&words("röd stuga")).await;
    assert_eq!(any[0], "a");
    any.sort();
    assert_eq!(any, ["a", "b"]);
    assert_eq!(shelf.found(&all("röd och stuga")).await, ["a"]);
    assert!(shelf.found(&all("röd stuga kvarn")).await.is_empty());
}

async fn all_words_may_stand_in_different_fields(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let both = vec![
        ("summary".to_owned(), Value::Text("a red cabin".to_owned())),
        text("vid sjön"),
    ];
    shelf
        .change(vec![put("a", both), put("b", vec![text("sjön")])])
        .await;
    assert_eq!(shelf.found(&all("cabin sjön")).await, ["a"]);
}

async fn only_the_chosen_fields_are_looked_into(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let english = vec![("summary".to_owned(), Value::Text("kvarn".to_owned()))];
    shelf
        .change(vec![put("a", english), put("b", vec![text("kvarn")])])
        .await;
    let mut query = words("kvarn");
    for (fields, expected) in [(["summary"], "a"), (["text"], "b")] {
        query.text.as_mut().unwrap().fields = fields.map(str::to_owned).to_vec();
        assert_eq!(shelf.found(&query).await, [expected]);
    }
}

async fn rarer_and_more_words_rank_higher(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let mut texts = vec![
        ("both", "stugan vid kvarnen"),
        ("rare", "kvarnen vid bäcken"),
    ];
    let common: Vec<String> = (0..8).map(|n| format!("common-{n}")).collect();
    texts.extend(common.iter().map(|id| (id.as_str(), "stugan vid bäcken")));
    shelf.put_texts(&texts).await;
    let found = shelf.found(&words("stugan kvarnen")).await;
    assert_eq!(found[..2], ["both", "rare"]);
    assert_eq!(found.len(), 10);
}

async fn equal_ones_come_in_the_order_of_their_ids(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    for id in ["b", "d", "å", "a", "c"] {
        shelf.put_texts(&[(id, "samma text")]).await;
    }
    assert_eq!(shelf.found(&words("text")).await, ["a", "b", "c", "d", "å"]);
    let mut two = words("text");
    two.limit = 2;
    assert_eq!(shelf.found(&two).await, ["a", "b"]);
}

async fn the_matching_part_is_shown_with_its_words_marked(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let filler = "blåbär lingon hjortron ".repeat(40);
    let long = format!("{filler}Mötet om stugorna hölls. {filler}");
    shelf.put_texts(&[("a", &long), ("b", "stugan")]).await;
    let mut query = words("möten stuga");
    query.highlight = vec!["text".to_owned(), "summary".to_owned()];
    let answer = shelf.query(&query).await;
    for hit in &answer.hits {
        let [shown] = hit.highlights.as_slice() else {
            panic!("{:?}", hit.highlights);
        };
        assert_eq!(shown.field, "text");
        assert!(shown.fragment.len() <= 240);
        let marked = shown.marks.iter().map(|at| &shown.fragment[at.clone()]);
        let expected: &[&str] = match hit.document.id.as_str() {
            "a" => &["Mötet", "stugorna"],
            _ => &["stugan"],
        };
        assert_eq!(marked.collect::<Vec<_>>(), expected);
    }
    assert_eq!(answer.hits.len(), 2);
    query.text = None;
    let unmarked = shelf.query(&query).await;
    assert!(unmarked.hits.iter().all(|hit| hit.highlights.is_empty()));
}

async fn without_words_everything_comes_in_the_order_of_the_ids(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    assert_eq!(
        shelf.query(&Query::default()).await,
        crate::search::Answer::default()
    );
    shelf
        .put_texts(&[("b", "x"), ("ab", "y"), ("å", "x"), ("a", "y")])
        .await;
    let answer = shelf.query(&Query::default()).await;
    assert_eq!(ids(&answer), ["a", "ab", "b", "å"]);
    assert!(answer.hits.iter().all(|hit| hit.score == 0.0));
    assert_eq!(answer.total, 4);
}

async fn a_fresh_query_finds_every_acknowledged_write(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    for n in 0..20 {
        let id = format!("{:02}", n % 5);
        let word = format!("ord{n}");
        shelf.put_texts(&[(&id, &word)]).await;
        assert_eq!(shelf.found(&words(&word)).await, [id], "{word}");
        if n >= 5 {
            let replaced = format!("ord{}", n - 5);
            assert!(shelf.found(&words(&replaced)).await.is_empty());
        }
    }
}

async fn a_fast_query_finds_what_a_fresh_one_found(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let mut fast = words("stugan");
    fast.freshness = Freshness::Fast;
    assert!(shelf.found(&fast).await.is_empty());
    shelf.put_texts(&[("a", "stugan")]).await;
    assert_eq!(shelf.found(&words("stugan")).await, ["a"]);
    assert_eq!(shelf.found(&fast).await, ["a"]);
}
