//! The objects of one agent: every request that files send to S3, and the only place that makes keys for it.
//!
//! What is kept lies under the tenant's prefix of files. What lies for a while only (spooled contents, unfinished uploads, the
//! memory of writes) has a prefix of its own, which the bucket's lifecycle empties after two days.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use stuga_core::{CallCtx, Error, ErrorKind, Result};

use super::cleanup::Cleanup;
use super::key::RELATIVE_MAX_BYTES;
use crate::Shared;
use crate::call::call;
use crate::clients::TenantClients;
use crate::error::absent;
use crate::objects::{self, At};

/// Longest key that S3 takes, in bytes.
const KEY_MAX_BYTES: usize = 1_024;

/// What belongs to one agent of one tenant.
#[derive(Clone)]
pub(super) struct Store {
    clients: Arc<TenantClients>,
    pub(super) bucket: String,
    kept: String,
    passing: String,
    kms_key: Option<String>,
    pub(super) cleanup: Arc<Cleanup>,
}

/// A key that begins with what belongs to the agent. Only [`Store`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// On what condition an object is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    /// Whatever is there.
    Any,
    /// Nothing is there.
    Absent,
    /// The object with this entity tag is there.
    Is(String),
}

/// A small object that was read.
pub(super) struct Object {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
}

/// Adds the encryption that the tenant's configuration asks for.
macro_rules! encrypted {
    ($store:expr, $builder:expr) => {
        match $store.kms_key() {
            Some(key) => $builder
                .server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::AwsKms)
                .bucket_key_enabled(true)
                .ssekms_key_id(key),
            None => $builder,
        }
    };
}
pub(super) use encrypted;

impl Store {
    /// What the agent of the call may touch.
    pub(super) fn of(shared: &Shared, cleanup: &Arc<Cleanup>, ctx: &CallCtx) -> Result<Self> {
        let scope = shared.scope(&ctx.tenant);
        let kept = scope.objects(&ctx.agent)?;
        let passing = scope.passing_objects(&ctx.agent)?;
        if kept.len().max(passing.len()) + RELATIVE_MAX_BYTES > KEY_MAX_BYTES {
            return Err(Error::unavailable(
                "files.scope",
                "the prefix of files is too long for the keys of S3; the operator shortens it",
            )
            .with_context("setting", "aws.files.prefix"));
        }
        Ok(Self {
            clients: shared.clients(ctx),
            bucket: scope.bucket()?,
            kept,
            passing,
            kms_key: scope.files_key()?,
            cleanup: Arc::clone(cleanup),
        })
    }

    /// The client with the tenant's credentials.
    pub(super) fn s3(&self) -> &Client {
        self.clients.s3()
    }

    pub(super) fn kms_key(&self) -> Option<&str> {
        self.kms_key.as_deref()
    }

    /// A key of what is kept.
    pub(super) fn kept(&self, relative: &str) -> Key {
        Key(format!("{}{relative}", self.kept))
    }

    /// A key of what lies for a while.
    pub(super) fn passing(&self, relative: &str) -> Key {
        Key(format!("{}{relative}", self.passing))
    }

    /// What a listed key of what is kept is called, relative to the agent. None when it is somebody else's.
    pub(super) fn relative<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.kept)
    }

    /// A small object as a whole; none when it is absent.
    ///
    /// # Errors
    /// `Internal` when it has more than `max` bytes.
    pub(super) async fn read(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        key: &Key,
        max: usize,
    ) -> Result<Option<Object>> {
        let get = self
            .s3()
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str());
        let Some(found) = absent(call(ctx, operation, get.send()).await)? else {
            return Ok(None);
        };
        let etag = found.e_tag.unwrap_or_default();
        let bytes = collect(ctx, operation, found.body, max).await?;
        Ok(Some(Object { bytes, etag }))
    }

    /// Writes an object and returns its entity tag; none when the condition does not hold.
    pub(super) async fn write(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        key: &Key,
        body: Vec<u8>,
        condition: &Condition,
    ) -> Result<Option<String>> {
        let put = self
            .put(key, Bytes::from(body))
            .content_type("application/json");
        let put = match condition {
            Condition::Any => put,
            Condition::Absent => put.if_none_match("*"),
            Condition::Is(etag) => put.if_match(etag),
        };
        match call(ctx, operation, put.send()).await {
            Ok(done) => Ok(Some(done.e_tag.unwrap_or_default())),
            // 412; 409 when another one is just being written; 404 when the object has gone.
            Err(error)
                if *condition != Condition::Any
                    && matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A request that writes an object in one piece, encrypted as the tenant wants it.
    pub(super) fn put(&self, key: &Key, body: Bytes) -> PutObjectFluentBuilder {
        let put = self
            .s3()
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .body(ByteStream::from(body));
        encrypted!(self, put)
    }
}

/// The body of an answer as a whole, as [`objects::collect`].
pub(super) async fn collect(
    ctx: &CallCtx,
    operation: &'static str,
    body: ByteStream,
    max: usize,
) -> Result<Bytes> {
    let deadline = ctx.deadline;
    objects::collect(
        At {
            operation,
            deadline,
        },
        body,
        max,
        || ctx.pulse.beat(),
    )
    .await
}
