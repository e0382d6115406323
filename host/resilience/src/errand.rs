//! What the cloud is asked to do that is neither a read nor a write of a tenant's, and what a replay is told.

use std::future::Future;

use stuga_core::{Result, TenantId};

use crate::modes::Mode;
use crate::route::Route;

impl Route {
    /// Has the cloud do something that may take as long as it likes, such as a job's attempt; none when it is not to be
    /// asked: the breaker lets no call through, or `tenant`, if it is anybody's, is kept from the cloud.
    ///
    /// Nothing falls back here, and what has begun is not given up when the breaker trips: what comes of it is the caller's
    /// affair. The breaker learns from it all the same; dropped it says nothing of the cloud.
    pub async fn errand<T>(
        &self,
        tenant: Option<&TenantId>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Option<Result<T>> {
        if tenant.is_some_and(|tenant| self.mode(tenant) != Mode::Cloud) {
            return None;
        }
        let Ok(permit) = self.breaker().try_acquire() else {
            self.counts.not_permitted.add();
            return None;
        };
        let answer = call.await;
        match &answer {
            Err(error) if error.kind().is_outage() => {
                permit.failed();
                self.counts.cloud_failed.add();
            }
            _ => {
                permit.succeeded();
                self.counts.cloud_answered.add();
                self.hear();
            }
        }
        Some(answer)
    }

    /// Has the replay look at once for what waits: somebody let a tenant back to the cloud, or put an entry back.
    pub fn wake(&self) {
        self.noted.notify_one();
    }
}
