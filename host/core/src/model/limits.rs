//! What a tenant may take of the models: completions at once, and tokens a minute.
//!
//! Tokens are known only after they were made, so they are paid for afterwards: a tenant goes on until its minute's tokens are
//! used up and then waits until enough of them are forgotten again. That is a leaky bucket, not the kind that a request
//! pays before it begins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Clock, Error, Result, TenantId, Timestamp};

/// When to try again after too many completions at once.
const PLACE_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// What one tenant may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModelLimits {
    /// Completions at once.
    pub completions: u32,
    /// Tokens of prompts and answers a minute; none for as many as it likes.
    pub tokens_per_minute: Option<u32>,
}

impl Default for ModelLimits {
    /// 4 completions at once, any number of tokens.
    fn default() -> Self {
        Self {
            completions: 4,
            tokens_per_minute: None,
        }
    }
}

/// Limits and use of all tenants, for one backend.
pub struct LimitTable {
    clock: Arc<dyn Clock>,
    tenants: Mutex<Tenants>,
}

#[derive(Default)]
struct Tenants {
    /// One entry for each tenant that was given limits of its own.
    limits: HashMap<TenantId, ModelLimits>,
    /// One entry for each tenant that has a completion open or tokens to be forgotten.
    used: HashMap<TenantId, Used>,
}

struct Used {
    open: u32,
    /// Tokens times [`MINUTE_MS`], so that forgetting needs no fractions.
    spent: u64,
    at: Timestamp,
}

impl LimitTable {
    /// A table that knows no tenant yet: each has the default limits.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            tenants: Mutex::default(),
        }
    }

    /// Sets a tenant's limits, from its next completion on.
    pub fn set(&self, tenant: &TenantId, limits: ModelLimits) {
        self.lock().limits.insert(tenant.clone(), limits);
    }

    /// The right to have a completion open, until it is dropped.
    ///
    /// # Errors
    /// `RateLimited` naming the limit that is reached, with when to try again.
    pub fn admit(self: &Arc<Self>, operation: &'static str, tenant: &TenantId) -> Result<Place> {
        let now = self.clock.now();
        let mut tenants = self.lock();
        let limits = tenants.limits.get(tenant).copied().unwrap_or_default();
        let used = tenants.used.entry(tenant.clone()).or_insert(Used {
            open: 0,
            spent: 0,
            at: now,
        });
        used.forget(limits, now);
        if let Some(minute) = limits.tokens_per_minute
            && used.spent >= u64::from(minute).saturating_mul(MINUTE_MS)
        {
            let over = used.spent - u64::from(minute).saturating_mul(MINUTE_MS);
            let wait = over / u64::from(minute.max(1)) + 1;
            return Err(Error::rate_limited(
                operation,
                "the tenant's limit model_tokens_per_minute is reached; try again later",
            )
            .with_context("limit", minute)
            .with_retry_after(Duration::from_millis(wait)));
        }
        if used.open >= limits.completions {
            return Err(Error::rate_limited(
                operation,
                "the tenant's limit model_completions is reached; try again when one has ended",
            )
            .with_context("limit", limits.completions)
            .with_retry_after(PLACE_RETRY_AFTER));
        }
        used.open += 1;
        Ok(Place {
            table: Arc::clone(self),
            tenant: tenant.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Forgets what the time since the last look allows.
    fn forget(&mut self, limits: ModelLimits, now: Timestamp) {
        let passed = now.as_millis().saturating_sub(self.at.as_millis());
        self.at = now;
        self.spent = match limits.tokens_per_minute {
            Some(minute) => self
                .spent
                .saturating_sub(passed.saturating_mul(u64::from(minute))),
            None => 0,
        };
    }
}

/// A completion's place.
pub struct Place {
    table: Arc<LimitTable>,
    tenant: TenantId,
}

impl Place {
    /// Gives the place back and books what was used on it.
    pub fn spend(self, tokens: u64) {
        let mut tenants = self.table.lock();
        if let Some(used) = tenants.used.get_mut(&self.tenant) {
            let tokens = tokens.saturating_mul(MINUTE_MS);
            used.spent = used.spent.saturating_add(tokens);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.table.clock.now();
        let mut tenants = self.table.lock();
        let limits = tenants.limits.get(&self.tenant).copied();
        let Some(used) = tenants.used.get_mut(&self.tenant) else {
            return;
        };
        used.open = used.open.saturating_sub(1);
        used.forget(limits.unwrap_or_default(), now);
        if used.open == 0 && used.spent == 0 {
            tenants.used.remove(&self.tenant);
        }
    }
}

#[cfg(feature = "testkit")]
#[cfg(test)]
mod tests {
    use crate::ErrorKind;
    use crate::testkit::ManualClock;

    use super::*;

    const OPERATION: &str = "model.complete";

    fn table() -> (Arc<LimitTable>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        (Arc::new(LimitTable::new(time)), clock)
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn a_tenant_has_so_many_completions_at_once_and_its_neighbour_its_own() {
        let (table, _) = table();
        let limits = ModelLimits {
            completions: 2,
            tokens_per_minute: None,
        };
        table.set(&tenant("a"), limits);
        let first = table.admit(OPERATION, &tenant("a")).unwrap();
        let _second = table.admit(OPERATION, &tenant("a")).unwrap();
        let refused = table.admit(OPERATION, &tenant("a")).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        assert!(refused.message().contains("model_completions"));
        let _other = table.admit(OPERATION, &tenant("b")).unwrap();
        drop(first);
        let _third = table.admit(OPERATION, &tenant("a")).unwrap();
    }

    #[test]
    fn tokens_are_paid_afterwards_and_forgotten_within_the_minute() {
        let (table, clock) = table();
        let limits = ModelLimits {
            completions: 4,
            tokens_per_minute: Some(600),
        };
        table.set(&tenant("a"), limits);
        table.admit(OPERATION, &tenant("a")).unwrap().spend(599);
        table.admit(OPERATION, &tenant("a")).unwrap().spend(61);
        // 60 over the limit: at 10 tokens a second that is 6 s and a moment.
        let refused = table.admit(OPERATION, &tenant("a")).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        let wait = refused.retry_after().unwrap();
        assert_eq!(wait, Duration::from_millis(6_001));
        clock.advance(wait - Duration::from_millis(1));
        assert!(table.admit(OPERATION, &tenant("a")).is_err());
        clock.advance(Duration::from_millis(1));
        table.admit(OPERATION, &tenant("a")).unwrap().spend(0);
        table
            .admit(OPERATION, &tenant("b"))
            .unwrap()
            .spend(1_000_000);
        table.admit(OPERATION, &tenant("b")).unwrap();
    }

    #[test]
    fn nothing_stays_of_a_tenant_whose_use_is_forgotten() {
        let (table, clock) = table();
        let limits = ModelLimits {
            completions: 1,
            tokens_per_minute: Some(60),
        };
        table.set(&tenant("a"), limits);
        table.admit(OPERATION, &tenant("a")).unwrap().spend(30);
        assert_eq!(table.lock().used.len(), 1);
        clock.advance(Duration::from_secs(60));
        table.admit(OPERATION, &tenant("a")).unwrap().spend(0);
        assert!(table.lock().used.is_empty());
    }
}
