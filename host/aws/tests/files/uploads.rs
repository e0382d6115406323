//! Contents in parts: what is left when a call ends early, and that S3 makes parts of a large copy.

use std::time::Duration;

use stuga_core::files::{Expected, Files, RANGE_MAX_BYTES};
use stuga_core::{CallCtx, Clock, ErrorKind};
use stuga_fault_proxy::{Fault, FaultProxy};
use tokio::time::Instant;

use super::stage::{Stage, acme, apply, put};

/// Enough for one part to be on its way.
const APPENDS: u8 = 3;

fn part(n: u8) -> Vec<u8> {
    vec![n; RANGE_MAX_BYTES]
}

/// A context whose deadline is near.
fn hasty() -> CallCtx {
    let patient = acme();
    CallCtx::new(
        patient.tenant,
        patient.agent,
        patient.invocation,
        patient.request,
        patient.accepted_at,
        Instant::now() + Duration::from_secs(3),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_dropped_leaves_no_parts() {
    for stage in [Stage::seaweedfs().await, Stage::ministack().await] {
        let host = stage.host();
        let mut upload = host.files().unwrap().begin_upload(&acme()).await.unwrap();
        for n in 0..APPENDS {
            upload.append(&acme(), &part(n)).await.unwrap();
        }
        assert_eq!(stage.unfinished().await, 1);
        drop(upload);
        host.settled().await;
        assert_eq!(stage.unfinished().await, 0);
        assert_eq!(stage.keys("").await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cancelled_leaves_no_parts() {
    let stage = Stage::seaweedfs().await;
    let proxy = FaultProxy::start(stage.address).await.unwrap();
    let host = stage.through(proxy.address()).host();
    let files = host.files().unwrap();
    let mut upload = files.begin_upload(&acme()).await.unwrap();
    for n in 0..APPENDS {
        upload.append(&acme(), &part(n)).await.unwrap();
    }
    assert_eq!(stage.unfinished().await, 1);
    // The network is lost, so the parts cannot arrive; then the invocation is cancelled in the middle of it.
    proxy.set(Fault::BlackHole);
    let cancelled = tokio::spawn(async move {
        for n in 0..16 {
            upload.append(&acme(), &part(n)).await.unwrap();
        }
    });
    while proxy.traffic().connections == 0 {
        tokio::task::yield_now().await;
    }
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    proxy.heal();
    host.settled().await;
    assert_eq!(stage.unfinished().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_time_is_up_leaves_no_parts_and_ends_the_upload() {
    let stage = Stage::seaweedfs().await;
    let proxy = FaultProxy::start(stage.address).await.unwrap();
    let host = stage.through(proxy.address()).host();
    let hasty = hasty();
    let mut upload = host.files().unwrap().begin_upload(&hasty).await.unwrap();
    for n in 0..APPENDS {
        upload.append(&hasty, &part(n)).await.unwrap();
    }
    proxy.set(Fault::BlackHole);
    let late = upload.finish(&hasty).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late:?}");
    let over = upload.append(&acme(), b"more").await.unwrap_err();
    assert_eq!(over.kind(), ErrorKind::Conflict, "{over:?}");
    proxy.heal();
    host.settled().await;
    assert_eq!(stage.unfinished().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_is_copied_in_parts_is_the_same() {
    /// More than S3 is asked to copy at once.
    const PARTS: u8 = 17;
    for stage in [Stage::seaweedfs().await, Stage::ministack().await] {
        let host = stage.host();
        let files = host.files().unwrap();
        let mut upload = files.begin_upload(&acme()).await.unwrap();
        for n in 0..PARTS {
            upload.append(&acme(), &part(n)).await.unwrap();
        }
        let spooled = upload.finish(&acme()).await.unwrap();
        let ack = apply(&*files, &put("large", &spooled, Expected::Absent))
            .await
            .unwrap();
        let info = ack.info.unwrap();
        assert_eq!(info.updated_at, stage.clock.now());
        let len = u32::try_from(RANGE_MAX_BYTES).unwrap();
        for n in 0..PARTS {
            let offset = u64::from(n) * u64::from(len);
            let read = files
                .read_range(&acme(), "large", Some(info.version), offset, len)
                .await;
            assert!(read.unwrap().unwrap().content == part(n), "part {n}");
        }
        assert_eq!(stage.unfinished().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_uploads_of_a_tenant_are_open_and_no_more() {
    const UPLOADS_MAX_TENANT: usize = 16;
    let stage = Stage::ministack().await;
    let host = stage.host();
    let files = host.files().unwrap();
    let mut open = Vec::new();
    for _ in 0..UPLOADS_MAX_TENANT {
        open.push(files.begin_upload(&acme()).await.unwrap());
    }
    let full = files.begin_upload(&acme()).await.map(drop).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::RateLimited, "{full:?}");
    assert!(full.retry_after().is_some());
    files
        .begin_upload(&stuga_core::testkit::ctx("other", "scribe"))
        .await
        .unwrap();
    open.pop();
    files.begin_upload(&acme()).await.unwrap();
}
