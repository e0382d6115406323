//! What files need: a bucket that keeps versions, is closed to the public, and lets go what lies for a while only.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    BucketVersioningStatus, CreateBucketConfiguration, Delete, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
    ObjectIdentifier, PublicAccessBlockConfiguration, VersioningConfiguration,
};
use aws_smithy_types::error::operation::BuildError;
use stuga_core::{Error, Result, TenantId};

use super::{OPERATION, Site, Step};
use crate::Shared;
use crate::call::call_until;
use crate::error::{CLOUD, MISSING, absent};
use crate::scope::guard;

/// The one region whose buckets take no location.
const FIRST_REGION: &str = "us-east-1";
/// How long what passes is kept, in days: claims of writes for one at least.
const PASSING_DAYS: i32 = 2;
/// How long an unfinished upload is kept, in days.
const UPLOAD_DAYS: i32 = 2;
/// How long a version is kept that was replaced or removed, in days: within them the operator can undo a mistake.
const OLD_VERSION_DAYS: i32 = 7;

pub(super) fn steps(shared: &Arc<Shared>, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    let Some(config) = &shared.config.files else {
        return Ok(Vec::new());
    };
    let bucket = Bucket {
        site: Site::of(shared, tenant),
        name: shared.scope(tenant).bucket()?,
        own: config.bucket.names_tenant(),
    };
    Ok(vec![
        Box::new(bucket.clone()),
        Box::new(Versions(bucket.clone())),
        Box::new(Lifecycle(bucket.clone())),
        Box::new(Objects(bucket)),
    ])
}

/// A bucket.
#[derive(Clone)]
struct Bucket {
    site: Site,
    name: String,
    own: bool,
}

impl Bucket {
    fn s3(&self) -> &aws_sdk_s3::Client {
        self.site.clients().s3()
    }
}

fn incomplete(e: BuildError) -> Error {
    Error::internal(OPERATION, "a request is incomplete").with_source(e)
}

#[async_trait]
impl Step for Bucket {
    fn what(&self) -> String {
        format!("bucket {}, closed to the public", self.name)
    }

    fn section(&self) -> &'static str {
        "files"
    }

    fn is_own(&self) -> bool {
        self.own
    }

    async fn is_there(&self) -> Result<bool> {
        let head = self.s3().head_bucket().bucket(&self.name).send();
        let found = call_until(self.site.deadline(), OPERATION, head).await;
        Ok(absent(found)?.is_some())
    }

    async fn make(&self) -> Result<()> {
        let region = self.site.shared.config.region.as_str();
        let mut create = self.s3().create_bucket().bucket(&self.name);
        if region != FIRST_REGION {
            let place = CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region));
            create = create.create_bucket_configuration(place.build());
        }
        call_until(self.site.deadline(), OPERATION, create.send()).await?;
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

/// The bucket's versioning.
struct Versions(Bucket);

#[async_trait]
impl Step for Versions {
    fn what(&self) -> String {
        format!("versions in bucket {}", self.0.name)
    }

    fn section(&self) -> &'static str {
        "files"
    }

    fn is_own(&self) -> bool {
        self.0.own
    }

    async fn is_there(&self) -> Result<bool> {
        let ask = self
            .0
            .s3()
            .get_bucket_versioning()
            .bucket(&self.0.name)
            .send();
        match call_until(self.0.site.deadline(), OPERATION, ask).await {
            Ok(answer) => Ok(answer.status == Some(BucketVersioningStatus::Enabled)),
            Err(error) if error.context_value(CLOUD) == Some(MISSING) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn make(&self) -> Result<()> {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let put = self.0.s3().put_bucket_versioning().bucket(&self.0.name);
        let put = put.versioning_configuration(on.build()).send();
        call_until(self.0.site.deadline(), OPERATION, put).await?;
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        Ok(())
    }
}

/// The bucket's rules about what goes by itself. Other rules of the bucket stay.
struct Lifecycle(Bucket);

impl Lifecycle {
    /// The rules that the bucket has.
    async fn rules(&self) -> Result<Vec<LifecycleRule>> {
        let ask = self.0.s3().get_bucket_lifecycle_configuration();
        let ask = ask.bucket(&self.0.name).send();
        match absent(call_until(self.0.site.deadline(), OPERATION, ask).await) {
            Ok(found) => Ok(found.and_then(|found| found.rules).unwrap_or_default()),
            Err(error) if error.context_value(CLOUD) == Some(MISSING) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The rules that it must have.
    fn wanted(&self) -> Result<Vec<LifecycleRule>> {
        let files = self.0.site.shared.config.files.as_ref();
        let passing = files
            .map(|files| files.passing.before_tenant())
            .unwrap_or_default();
        let rule = |id: &str, prefix: &str| {
            LifecycleRule::builder()
                .id(id)
                .status(ExpirationStatus::Enabled)
                .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
        };
        let old = |days| {
            NoncurrentVersionExpiration::builder()
                .noncurrent_days(days)
                .build()
        };
        let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(UPLOAD_DAYS);
        let passed = LifecycleExpiration::builder().days(PASSING_DAYS).build();
        let marks = LifecycleExpiration::builder()
            .expired_object_delete_marker(true)
            .build();
        [
            rule("stuga-unfinished-uploads", "").abort_incomplete_multipart_upload(abort.build()),
            rule("stuga-passing", passing)
                .expiration(passed)
                .noncurrent_version_expiration(old(1)),
            rule("stuga-old-versions", "")
                .expiration(marks)
                .noncurrent_version_expiration(old(OLD_VERSION_DAYS)),
        ]
        .into_iter()
        .map(|rule| rule.build().map_err(incomplete))
        .collect()
    }

    /// Those that it must have and has not, or has otherwise. Whether it has others in their place is of no matter.
    fn missing(&self, rules: &[LifecycleRule]) -> Result<Vec<LifecycleRule>> {
        let mut wanted = self.wanted()?;
        wanted.retain(|wanted| !rules.iter().any(|rule| same(rule, wanted)));
        Ok(wanted)
    }
}

/// Whether two rules of one name do the same.
fn same(one: &LifecycleRule, other: &LifecycleRule) -> bool {
    let prefix = |rule: &LifecycleRule| {
        let prefix = rule.filter().and_then(|filter| filter.prefix());
        prefix.unwrap_or_default().to_owned()
    };
    one.id() == other.id()
        && one.status() == other.status()
        && prefix(one) == prefix(other)
        && one.expiration().and_then(LifecycleExpiration::days)
            == other.expiration().and_then(LifecycleExpiration::days)
}

#[async_trait]
impl Step for Lifecycle {
    fn what(&self) -> String {
        format!(
            "rules of bucket {}: what passes and unfinished uploads go after {PASSING_DAYS} days, old versions after {OLD_VERSION_DAYS}",
            self.0.name
        )
    }

    fn section(&self) -> &'static str {
        "files"
    }

    fn is_own(&self) -> bool {
        self.0.own
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(self.missing(&self.rules().await?)?.is_empty())
    }

    async fn make(&self) -> Result<()> {
        let mut rules = self.rules().await?;
        let missing = self.missing(&rules)?;
        rules.retain(|rule| !missing.iter().any(|missing| missing.id() == rule.id()));
        rules.extend(missing);
        let lifecycle = BucketLifecycleConfiguration::builder().set_rules(Some(rules));
        let lifecycle = lifecycle.build().map_err(incomplete)?;
        let put = self.0.s3().put_bucket_lifecycle_configuration();
        let put = put
            .bucket(&self.0.name)
            .lifecycle_configuration(lifecycle)
            .send();
        call_until(self.0.site.deadline(), OPERATION, put).await?;
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        Ok(())
    }
}

/// What lies behind the tenant's prefixes.
struct Objects(Bucket);

impl Objects {
    fn prefixes(&self) -> Result<[String; 2]> {
        let site = &self.0.site;
        let scope = site.shared.scope(&site.tenant);
        Ok([scope.tenant_objects()?, scope.tenant_passing_objects()?])
    }

    /// All versions of all objects and their delete markers, a thousand at a time.
    async fn remove_behind(&self, prefix: &str) -> Result<()> {
        loop {
            let list = self.0.s3().list_object_versions();
            let list = list.bucket(&self.0.name).prefix(prefix).send();
            let page = match call_until(self.0.site.deadline(), OPERATION, list).await {
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
            let send = self.0.s3().delete_objects().bucket(&self.0.name);
            let answer = send.delete(delete).send();
            let answer = call_until(self.0.site.deadline(), OPERATION, answer).await?;
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
}

#[async_trait]
impl Step for Objects {
    fn what(&self) -> String {
        let prefixes = self.prefixes().unwrap_or_default().join(" and ");
        format!("objects in bucket {} behind {prefixes}", self.0.name)
    }

    fn section(&self) -> &'static str {
        "files"
    }

    fn is_own(&self) -> bool {
        true
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(true)
    }

    async fn make(&self) -> Result<()> {
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        for prefix in self.prefixes()? {
            self.remove_behind(&prefix).await?;
        }
        Ok(())
    }
}
