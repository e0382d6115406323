//! An object that is made of parts and that leaves nothing when it is given up.
//!
//! S3 keeps, and bills, the parts of an upload until it is completed or aborted. Dropped before that, in whatever way a call
//! ends, an upload is aborted in the background; what a crash leaves goes with the bucket's lifecycle.

use std::ops::Range;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use stuga_core::pulse::Pulse;
use stuga_core::{CallCtx, Error, Result};
use tokio::time::Instant;

use super::pace;
use super::store::{Key, Store, encrypted};
use crate::call::{call, call_until};

/// Most parts of an object.
pub(super) const PARTS_MAX: u32 = 10_000;

/// An object that is being made. Dropped before it is complete, it is aborted.
pub(super) struct Multipart {
    place: Place,
    complete: bool,
}

/// What names an upload at S3. Cheap enough to clone for each part.
#[derive(Clone)]
pub(super) struct Place {
    store: Store,
    key: Key,
    id: String,
}

impl Multipart {
    pub(super) async fn begin(
        store: &Store,
        ctx: &CallCtx,
        operation: &'static str,
        key: Key,
        content_type: &str,
    ) -> Result<Self> {
        let create = store
            .s3()
            .create_multipart_upload()
            .bucket(&store.bucket)
            .key(key.as_str())
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256);
        let begun = call(ctx, operation, encrypted!(store, create).send()).await?;
        let id = begun.upload_id.ok_or_else(|| {
            Error::unavailable(
                operation,
                "the cloud began an upload without a name; try again later",
            )
        })?;
        Ok(Self {
            place: Place {
                store: store.clone(),
                key,
                id,
            },
            complete: false,
        })
    }

    /// Where parts go to.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Lets S3 copy bytes of another object as a part.
    pub(super) async fn copy_part(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        number: u32,
        source: &Key,
        range: Range<u64>,
    ) -> Result<CompletedPart> {
        let Place { store, key, id } = &self.place;
        let last = range.end.saturating_sub(1);
        let bytes = range.end.saturating_sub(range.start);
        ctx.pulse.excuse(pace::copying(bytes));
        let copy = store
            .s3()
            .upload_part_copy()
            .bucket(&store.bucket)
            .key(key.as_str())
            .upload_id(id)
            .part_number(part_number(number))
            .copy_source(store.source(source))
            .copy_source_range(format!("bytes={}-{last}", range.start));
        let copied = call(ctx, operation, copy.send()).await?;
        let (etag, checksum) = copied
            .copy_part_result
            .map_or((None, None), |part| (part.e_tag, part.checksum_sha256));
        Ok(CompletedPart::builder()
            .part_number(part_number(number))
            .set_e_tag(etag)
            .set_checksum_sha256(checksum)
            .build())
    }

    /// Makes the parts, in the order of their numbers, an object. When the answer is lost, the upload is aborted all the
    /// same: the object may then stand, under a name that nobody uses.
    pub(super) async fn complete(
        mut self,
        ctx: &CallCtx,
        operation: &'static str,
        parts: Vec<CompletedPart>,
    ) -> Result<()> {
        let Place { store, key, id } = &self.place;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let complete = store
            .s3()
            .complete_multipart_upload()
            .bucket(&store.bucket)
            .key(key.as_str())
            .upload_id(id)
            .multipart_upload(parts.build());
        ctx.pulse.excuse(pace::COMPLETING);
        call(ctx, operation, complete.send()).await?;
        self.complete = true;
        Ok(())
    }
}

impl Place {
    /// Sends a part, which S3 compares with its digest; `pulse` hears of it.
    pub(super) async fn send_part(
        &self,
        (deadline, pulse): (Instant, &Pulse),
        operation: &'static str,
        number: u32,
        part: Bytes,
        digest: [u8; 32],
    ) -> Result<CompletedPart> {
        let checksum = STANDARD.encode(digest);
        pulse.excuse(pace::sending(part.len()));
        let upload = self
            .store
            .s3()
            .upload_part()
            .bucket(&self.store.bucket)
            .key(self.key.as_str())
            .upload_id(&self.id)
            .part_number(part_number(number))
            .checksum_sha256(&checksum)
            .body(ByteStream::from(part));
        let sent = call_until(deadline, operation, upload.send()).await?;
        pulse.beat();
        Ok(CompletedPart::builder()
            .part_number(part_number(number))
            .set_e_tag(sent.e_tag)
            .checksum_sha256(checksum)
            .build())
    }

    async fn abort(self, deadline: Instant) -> Result<()> {
        let abort = self
            .store
            .s3()
            .abort_multipart_upload()
            .bucket(&self.store.bucket)
            .key(self.key.as_str())
            .upload_id(&self.id);
        crate::error::absent(call_until(deadline, "files.upload.abort", abort.send()).await)?;
        Ok(())
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        if self.complete {
            return;
        }
        let place = self.place.clone();
        let cleanup = std::sync::Arc::clone(&place.store.cleanup);
        cleanup.begin("an unfinished upload", |deadline| place.abort(deadline));
    }
}

/// Parts are counted from 1 and are at most [`PARTS_MAX`].
fn part_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
