//! Writes that come again under their id.

use std::time::Duration;

use super::{AllFiles, ctx, delete, put, put_as, put_if};
use crate::ErrorKind;
use crate::files::{Expected, Files};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        a_repeated_put_answers_the_same_and_changes_nothing,
        a_repeated_put_needs_no_content_any_more,
        a_repeated_delete_answers_the_same_and_removes_nothing_new,
        another_write_under_a_used_id_is_a_conflict,
        a_put_that_failed_may_come_again_under_its_id,
        an_id_is_remembered_for_a_day,
    ]
}

async fn a_repeated_put_answers_the_same_and_changes_nothing(files: AllFiles) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let spooled = files.spool("first").await;
    let write = put_as("f", &spooled, "text/markdown", &[("a", "1")]);
    let ack = files.backend.apply(&ctx, id, &write).await.unwrap();
    files.clock.advance(Duration::from_secs(1));
    files.put("f", "second").await;
    let stands = files.get("f").await;
    assert_eq!(files.backend.apply(&ctx, id, &write).await.unwrap(), ack);
    assert_eq!(files.get("f").await, stands);
}

async fn a_repeated_put_needs_no_content_any_more(files: AllFiles) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put("f", &files.spool("gone soon").await);
    let ack = files.backend.apply(&ctx, id, &write).await.unwrap();
    files.delete("f").await;
    files.clock.advance(Duration::from_secs(2 * 3_600));
    files.put("occasion", "to tidy up").await;
    assert_eq!(files.backend.apply(&ctx, id, &write).await.unwrap(), ack);
    assert_eq!(files.get("f").await, None);
}

async fn a_repeated_delete_answers_the_same_and_removes_nothing_new(files: AllFiles) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    files.put("f", "first").await;
    let ack = files.backend.apply(&ctx, id, &delete("f")).await.unwrap();
    assert!(ack.existed);
    files.put("f", "second").await;
    let again = files.backend.apply(&ctx, id, &delete("f")).await.unwrap();
    assert_eq!(again, ack);
    assert_eq!(files.get("f").await.unwrap().content, b"second");
}

async fn another_write_under_a_used_id_is_a_conflict(files: AllFiles) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let (one, two) = (files.spool("one").await, files.spool("two").await);
    files
        .backend
        .apply(&ctx, id, &put("f", &one))
        .await
        .unwrap();
    let before = files.list_all(&ctx, "", 10).await;
    for other in [
        put("f", &two),
        put("g", &one),
        put_as("f", &one, "text/markdown", &[]),
        put_as("f", &one, "text/plain", &[("a", "1")]),
        put_if(Expected::Absent, "f", &one),
        put_if(Expected::Version(1), "f", &one),
        delete("f"),
    ] {
        let result = files.backend.apply(&ctx, id, &other).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict, "{other:?}");
    }
    assert_eq!(files.list_all(&ctx, "", 10).await, before);
}

async fn a_put_that_failed_may_come_again_under_its_id(files: AllFiles) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let mut never = files.spool("abc").await;
    never.sha256 = "0".repeat(64);
    let refused = files.backend.apply(&ctx, id, &put("f", &never)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    let good = put("f", &files.spool("abc").await);
    files.backend.apply(&ctx, id, &good).await.unwrap();
    assert_eq!(files.get("f").await.unwrap().content, b"abc");
}

async fn an_id_is_remembered_for_a_day(files: AllFiles) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put("f", &files.spool("a").await);
    let ack = files.backend.apply(&ctx, id, &write).await.unwrap();
    files
        .clock
        .advance(Duration::from_secs(24 * 3_600) - Duration::from_millis(1));
    files.delete("f").await;
    assert_eq!(files.backend.apply(&ctx, id, &write).await.unwrap(), ack);
    assert_eq!(files.stat("f").await, None);
}
