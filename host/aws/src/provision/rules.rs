//! A bucket's rules about what goes by itself: what was never finished, what has served its time, what was replaced.

use async_trait::async_trait;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
};
use stuga_core::Result;

use super::bucket::{Bucket, incomplete};
use super::{OPERATION, Step};
use crate::call::call_until;
use crate::error::{CLOUD, MISSING, absent};

/// How long an unfinished upload is kept, in days.
const UPLOAD_DAYS: i32 = 2;
/// How long an earlier version is kept of what goes by itself, in days: as short as S3 has it.
const PASSED_VERSION_DAYS: i32 = 1;

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// Uploads that were not finished go after two days, wherever they are.
    Unfinished,
    /// What lies behind a prefix goes so many days after it was written last, and earlier versions of it at once.
    Passing {
        /// The rule's name.
        id: &'static str,
        /// What the keys begin with.
        prefix: String,
        /// After how many days.
        days: i32,
    },
    /// What was replaced or removed goes after so many days, wherever it is.
    Replaced(i32),
}

impl Rule {
    fn wanted(&self) -> Result<LifecycleRule> {
        let rule = |id: &str, prefix: &str| {
            LifecycleRule::builder()
                .id(id)
                .status(ExpirationStatus::Enabled)
                .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
        };
        let replaced = |days| {
            NoncurrentVersionExpiration::builder()
                .noncurrent_days(days)
                .build()
        };
        let rule = match self {
            Self::Unfinished => {
                let abort = AbortIncompleteMultipartUpload::builder();
                let abort = abort.days_after_initiation(UPLOAD_DAYS).build();
                rule("stuga-unfinished-uploads", "").abort_incomplete_multipart_upload(abort)
            }
            Self::Passing { id, prefix, days } => rule(id, prefix)
                .expiration(LifecycleExpiration::builder().days(*days).build())
                .noncurrent_version_expiration(replaced(PASSED_VERSION_DAYS)),
            Self::Replaced(days) => {
                let marks = LifecycleExpiration::builder().expired_object_delete_marker(true);
                rule("stuga-old-versions", "")
                    .expiration(marks.build())
                    .noncurrent_version_expiration(replaced(*days))
            }
        };
        rule.build().map_err(incomplete)
    }

    fn describe(&self) -> String {
        match self {
            Self::Unfinished => format!("unfinished uploads go after {UPLOAD_DAYS} days"),
            Self::Passing { prefix, days, .. } => format!("{prefix} after {days}"),
            Self::Replaced(days) => format!("old versions after {days}"),
        }
    }
}

/// Rules that a bucket must have. Others that it has stay.
pub(super) struct Rules {
    bucket: Bucket,
    rules: Vec<Rule>,
}

impl Rules {
    /// These rules of this bucket.
    pub(super) fn of(bucket: Bucket, rules: Vec<Rule>) -> Self {
        Self { bucket, rules }
    }

    /// The rules that the bucket has.
    async fn found(&self) -> Result<Vec<LifecycleRule>> {
        let ask = self.bucket.s3().get_bucket_lifecycle_configuration();
        let ask = ask.bucket(self.bucket.name()).send();
        match absent(call_until(self.bucket.site().deadline(), OPERATION, ask).await) {
            Ok(found) => Ok(found.and_then(|found| found.rules).unwrap_or_default()),
            Err(error) if error.context_value(CLOUD) == Some(MISSING) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Those that it must have and has not, or has otherwise.
    fn missing(&self, found: &[LifecycleRule]) -> Result<Vec<LifecycleRule>> {
        let wanted = self.rules.iter().map(Rule::wanted);
        let mut wanted: Vec<LifecycleRule> = wanted.collect::<Result<_>>()?;
        wanted.retain(|wanted| !found.iter().any(|rule| same(rule, wanted)));
        Ok(wanted)
    }
}

/// Whether two rules of one name do the same, as far as those of this host differ.
fn same(one: &LifecycleRule, other: &LifecycleRule) -> bool {
    fn days(rule: &LifecycleRule) -> [Option<i32>; 3] {
        let abort = rule.abort_incomplete_multipart_upload();
        [
            rule.expiration().and_then(LifecycleExpiration::days),
            rule.noncurrent_version_expiration()
                .and_then(NoncurrentVersionExpiration::noncurrent_days),
            abort.and_then(AbortIncompleteMultipartUpload::days_after_initiation),
        ]
    }
    let prefix = |rule: &LifecycleRule| {
        let prefix = rule.filter().and_then(|filter| filter.prefix());
        prefix.unwrap_or_default().to_owned()
    };
    one.id() == other.id()
        && one.status() == other.status()
        && prefix(one) == prefix(other)
        && days(one) == days(other)
}

#[async_trait]
impl Step for Rules {
    fn what(&self) -> String {
        let rules: Vec<String> = self.rules.iter().map(Rule::describe).collect();
        format!(
            "rules of bucket {}: {}",
            self.bucket.name(),
            rules.join(", ")
        )
    }

    fn section(&self) -> &'static str {
        self.bucket.asked_by()
    }

    fn is_own(&self) -> bool {
        self.bucket.is_own()
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(self.missing(&self.found().await?)?.is_empty())
    }

    async fn make(&self) -> Result<()> {
        let mut rules = self.found().await?;
        let missing = self.missing(&rules)?;
        rules.retain(|rule| !missing.iter().any(|missing| missing.id() == rule.id()));
        rules.extend(missing);
        let lifecycle = BucketLifecycleConfiguration::builder().set_rules(Some(rules));
        let lifecycle = lifecycle.build().map_err(incomplete)?;
        let put = self.bucket.s3().put_bucket_lifecycle_configuration();
        let put = put
            .bucket(self.bucket.name())
            .lifecycle_configuration(lifecycle)
            .send();
        call_until(self.bucket.site().deadline(), OPERATION, put).await?;
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        Ok(())
    }
}
