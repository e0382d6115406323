//! Contents that are spooled part by part: hashed and sent as they come, held in memory never as a whole.
//!
//! A content that stays small is spooled in one piece. A larger one is a multipart upload under a name of its own; once it is
//! complete, a small object under its digest says which it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use stuga_core::files::{DEFAULT_CONTENT_TYPE, RANGE_MAX_BYTES, Spooled, Upload, check_part};
use stuga_core::{CallCtx, Error, Result, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::content;
use super::multipart::{Multipart, PARTS_MAX};
use super::store::Store;

/// Bytes of a part that is sent to S3, which takes none under 5 MiB but the last.
const PART_BYTES: usize = 8 << 20;
/// Parts of one upload that are under way at the same time.
const PARTS_AT_ONCE: usize = 2;
/// Most uploads of a tenant that are open on this host, and of all tenants. Each holds at most 28 MiB: a part that fills, two
/// that are under way, and what one call appends.
const UPLOADS_MAX_TENANT: usize = 16;
const UPLOADS_MAX: usize = 64;
/// When to try again after too many uploads.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Largest content that can be uploaded, in bytes.
const UPLOAD_MAX_BYTES: u64 = PART_BYTES as u64 * PARTS_MAX as u64;

/// An upload of one agent.
pub(super) struct S3Upload {
    store: Store,
    /// None once it is finished or failed, and while a part is on its way: a call that is cancelled ends the upload.
    draft: Option<Draft>,
    _turns: [OwnedSemaphorePermit; 2],
}

/// What has been appended.
struct Draft {
    /// What was not sent yet; less than a part and what one call appends.
    buffer: Vec<u8>,
    whole: Sha256,
    size: u64,
    sent: Option<Sent>,
}

/// What is under way or has arrived.
struct Sent {
    name: Uuid,
    // Before the upload: tasks end before it is aborted.
    under_way: JoinSet<Result<(u32, CompletedPart)>>,
    parts: Vec<(u32, CompletedPart)>,
    last: u32,
    upload: Multipart,
}

impl S3Upload {
    pub(super) fn begin(store: Store, turns: [OwnedSemaphorePermit; 2]) -> Self {
        Self {
            store,
            draft: Some(Draft {
                buffer: Vec::new(),
                whole: Sha256::new(),
                size: 0,
                sent: None,
            }),
            _turns: turns,
        }
    }

    fn take(&mut self, operation: &'static str) -> Result<Draft> {
        self.draft.take().ok_or_else(|| {
            Error::conflict(
                operation,
                "the upload is finished or has failed; begin another",
            )
        })
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()> {
        const OPERATION: &str = "files.upload.append";
        check_part(OPERATION, part.len())?;
        let mut draft = self.take(OPERATION)?;
        draft.append(&self.store, ctx, OPERATION, part).await?;
        self.draft = Some(draft);
        Ok(())
    }

    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled> {
        const OPERATION: &str = "files.upload.finish";
        let draft = self.take(OPERATION)?;
        draft.finish(&self.store, ctx, OPERATION).await
    }
}

impl Draft {
    async fn append(
        &mut self,
        store: &Store,
        ctx: &CallCtx,
        operation: &'static str,
        part: &[u8],
    ) -> Result<()> {
        self.size = self.size.saturating_add(part.len() as u64);
        if self.size > UPLOAD_MAX_BYTES {
            return Err(Error::quota_exceeded(
                operation,
                "the content is too large for one upload",
            )
            .with_context("limit", UPLOAD_MAX_BYTES));
        }
        if self.buffer.capacity() == 0 && part.len() == RANGE_MAX_BYTES {
            self.buffer.reserve_exact(PART_BYTES);
        }
        self.buffer.extend_from_slice(part);
        if self.buffer.len() >= PART_BYTES {
            let rest = self.buffer.split_off(PART_BYTES);
            let full = std::mem::replace(&mut self.buffer, rest);
            self.send(store, ctx, operation, full).await?;
        }
        Ok(())
    }

    /// Hashes a part and sends it, once there is room among those that are under way.
    async fn send(
        &mut self,
        store: &Store,
        ctx: &CallCtx,
        operation: &'static str,
        part: Vec<u8>,
    ) -> Result<()> {
        let mut whole = std::mem::take(&mut self.whole);
        let hashed = tokio::task::spawn_blocking(move || {
            whole.update(&part);
            let digest: [u8; 32] = Sha256::digest(&part).into();
            (whole, part, digest)
        });
        let (whole, part, digest) = hashed
            .await
            .map_err(|e| Error::internal(operation, "the digest was interrupted").with_source(e))?;
        self.whole = whole;
        if self.sent.is_none() {
            self.sent = Some(Sent::begin(store, ctx, operation).await?);
        }
        let Some(sent) = &mut self.sent else {
            return Err(Error::internal(
                operation,
                "an upload that was begun is gone",
            ));
        };
        while sent.under_way.len() >= PARTS_AT_ONCE {
            sent.arrived(operation).await?;
        }
        sent.last = sent.last.saturating_add(1);
        let (number, place) = (sent.last, sent.upload.place());
        let (deadline, pulse) = (ctx.deadline, ctx.pulse.clone());
        sent.under_way.spawn(async move {
            let part = Bytes::from(part);
            let part = place
                .send_part((deadline, &pulse), operation, number, part, digest)
                .await?;
            Ok((number, part))
        });
        Ok(())
    }

    async fn finish(
        mut self,
        store: &Store,
        ctx: &CallCtx,
        operation: &'static str,
    ) -> Result<Spooled> {
        let rest = std::mem::take(&mut self.buffer);
        if self.sent.is_none() {
            return content::spool(store, ctx, operation, Bytes::from(rest)).await;
        }
        if !rest.is_empty() {
            self.send(store, ctx, operation, rest).await?;
        }
        let Some(mut sent) = self.sent.take() else {
            return Err(Error::internal(
                operation,
                "an upload that was begun is gone",
            ));
        };
        while !sent.under_way.is_empty() {
            sent.arrived(operation).await?;
        }
        sent.parts.sort_unstable_by_key(|(number, _)| *number);
        let parts = sent.parts.into_iter().map(|(_, part)| part).collect();
        sent.upload.complete(ctx, operation, parts).await?;
        let spooled = Spooled {
            sha256: hex::encode(self.whole.finalize()),
            size: self.size,
        };
        content::spool_upload(store, ctx, operation, sent.name, &spooled).await?;
        Ok(spooled)
    }
}

impl Sent {
    async fn begin(store: &Store, ctx: &CallCtx, operation: &'static str) -> Result<Self> {
        let name = Uuid::new_v4();
        let key = content::uploaded(store, name);
        let upload = Multipart::begin(store, ctx, operation, key, DEFAULT_CONTENT_TYPE).await?;
        Ok(Self {
            name,
            under_way: JoinSet::new(),
            parts: Vec::new(),
            last: 0,
            upload,
        })
    }

    /// Waits for one of the parts that are under way.
    async fn arrived(&mut self, operation: &'static str) -> Result<()> {
        if let Some(part) = self.under_way.join_next().await {
            let part = part.map_err(|e| {
                Error::internal(operation, "sending a part was interrupted").with_source(e)
            })?;
            self.parts.push(part?);
        }
        Ok(())
    }
}

/// How many uploads are open, of each tenant and of the host: what they hold in memory is bounded.
pub(super) struct UploadTurns {
    all: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl UploadTurns {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(UPLOADS_MAX)),
            tenants: Mutex::default(),
        }
    }

    /// Room for one more upload of a tenant.
    ///
    /// # Errors
    /// `RateLimited` when there is none.
    pub(super) fn take(
        &self,
        operation: &'static str,
        tenant: &TenantId,
    ) -> Result<[OwnedSemaphorePermit; 2]> {
        let full = |message, limit| {
            Error::rate_limited(operation, message)
                .with_context("limit", limit)
                .with_retry_after(FULL_RETRY_AFTER)
        };
        let of_tenant = self.of(tenant).try_acquire_owned().map_err(|_| {
            full(
                "too many uploads of this tenant are open; try again when one has ended",
                UPLOADS_MAX_TENANT,
            )
        })?;
        let of_all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| {
            full(
                "too many uploads are open on this host; try again when one has ended",
                UPLOADS_MAX,
            )
        })?;
        Ok([of_tenant, of_all])
    }

    fn of(&self, tenant: &TenantId) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // Those without an upload need no memory of it.
        tenants.retain(|_, turns| turns.available_permits() < UPLOADS_MAX_TENANT);
        let turns = tenants.entry(tenant.clone());
        Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(UPLOADS_MAX_TENANT))))
    }
}
