//! Small objects of one tenant in a bucket that all tenants share: JSON that is made only where nothing is, and replaced only as
//! long as it is what was read.
//!
//! S3 answers what was written last, always, and compares the entity tag when it writes. So such an object is one thing that
//! everybody agrees on, in whatever process. Letters of mailboxes and slips of jobs are such objects. Files are not: their
//! keys and their encryption are their own ([`crate::files`]).

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stuga_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, timeout_at};

use crate::call::call_until;
use crate::clients::TenantClients;
use crate::error::{absent, deadline_passed, may_have_landed};

/// What is asked, and until when: for each request on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) operation: &'static str,
    pub(crate) deadline: Instant,
}

impl At {
    /// Something that no invocation asked for and that takes `longest`.
    pub(crate) fn within(operation: &'static str, longest: Duration) -> Self {
        Self {
            operation,
            deadline: Instant::now() + longest,
        }
    }
}

/// The objects of one tenant.
pub(crate) struct Objects {
    pub(crate) clients: Arc<TenantClients>,
    pub(crate) bucket: String,
    /// What every key of the tenant begins with; ends with `/`.
    pub(crate) root: String,
    /// What they are, for errors, such as `message`.
    pub(crate) what: &'static str,
    /// Most bytes of one that is read.
    pub(crate) max: usize,
}

/// An object as it was read or written last.
#[derive(Clone, Debug)]
pub(crate) struct Kept<T> {
    pub(crate) value: T,
    etag: String,
}

impl Objects {
    /// The key of what is called `name` within the tenant.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }

    /// Keeps what is new; false when there is something of that name already.
    pub(crate) async fn add<T: Serialize>(&self, at: At, name: &str, value: &T) -> Result<bool> {
        match self.put(at, name, value, None).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts `value` in the place of what was read; none when that does not stand there any more.
    pub(crate) async fn change<T>(
        &self,
        at: At,
        name: &str,
        before: &Kept<T>,
        value: T,
    ) -> Result<Option<Kept<T>>>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        match self.put(at, name, &value, Some(&before.etag)).await {
            Ok(etag) => Ok(Some(Kept { value, etag })),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                // The SDK may have repeated a request that had landed: then it is this very value that stands there.
                let found = self.read(at, name).await;
                let found = found.map_err(|error| may_have_landed(at.operation, error))?;
                Ok(found.filter(|found| found.value == value))
            }
            Err(error) => Err(error),
        }
    }

    /// What is called so; none when there is nothing.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        at: At,
        name: &str,
    ) -> Result<Option<Kept<T>>> {
        let Some((bytes, etag)) = self.bytes(at, name, self.max).await? else {
            return Ok(None);
        };
        let damaged = || Error::internal(at.operation, format!("a {} is damaged", self.what));
        let etag = etag.ok_or_else(damaged)?;
        let value = serde_json::from_slice(&bytes).map_err(|e| damaged().with_source(e))?;
        Ok(Some(Kept { value, etag }))
    }

    /// The bytes of what is called so, at most `max`, and its entity tag.
    pub(crate) async fn bytes(
        &self,
        at: At,
        name: &str,
        max: usize,
    ) -> Result<Option<(Bytes, Option<String>)>> {
        let get = self.clients.s3().get_object().bucket(&self.bucket);
        let get = get.key(self.key(name)).send();
        let Some(found) = absent(call_until(at.deadline, at.operation, get).await)? else {
            return Ok(None);
        };
        let bytes = collect(at, found.body, max, || {}).await?;
        Ok(Some((bytes, found.e_tag)))
    }

    async fn put<T: Serialize>(
        &self,
        at: At,
        name: &str,
        value: &T,
        before: Option<&str>,
    ) -> Result<String> {
        let body = serde_json::to_vec(value).map_err(|e| {
            Error::internal(at.operation, format!("a {} cannot be kept", self.what)).with_source(e)
        })?;
        let put = self.clients.s3().put_object().bucket(&self.bucket);
        let put = put
            .key(self.key(name))
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
}

/// The body of an answer as a whole; each piece is `heard`.
///
/// # Errors
/// `Internal` when it has more than `max` bytes; `Unavailable` when the connection fails; `Timeout` at the deadline.
pub(crate) async fn collect(
    at: At,
    mut body: ByteStream,
    max: usize,
    heard: impl Fn(),
) -> Result<Bytes> {
    let operation = at.operation;
    let whole = async {
        let mut first: Option<Bytes> = None;
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|e| {
                let cut = "the cloud's answer was cut; try again later";
                Error::unavailable(operation, cut).with_source(e)
            })?;
            heard();
            if bytes.len() + piece.len() > max {
                let large = "an object in the cloud is larger than this host ever makes it";
                return Err(Error::internal(operation, large).with_context("limit", max));
            }
            // An answer of one piece is not copied.
            match first.take() {
                None if bytes.is_empty() => first = Some(piece),
                earlier => {
                    bytes.extend_from_slice(&earlier.unwrap_or_default());
                    bytes.extend_from_slice(&piece);
                }
            }
        }
        Ok(first.unwrap_or_else(|| Bytes::from(bytes)))
    };
    timeout_at(at.deadline, whole)
        .await
        .map_err(|_| deadline_passed(operation))?
}
