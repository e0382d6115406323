//! What a host sends on behalf of one tenant never names another one's.

use stuga_core::files::{Expected, Files, FilesWrite};
use stuga_core::testkit::ctx;
use stuga_core::{CallCtx, Capability, ErrorKind};

use super::stage::{Stage, put};
use super::tap::Tap;

/// The tenant that is attacked. Its name is in nothing else that is sent.
const VICTIM: &str = "victim-of-all";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_another_tenant_never_leave_the_host() {
    let stage = Stage::seaweedfs().await;
    let tap = Tap::start(stage.address).await;
    let host = stage.through(tap.address).host();
    let files = host.files().unwrap();
    let victim = ctx(VICTIM, "scribe");
    let secret = files.spool(&victim, b"secret").await.unwrap();
    let id = victim.next_write_id().unwrap();
    let write = put("dir/f", &secret, Expected::Any);
    let info = files
        .apply(&victim, id, &write)
        .await
        .unwrap()
        .info
        .unwrap();
    let id = victim.next_write_id().unwrap();
    files
        .apply(&victim, id, &put("dir/g", &secret, Expected::Any))
        .await
        .unwrap();
    let cursor = files
        .list(&victim, "dir/", None, 1)
        .await
        .unwrap()
        .next_cursor
        .unwrap();
    assert!(
        tap.sent().iter().any(|request| request.contains(VICTIM)),
        "the tap hears nothing"
    );

    // What needs no request is refused without one.
    tap.forget();
    let thief = || ctx("acme", "scribe");
    let hostile = [
        format!("../../{VICTIM}/scribe/f"),
        format!("/files/{}/{VICTIM}/scribe/f", stage.mark),
        format!("..\\{VICTIM}"),
        format!("a/../../{VICTIM}/f"),
        format!("{VICTIM}\0"),
    ];
    for path in &hostile {
        let thief = thief();
        assert_refused(files.get(&thief, path).await);
        assert_refused(files.stat(&thief, path).await);
        assert_refused(files.get_version(&thief, path, info.version).await);
        assert_refused(files.read_range(&thief, path, None, 0, 1).await);
        assert_refused(files.list(&thief, path, None, 1).await);
        assert_refused(files.list_versions(&thief, path, None, 1).await);
        let id = thief.next_write_id().unwrap();
        for write in [
            put(path, &secret, Expected::Any),
            FilesWrite::Delete { path: path.clone() },
            FilesWrite::Purge { path: path.clone() },
            FilesWrite::Restore {
                path: path.clone(),
                version: info.version,
            },
        ] {
            assert_refused(files.apply(&thief, id, &write).await);
        }
    }
    let digest = format!("{}/../{VICTIM}", &secret.sha256[..40]);
    let mut write = put("f", &secret, Expected::Any);
    if let FilesWrite::Put { sha256, .. } = &mut write {
        *sha256 = digest;
    }
    let other = thief();
    let id = other.next_write_id().unwrap();
    assert_refused(files.apply(&other, id, &write).await);
    assert_refused(files.list(&other, "f", Some(&cursor), 1).await);
    assert_eq!(tap.sent(), Vec::<String>::new(), "a request left the host");

    // What is no name of anybody's is the thief's own.
    assert_eq!(files.get(&thief(), "dir/f").await.unwrap(), None);
    assert_eq!(
        files
            .get_version(&thief(), "dir/f", info.version)
            .await
            .unwrap(),
        None
    );
    assert!(
        files
            .list(&thief(), "dir/", Some(&cursor), 10)
            .await
            .unwrap()
            .files
            .is_empty()
    );
    assert!(
        files
            .list_versions(&thief(), "dir/f", None, 10)
            .await
            .unwrap()
            .versions
            .is_empty()
    );
    for write in [
        put("dir/f", &secret, Expected::Any),
        FilesWrite::Restore {
            path: "dir/f".to_owned(),
            version: info.version,
        },
    ] {
        let thief = thief();
        let id = thief.next_write_id().unwrap();
        let error = files.apply(&thief, id, &write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    }
    for write in [
        FilesWrite::Delete {
            path: "dir/f".to_owned(),
        },
        FilesWrite::Purge {
            path: "dir/f".to_owned(),
        },
    ] {
        let thief = thief();
        let id = thief.next_write_id().unwrap();
        assert!(!files.apply(&thief, id, &write).await.unwrap().existed);
    }
    let sent = tap.sent();
    assert!(
        sent.len() > 10,
        "the thief asked for nothing: {}",
        sent.len()
    );
    for request in &sent {
        assert!(!request.contains(VICTIM), "{request:.300}");
        let line = request.lines().next().unwrap_or_default();
        assert!(
            line.contains(&format!("{}/acme/scribe/", stage.mark))
                || line.contains("acme%2Fscribe%2F"),
            "{line}"
        );
    }
    assert_eq!(content(&*files, &victim).await, b"secret");
}

async fn content(files: &dyn Files, ctx: &CallCtx) -> Vec<u8> {
    files.get(ctx, "dir/f").await.unwrap().unwrap().content
}

fn assert_refused(result: stuga_core::Result<impl std::fmt::Debug>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
}
