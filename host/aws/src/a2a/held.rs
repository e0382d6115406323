//! What this process holds: letters that it took, and tokens that it keeps hidden until a letter is due.
//!
//! SQS counts the time of a token by its own clock. What is held here is counted by the host's clock as well, and when
//! that says that the time is over the token is shown again at once; so both agree for what one process does, and a
//! process that is gone is outlived by SQS's count.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stuga_core::lease::LeaseToken;
use stuga_core::{AgentName, TenantId, Timestamp};

use super::names::Pair;
use super::queue::Received;
use super::shelf::Kept;

/// Most hidden tokens that are known here; what is over comes back by SQS's count alone.
const HIDDEN_MAX: usize = 10_000;

/// A letter that was taken.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub(super) tenant: TenantId,
    pub(super) kept: Kept,
    pub(super) received: Received,
}

/// A token that is hidden until a moment.
#[derive(Debug)]
pub(super) struct Hidden {
    pub(super) received: Received,
    pub(super) until: Timestamp,
    /// Whether it is hidden because its agent was not there: then that comes before the moment.
    pub(super) is_unwanted: bool,
}

#[derive(Default)]
struct Inner {
    holdings: HashMap<LeaseToken, Holding>,
    hidden: HashMap<TenantId, Vec<Hidden>>,
    hidden_count: usize,
}

/// What this process holds, of all tenants.
#[derive(Default)]
pub(super) struct Held(Mutex<Inner>);

impl Held {
    /// Notes a letter that was taken or whose lease was prolonged.
    pub(super) fn hold(&self, token: LeaseToken, holding: Holding) {
        self.lock().holdings.insert(token, holding);
    }

    /// What that token holds, if it is this tenant's.
    pub(super) fn of(&self, tenant: &TenantId, token: &LeaseToken) -> Option<Holding> {
        let inner = self.lock();
        let holding = inner.holdings.get(token)?;
        (holding.tenant == *tenant).then(|| holding.clone())
    }

    /// Forgets what that token held.
    pub(super) fn release(&self, token: &LeaseToken) {
        self.lock().holdings.remove(token);
    }

    /// Notes a token that is hidden.
    pub(super) fn hide(&self, tenant: &TenantId, hidden: Hidden) {
        let mut inner = self.lock();
        if inner.hidden_count < HIDDEN_MAX {
            inner.hidden_count += 1;
            inner.hidden.entry(tenant.clone()).or_default().push(hidden);
        }
    }

    /// Takes out what shall be shown again: letters whose lease has run out, and tokens that are due for these agents.
    pub(super) fn take_due(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        now: Timestamp,
    ) -> Vec<Received> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut due = Vec::new();
        inner.holdings.retain(|_, holding| {
            let is_over = holding.tenant == *tenant && holding.kept.value.lease_until <= now;
            if is_over {
                due.push(holding.received.clone());
            }
            !is_over
        });
        if let Some(hidden) = inner.hidden.get_mut(tenant) {
            let is_due = |hidden: &mut Hidden| {
                let is_wanted = agents.contains(&hidden.received.token.agent);
                is_wanted && (hidden.is_unwanted || hidden.until <= now)
            };
            let before = hidden.len();
            due.extend(hidden.extract_if(.., is_due).map(|hidden| hidden.received));
            inner.hidden_count -= before - hidden.len();
            if hidden.is_empty() {
                inner.hidden.remove(tenant);
            }
        }
        due
    }

    /// When the next of these agents' tokens is due or the next lease of the tenant runs out, and which pairs that are.
    pub(super) fn outlook(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
    ) -> (Option<Timestamp>, Vec<Pair>) {
        let inner = self.lock();
        let holdings = inner.holdings.values();
        let held = holdings
            .filter(|holding| holding.tenant == *tenant)
            .map(|holding| {
                (
                    holding.kept.value.lease_until,
                    holding.received.token.pair(),
                )
            });
        let hidden = inner.hidden.get(tenant).into_iter().flatten();
        let hidden = hidden
            .filter(|hidden| agents.contains(&hidden.received.token.agent))
            .map(|hidden| (hidden.until, hidden.received.token.pair()));
        let (moments, pairs): (Vec<_>, Vec<_>) = held.chain(hidden).unzip();
        (moments.into_iter().min(), pairs)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
