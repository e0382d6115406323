//! Contents that are written part by part.

use std::time::Duration;

use super::{AllFiles, ctx, put};
use crate::ErrorKind;
use crate::files::{CONTENT_MAX_BYTES, Files, RANGE_MAX_BYTES, Spooled};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Files>> {
    cases![
        an_upload_is_a_spool_in_parts,
        an_upload_of_nothing_is_the_empty_content,
        uploads_do_not_mix,
        an_upload_is_no_file_before_a_put_names_it,
        an_upload_that_is_dropped_leaves_nothing,
        an_upload_is_over_once_it_is_finished,
        parts_of_an_upload_are_taken_up_to_their_limit,
        an_upload_may_be_larger_than_one_piece,
        another_tenant_cannot_name_what_was_uploaded,
    ]
}

impl AllFiles {
    async fn upload(&self, parts: &[&[u8]]) -> Spooled {
        let ctx = ctx();
        let mut upload = self.backend.begin_upload(&ctx).await.unwrap();
        for part in parts {
            upload.append(&ctx, part).await.unwrap();
        }
        upload.finish(&ctx).await.unwrap()
    }
}

async fn an_upload_is_a_spool_in_parts(files: AllFiles) {
    let uploaded = files.upload(&[b"a part, ", b"", b"and another"]).await;
    files.try_apply(&put("f", &uploaded)).await.unwrap();
    let file = files.get("f").await.unwrap();
    assert_eq!(file.content, b"a part, and another");
    assert_eq!(files.spool("a part, and another").await, uploaded);
    assert_eq!((file.info.sha256, file.info.size), (uploaded.sha256, 19));
}

async fn an_upload_of_nothing_is_the_empty_content(files: AllFiles) {
    let uploaded = files.upload(&[]).await;
    files.try_apply(&put("f", &uploaded)).await.unwrap();
    assert_eq!(files.get("f").await.unwrap().content, b"");
    assert_eq!(files.spool("").await, uploaded);
}

async fn uploads_do_not_mix(files: AllFiles) {
    let ctx = ctx();
    let mut one = files.backend.begin_upload(&ctx).await.unwrap();
    let mut two = files.backend.begin_upload(&ctx).await.unwrap();
    for n in 0..4 {
        one.append(&ctx, format!("one {n} ").as_bytes())
            .await
            .unwrap();
        two.append(&ctx, format!("two {n} ").as_bytes())
            .await
            .unwrap();
    }
    for (upload, name) in [(&mut two, "two"), (&mut one, "one")] {
        let uploaded = upload.finish(&ctx).await.unwrap();
        files.try_apply(&put(name, &uploaded)).await.unwrap();
        let expected = format!("{name} 0 {name} 1 {name} 2 {name} 3 ");
        assert_eq!(files.get(name).await.unwrap().content, expected.as_bytes());
    }
}

async fn an_upload_is_no_file_before_a_put_names_it(files: AllFiles) {
    let uploaded = files.upload(&[b"patience"]).await;
    assert!(files.paths("", 10).await.is_empty());
    files.clock.advance(Duration::from_secs(3_599));
    files.put("something", "else").await;
    files.try_apply(&put("f", &uploaded)).await.unwrap();
    assert_eq!(files.get("f").await.unwrap().content, b"patience");
}

async fn an_upload_that_is_dropped_leaves_nothing(files: AllFiles) {
    let ctx = ctx();
    let mut upload = files.backend.begin_upload(&ctx).await.unwrap();
    upload.append(&ctx, b"abc").await.unwrap();
    drop(upload);
    assert!(files.paths("", 10).await.is_empty());
    // SHA-256 of "abc", as FIPS 180-2 gives it.
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
    let never = Spooled { sha256, size: 3 };
    let error = files.try_apply(&put("f", &never)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

async fn an_upload_is_over_once_it_is_finished(files: AllFiles) {
    let ctx = ctx();
    let mut upload = files.backend.begin_upload(&ctx).await.unwrap();
    upload.append(&ctx, b"a").await.unwrap();
    upload.finish(&ctx).await.unwrap();
    let more = upload.append(&ctx, b"b").await.unwrap_err();
    assert_eq!(more.kind(), ErrorKind::Conflict, "{more}");
    let again = upload.finish(&ctx).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict, "{again}");
}

async fn parts_of_an_upload_are_taken_up_to_their_limit(files: AllFiles) {
    let ctx = ctx();
    let mut part = vec![7; RANGE_MAX_BYTES];
    let mut upload = files.backend.begin_upload(&ctx).await.unwrap();
    upload.append(&ctx, &part).await.unwrap();
    part.push(7);
    let error = upload.append(&ctx, &part).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    // It was not added, and the upload goes on.
    upload.append(&ctx, b"!").await.unwrap();
    let uploaded = upload.finish(&ctx).await.unwrap();
    assert_eq!(uploaded.size, RANGE_MAX_BYTES as u64 + 1);
}

async fn an_upload_may_be_larger_than_one_piece(files: AllFiles) {
    let parts: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; RANGE_MAX_BYTES]).collect();
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let uploaded = files.upload(&slices).await;
    let size = 5 * RANGE_MAX_BYTES as u64;
    assert!(size > CONTENT_MAX_BYTES as u64);
    assert_eq!(uploaded.size, size);
    let ack = files.try_apply(&put("f", &uploaded)).await.unwrap();
    let version = ack.info.unwrap().version;
    let len = u32::try_from(RANGE_MAX_BYTES).unwrap();
    for (n, expected) in (0_u64..).zip(&parts) {
        let offset = n * u64::from(len);
        let part = files
            .backend
            .read_range(&ctx(), "f", Some(version), offset, len)
            .await;
        let part = part.unwrap().unwrap();
        assert!(part.content == *expected, "part {n}");
    }
    for whole in [
        files.backend.get(&ctx(), "f").await,
        files.backend.get_version(&ctx(), "f", version).await,
    ] {
        let error = whole.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let copy = files.stat("f").await.unwrap();
    assert_eq!((copy.size, copy.sha256), (size, uploaded.sha256));
}

async fn another_tenant_cannot_name_what_was_uploaded(files: AllFiles) {
    let uploaded = files.upload(&[b"secret"]).await;
    let other = crate::testkit::ctx("other", "scribe");
    let id = other.next_write_id().unwrap();
    let stolen = files.backend.apply(&other, id, &put("f", &uploaded)).await;
    assert_eq!(stolen.unwrap_err().kind(), ErrorKind::NotFound);
}
