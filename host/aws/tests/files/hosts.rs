//! Two hosts that write the same paths at the same time.

use std::sync::Arc;

use stuga_core::ErrorKind;
use stuga_core::files::{Expected, Files};

use super::stage::{Stage, acme, apply, put, versions, write};

/// Writers on each host.
const WRITERS: usize = 8;

/// Puts by all writers of both hosts at once; how many succeeded. The others failed with a conflict.
async fn race(hosts: &[Arc<dyn Files>; 2], expected: Expected) -> usize {
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        for (host, files) in hosts.iter().enumerate() {
            let files = Arc::clone(files);
            let content = format!("{writer} of {host}");
            let spooled = files.spool(&acme(), content.as_bytes()).await.unwrap();
            writers.push(tokio::spawn(async move {
                apply(&*files, &put("f", &spooled, expected)).await
            }));
        }
    }
    let mut won = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
    }
    won
}

async fn two_hosts(stage: &Stage) -> [Arc<dyn Files>; 2] {
    [stage.host().files().unwrap(), stage.host().files().unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_that_expect_the_same_exactly_one_wins() {
    for stage in [Stage::seaweedfs().await, Stage::ministack().await] {
        let hosts = two_hosts(&stage).await;
        assert_eq!(race(&hosts, Expected::Absent).await, 1);
        let version = versions(&*hosts[0], "f").await[0];
        assert_eq!(race(&hosts, Expected::Version(version)).await, 1);
        assert_eq!(versions(&*hosts[1], "f").await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_that_expect_nothing_no_write_is_lost() {
    let stage = Stage::seaweedfs().await;
    let hosts = two_hosts(&stage).await;
    assert_eq!(race(&hosts, Expected::Any).await, 2 * WRITERS);
    let versions = versions(&*hosts[0], "f").await;
    assert_eq!(versions.len(), 2 * WRITERS);
    assert!(
        versions.windows(2).all(|pair| pair[0] > pair[1]),
        "{versions:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_wrote_the_other_reads_at_once() {
    let stage = Stage::seaweedfs().await;
    let [one, other] = two_hosts(&stage).await;
    for n in 0..8 {
        let info = write(&*one, "f", &n.to_string()).await.info;
        let read = other.get(&acme(), "f").await.unwrap().unwrap();
        assert_eq!(
            (Some(read.info), read.content),
            (info, n.to_string().into_bytes())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_of_writes_that_lost_are_removed() {
    let stage = Stage::seaweedfs().await;
    let hosts = [stage.host(), stage.host()];
    let files: [Arc<dyn Files>; 2] = [hosts[0].files().unwrap(), hosts[1].files().unwrap()];
    race(&files, Expected::Any).await;
    for host in &hosts {
        host.settled().await;
    }
    let standing = versions(&*files[0], "f").await.len();
    assert_eq!(stage.keys("/c/").await.len(), standing);
}
