//! Keeps open what a key service wraps: each tenant's key is opened when the host starts and again in rounds, so that an
//! outage of the service shuts no secret that was not shut before, and a key that is withdrawn is forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use stuga_core::{CapabilityName, Result, TenantId};

use super::Host;
use crate::wire::KeyAtRest;

/// Time between two rounds: a key that is withdrawn opens that much longer at most, and the round's length.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// Tenants that are asked for at the same time.
const AT_ONCE: usize = 8;

/// Begins the rounds, the first one now; they end when the host is closed. Does nothing without a key service.
pub(super) fn start(host: &Arc<Host>) {
    if !host.backends().has_key_service() {
        return;
    }
    let (host, stop, tasks) = (Arc::downgrade(host), host.stop.clone(), host.tasks.clone());
    tasks.spawn(async move {
        let mut seen = Seen::default();
        while let Some(host) = Weak::upgrade(&host) {
            let Some(round) = stop.run_until_cancelled(host.renew_keys()).await else {
                return;
            };
            drop(host);
            seen.report(round);
            if stop
                .run_until_cancelled(tokio::time::sleep(EVERY))
                .await
                .is_none()
            {
                return;
            }
        }
    });
}

impl Host {
    /// One round over all tenants that have an agent with secrets.
    async fn renew_keys(&self) -> Vec<(TenantId, Result<KeyAtRest>)> {
        let snapshot = self.snapshot();
        let is_secrets = |granted| granted == CapabilityName::Secrets;
        let reads = |tenant: &&Arc<super::RunningTenant>| {
            let mut plugins = tenant.tenant().plugins.iter();
            plugins.any(|plugin| plugin.grants.iter().any(is_secrets))
        };
        let tenants: Vec<TenantId> = snapshot
            .tenants()
            .filter(reads)
            .map(|tenant| tenant.id().clone())
            .collect();
        drop(snapshot);
        let renewals = tenants.into_iter().map(|tenant| async move {
            let renewed = self.backends().renew_key(&tenant).await;
            (tenant, renewed)
        });
        futures::stream::iter(renewals)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }
}

/// How a tenant's key was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    Well,
    Sealed,
    Shut,
}

/// How it was with the keys at the last round: what stays as it is, is not said again.
#[derive(Default)]
struct Seen(BTreeMap<TenantId, Found>);

impl Seen {
    fn report(&mut self, round: Vec<(TenantId, Result<KeyAtRest>)>) {
        let mut now = BTreeMap::new();
        for (tenant, renewed) in round {
            let found = match &renewed {
                Ok(KeyAtRest::None | KeyAtRest::Wrapped) => Found::Well,
                Ok(KeyAtRest::Sealed) => Found::Sealed,
                Err(_) => Found::Shut,
            };
            if self.is_news(&tenant, found) {
                tell(&tenant, found, renewed.err().as_ref());
            }
            now.insert(tenant, found);
        }
        self.0 = now;
    }

    fn is_news(&self, tenant: &TenantId, found: Found) -> bool {
        let before = self.0.get(tenant).copied().unwrap_or(Found::Well);
        before != found
    }
}

fn tell(tenant: &TenantId, found: Found, error: Option<&stuga_core::Error>) {
    match found {
        Found::Well => tracing::info!(%tenant, "the key service opens the tenant's key again"),
        Found::Sealed => tracing::warn!(
            %tenant,
            "the tenant's key is sealed by the master key file though there is a key service; run `stuga secret rotate {tenant}`"
        ),
        Found::Shut => {
            let causes = error.map(stuga_core::Error::causes).unwrap_or_default();
            let error = error.map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%tenant, error, causes, "the key service does not open the tenant's key; secrets that this process has opened are served");
        }
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::Error;

    use super::*;

    #[test]
    fn only_what_changed_is_told() {
        let acme = TenantId::new("acme").unwrap();
        let mut seen = Seen::default();
        let shut = || Err(Error::unavailable("secrets.renew", "away"));
        let mut round = |renewed: Result<KeyAtRest>, found| {
            let news = seen.is_news(&acme, found);
            seen.report(vec![(acme.clone(), renewed)]);
            news
        };
        assert!(!round(Ok(KeyAtRest::Wrapped), Found::Well), "all is well");
        assert!(round(shut(), Found::Shut));
        assert!(!round(shut(), Found::Shut), "told already");
        assert!(round(Ok(KeyAtRest::Wrapped), Found::Well));
        assert!(round(Ok(KeyAtRest::Sealed), Found::Sealed));
        seen.report(Vec::new());
        assert!(
            seen.is_news(&acme, Found::Sealed),
            "a tenant that went and came"
        );
    }
}
