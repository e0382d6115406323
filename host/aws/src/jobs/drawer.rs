//! Slips and components as objects of S3, in the tenant's own part of the bucket.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_smithy_types::DateTime;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use stuga_core::{Error, ErrorKind, InvocationId, Result, TenantId, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::slip::Slip;
use crate::Shared;
use crate::call::call_until;
use crate::clients::TenantClients;
use crate::error::absent;

/// Largest slip that is read: the largest output as JSON text inside of JSON, with room for the rest.
const SLIP_MAX_BYTES: i64 = 4 << 20;
/// Largest component that is read.
const COMPONENT_MAX_BYTES: i64 = 64 << 20;

/// What is asked, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) operation: &'static str,
    pub(super) deadline: Instant,
}

/// How long slips and components are kept after they were written last, in days, by the bucket's own rule.
pub(crate) const KEPT_DAYS: i32 = 8;
/// From what age on a component is written again before an attempt is offered that needs it: half of that.
const COMPONENT_FRESH: Duration = Duration::from_secs(4 * 24 * 3_600);

/// The objects of one tenant's attempts.
pub(super) struct Drawer {
    clients: Arc<TenantClients>,
    bucket: String,
    /// What every name begins with.
    root: String,
}

/// A slip as it was read or written last.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) slip: Slip,
    etag: String,
}

impl Drawer {
    pub(super) fn of(shared: &Shared, tenant: &TenantId) -> Result<Self> {
        let scope = shared.scope(tenant);
        Ok(Self {
            clients: shared.clients.of(tenant),
            bucket: scope.jobs_bucket()?,
            root: scope.job_objects(),
        })
    }

    /// Keeps a new slip. False when there is one already.
    pub(super) async fn add(&self, at: At, invocation: InvocationId, slip: &Slip) -> Result<bool> {
        match self.put(at, invocation, slip, None).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The slip of an attempt.
    pub(super) async fn read(&self, at: At, invocation: InvocationId) -> Result<Option<Kept>> {
        let damaged = || Error::internal(at.operation, "an attempt's slip is damaged");
        let Some(found) = self.get(at, &slip_name(invocation)).await? else {
            return Ok(None);
        };
        let etag = found.e_tag.clone().ok_or_else(damaged)?;
        let body = content(at, found, SLIP_MAX_BYTES).await?;
        let slip = serde_json::from_slice(&body).map_err(|e| damaged().with_source(e))?;
        Ok(Some(Kept { slip, etag }))
    }

    /// Changes a slip; none when it is not any more what was read.
    pub(super) async fn change(
        &self,
        at: At,
        invocation: InvocationId,
        before: &Kept,
        slip: Slip,
    ) -> Result<Option<Kept>> {
        match self.put(at, invocation, &slip, Some(&before.etag)).await {
            Ok(etag) => Ok(Some(Kept { slip, etag })),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                // The SDK may have repeated a request that had landed: then it is this very slip that stands there.
                let found = self.read(at, invocation).await?;
                Ok(found.filter(|found| found.slip == slip))
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a component under its digest. One that is there already is the same, and young again.
    pub(super) async fn stock(&self, at: At, digest: &str, component: Vec<u8>) -> Result<()> {
        let put = self
            .clients
            .s3()
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(&component_name(at, digest)?))
            .content_type("application/wasm")
            .body(Bytes::from(component).into());
        call_until(at.deadline, at.operation, put.send())
            .await
            .map(drop)
    }

    /// Whether a component is kept and will be for days.
    pub(super) async fn has(&self, at: At, digest: &str, now: Timestamp) -> Result<bool> {
        let head = self
            .clients
            .s3()
            .head_object()
            .bucket(&self.bucket)
            .key(self.key(&component_name(at, digest)?));
        let found = absent(call_until(at.deadline, at.operation, head.send()).await)?;
        let is_fresh = |component: HeadObjectOutput| {
            let written = component.last_modified().map(DateTime::secs);
            let written = written.and_then(|seconds| u64::try_from(seconds).ok());
            let written = Timestamp::from_millis(written.unwrap_or_default().saturating_mul(1_000));
            now.since(written) < COMPONENT_FRESH
        };
        Ok(found.is_some_and(is_fresh))
    }

    /// The component of that digest, and no other bytes.
    pub(super) async fn component(&self, at: At, digest: &str) -> Result<Vec<u8>> {
        let found = self.get(at, &component_name(at, digest)?).await?;
        let found = found.ok_or_else(|| {
            Error::not_found(at.operation, "the component is not in the bucket")
                .with_context("digest", digest)
        })?;
        let bytes = content(at, found, COMPONENT_MAX_BYTES).await?;
        if hex::encode(Sha256::digest(&bytes)) != digest {
            return Err(Error::internal(
                at.operation,
                "the component in the bucket is not what its name says",
            )
            .with_context("digest", digest));
        }
        Ok(bytes)
    }

    async fn put(
        &self,
        at: At,
        invocation: InvocationId,
        slip: &Slip,
        before: Option<&str>,
    ) -> Result<String> {
        let body = serde_json::to_vec(slip).map_err(|e| {
            Error::internal(at.operation, "a slip cannot be written").with_source(e)
        })?;
        let put = self
            .clients
            .s3()
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(&slip_name(invocation)))
            .content_type("application/json")
            .body(Bytes::from(body).into());
        let put = match before {
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        let answer = call_until(at.deadline, at.operation, put.send()).await?;
        answer.e_tag.ok_or_else(|| {
            Error::unavailable(at.operation, "the object store answered without an ETag")
        })
    }

    async fn get(&self, at: At, name: &str) -> Result<Option<GetObjectOutput>> {
        let get = self
            .clients
            .s3()
            .get_object()
            .bucket(&self.bucket)
            .key(self.key(name));
        absent(call_until(at.deadline, at.operation, get.send()).await)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }
}

fn slip_name(invocation: InvocationId) -> String {
    format!("attempts/{invocation}")
}

fn component_name(at: At, digest: &str) -> Result<String> {
    let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest {
        return Ok(format!("components/{digest}.wasm"));
    }
    Err(Error::invalid(
        at.operation,
        "the component's digest is not 64 hexadecimal digits",
    ))
}

async fn content(at: At, found: GetObjectOutput, max: i64) -> Result<Vec<u8>> {
    if !found
        .content_length
        .is_some_and(|bytes| (0..=max).contains(&bytes))
    {
        return Err(Error::internal(
            at.operation,
            "an object of the bucket is larger than can be",
        ));
    }
    let body = timeout_at(at.deadline, found.body.collect())
        .await
        .map_err(|_| Error::timeout(at.operation, "the object store took too long"))?
        .map_err(|e| {
            Error::unavailable(at.operation, "the object store broke off its answer").with_source(e)
        })?;
    Ok(body.to_vec())
}
