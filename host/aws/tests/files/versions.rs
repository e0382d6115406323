//! What lies in the bucket while versions come and go.

use std::time::Duration;

use stuga_core::files::{EARLIER_VERSIONS_MAX, Expected, Files, FilesWrite};

use stuga_core::{Capability, Clock};

use super::stage::{Stage, acme, apply, put, versions, write};
use super::tap::Tap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_leaves_no_version_of_a_content_in_a_bucket_that_keeps_versions() {
    let stage = Stage::seaweedfs().await;
    let files = stage.host().files().unwrap();
    for n in 0..4 {
        write(&*files, "f", &n.to_string()).await;
    }
    write(&*files, "g", "stays").await;
    let purge = FilesWrite::Purge {
        path: "f".to_owned(),
    };
    assert!(apply(&*files, &purge).await.unwrap().existed);
    let s3 = stage.s3();
    let prefix = format!("files/{}/acme/scribe/c/", stage.mark);
    let list = s3
        .list_object_versions()
        .bucket(&stage.bucket)
        .prefix(prefix);
    let listed = list.send().await.unwrap();
    assert_eq!(listed.versions().len(), 1, "{:?}", listed.versions());
    assert_eq!(listed.delete_markers().len(), 0);
    assert_eq!(
        files.get(&acme(), "g").await.unwrap().unwrap().content,
        b"stays"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_of_versions_that_are_not_kept_are_removed() {
    let stage = Stage::ministack().await;
    let files = stage.host().files().unwrap();
    for n in 0..EARLIER_VERSIONS_MAX + 8 {
        write(&*files, "f", &n.to_string()).await;
    }
    let kept = versions(&*files, "f").await.len();
    // What the last write discarded is left to the next one.
    assert_eq!(stage.keys("/c/").await.len(), kept + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_write_that_was_cut_off_left_behind_is_removed_a_day_later() {
    let stage = Stage::ministack().await;
    let files = stage.host().files().unwrap();
    write(&*files, "f", "one").await;
    let s3 = stage.s3();
    let content = stage.keys("/c/").await.remove(0);
    let (folder, _) = content.rsplit_once('/').unwrap();
    let left = format!("{folder}/{}", uuid::Uuid::from_u128(7).as_simple());
    let body = aws_sdk_s3::primitives::ByteStream::from_static(b"left");
    s3.put_object()
        .bucket(&stage.bucket)
        .key(&left)
        .body(body)
        .send()
        .await
        .unwrap();
    // The servers' clock is the machine's; a day later by ours is years before it, and nothing is old enough.
    let day = Duration::from_secs(25 * 3_600);
    stage.clock.advance(day);
    write(&*files, "f", "two").await;
    write(&*files, "f", "three").await;
    assert_eq!(
        stage.keys("/c/").await.len(),
        4,
        "what is young may be in use"
    );
    let machine = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let ours = Duration::from_millis(stage.clock.now().as_millis());
    stage
        .clock
        .advance(machine - ours + Duration::from_secs(2 * 3_600));
    write(&*files, "f", "four").await;
    write(&*files, "f", "five").await;
    let all = stage.keys("/c/").await;
    assert!(!all.contains(&left), "{all:?}");
    assert_eq!(all.len(), versions(&*files, "f").await.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_with_more_writes_than_its_manifest_remembers_still_knows_them_all() {
    let stage = Stage::ministack().await;
    let files = stage.host().files().unwrap();
    let mut all = Vec::new();
    for n in 0..70 {
        let ctx = acme();
        let id = ctx.next_write_id().unwrap();
        let spooled = files.spool(&ctx, format!("{n}").as_bytes()).await.unwrap();
        let write = put("f", &spooled, Expected::Any);
        let ack = files.apply(&ctx, id, &write).await.unwrap();
        all.push((ctx, id, write, ack));
    }
    let before = versions(&*files, "f").await;
    for (ctx, id, write, ack) in &all {
        assert_eq!(files.apply(ctx, *id, write).await.unwrap(), *ack);
        let other = FilesWrite::Delete {
            path: "f".to_owned(),
        };
        files.apply(ctx, *id, &other).await.unwrap_err();
    }
    assert_eq!(versions(&*files, "f").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_are_too_long_for_a_key_are_listed_in_their_place() {
    for stage in [Stage::seaweedfs().await, Stage::ministack().await] {
        let files = stage.host().files().unwrap();
        let head = format!("{}/{}/x", "p".repeat(255), "p".repeat(254));
        assert_eq!(head.len(), 512);
        let mut paths: Vec<String> = ["a", "p", "q"].map(str::to_owned).into();
        paths.extend([
            head.clone(),
            format!("{head}!"),
            format!("{head}/b"),
            format!("{head}/a"),
            format!("{head}z"),
        ]);
        paths.push(format!("{}y", &head[..511]));
        for path in &paths {
            write(&*files, path, "x").await;
        }
        paths.sort_unstable();
        for prefix in [
            "",
            "p",
            &head[..300],
            &head,
            &format!("{head}/"),
            &format!("{head}/a"),
            "q",
        ] {
            let expected: Vec<_> = paths
                .iter()
                .filter(|path| path.starts_with(prefix))
                .collect();
            for limit in [1, 2, 100] {
                let mut listed = Vec::new();
                let mut cursor = None;
                for _ in 0..=paths.len() {
                    let page = files
                        .list(&acme(), prefix, cursor.as_deref(), limit)
                        .await
                        .unwrap();
                    listed.extend(page.files.into_iter().map(|info| info.path));
                    cursor = page.next_cursor;
                    if cursor.is_none() {
                        break;
                    }
                }
                assert_eq!(
                    listed.iter().collect::<Vec<_>>(),
                    expected,
                    "{prefix:.20} by {limit}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_reads_again_only_what_has_changed() {
    let stage = Stage::seaweedfs().await;
    let tap = Tap::start(stage.address).await;
    let (files, other) = (
        stage.through(tap.address).host().files().unwrap(),
        stage.host().files().unwrap(),
    );
    for n in 0..6 {
        write(&*other, &format!("f{n}"), "old").await;
    }
    apply(
        &*other,
        &FilesWrite::Delete {
            path: "f5".to_owned(),
        },
    )
    .await
    .unwrap();
    let list = || async {
        tap.forget();
        let page = files.list(&acme(), "", None, 100).await.unwrap();
        let reads = tap.sent().len() - 1;
        (page.files, reads)
    };
    let (first, reads) = list().await;
    assert_eq!((first.len(), reads), (5, 6));
    assert_eq!(list().await, (first.clone(), 0));
    // Another host writes, and this one sees it at once.
    let new = write(&*other, "f2", "new").await.info.unwrap();
    apply(
        &*other,
        &FilesWrite::Delete {
            path: "f3".to_owned(),
        },
    )
    .await
    .unwrap();
    let (second, reads) = list().await;
    assert_eq!(reads, 2);
    assert_eq!(second.len(), 4);
    assert!(second.contains(&new) && !second.contains(&first[3]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_is_encrypted_with_the_key_of_its_tenant() {
    let stage = Stage::ministack().await;
    let mut config = stage.config();
    let key = stuga_aws::Pattern::new("alias/{tenant}-files").unwrap();
    if let Some(files) = &mut config.files {
        files.kms_key = Some(key);
    }
    let files = stage.host_with(config).files().unwrap();
    write(&*files, "f", "small").await;
    let mut upload = files.begin_upload(&acme()).await.unwrap();
    for n in 0..17 {
        upload.append(&acme(), &vec![n; 4 << 20]).await.unwrap();
    }
    let large = upload.finish(&acme()).await.unwrap();
    apply(&*files, &put("large", &large, Expected::Any))
        .await
        .unwrap();
    let s3 = stage.s3();
    let all = stage.keys("").await;
    assert!(all.len() >= 8, "{all:?}");
    for key in all {
        let head = s3
            .head_object()
            .bucket(&stage.bucket)
            .key(&key)
            .send()
            .await
            .unwrap();
        assert_eq!(head.ssekms_key_id(), Some("alias/acme-files"), "{key}");
    }
}
