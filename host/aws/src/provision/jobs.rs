//! What attempts of jobs need: a bucket, and rules by which what they leave behind goes. The function belongs to
//! infrastructure as code.

use std::sync::Arc;

use stuga_core::{Result, TenantId};

use super::bucket::{Behind, Bucket};
use super::rules::{Rule, Rules};
use super::{Site, Step};
use crate::Shared;
use crate::jobs::KEPT_DAYS;
use crate::scope::JOBS;

pub(super) fn steps(shared: &Arc<Shared>, tenant: &TenantId) -> Result<Vec<Box<dyn Step>>> {
    if shared.config.jobs.is_none() {
        return Ok(Vec::new());
    }
    let scope = shared.scope(tenant);
    let bucket = Bucket::shared(Site::of(shared, tenant), "jobs", scope.jobs_bucket()?);
    let rules = vec![
        Rule::Unfinished,
        Rule::Passing {
            id: "stuga-jobs",
            prefix: JOBS.to_owned(),
            days: KEPT_DAYS,
        },
    ];
    Ok(vec![
        Box::new(bucket.clone()),
        Box::new(Rules::of(bucket.clone(), rules)),
        Box::new(Behind {
            bucket,
            what: "attempts of jobs",
            prefixes: vec![scope.job_objects()],
            object: None,
        }),
    ])
}
