//! Letters, their places and the marks of tenants, as objects of S3.
//!
//! S3 answers what was written last, always; a letter is changed only as long as it is the one that was read (by its
//! ETag), and made only where there is none. So a letter is one thing that everybody agrees on, in whatever process.
//! Places are derived from letters and name them in order; see [`super`] for what keeps both together.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use stuga_core::a2a::Address;
use stuga_core::{Error, ErrorKind, Result, TenantId};

use super::letter::Letter;
use super::names::{self, Pair, Place};
use crate::Shared;
use crate::call::call_until;
use crate::clients::TenantClients;
use crate::error::absent;

use super::At;

/// Largest letter that is read: the largest input as JSON text inside of JSON, with room for the rest.
const LETTER_MAX_BYTES: i64 = 1 << 20;
/// Places that one request lists.
const PAGE: i32 = 1_000;
/// Most places of a tenant that the operator's listing goes through.
pub(super) const PLACES_MAX: usize = 100_000;

/// The objects of one tenant's mailboxes.
pub(super) struct Shelf {
    clients: Arc<TenantClients>,
    bucket: String,
    /// What every name of the tenant begins with.
    root: String,
}

/// A letter as it was read or written last.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) letter: Letter,
    etag: String,
}

impl Shelf {
    pub(super) fn of(shared: &Shared, tenant: &TenantId) -> Result<Self> {
        let scope = shared.scope(tenant);
        Ok(Self {
            clients: shared.clients.of(tenant),
            bucket: scope.mail_bucket()?,
            root: scope.mail_objects(),
        })
    }

    /// Keeps a new letter; when one of that id and sender is there already, that.
    pub(super) async fn add(&self, at: At, letter: &Letter) -> Result<Option<Kept>> {
        match self.put(at, letter, None).await {
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.read(at, &letter.id, &letter.sender).await
            }
            Err(error) => Err(error),
        }
    }

    /// Changes a letter; none when it is not any more what was read.
    pub(super) async fn change(
        &self,
        at: At,
        before: &Kept,
        letter: Letter,
    ) -> Result<Option<Kept>> {
        match self.put(at, &letter, Some(&before.etag)).await {
            Ok(etag) => Ok(Some(Kept { letter, etag })),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {
                // The SDK may have repeated a request that had landed: then it is this very letter that stands there.
                let found = self.read(at, &letter.id, &letter.sender).await?;
                Ok(found.filter(|found| found.letter == letter))
            }
            Err(error) => Err(error),
        }
    }

    /// The letter of that id and sender.
    pub(super) async fn read(&self, at: At, id: &str, sender: &Address) -> Result<Option<Kept>> {
        self.get(at, &names::letter(id, sender)).await
    }

    /// The letter of that id, whoever sent it.
    pub(super) async fn find(&self, at: At, id: &str) -> Result<Option<Kept>> {
        if !names::is_id(id) {
            return Ok(None);
        }
        let found = self.list(at, &names::letters(id), None, 1).await?;
        match found.names.first() {
            Some(name) => self.get(at, name).await,
            None => Ok(None),
        }
    }

    /// The first place of a pair.
    pub(super) async fn head(&self, at: At, pair: &Pair) -> Result<Option<Place>> {
        let found = self.list(at, &pair.places(), None, 1).await?;
        Ok(found.names.first().and_then(|name| Place::read(name)))
    }

    /// At most `max` places whose names begin with `prefix`, by name.
    pub(super) async fn places(&self, at: At, prefix: &str, max: usize) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        let mut after = None;
        loop {
            let left = max.saturating_sub(places.len());
            let page = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
            if page == 0 {
                return Ok(places);
            }
            let found = self.list(at, prefix, after.as_deref(), page).await?;
            places.extend(found.names.iter().filter_map(|name| Place::read(name)));
            after = found.names.last().cloned();
            if !found.is_more || after.is_none() {
                return Ok(places);
            }
        }
    }

    /// How many names of one page begin with `prefix`, and its last one when there are more.
    pub(super) async fn count(
        &self,
        at: At,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<(u64, Option<String>)> {
        let found = self.list(at, prefix, after, PAGE).await?;
        let last = found.names.last().filter(|_| found.is_more).cloned();
        Ok((found.names.len() as u64, last))
    }

    /// Makes an empty object.
    pub(super) async fn note(&self, at: At, name: &str) -> Result<()> {
        let put = self
            .clients
            .s3()
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(name))
            .body(ByteStream::default());
        call_until(at.deadline, at.operation, put.send())
            .await
            .map(drop)
    }

    /// Removes an object; that there is none is no error.
    pub(super) async fn erase(&self, at: At, name: &str) -> Result<()> {
        let delete = self
            .clients
            .s3()
            .delete_object()
            .bucket(&self.bucket)
            .key(self.key(name));
        absent(call_until(at.deadline, at.operation, delete.send()).await).map(drop)
    }

    async fn put(&self, at: At, letter: &Letter, before: Option<&str>) -> Result<String> {
        let body = serde_json::to_vec(letter).map_err(|e| {
            Error::internal(at.operation, "a message cannot be kept").with_source(e)
        })?;
        let put = self
            .clients
            .s3()
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(&names::letter(&letter.id, &letter.sender)))
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

    async fn get(&self, at: At, name: &str) -> Result<Option<Kept>> {
        let get = self
            .clients
            .s3()
            .get_object()
            .bucket(&self.bucket)
            .key(self.key(name));
        let answer = call_until(at.deadline, at.operation, get.send()).await;
        let Some(answer) = absent(answer)? else {
            return Ok(None);
        };
        let damaged = || Error::internal(at.operation, "a message in the object store is damaged");
        if answer
            .content_length
            .is_some_and(|bytes| bytes > LETTER_MAX_BYTES)
        {
            return Err(damaged());
        }
        let etag = answer.e_tag.ok_or_else(damaged)?;
        let body = tokio::time::timeout_at(at.deadline, answer.body.collect());
        let body = body
            .await
            .map_err(|_| Error::timeout(at.operation, "the object store took too long"))?
            .map_err(|e| {
                Error::unavailable(at.operation, "the object store broke off its answer")
                    .with_source(e)
            })?;
        let letter =
            serde_json::from_slice(&body.into_bytes()).map_err(|e| damaged().with_source(e))?;
        Ok(Some(Kept { letter, etag }))
    }

    async fn list(&self, at: At, prefix: &str, after: Option<&str>, max: i32) -> Result<Found> {
        let list = self
            .clients
            .s3()
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.key(prefix))
            .set_start_after(after.map(|name| self.key(name)))
            .max_keys(max);
        let answer = call_until(at.deadline, at.operation, list.send()).await?;
        let own = |key: &str| key.strip_prefix(&self.root).map(str::to_owned);
        Ok(Found {
            is_more: answer.is_truncated.unwrap_or_default(),
            names: answer
                .contents()
                .iter()
                .filter_map(|object| own(object.key()?))
                .collect(),
        })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }
}

/// Names, without the tenant's root.
struct Found {
    names: Vec<String>,
    is_more: bool,
}
