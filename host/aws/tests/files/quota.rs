//! What a tenant may store, as far as this host can know it.

use std::sync::Arc;

use stuga_aws::{Aws, CloudQuotas};
use stuga_core::files::{Expected, Files, FilesAck, FilesWrite};
use stuga_core::testkit::ctx;
use stuga_core::{Error, ErrorKind, Result, TenantId};

use super::stage::{Stage, acme, apply, put, versions, write};

const QUOTAS: CloudQuotas = CloudQuotas {
    files_bytes: 10,
    files_count: 3,
    search_documents: u64::MAX,
    search_bytes: u64::MAX,
    mailbox_messages: u64::MAX,
};

fn limited(stage: &Stage) -> Aws {
    let aws = stage.host();
    aws.set_quotas(&TenantId::new("acme").unwrap(), QUOTAS);
    aws
}

async fn try_write(files: &dyn Files, path: &str, content: &str) -> Result<FilesAck> {
    let spooled = files.spool(&acme(), content.as_bytes()).await.unwrap();
    apply(files, &put(path, &spooled, Expected::Any)).await
}

/// Which limit a write was refused for.
fn limit(refused: Result<FilesAck, Error>) -> String {
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded, "{refused}");
    refused.context_value("quota").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_held_to_its_bytes_and_paths_and_a_purge_makes_room() {
    let stage = Stage::ministack().await;
    let aws = limited(&stage);
    let files: Arc<dyn Files> = aws.files().unwrap();
    write(&*files, "a", "12345").await;
    write(&*files, "b", "1234").await;
    assert_eq!(limit(try_write(&*files, "c", "12").await), "files_bytes");
    assert_eq!(files.get(&acme(), "c").await.unwrap(), None);
    write(&*files, "c", "1").await;
    assert_eq!(limit(try_write(&*files, "d", "").await), "files_count");
    // A neighbour's files are the neighbour's.
    let (globex, content) = (ctx("globex", "scribe"), [b'x'; 64]);
    let spooled = files.spool(&globex, &content).await.unwrap();
    let id = globex.next_write_id().unwrap();
    let theirs = put("a", &spooled, Expected::Any);
    files.apply(&globex, id, &theirs).await.unwrap();

    let purge = FilesWrite::Purge {
        path: "b".to_owned(),
    };
    assert!(apply(&*files, &purge).await.unwrap().existed);
    write(&*files, "a", "1234").await;
    assert_eq!(versions(&*files, "a").await.len(), 2);
    // Full. The version that "a" had before gives way to a new one, and to nothing else.
    assert_eq!(limit(try_write(&*files, "c", "12").await), "files_bytes");
    write(&*files, "a", "12345").await;
    let kept = versions(&*files, "a").await;
    assert_eq!(kept.len(), 2, "the first version went");
    let found = files.get_version(&acme(), "a", kept[1]).await.unwrap();
    assert_eq!(found.unwrap().content, b"1234");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_host_counts_what_is_there() {
    let stage = Stage::seaweedfs().await;
    let files: Arc<dyn Files> = limited(&stage).files().unwrap();
    write(&*files, "a", "12345").await;
    // A path that does not fit into one key has two objects, a manifest and a mark.
    let long = vec!["b".repeat(200); 4].join("/");
    write(&*files, &long, "1234").await;
    let other = limited(&stage);
    let files: Arc<dyn Files> = other.files().unwrap();
    assert_eq!(limit(try_write(&*files, "c", "12").await), "files_bytes");
    write(&*files, "c", "1").await;
    assert_eq!(limit(try_write(&*files, "d", "").await), "files_count");
    // What is not limited is not counted.
    other.set_quotas(&TenantId::new("acme").unwrap(), CloudQuotas::default());
    write(&*files, "d", &"x".repeat(100)).await;
}
