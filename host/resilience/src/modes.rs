//! What operators say of tenants: served by this host alone, or kept away from the cloud for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stuga_core::{CapabilityName, Error, Result, TenantId, Timestamp};
use tokio::time::Instant;

/// Longest isolation that ends by itself.
pub const DRILL_LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Longest reason of an isolation in bytes.
pub const WHY_MAX_BYTES: usize = 200;
/// Most isolations at a time.
const ISOLATIONS_MAX: usize = 10_000;

/// Who serves a capability of a tenant, before any breaker is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The cloud first, and this host while it is away.
    #[default]
    Cloud,
    /// This host alone; nothing is noted for the cloud.
    Local,
    /// This host, as if the cloud were away, by the word of an operator or a drill.
    Isolated,
}

impl Mode {
    /// The mode in lowercase.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Local => "local",
            Self::Isolated => "isolated",
        }
    }
}

/// An isolation of one capability of one tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Isolation {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub capability: CapabilityName,
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself; none when it waits for an operator.
    pub until: Option<Timestamp>,
    /// Who wants it and what for.
    pub why: String,
}

/// The modes of all tenants. What nobody says anything of is `cloud`.
#[derive(Default)]
pub struct Modes {
    /// Whether there is anything to look up at all: there mostly is not.
    any: AtomicBool,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    local: HashMap<TenantId, Vec<CapabilityName>>,
    isolated: HashMap<(TenantId, CapabilityName), (Option<Instant>, Isolation)>,
}

impl Modes {
    /// The mode of a capability of a tenant.
    pub fn of(&self, tenant: &TenantId, capability: CapabilityName) -> Mode {
        if !self.any.load(Ordering::Acquire) {
            return Mode::Cloud;
        }
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if inner
            .local
            .get(tenant)
            .is_some_and(|local| local.contains(&capability))
        {
            return Mode::Local;
        }
        let isolated = inner.isolated.get(&(tenant.clone(), capability));
        match isolated {
            Some((until, _)) if until.is_none_or(|until| Instant::now() < until) => Mode::Isolated,
            _ => Mode::Cloud,
        }
    }

    /// Sets which capabilities of a tenant this host serves alone, instead of those that were set before.
    ///
    /// What it wrote stays on the side that has it: a capability that changes between `cloud` and `local` does not take its
    /// data along.
    pub fn set_local(&self, tenant: &TenantId, local: Vec<CapabilityName>) {
        self.change(|inner| {
            if local.is_empty() {
                inner.local.remove(tenant);
            } else {
                inner.local.insert(tenant.clone(), local);
            }
        });
    }

    /// Keeps a capability of a tenant away from the cloud, from `now` for `lasts` or until [`Modes::release`]. One that
    /// is isolated already gets the new end and reason.
    ///
    /// # Errors
    /// `Invalid` when it lasts longer than [`DRILL_LONGEST`] or the reason is too long; `QuotaExceeded` when too many
    /// are isolated.
    pub fn isolate(
        &self,
        tenant: &TenantId,
        capability: CapabilityName,
        now: Timestamp,
        lasts: Option<Duration>,
        why: &str,
    ) -> Result<()> {
        const OPERATION: &str = "failover.isolate";
        if lasts.is_some_and(|lasts| lasts > DRILL_LONGEST) {
            let message = "an isolation that ends by itself lasts at most 24 hours";
            return Err(Error::invalid(OPERATION, message));
        }
        if why.len() > WHY_MAX_BYTES {
            let error = Error::invalid(OPERATION, "the reason is too long");
            return Err(error.with_context("limit", WHY_MAX_BYTES));
        }
        let isolation = Isolation {
            tenant: tenant.clone(),
            capability,
            since: now,
            until: lasts.map(|lasts| now.saturating_add(lasts)),
            why: why.to_owned(),
        };
        let until = lasts.map(|lasts| Instant::now() + lasts);
        self.change(|inner| {
            let key = (tenant.clone(), capability);
            if inner.isolated.len() >= ISOLATIONS_MAX && !inner.isolated.contains_key(&key) {
                let error = Error::quota_exceeded(OPERATION, "too many isolations at a time");
                return Err(error.with_context("limit", ISOLATIONS_MAX));
            }
            inner.isolated.insert(key, (until, isolation));
            Ok(())
        })
    }

    /// Ends an isolation; whether there was one.
    pub fn release(&self, tenant: &TenantId, capability: CapabilityName) -> bool {
        self.change(|inner| {
            let ended = inner.isolated.remove(&(tenant.clone(), capability));
            ended.is_some_and(|(until, _)| until.is_none_or(|until| Instant::now() < until))
        })
    }

    /// The isolations that hold, by tenant and capability.
    pub fn isolations(&self) -> Vec<Isolation> {
        let now = Instant::now();
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let holding = inner.isolated.values();
        let holding = holding.filter(|(until, _)| until.is_none_or(|until| now < until));
        let mut isolations: Vec<_> = holding.map(|(_, isolation)| isolation.clone()).collect();
        isolations.sort_by(|a, b| (&a.tenant, a.capability).cmp(&(&b.tenant, b.capability)));
        isolations
    }

    /// Removes isolations that have ended, and says which: for whoever tells of it.
    pub fn ended(&self) -> Vec<Isolation> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let now = Instant::now();
        self.change(|inner| {
            let is_over = |until: &Option<Instant>| until.is_some_and(|until| now >= until);
            let over = inner.isolated.extract_if(|_, (until, _)| is_over(until));
            over.map(|(_, (_, isolation))| isolation).collect()
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut inner);
        let any = !(inner.local.is_empty() && inner.isolated.is_empty());
        self.any.store(any, Ordering::Release);
        changed
    }
}

#[cfg(test)]
mod tests {
    use CapabilityName::{Files, Memory};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[tokio::test(start_paused = true)]
    async fn a_drill_holds_for_its_tenant_and_capability_and_ends_by_itself() {
        let (modes, acme) = (Modes::default(), TenantId::new("acme").unwrap());
        let other = TenantId::new("other").unwrap();
        let minute = Duration::from_secs(60);
        modes
            .isolate(&acme, Memory, NOW, Some(minute), "drill")
            .unwrap();
        assert_eq!(modes.of(&acme, Memory), Mode::Isolated);
        assert_eq!(modes.of(&acme, Files), Mode::Cloud);
        assert_eq!(modes.of(&other, Memory), Mode::Cloud);
        assert_eq!(modes.isolations().len(), 1);
        assert!(modes.ended().is_empty());
        tokio::time::advance(minute).await;
        assert_eq!(modes.of(&acme, Memory), Mode::Cloud);
        assert!(modes.isolations().is_empty());
        assert_eq!(modes.ended().len(), 1);
        assert!(!modes.release(&acme, Memory));
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_operator_isolates_waits_for_the_operator() {
        let (modes, acme) = (Modes::default(), TenantId::new("acme").unwrap());
        modes.isolate(&acme, Memory, NOW, None, "repair").unwrap();
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert_eq!(modes.of(&acme, Memory), Mode::Isolated);
        assert!(modes.release(&acme, Memory));
        assert_eq!(modes.of(&acme, Memory), Mode::Cloud);
        let long = DRILL_LONGEST + Duration::from_secs(1);
        assert!(modes.isolate(&acme, Memory, NOW, Some(long), "").is_err());
        let why = "x".repeat(WHY_MAX_BYTES + 1);
        assert!(modes.isolate(&acme, Memory, NOW, None, &why).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_isolation_that_is_renewed_ends_when_the_new_one_does_and_local_goes_before_it() {
        let (modes, acme) = (Modes::default(), TenantId::new("acme").unwrap());
        let minute = Some(Duration::from_secs(60));
        modes.isolate(&acme, Memory, NOW, minute, "drill").unwrap();
        tokio::time::advance(Duration::from_secs(50)).await;
        modes.isolate(&acme, Memory, NOW, minute, "again").unwrap();
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(modes.of(&acme, Memory), Mode::Isolated);
        let isolations = modes.isolations();
        assert_eq!((isolations.len(), isolations[0].why.as_str()), (1, "again"));
        modes.set_local(&acme, vec![Memory]);
        assert_eq!(modes.of(&acme, Memory), Mode::Local);
        modes.set_local(&acme, Vec::new());
        assert_eq!(modes.of(&acme, Memory), Mode::Isolated);
    }

    #[test]
    fn a_tenant_can_be_kept_on_this_host() {
        let (modes, acme) = (Modes::default(), TenantId::new("acme").unwrap());
        modes.set_local(&acme, vec![Files]);
        assert_eq!(modes.of(&acme, Files), Mode::Local);
        modes.set_local(&acme, Vec::new());
        assert_eq!(modes.of(&acme, Files), Mode::Cloud);
    }
}
