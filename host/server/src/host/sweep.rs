//! Removes data of tenants that rest when it comes of age. Tenants that write do so by themselves, beside their writes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use stuga_core::TenantId;

use super::Host;

/// Time between two rounds. What a tenant's retention says by age holds that much later at most, and the round's length.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// Sweeps, one tenant at a time, until the host is closed.
pub(super) fn start(host: &Arc<Host>) {
    let (host, stop, tasks) = (Arc::downgrade(host), host.stop.clone(), host.tasks.clone());
    tasks.spawn(async move {
        while let Some(()) = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await {
            let Some(host) = Weak::upgrade(&host) else {
                return;
            };
            let round = host.sweep_all();
            if stop.run_until_cancelled(round).await.is_none() {
                return;
            }
        }
    });
}

impl Host {
    /// One round over all tenants of which something goes by age.
    async fn sweep_all(&self) {
        for tenant in self.aging_tenants() {
            if let Err(error) = self.backends().sweep(&tenant).await {
                tracing::warn!(%tenant, %error, causes = error.causes(), "a tenant's data could not be swept; the next round tries again");
            }
        }
    }

    fn aging_tenants(&self) -> Vec<TenantId> {
        let snapshot = self.snapshot();
        let aging = snapshot
            .tenants
            .values()
            .filter(|tenant| tenant.tenant().retention.has_age());
        aging.map(|tenant| tenant.id().clone()).collect()
    }
}
