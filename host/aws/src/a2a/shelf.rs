//! Letters, their places and the marks of tenants, as objects of S3.
//!
//! S3 answers what was written last, always; a letter is changed only as long as it is the one that was read (by its
//! ETag), and made only where there is none. So a letter is one thing that everybody agrees on, in whatever process.
//! Places are derived from letters and name them in order; see [`super`] for what keeps both together.

use aws_sdk_s3::primitives::ByteStream;
use stuga_core::a2a::Address;
use stuga_core::{Result, TenantId};

use super::letter::Letter;
use super::names::{self, Pair, Place};
use crate::Shared;
use crate::call::call_until;
use crate::error::{absent, may_have_landed};
use crate::objects::{self, At, Objects};

/// Largest letter that is read: the largest input as JSON text inside of JSON, with room for the rest.
const LETTER_MAX_BYTES: usize = 1 << 20;
/// Places that one request lists.
const PAGE: i32 = 1_000;
/// Most places of a tenant that the operator's listing goes through.
pub(super) const PLACES_MAX: usize = 100_000;

/// The objects of one tenant's mailboxes.
pub(super) struct Shelf(Objects);

/// A letter as it was read or written last.
pub(super) type Kept = objects::Kept<Letter>;

impl Shelf {
    pub(super) fn of(shared: &Shared, tenant: &TenantId) -> Result<Self> {
        let scope = shared.scope(tenant);
        Ok(Self(Objects {
            clients: shared.clients.of(tenant),
            bucket: scope.mail_bucket()?,
            root: scope.mail_objects(),
            what: "message in the object store",
            max: LETTER_MAX_BYTES,
        }))
    }

    /// Keeps a new letter; when one of that id and sender is there already, that.
    pub(super) async fn add(&self, at: At, letter: &Letter) -> Result<Option<Kept>> {
        match self.0.add(at, &name_of(letter), letter).await? {
            true => Ok(None),
            // It may be this very letter, from an attempt whose answer was lost.
            false => self
                .read(at, &letter.id, &letter.sender)
                .await
                .map_err(|error| may_have_landed(at.operation, error)),
        }
    }

    /// Changes a letter; none when it is not any more what was read.
    pub(super) async fn change(
        &self,
        at: At,
        before: &Kept,
        letter: Letter,
    ) -> Result<Option<Kept>> {
        self.0.change(at, &name_of(&letter), before, letter).await
    }

    /// The letter of that id and sender.
    pub(super) async fn read(&self, at: At, id: &str, sender: &Address) -> Result<Option<Kept>> {
        self.0.read(at, &names::letter(id, sender)).await
    }

    /// The letter of that id, whoever sent it.
    pub(super) async fn find(&self, at: At, id: &str) -> Result<Option<Kept>> {
        if !names::is_id(id) {
            return Ok(None);
        }
        let found = self.list(at, &names::letters(id), None, 1).await?;
        match found.names.first() {
            Some(name) => self.0.read(at, name).await,
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
        let put = self.0.clients.s3().put_object().bucket(&self.0.bucket);
        let put = put.key(self.0.key(name)).body(ByteStream::default());
        call_until(at.deadline, at.operation, put.send())
            .await
            .map(drop)
    }

    /// Removes an object; that there is none is no error.
    pub(super) async fn erase(&self, at: At, name: &str) -> Result<()> {
        let delete = self.0.clients.s3().delete_object().bucket(&self.0.bucket);
        let delete = delete.key(self.0.key(name));
        absent(call_until(at.deadline, at.operation, delete.send()).await).map(drop)
    }

    async fn list(&self, at: At, prefix: &str, after: Option<&str>, max: i32) -> Result<Found> {
        let list = self.0.clients.s3().list_objects_v2();
        let list = list
            .bucket(&self.0.bucket)
            .prefix(self.0.key(prefix))
            .set_start_after(after.map(|name| self.0.key(name)))
            .max_keys(max);
        let answer = call_until(at.deadline, at.operation, list.send()).await?;
        let own = |key: &str| key.strip_prefix(&self.0.root).map(str::to_owned);
        Ok(Found {
            is_more: answer.is_truncated.unwrap_or_default(),
            names: answer
                .contents()
                .iter()
                .filter_map(|object| own(object.key()?))
                .collect(),
        })
    }
}

fn name_of(letter: &Letter) -> String {
    names::letter(&letter.id, &letter.sender)
}

/// Names, without the tenant's root.
struct Found {
    names: Vec<String>,
    is_more: bool,
}
