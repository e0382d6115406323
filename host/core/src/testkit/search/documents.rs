//! Documents as they are stored, changed and read back.

use std::time::Duration;

use super::super::suite::{Case, cases};
use super::{INDEX, Shelf, create, ctx, delete, field, price, put, tags, text, words};
use crate::search::{Change, Embedding, FieldKind, Fields, Query, Search, Value, VectorSource};
use crate::{Clock, ErrorKind};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        a_document_is_read_as_it_was_put,
        a_put_replaces_the_whole_document,
        an_update_changes_the_named_fields_only,
        an_update_of_an_absent_document_is_not_found,
        a_deleted_document_is_absent_for_reading_and_queries,
        changes_of_one_write_are_made_in_their_order,
        a_refused_change_leaves_the_whole_write_undone,
        given_vectors_are_read_back_and_made_ones_are_not,
    ]
}

fn whole() -> Fields {
    vec![
        ("date".to_owned(), Value::Date(-5)),
        ("price".to_owned(), Value::Number(0.1 + 0.2)),
        (
            "summary".to_owned(),
            Value::Text("Blue, as the lake".to_owned()),
        ),
        tags(&["b", "a", "b"]),
        text("Blått, som sjön.\n"),
    ]
}

async fn a_document_is_read_as_it_was_put(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let outcomes = shelf.change(vec![put("id/å 1", whole())]).await;
    assert!(!outcomes[0].existed);
    let document = shelf.get("id/å 1").await.unwrap();
    assert_eq!(
        (document.id.as_str(), &document.fields),
        ("id/å 1", &whole())
    );
    assert_eq!(document.version, outcomes[0].version);
    let now = shelf.clock.now();
    assert_eq!((document.created_at, document.updated_at), (now, now));
    let hit = shelf.query(&words("sjön")).await.hits.remove(0);
    assert_eq!(hit.document, document);
    assert_eq!(shelf.get("id/å 2").await, None);
}

async fn a_put_replaces_the_whole_document(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let first = shelf.change(vec![put("a", whole())]).await[0];
    let began = shelf.clock.now();
    shelf.clock.advance(Duration::from_secs(1));
    let second = shelf.change(vec![put("a", vec![text("kvarnen")])]).await[0];
    assert!(second.existed && second.version > first.version);
    let document = shelf.get("a").await.unwrap();
    assert_eq!(document.fields, [text("kvarnen")]);
    assert_eq!(document.created_at, began);
    assert_eq!(document.updated_at, shelf.clock.now());
    assert!(shelf.found(&words("sjön")).await.is_empty());
    assert_eq!(shelf.found(&words("kvarnen")).await, ["a"]);
    shelf.change(vec![delete("a")]).await;
    let third = shelf.change(vec![put("a", whole())]).await[0];
    assert!(!third.existed && third.version > second.version);
    assert_eq!(shelf.get("a").await.unwrap().created_at, shelf.clock.now());
}

async fn an_update_changes_the_named_fields_only(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let put = shelf.change(vec![put("a", whole())]).await[0];
    let update = Change::Update {
        id: "a".to_owned(),
        set: vec![price(2.0), tags(&["new"])],
        remove: vec!["date".to_owned(), "summary".to_owned()],
    };
    let outcome = shelf.change(vec![update]).await[0];
    assert!(outcome.existed && outcome.version > put.version);
    let document = shelf.get("a").await.unwrap();
    let expected = vec![price(2.0), tags(&["new"]), text("Blått, som sjön.\n")];
    assert_eq!(document.fields, expected);
    assert_eq!(shelf.found(&words("sjön")).await, ["a"], "the text stays");
    assert!(shelf.found(&words("lake")).await.is_empty());
    // Taking away what is not there is no error.
    let again = Change::Update {
        id: "a".to_owned(),
        set: Vec::new(),
        remove: vec!["date".to_owned()],
    };
    shelf.change(vec![again]).await;
    assert_eq!(shelf.get("a").await.unwrap().fields, expected);
}

async fn an_update_of_an_absent_document_is_not_found(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let update = Change::Update {
        id: "a".to_owned(),
        set: vec![price(2.0)],
        remove: Vec::new(),
    };
    let refused = shelf.try_change(vec![update]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(shelf.get("a").await, None);
}

async fn a_deleted_document_is_absent_for_reading_and_queries(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let put = shelf.change(vec![put("a", whole())]).await[0];
    let deleted = shelf.change(vec![delete("a")]).await[0];
    assert!(deleted.existed && deleted.version == put.version);
    assert_eq!(shelf.get("a").await, None);
    assert!(shelf.found(&words("sjön")).await.is_empty());
    assert!(shelf.found(&Query::default()).await.is_empty());
    let again = shelf.change(vec![delete("a")]).await[0];
    assert!(!again.existed && again.version == 0);
}

async fn changes_of_one_write_are_made_in_their_order(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let update = |words: &str| Change::Update {
        id: "a".to_owned(),
        set: vec![text(words)],
        remove: Vec::new(),
    };
    let outcomes = shelf
        .change(vec![
            put("a", vec![text("ett")]),
            update("brygga"),
            delete("a"),
            put("b", vec![text("havre")]),
            put("a", vec![text("bäck")]),
            update("kvarn"),
        ])
        .await;
    let existed: Vec<bool> = outcomes.iter().map(|outcome| outcome.existed).collect();
    assert_eq!(existed, [false, true, true, false, false, true]);
    assert_eq!(shelf.get("a").await.unwrap().fields, [text("kvarn")]);
    assert_eq!(shelf.found(&words("kvarn")).await, ["a"]);
    assert_eq!(shelf.found(&words("havre brygga bäck")).await, ["b"]);
}

async fn a_refused_change_leaves_the_whole_write_undone(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf.put_texts(&[("a", "ett")]).await;
    let absent = Change::Update {
        id: "nobody".to_owned(),
        set: Vec::new(),
        remove: Vec::new(),
    };
    let undeclared = put("c", vec![("unknown".to_owned(), Value::Number(1.0))]);
    for bad in [absent, undeclared] {
        let write = vec![put("a", vec![text("två")]), put("b", Vec::new()), bad];
        shelf.try_change(write).await.unwrap_err();
        assert_eq!(shelf.get("a").await.unwrap().fields, [text("ett")]);
        assert_eq!(shelf.get("b").await, None);
        assert_eq!(shelf.found(&Query::default()).await, ["a"]);
    }
}

async fn given_vectors_are_read_back_and_made_ones_are_not(shelf: Shelf) {
    let embedding = Embedding {
        model: "mini-1".to_owned(),
        dimension: 3,
    };
    let mut declared = super::fields();
    let given = FieldKind::Vector(VectorSource::Given(embedding));
    declared.push(field("vec2", given));
    shelf.apply(&create(INDEX, declared)).await;
    let vector = ("vec2".to_owned(), Value::Vector(vec![0.5, -2.0, 1e-3]));
    shelf
        .change(vec![put("a", vec![text("sjön"), vector.clone()])])
        .await;
    assert_eq!(
        shelf.get("a").await.unwrap().fields,
        [text("sjön"), vector.clone()]
    );
    // Another field's update leaves it as it is.
    let update = Change::Update {
        id: "a".to_owned(),
        set: vec![text("kvarnen")],
        remove: Vec::new(),
    };
    shelf.change(vec![update]).await;
    assert_eq!(
        shelf.get("a").await.unwrap().fields,
        [text("kvarnen"), vector]
    );
    let hit = shelf.query(&words("kvarnen")).await.hits.remove(0);
    assert_eq!(
        hit.document.fields,
        [text("kvarnen")],
        "hits come without vectors"
    );
    let update = Change::Update {
        id: "a".to_owned(),
        set: Vec::new(),
        remove: vec!["vec2".to_owned()],
    };
    shelf.change(vec![update]).await;
    assert_eq!(shelf.get("a").await.unwrap().fields, [text("kvarnen")]);
    let ctx = ctx();
    assert_eq!(shelf.backend.get(&ctx, INDEX, "b").await.unwrap(), None);
}
