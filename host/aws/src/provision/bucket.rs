//! A bucket, closed to the public, and what lies in it.

use async_trait::async_trait;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier,
    PublicAccessBlockConfiguration,
};
use aws_smithy_types::error::operation::BuildError;
use stuga_core::{Error, Result};

use super::{OPERATION, Site, Step, Trace};
use crate::call::call_until;
use crate::error::{CLOUD, MISSING, absent};
use crate::scope::guard;

/// The one region whose buckets take no location.
const FIRST_REGION: &str = "us-east-1";

/// What a server says to a request that it does not know.
const NOT_IMPLEMENTED: u16 = 501;

/// A bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    site: Site,
    section: &'static str,
    name: String,
    own: bool,
}

impl Bucket {
    /// A bucket that tenants share.
    pub(super) fn shared(site: Site, section: &'static str, name: String) -> Self {
        Self {
            site,
            section,
            name,
            own: false,
        }
    }

    /// The same bucket, as it belongs to this tenant alone or not.
    pub(super) fn owned(self, own: bool) -> Self {
        Self { own, ..self }
    }

    /// For whom it is.
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Which section of the configuration asks for it.
    pub(super) fn asked_by(&self) -> &'static str {
        self.section
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All versions of all objects and their delete markers, a thousand at a time.
    pub(super) async fn remove_behind(&self, prefix: &str) -> Result<()> {
        loop {
            let list = self.s3().list_object_versions();
            let list = list.bucket(&self.name).prefix(prefix).send();
            let page = match call_until(self.site.deadline(), OPERATION, list).await {
                Err(error) if error.context_value(CLOUD) == Some(MISSING) => return Ok(()),
                other => other?,
            };
            let versions = page.versions().iter().map(|v| (v.key(), v.version_id()));
            let markers = page
                .delete_markers()
                .iter()
                .map(|m| (m.key(), m.version_id()));
            let mut going = Vec::new();
            for (key, version) in versions.chain(markers) {
                let key = key.unwrap_or_default();
                guard(OPERATION, prefix, key)?;
                let object = ObjectIdentifier::builder().key(key);
                let object = object.set_version_id(version.map(str::to_owned)).build();
                going.push(object.map_err(incomplete)?);
            }
            if going.is_empty() {
                return Ok(());
            }
            let delete = Delete::builder()
                .set_objects(Some(going))
                .quiet(true)
                .build();
            let delete = delete.map_err(incomplete)?;
            let send = self.s3().delete_objects().bucket(&self.name);
            let answer = send.delete(delete).send();
            let answer = call_until(self.site.deadline(), OPERATION, answer).await?;
            if let Some(refused) = answer.errors().first() {
                let code = refused.code().unwrap_or_default().to_owned();
                return Err(Error::unavailable(
                    OPERATION,
                    "the cloud did not remove all objects; the operator checks s3:DeleteObjectVersion",
                )
                .with_source(code));
            }
        }
    }

    /// Removes one object that no version matters of.
    pub(super) async fn remove_object(&self, key: &str) -> Result<()> {
        let delete = self.s3().delete_object().bucket(&self.name).key(key).send();
        let deleted = absent(call_until(self.site.deadline(), OPERATION, delete).await);
        match deleted {
            Err(error) if error.context_value(CLOUD) == Some(MISSING) => Ok(()),
            other => other.map(drop),
        }
    }

    pub(super) fn s3(&self) -> &aws_sdk_s3::Client {
        self.site.clients().s3()
    }
}

impl Bucket {
    async fn exists(&self) -> Result<bool> {
        let head = self.s3().head_bucket().bucket(&self.name).send();
        let found = call_until(self.site.deadline(), OPERATION, head).await;
        Ok(absent(found)?.is_some())
    }

    /// Whether nothing of it can be opened to the public.
    async fn is_closed(&self) -> Result<bool> {
        let ask = self.s3().get_public_access_block().bucket(&self.name);
        let ask = async {
            match ask.send().await {
                // A store in S3's place that knows no such thing opens nothing that it could close.
                Err(error) if status(&error) == Some(NOT_IMPLEMENTED) => Ok(None),
                answer => answer.map(Some),
            }
        };
        let found = call_until(self.site.deadline(), OPERATION, ask).await;
        let found = match absent(found)? {
            Some(None) => return Ok(true),
            found => found.flatten(),
        };
        let found = found.and_then(|found| found.public_access_block_configuration);
        Ok(found.is_some_and(|found| {
            let settings = [
                found.block_public_acls,
                found.block_public_policy,
                found.ignore_public_acls,
                found.restrict_public_buckets,
            ];
            settings.iter().all(|setting| *setting == Some(true))
        }))
    }

    async fn create(&self) -> Result<()> {
        let region = self.site.shared.config.region.as_str();
        let mut create = self.s3().create_bucket().bucket(&self.name);
        if region != FIRST_REGION {
            let place = CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region));
            create = create.create_bucket_configuration(place.build());
        }
        call_until(self.site.deadline(), OPERATION, create.send()).await?;
        Ok(())
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

pub(super) fn incomplete(e: BuildError) -> Error {
    Error::internal(OPERATION, "a request is incomplete").with_source(e)
}

#[async_trait]
impl Step for Bucket {
    fn what(&self) -> String {
        format!("bucket {}, closed to the public", self.name)
    }

    fn section(&self) -> &'static str {
        self.section
    }

    fn is_own(&self) -> bool {
        self.own
    }

    /// A bucket that something still lets the public into is not there as it must be.
    async fn is_there(&self) -> Result<bool> {
        Ok(self.exists().await? && self.is_closed().await?)
    }

    async fn make(&self) -> Result<()> {
        if !self.exists().await? {
            self.create().await?;
        }
        let closed = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .block_public_policy(true)
            .ignore_public_acls(true)
            .restrict_public_buckets(true)
            .build();
        let close = self.s3().put_public_access_block().bucket(&self.name);
        let close = close.public_access_block_configuration(closed).send();
        call_until(self.site.deadline(), OPERATION, close).await?;
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        let delete = self.s3().delete_bucket().bucket(&self.name).send();
        match call_until(self.site.deadline(), OPERATION, delete).await {
            Err(error) if error.context_value(CLOUD) == Some(MISSING) => Ok(()),
            other => other.map(drop),
        }
    }
}

/// What of a tenant's lies in a bucket.
pub(super) struct Behind {
    pub(super) bucket: Bucket,
    /// What it is, such as `messages`.
    pub(super) what: &'static str,
    pub(super) prefixes: Vec<String>,
    /// One more object, of which no version matters.
    pub(super) object: Option<String>,
}

#[async_trait]
impl Trace for Behind {
    fn what(&self) -> String {
        let (what, bucket) = (self.what, self.bucket.name());
        format!(
            "{what} in bucket {bucket} behind {}",
            self.prefixes.join(" and ")
        )
    }

    fn section(&self) -> &'static str {
        self.bucket.asked_by()
    }

    async fn remove(&self) -> Result<()> {
        for prefix in &self.prefixes {
            self.bucket.remove_behind(prefix).await?;
        }
        match &self.object {
            Some(object) => self.bucket.remove_object(object).await,
            None => Ok(()),
        }
    }
}
