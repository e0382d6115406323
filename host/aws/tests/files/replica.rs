//! What another side acknowledged, and S3 takes over: the suite of the testkit, and what it does not ask: answers that are
//! lost on the way, two hosts that were apart.

use std::sync::Arc;
use std::time::Duration;

use stuga_aws::AwsConfig;
use stuga_core::files::{Expected, FileInfo, Files, FilesAck, FilesWrite, Spooled};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::testkit::standby::{self, Sides};
use stuga_core::testkit::{Fixture, prove};
use stuga_core::{Capability, Clock, ErrorKind, Timestamp};

use super::stage::{Stage, acme, fresh, put, versions};
use super::tap::Tap;

/// More requests than any write sends.
const REQUESTS_MAX: u64 = 40;

async fn takes_over(stage: Stage) {
    prove(standby::files::cases(), || {
        let (one, mut other) = (stage.again(), stage.again());
        other.clock = Arc::clone(&one.clock);
        let to = other.host().files().unwrap();
        let sides = Sides::new(
            one.host().files().unwrap() as _,
            Arc::clone(&to) as _,
            to as _,
        );
        Fixture::new(Arc::new(sides), one.clock)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_seaweedfs_take_over() {
    takes_over(Stage::seaweedfs().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_ministack_take_over() {
    takes_over(Stage::ministack().await).await;
}

fn after(start: Timestamp, millis: u64) -> (Timestamp, u64) {
    let at = start.saturating_add(Duration::from_millis(millis));
    (at, at.as_millis() << 10)
}

/// What a host made of a put or a restore so much later.
fn made(path: &str, spooled: &Spooled, start: Timestamp, millis: u64) -> Made<FilesAck> {
    let (at, stamp) = after(start, millis);
    let info = FileInfo {
        path: path.to_owned(),
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        sha256: spooled.sha256.clone(),
        version: stamp,
        created_at: start,
        updated_at: at,
        metadata: Vec::new(),
    };
    let ack = FilesAck {
        info: Some(info),
        existed: true,
    };
    Made { ack, stamp, at }
}

fn removed(start: Timestamp, millis: u64) -> Made<FilesAck> {
    let (at, stamp) = after(start, millis);
    let ack = FilesAck {
        info: None,
        existed: true,
    };
    Made { ack, stamp, at }
}

/// Every write of a path that has two versions, what was made of it, and how many versions there are afterwards.
async fn writes(
    files: &dyn Files,
    path: &str,
    start: Timestamp,
) -> Vec<(FilesWrite, Made<FilesAck>, usize)> {
    let old = files.spool(&acme(), b"old").await.unwrap();
    let new = files.spool(&acme(), b"new").await.unwrap();
    for spooled in [&old, &new] {
        let (ctx, id) = fresh();
        let write = put(path, spooled, Expected::Any);
        files.apply(&ctx, id, &write).await.unwrap();
    }
    let version = versions(files, path).await[1];
    let path = path.to_owned();
    vec![
        (
            put(&path, &new, Expected::Absent),
            made(&path, &new, start, 5),
            3,
        ),
        (
            FilesWrite::Restore {
                path: path.clone(),
                version,
            },
            made(&path, &old, start, 5),
            3,
        ),
        (
            FilesWrite::Delete { path: path.clone() },
            removed(start, 5),
            2,
        ),
        (FilesWrite::Purge { path }, removed(start, 5), 0),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_over_with_any_answer_lost_is_there_once() {
    let stage = Stage::seaweedfs().await;
    let direct = stage.host().files().unwrap();
    let start = stage.clock.now();
    let kinds = writes(&*direct, "count", start).await.len();
    for kind in 0..kinds {
        for number in 1..=REQUESTS_MAX {
            let path = format!("f-{kind}-{number}");
            let (write, made, kept) = writes(&*direct, &path, start).await.swap_remove(kind);
            let what = format!("{write:?}, answer {number} lost");
            let tap = Tap::start(stage.address).await;
            let through = stage.through(tap.address);
            let config = AwsConfig {
                max_attempts: 1,
                ..through.config()
            };
            let files = through.host_with(config).files().unwrap();
            let (ctx, id) = fresh();
            tap.lose(number);
            let first = files.adopt(&ctx, id, &write, &made).await;
            let all = tap.sent().len() as u64;
            tap.forget();
            if let Err(error) = &first {
                assert!(error.kind().is_outage(), "{what}: {error:?}");
            }
            let again = files.adopt(&ctx, id, &write, &made).await.unwrap();
            assert_eq!(again, Adopted::Stands, "{what}");
            let standing = direct.stat(&ctx, &path).await.unwrap();
            assert_eq!(standing, made.ack.info, "{what}");
            assert_eq!(versions(&*direct, &path).await.len(), kept, "{what}");
            let ack = direct.apply(&ctx, id, &write).await.unwrap();
            assert_eq!(ack, made.ack, "{what}");
            assert_eq!(versions(&*direct, &path).await.len(), kept, "{what}");
            if number > all {
                break;
            }
            assert!(number < REQUESTS_MAX, "{what}: no end of requests");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_landed_and_was_answered_elsewhere_is_one_version_with_that_answer() {
    let stage = Stage::seaweedfs().await;
    let files = stage.host().files().unwrap();
    let start = stage.clock.now();
    let spooled = files.spool(&acme(), b"once").await.unwrap();
    let write = put("f", &spooled, Expected::Absent);
    for later in [0, 7] {
        let path = format!("f{later}");
        let write = put(&path, &spooled, Expected::Absent);
        let (ctx, id) = fresh();
        // Landed at the moment 3; answered before or after that.
        stage.clock.advance(Duration::from_millis(3));
        let landed = files.apply(&ctx, id, &write).await.unwrap().info.unwrap();
        let made = made(&path, &spooled, start, later);
        assert_ne!(Some(landed), made.ack.info);
        for _ in 0..2 {
            let adopted = files.adopt(&ctx, id, &write, &made).await.unwrap();
            assert_eq!(adopted, Adopted::Stands);
            assert_eq!(files.stat(&ctx, &path).await.unwrap(), made.ack.info);
            assert_eq!(versions(&*files, &path).await.len(), 1);
        }
        assert_eq!(files.apply(&ctx, id, &write).await.unwrap(), made.ack);
    }
    let (ctx, id) = fresh();
    let mut other = made("f", &spooled, start, 9);
    other.ack.info = None;
    let refused = files.adopt(&ctx, id, &write, &other).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_that_wrote_a_path_apart_both_versions_are_kept_in_whatever_order_they_drain()
{
    let stage = Stage::seaweedfs().await;
    let hosts = [stage.host().files().unwrap(), stage.host().files().unwrap()];
    let start = stage.clock.now();
    for order in [[0, 1], [1, 0]] {
        let path = format!("f{order:?}");
        for n in order {
            let host = &hosts[n];
            // Each wrote twice, in turns.
            for turn in 0..2 {
                let content = format!("{turn} of {n}");
                let spooled = host.spool(&acme(), content.as_bytes()).await.unwrap();
                let at = 2 * turn + n as u64;
                let made = made(&path, &spooled, start, at);
                let (ctx, id) = fresh();
                let write = put(&path, &spooled, Expected::Any);
                host.adopt(&ctx, id, &write, &made).await.unwrap();
            }
        }
        let expected: Vec<u64> = [3, 2, 1, 0].map(|at| after(start, at).1).into();
        assert_eq!(versions(&*hosts[0], &path).await, expected);
        let file = hosts[1].get(&acme(), &path).await.unwrap().unwrap();
        assert_eq!(file.content, b"1 of 1");
        let lost = hosts[1].get_version(&acme(), &path, expected[1]).await;
        assert_eq!(lost.unwrap().unwrap().content, b"1 of 0");
    }
}
