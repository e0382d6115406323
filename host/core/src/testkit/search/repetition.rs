//! Writes that come again.

use super::super::suite::{Case, cases};
use super::{INDEX, Shelf, change, create, ctx, delete, fields, price, put, text, words};
use crate::search::{Change, Search, SearchAck, SearchWrite};
use crate::{ErrorKind, Write};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        a_repeated_write_answers_the_same_and_changes_nothing,
        a_repeated_write_to_an_index_that_is_gone_answers_the_same,
        another_write_under_a_used_id_is_a_conflict,
        a_write_survives_being_written_down,
    ]
}

async fn a_repeated_write_answers_the_same_and_changes_nothing(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let update = Change::Update {
        id: "a".to_owned(),
        set: vec![price(1.0)],
        remove: vec!["text".to_owned()],
    };
    for write in [
        create("other", fields()),
        change(
            INDEX,
            vec![put("a", vec![text("ett")]), put("b", vec![text("ett")])],
        ),
        change(INDEX, vec![update]),
        change(INDEX, vec![delete("a")]),
    ] {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let ack = shelf.backend.apply(&ctx, id, &write).await.unwrap();
        shelf.change(vec![put("a", vec![text("bryggan")])]).await;
        let again = shelf.backend.apply(&ctx, id, &write).await.unwrap();
        assert_eq!(again, ack, "{}", write.operation());
        assert_eq!(shelf.get("a").await.unwrap().fields, [text("bryggan")]);
        assert_eq!(shelf.found(&words("bryggan")).await, ["a"]);
    }
}

async fn a_repeated_write_to_an_index_that_is_gone_answers_the_same(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let ctx = ctx();
    let (first, second) = (ctx.next_write_id().unwrap(), ctx.next_write_id().unwrap());
    let write = change(INDEX, vec![put("a", vec![text("ett")])]);
    let drop_index = SearchWrite::DropIndex {
        index: INDEX.to_owned(),
    };
    let ack = shelf.backend.apply(&ctx, first, &write).await.unwrap();
    shelf
        .backend
        .apply(&ctx, second, &drop_index)
        .await
        .unwrap();
    let again = shelf.backend.apply(&ctx, first, &write).await.unwrap();
    assert_eq!(again, ack);
    let dropped = shelf
        .backend
        .apply(&ctx, second, &drop_index)
        .await
        .unwrap();
    assert_eq!(dropped, SearchAck::Dropped(true));
    assert_eq!(shelf.backend.describe(&ctx, INDEX).await.unwrap(), None);
}

async fn another_write_under_a_used_id_is_a_conflict(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let first = change(INDEX, vec![put("a", vec![price(1.0)])]);
    shelf.backend.apply(&ctx, id, &first).await.unwrap();
    for other in [
        change(INDEX, vec![put("a", vec![price(1.5)])]),
        change(INDEX, vec![put("b", vec![price(1.0)])]),
        change(INDEX, vec![put("a", vec![price(1.0)]), delete("b")]),
        change("other", vec![put("a", vec![price(1.0)])]),
        change(INDEX, vec![delete("a")]),
        create("new", fields()),
    ] {
        let refused = shelf.backend.apply(&ctx, id, &other).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{other:?}");
    }
    assert_eq!(shelf.get("a").await.unwrap().fields, [price(1.0)]);
}

async fn a_write_survives_being_written_down(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let numbers = [0.1 + 0.2, f64::MIN_POSITIVE, -1e300, 1.0 / 3.0];
    for number in numbers {
        let write = change(INDEX, vec![put("a", vec![price(number)])]);
        let journal = serde_json::to_string(&write).unwrap();
        let read: SearchWrite = serde_json::from_str(&journal).unwrap();
        assert_eq!(read, write);
        shelf.apply(&read).await;
        assert_eq!(shelf.get("a").await.unwrap().fields, [price(number)]);
    }
}
