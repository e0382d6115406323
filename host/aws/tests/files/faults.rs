//! Answers that are lost on the way: the server has done what was asked, and nobody here knows.

use stuga_aws::AwsConfig;
use stuga_core::files::{Expected, Files, FilesWrite};
use stuga_core::{Capability, Error, ErrorKind};
use stuga_fault_proxy::{Fault, FaultProxy, Side};

use super::stage::{Stage, acme, apply, fresh, put, versions, write};
use super::tap::Tap;

/// More requests than any write sends.
const REQUESTS_MAX: u64 = 40;

/// More bytes than all answers of any write have together.
const ANSWERS_MAX_BYTES: u64 = 64 << 10;

/// Every write, and how many versions its path has before and after it.
async fn writes(files: &dyn Files, path: &str) -> Vec<(FilesWrite, usize, usize)> {
    let path = path.to_owned();
    let new = files.spool(&acme(), b"new").await.unwrap();
    let first = write(files, &path, "old").await.info.unwrap().version;
    write(files, &path, "standing").await;
    vec![
        (put(&format!("{path}-new"), &new, Expected::Absent), 0, 1),
        (put(&path, &new, Expected::Any), 2, 3),
        (
            FilesWrite::Restore {
                path: path.clone(),
                version: first,
            },
            2,
            3,
        ),
        (FilesWrite::Delete { path: path.clone() }, 2, 2),
        (FilesWrite::Purge { path }, 2, 0),
    ]
}

/// What stands under a path, and which versions.
async fn state(files: &dyn Files, path: &str) -> (bool, Vec<u64>) {
    let stands = files.get(&acme(), path).await.unwrap().is_some();
    (stands, versions(files, path).await)
}

/// A write that failed as one that changed nothing has changed nothing. Says whether it has landed.
async fn check_kind(
    error: &Error,
    direct: &dyn Files,
    path: &str,
    before: &(bool, Vec<u64>),
    what: &str,
) -> bool {
    let has_landed = state(direct, path).await != *before;
    if has_landed {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{what}: {error:?}");
    }
    assert!(error.kind().is_outage(), "{what}: {error:?}");
    has_landed
}

async fn each_lost_answer(stage: Stage, max_attempts: u32) {
    let direct = stage.host().files().unwrap();
    let kinds = writes(&*direct, "count").await.len();
    for kind in 0..kinds {
        let mut lost = 0;
        for number in 1..=REQUESTS_MAX {
            let path = format!("f-{kind}-{number}");
            let (write, before, after) = writes(&*direct, &path).await.swap_remove(kind);
            let what = format!("{write:?}, answer {number} lost");
            assert_eq!(
                versions(&*direct, write_path(&write)).await.len(),
                before,
                "{what}"
            );
            let stood = state(&*direct, write_path(&write)).await;
            let tap = Tap::start(stage.address).await;
            let through = stage.through(tap.address);
            let config = AwsConfig {
                max_attempts,
                ..through.config()
            };
            let host = through.host_with(config);
            let files = host.files().unwrap();
            let (ctx, id) = fresh();
            tap.lose(number);
            let first = files.apply(&ctx, id, &write).await;
            let all = tap.sent().len() as u64;
            tap.forget();
            if let Err(error) = &first {
                check_kind(error, &*direct, write_path(&write), &stood, &what).await;
                assert_eq!(max_attempts, 1, "{what}: the SDK tries again: {error:?}");
                lost += 1;
            }
            let again = files.apply(&ctx, id, &write).await;
            let again = again.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            if let Ok(first) = &first {
                assert_eq!(*first, again, "{what}");
            }
            assert_eq!(
                direct.apply(&ctx, id, &write).await.unwrap(),
                again,
                "{what}"
            );
            let stand = versions(&*direct, write_path(&write)).await;
            assert_eq!(stand.len(), after, "{what}");
            // Whatever is removed behind the call, no version names it.
            host.settled().await;
            for version in stand {
                let read = direct
                    .get_version(&acme(), write_path(&write), version)
                    .await;
                assert!(matches!(read, Ok(Some(_))), "{what}: {read:?}");
            }
            if number > all {
                assert!(
                    max_attempts > 1 || lost >= 3,
                    "{what}: only {lost} answers were lost"
                );
                break;
            }
            assert!(
                number < REQUESTS_MAX,
                "{what}: more requests than were thought"
            );
        }
    }
}

fn write_path(write: &FilesWrite) -> &str {
    stuga_core::Write::key(write)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_answer_is_lost_a_repeated_write_takes_effect_once() {
    each_lost_answer(Stage::seaweedfs().await, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_answer_is_lost_the_sdk_asks_again_and_the_write_takes_effect_once() {
    each_lost_answer(Stage::seaweedfs().await, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_answers_are_cut_a_write_that_has_landed_is_not_said_to_have_changed_nothing() {
    let stage = Stage::seaweedfs().await;
    let direct = stage.host().files().unwrap();
    let proxy = FaultProxy::start(stage.address).await.unwrap();
    let config = AwsConfig {
        max_attempts: 1,
        ..stage.through(proxy.address()).config()
    };
    let (mut landed, mut nothing) = (0, 0);
    for kind in 0..writes(&*direct, "count").await.len() {
        // Closer together than an answer is long, so that each answer on a connection is cut: also the write's, which comes
        // last.
        for after in (0..ANSWERS_MAX_BYTES).step_by(150) {
            let path = format!("cut-{kind}-{after}");
            let write = writes(&*direct, &path).await.swap_remove(kind).0;
            let stood = state(&*direct, write_path(&write)).await;
            // Connections of its own, so that their bytes are counted from the first.
            let files = stage.host_with(config.clone()).files().unwrap();
            proxy.set(Fault::Cut {
                from: Side::Server,
                after,
            });
            let (ctx, id) = fresh();
            let cut = files.apply(&ctx, id, &write).await;
            proxy.heal();
            let Err(error) = cut else { break };
            let what = format!("{write:?} cut after {after}");
            match check_kind(&error, &*direct, write_path(&write), &stood, &what).await {
                true => landed += 1,
                false => nothing += 1,
            }
        }
    }
    assert!(landed > 0 && nothing > 0, "{landed} and {nothing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_write_under_an_id_whose_first_one_may_have_landed_is_a_conflict_or_the_only_one() {
    let stage = Stage::seaweedfs().await;
    let direct = stage.host().files().unwrap();
    for number in 1..=REQUESTS_MAX {
        let tap = Tap::start(stage.address).await;
        let through = stage.through(tap.address);
        let config = AwsConfig {
            max_attempts: 1,
            ..through.config()
        };
        let files = through.host_with(config).files().unwrap();
        let spooled = direct.spool(&acme(), b"content").await.unwrap();
        let (ctx, id) = fresh();
        let (one, other) = (format!("one-{number}"), format!("other-{number}"));
        tap.lose(number);
        let first = files
            .apply(&ctx, id, &put(&one, &spooled, Expected::Any))
            .await;
        let all = tap.sent().len() as u64;
        let second = direct
            .apply(&ctx, id, &put(&other, &spooled, Expected::Any))
            .await;
        let stand = [
            versions(&*direct, &one).await.len(),
            versions(&*direct, &other).await.len(),
        ];
        match second {
            Ok(_) => assert_eq!(stand, [0, 1], "answer {number} lost"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                assert_eq!(stand, [1, 0], "answer {number} lost");
            }
        }
        if number > all {
            first.unwrap();
            return;
        }
    }
    panic!("more requests than were thought");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_reached_is_an_outage_and_changes_nothing() {
    let stage = Stage::seaweedfs().await;
    let files = stage.host().files().unwrap();
    let spooled = files.spool(&acme(), b"content").await.unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = AwsConfig {
        max_attempts: 1,
        ..stage.through(nobody).config()
    };
    let cut_off = stage.host_with(config).files().unwrap();
    let refused = apply(&*cut_off, &put("f", &spooled, Expected::Any))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    let refused = cut_off.get(&acme(), "f").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    assert_eq!(files.get(&acme(), "f").await.unwrap(), None);
}
