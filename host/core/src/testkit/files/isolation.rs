//! Two tenants with two agents each, all using the same paths.

use super::{AllFiles, delete, put};
use crate::files::Files;
use crate::testkit::ctx;
use crate::testkit::suite::{Case, cases};
use crate::{CallCtx, ErrorKind};

/// Names chosen so that any way to glue tenant and agent together would make two of them equal.
const SCOPES: [(&str, &str); 4] = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "b-c")];

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        nobody_sees_what_another_put,
        everybody_has_files_of_their_own_at_the_same_paths,
        nobody_deletes_what_another_put,
        a_tenant_cannot_name_a_content_that_only_another_spooled,
        equal_contents_of_two_tenants_do_not_share_their_fate,
    ]
}

fn everybody() -> Vec<CallCtx> {
    SCOPES.map(|(tenant, agent)| ctx(tenant, agent)).into()
}

fn mark(ctx: &CallCtx) -> String {
    format!("{} of {}", ctx.agent, ctx.tenant)
}

async fn nobody_sees_what_another_put(files: AllFiles) {
    let all = everybody();
    files.put_by(&all[0], "f", "secret").await;
    for other in &all[1..] {
        assert_eq!(files.backend.get(other, "f").await.unwrap(), None);
        assert_eq!(files.backend.stat(other, "f").await.unwrap(), None);
        assert!(files.list_all(other, "", 10).await.is_empty());
    }
}

async fn everybody_has_files_of_their_own_at_the_same_paths(files: AllFiles) {
    let all = everybody();
    for ctx in &all {
        files.put_by(ctx, "d/1", &mark(ctx)).await;
        files.put_by(ctx, "d/2", &mark(ctx)).await;
    }
    for ctx in &all {
        let file = files.backend.get(ctx, "d/1").await.unwrap().unwrap();
        assert_eq!(file.content, mark(ctx).into_bytes());
        assert_eq!(files.list_all(ctx, "d/", 1).await.len(), 2);
    }
}

async fn nobody_deletes_what_another_put(files: AllFiles) {
    let all = everybody();
    files.put_by(&all[0], "f", "mine").await;
    for other in &all[1..] {
        let id = other.next_write_id().unwrap();
        let ack = files.backend.apply(other, id, &delete("f")).await.unwrap();
        assert!(!ack.existed);
    }
    assert!(files.backend.get(&all[0], "f").await.unwrap().is_some());
}

async fn a_tenant_cannot_name_a_content_that_only_another_spooled(files: AllFiles) {
    let (one, other) = (ctx("a", "b"), ctx("a-b", "b"));
    let spooled = files.backend.spool(&one, b"secret").await.unwrap();
    let id = other.next_write_id().unwrap();
    let stolen = files.backend.apply(&other, id, &put("f", &spooled)).await;
    assert_eq!(stolen.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(files.backend.get(&other, "f").await.unwrap(), None);
}

async fn equal_contents_of_two_tenants_do_not_share_their_fate(files: AllFiles) {
    let (one, other) = (ctx("a", "b"), ctx("a-b", "b"));
    files.put_by(&one, "f", "same").await;
    files.put_by(&other, "f", "same").await;
    let id = one.next_write_id().unwrap();
    files.backend.apply(&one, id, &delete("f")).await.unwrap();
    files
        .clock
        .advance(std::time::Duration::from_secs(2 * 3_600));
    files.put_by(&one, "occasion", "to tidy up").await;
    let file = files.backend.get(&other, "f").await.unwrap().unwrap();
    assert_eq!(file.content, b"same");
}
