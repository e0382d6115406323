//! What files need: a bucket that keeps versions and lets go what lies for a while only.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use stuga_core::{Result, TenantId};

use super::bucket::{Behind, Bucket};
use super::rules::{Rule, Rules};
use super::{OPERATION, Site, Step};
use crate::Shared;
use crate::call::call_until;
use crate::error::{CLOUD, MISSING};

/// How long what passes is kept, in days: claims of writes for one at least.
const PASSING_DAYS: i32 = 2;
/// How long a version is kept that was replaced or removed, in days: within them the operator can undo a mistake.
const OLD_VERSION_DAYS: i32 = 7;

pub(super) fn steps(shared: &Arc<Shared>, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    let Some(config) = &shared.config.files else {
        return Ok(Vec::new());
    };
    let scope = shared.scope(tenant);
    let bucket = Bucket::shared(Site::of(shared, tenant), "files", scope.bucket()?);
    let bucket = bucket.owned(config.bucket.names_tenant());
    let rules = vec![
        Rule::Unfinished,
        Rule::Passing {
            id: "stuga-passing",
            prefix: config.passing.before_tenant().to_owned(),
            days: PASSING_DAYS,
        },
        Rule::Replaced(OLD_VERSION_DAYS),
    ];
    Ok(vec![
        Box::new(bucket.clone()),
        Box::new(Versions(bucket.clone())),
        Box::new(Rules::of(bucket.clone(), rules)),
        Box::new(Behind {
            bucket,
            what: "objects",
            prefixes: vec![scope.tenant_objects()?, scope.tenant_passing_objects()?],
            object: None,
        }),
    ])
}

/// The bucket's versioning.
struct Versions(Bucket);

#[async_trait]
impl Step for Versions {
    fn what(&self) -> String {
        format!("versions in bucket {}", self.0.name())
    }

    fn section(&self) -> &'static str {
        "files"
    }

    fn is_own(&self) -> bool {
        self.0.is_own()
    }

    async fn is_there(&self) -> Result<bool> {
        let ask = self
            .0
            .s3()
            .get_bucket_versioning()
            .bucket(self.0.name())
            .send();
        match call_until(self.0.site().deadline(), OPERATION, ask).await {
            Ok(answer) => Ok(answer.status == Some(BucketVersioningStatus::Enabled)),
            Err(error) if error.context_value(CLOUD) == Some(MISSING) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn make(&self) -> Result<()> {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let put = self.0.s3().put_bucket_versioning().bucket(self.0.name());
        let put = put.versioning_configuration(on.build()).send();
        call_until(self.0.site().deadline(), OPERATION, put).await?;
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        Ok(())
    }
}
