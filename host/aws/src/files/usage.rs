//! What a tenant has in its bucket, by the names and sizes of its objects: contents of all versions, and the paths that have any.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::{Result, TenantId};
use tokio::time::Instant;

use super::key;
use crate::Shared;
use crate::call::call_until;
use crate::quota::meter::{Count, Held};

const OPERATION: &str = "files.count";
/// Objects of a page: the most that S3 lists.
const PAGE: i32 = 1_000;

/// Counts what lies behind the tenant's prefix.
pub(super) struct Objects(pub(super) Arc<Shared>);

#[async_trait]
impl Count for Objects {
    /// `ListObjectsV2`.
    async fn page(
        &self,
        tenant: &TenantId,
        next: Option<String>,
        deadline: Instant,
    ) -> Result<(Held, Option<String>)> {
        let scope = self.0.scope(tenant);
        let (bucket, prefix) = (scope.bucket()?, scope.tenant_objects()?);
        let clients = self.0.clients.of(tenant);
        let list = clients.s3().list_objects_v2().bucket(bucket);
        let list = list.prefix(&prefix).max_keys(PAGE);
        let list = list.set_continuation_token(next).send();
        let page = call_until(deadline, OPERATION, list).await?;
        let mut held = Held::default();
        for object in page.contents() {
            let own = object.key().and_then(|key| key.strip_prefix(&prefix));
            // Behind the name of the agent.
            let Some((_, relative)) = own.and_then(|own| own.split_once('/')) else {
                continue;
            };
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            held += match key::kind(relative) {
                Some(key::Kind::Manifest) => Held { count: 1, bytes: 0 },
                Some(key::Kind::Content) => Held {
                    count: 0,
                    bytes: size.unwrap_or_default(),
                },
                None => Held::default(),
            };
        }
        Ok((held, page.next_continuation_token))
    }
}
