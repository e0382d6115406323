//! Making, describing and dropping indices.

use super::super::suite::{Case, cases};
use super::{Shelf, create, ctx, field, fields, put, text, words};
use crate::search::{Analyzer, Embedding, FieldKind, Search, SearchAck, SearchWrite, VectorSource};
use crate::{Clock, ErrorKind};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        an_index_is_described_as_it_was_declared,
        making_the_same_index_again_changes_nothing,
        making_it_with_other_fields_is_a_conflict,
        indices_are_listed_in_the_order_of_their_names,
        a_dropped_index_is_absent_with_its_documents,
        an_index_counts_its_documents_and_bytes,
        what_names_no_index_is_not_found,
    ]
}

async fn an_index_is_described_as_it_was_declared(shelf: Shelf) {
    let mut declared = fields();
    let given = Embedding {
        model: "mini-1".to_owned(),
        dimension: 3,
    };
    declared.push(field(
        "vec2",
        FieldKind::Vector(VectorSource::Given(given.clone())),
    ));
    let ack = shelf.apply(&create("notes", declared.clone())).await;
    assert_eq!(ack, SearchAck::Created(true));
    let info = shelf
        .backend
        .describe(&ctx(), "notes")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((info.name.as_str(), &info.fields), ("notes", &declared));
    assert_eq!((info.documents, info.bytes), (0, 0));
    assert_eq!(info.created_at, shelf.clock.now());
    let [(made, by_host), (second, by_agent)] = info.embeddings.as_slice() else {
        panic!("{:?}", info.embeddings);
    };
    assert_eq!((made.as_str(), second.as_str()), ("vec", "vec2"));
    assert!(!by_host.model.is_empty() && by_host.dimension > 0);
    assert_eq!(*by_agent, given);
    assert_eq!(shelf.backend.describe(&ctx(), "other").await.unwrap(), None);
}

async fn making_the_same_index_again_changes_nothing(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf.change(vec![put("a", vec![text("stugan")])]).await;
    let ack = shelf.apply(&create("notes", fields())).await;
    assert_eq!(ack, SearchAck::Created(false));
    assert_eq!(shelf.found(&words("stugan")).await, ["a"]);
}

async fn making_it_with_other_fields_is_a_conflict(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let mut fewer = fields();
    fewer.pop();
    let mut others = fields();
    others[4].kind = FieldKind::Text(Analyzer::Simple);
    for declared in [fewer, others] {
        let refused = shelf.try_apply(&ctx(), &create("notes", declared)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    }
}

async fn indices_are_listed_in_the_order_of_their_names(shelf: Shelf) {
    assert!(shelf.backend.indices(&ctx()).await.unwrap().is_empty());
    for name in ["b", "a-1", "c", "a"] {
        shelf.apply(&create(name, fields())).await;
    }
    let all = shelf.backend.indices(&ctx()).await.unwrap();
    let names: Vec<&str> = all.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["a", "a-1", "b", "c"]);
}

async fn a_dropped_index_is_absent_with_its_documents(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    shelf.change(vec![put("a", vec![text("stugan")])]).await;
    assert_eq!(shelf.found(&words("stugan")).await, ["a"]);
    let drop_index = SearchWrite::DropIndex {
        index: "notes".to_owned(),
    };
    assert_eq!(shelf.apply(&drop_index).await, SearchAck::Dropped(true));
    assert_eq!(shelf.apply(&drop_index).await, SearchAck::Dropped(false));
    assert_eq!(shelf.backend.describe(&ctx(), "notes").await.unwrap(), None);
    let refused = shelf.try_query(&words("stugan")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    // A new one of that name begins empty.
    let shelf = shelf.with_index().await;
    assert!(shelf.found(&words("stugan")).await.is_empty());
    assert_eq!(shelf.get("a").await, None);
    shelf.change(vec![put("b", vec![text("stugan")])]).await;
    assert_eq!(shelf.found(&words("stugan")).await, ["b"]);
}

async fn an_index_counts_its_documents_and_bytes(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let count = async || {
        let info = shelf
            .backend
            .describe(&ctx(), "notes")
            .await
            .unwrap()
            .unwrap();
        (info.documents, info.bytes)
    };
    shelf
        .change(vec![put("a", vec![text("stugan")]), put("b", Vec::new())])
        .await;
    let (documents, bytes) = count().await;
    assert_eq!(documents, 2);
    shelf
        .change(vec![put("a", vec![text("stugan vid sjön")])])
        .await;
    let (documents, more) = count().await;
    assert!(documents == 2 && more > bytes);
    shelf
        .change(vec![super::delete("a"), super::delete("b")])
        .await;
    assert_eq!(count().await, (0, 0));
}

async fn what_names_no_index_is_not_found(shelf: Shelf) {
    let ctx = ctx();
    let write = super::change("nowhere", vec![put("a", Vec::new())]);
    let refusals = [
        shelf.try_apply(&ctx, &write).await.unwrap_err(),
        shelf.backend.get(&ctx, "nowhere", "a").await.unwrap_err(),
        shelf
            .backend
            .query(&ctx, "nowhere", &words("x"))
            .await
            .unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    }
}
