//! Slips and components as objects of S3, in the tenant's own part of the bucket.

use std::time::Duration;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_smithy_types::DateTime;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use stuga_core::{Error, InvocationId, Result, TenantId, Timestamp};

use super::slip::Slip;
use crate::Shared;
use crate::call::call_until;
use crate::error::absent;
use crate::objects::{self, At, Objects};

/// Largest slip that is read: the largest output as JSON text inside of JSON, with room for the rest.
const SLIP_MAX_BYTES: usize = 4 << 20;
/// Largest component that is read.
const COMPONENT_MAX_BYTES: usize = 64 << 20;

/// How long slips and components are kept after they were written last, in days, by the bucket's own rule.
pub(crate) const KEPT_DAYS: i32 = 8;
/// From what age on a component is written again before an attempt is offered that needs it: half of that.
const COMPONENT_FRESH: Duration = Duration::from_secs(4 * 24 * 3_600);

/// The objects of one tenant's attempts.
pub(super) struct Drawer(Objects);

/// A slip as it was read or written last.
pub(super) type Kept = objects::Kept<Slip>;

impl Drawer {
    pub(super) fn of(shared: &Shared, tenant: &TenantId) -> Result<Self> {
        let scope = shared.scope(tenant);
        Ok(Self(Objects {
            clients: shared.clients.of(tenant),
            bucket: scope.jobs_bucket()?,
            root: scope.job_objects(),
            what: "slip of an attempt",
            max: SLIP_MAX_BYTES,
        }))
    }

    /// Keeps a new slip. False when there is one already.
    pub(super) async fn add(&self, at: At, invocation: InvocationId, slip: &Slip) -> Result<bool> {
        self.0.add(at, &slip_name(invocation), slip).await
    }

    /// The slip of an attempt.
    pub(super) async fn read(&self, at: At, invocation: InvocationId) -> Result<Option<Kept>> {
        self.0.read(at, &slip_name(invocation)).await
    }

    /// Changes a slip; none when it is not any more what was read.
    pub(super) async fn change(
        &self,
        at: At,
        invocation: InvocationId,
        before: &Kept,
        slip: Slip,
    ) -> Result<Option<Kept>> {
        let name = slip_name(invocation);
        self.0.change(at, &name, before, slip).await
    }

    /// Keeps a component under its digest. One that is there already is the same, and young again.
    pub(super) async fn stock(&self, at: At, digest: &str, component: Vec<u8>) -> Result<()> {
        let put = self.0.clients.s3().put_object().bucket(&self.0.bucket);
        let put = put
            .key(self.0.key(&component_name(at, digest)?))
            .content_type("application/wasm")
            .body(Bytes::from(component).into());
        call_until(at.deadline, at.operation, put.send())
            .await
            .map(drop)
    }

    /// Whether a component is kept and will be for days.
    pub(super) async fn has(&self, at: At, digest: &str, now: Timestamp) -> Result<bool> {
        let head = self.0.clients.s3().head_object().bucket(&self.0.bucket);
        let head = head.key(self.0.key(&component_name(at, digest)?));
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
        let name = component_name(at, digest)?;
        let found = self.0.bytes(at, &name, COMPONENT_MAX_BYTES).await?;
        let (bytes, _) = found.ok_or_else(|| {
            Error::not_found(at.operation, "the component is not in the bucket")
                .with_context("digest", digest)
        })?;
        if hex::encode(Sha256::digest(&bytes)) != digest {
            return Err(Error::internal(
                at.operation,
                "the component in the bucket is not what its name says",
            )
            .with_context("digest", digest));
        }
        Ok(bytes.into())
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
