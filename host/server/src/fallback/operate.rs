//! What operators do: keep a capability from the cloud, hold drills, look after the journal. Every change leaves a line in
//! the audit log that says who did what, and until when.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::journal::{Entry, EntryInfo, EntryState};
use stuga_core::{CapabilityName, Error, Result, TenantId};
use stuga_resilience::{DRILL_LONGEST, Isolation, Route};

use super::Fallback;
use super::kept::{Said, Word};

/// Longest reason in bytes; who gives it stands before it.
const REASON_MAX_BYTES: usize = 100;
/// Shortest drill: what is over before anybody looks shows nothing.
const DRILL_SHORTEST: Duration = Duration::from_secs(1);

/// Who acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    /// The id of the key that was shown.
    pub key: String,
    /// What the client calls itself, which nobody has checked.
    pub name: Option<String>,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_ref().unwrap_or(&self.key))
    }
}

impl Fallback {
    /// Keeps a capability of all tenants from the cloud until [`Fallback::release`].
    ///
    /// # Errors
    /// `NotFound` when the capability does not lie in the cloud, `Invalid` for a reason that is none, `Internal` when it
    /// cannot be kept over a restart.
    pub(crate) async fn isolate(
        self: &Arc<Self>,
        by: &Operator,
        capability: CapabilityName,
        why: &str,
    ) -> Result<()> {
        const OPERATION: &str = "breaker.isolate";
        let route = self.routed(OPERATION, capability)?;
        let why = reason(OPERATION, by, why)?;
        let word = Word {
            since: self.clock.now(),
            why: why.clone(),
        };
        self.isolated().insert(capability, word);
        route.breaker().isolate();
        tracing::warn!(target: "audit", event = "breaker-isolated", %by, key = by.key, %capability, why, "all tenants are kept from the cloud");
        self.keep().await
    }

    /// Ends what [`Fallback::isolate`] began: probes decide whether the cloud is asked again. Says whether there was anything
    /// to end.
    ///
    /// # Errors
    /// As [`Fallback::isolate`].
    pub(crate) async fn release(
        self: &Arc<Self>,
        by: &Operator,
        capability: CapabilityName,
    ) -> Result<bool> {
        let route = self.routed("breaker.release", capability)?;
        let was = self.isolated().remove(&capability).is_some();
        route.breaker().release();
        if was {
            tracing::warn!(target: "audit", event = "breaker-released", %by, key = by.key, %capability, "tenants are no longer kept from the cloud");
            self.keep().await?;
        }
        Ok(was)
    }

    /// Keeps a capability of one tenant from the cloud: for a while, which is a drill, or until
    /// [`Fallback::release_tenant`].
    ///
    /// # Errors
    /// As [`Fallback::isolate`]; `Invalid` for a drill under a second or over [`DRILL_LONGEST`], `QuotaExceeded` when too many
    /// are isolated.
    pub(crate) async fn isolate_tenant(
        self: &Arc<Self>,
        by: &Operator,
        tenant: &TenantId,
        capability: CapabilityName,
        lasts: Option<Duration>,
        why: &str,
    ) -> Result<Isolation> {
        const OPERATION: &str = "drill.start";
        self.routed(OPERATION, capability)?;
        let why = reason(OPERATION, by, why)?;
        if lasts.is_some_and(|lasts| !(DRILL_SHORTEST..=DRILL_LONGEST).contains(&lasts)) {
            let message = "a drill lasts from 1 second to 24 hours";
            return Err(Error::invalid(OPERATION, message));
        }
        let now = self.clock.now();
        self.modes.isolate(tenant, capability, now, lasts, &why)?;
        let isolation = Isolation {
            tenant: tenant.clone(),
            capability,
            since: now,
            until: lasts.map(|lasts| now.saturating_add(lasts)),
            why,
        };
        let until = isolation.until.map(|until| until.as_millis());
        tracing::warn!(target: "audit", event = "tenant-isolated", %by, key = by.key, %tenant, %capability, until, why = isolation.why, "a tenant is kept from the cloud");
        self.herald.isolated(&isolation);
        self.keep().await?;
        Ok(isolation)
    }

    /// Ends what [`Fallback::isolate_tenant`] began; says whether there was anything to end.
    ///
    /// # Errors
    /// As [`Fallback::isolate`].
    pub(crate) async fn release_tenant(
        self: &Arc<Self>,
        by: &Operator,
        tenant: &TenantId,
        capability: CapabilityName,
    ) -> Result<bool> {
        let route = Arc::clone(self.routed("drill.stop", capability)?);
        let was = self.modes.release(tenant, capability);
        if was {
            tracing::warn!(target: "audit", event = "tenant-released", %by, key = by.key, %tenant, %capability, "a tenant is no longer kept from the cloud");
            let now = self.clock.now();
            self.herald.released(tenant, capability, now);
            route.wake();
            self.keep().await?;
        }
        Ok(was)
    }

    /// Ends the drills whose time is over.
    pub(super) async fn end_drills(self: &Arc<Self>) {
        let over = self.modes.ended();
        if over.is_empty() {
            return;
        }
        let now = self.clock.now();
        for Isolation {
            tenant, capability, ..
        } in &over
        {
            tracing::warn!(target: "audit", event = "drill-ended", %tenant, %capability, "a drill is over; the tenant is no longer kept from the cloud");
            self.herald.released(tenant, *capability, now);
            if let Some(route) = self.route(*capability) {
                route.wake();
            }
        }
        if let Err(error) = self.keep().await {
            tracing::error!(%error, "the end of a drill cannot be kept");
        }
    }

    /// Takes up again what operators said before this process began.
    ///
    /// # Errors
    /// `Internal` when what was kept cannot be read.
    pub(crate) fn resume(&self) -> Result<()> {
        let now = self.clock.now();
        let Said { hosts, tenants } = self.kept.read()?;
        for (capability, word) in hosts {
            if let Some(route) = self.route(capability) {
                route.breaker().isolate();
                self.isolated().insert(capability, word);
            }
        }
        for isolation in tenants {
            let left = isolation
                .until
                .map(|until| until.since(now).min(DRILL_LONGEST));
            if left.is_some_and(|left| left.is_zero()) {
                continue;
            }
            let Isolation {
                tenant,
                capability,
                why,
                ..
            } = &isolation;
            self.modes.isolate(tenant, *capability, now, left, why)?;
        }
        Ok(())
    }

    /// Has what operators said outlive this process.
    async fn keep(self: &Arc<Self>) -> Result<()> {
        let this = Arc::clone(self);
        let said = move || Said {
            hosts: this.isolated().clone(),
            tenants: this.modes.isolations(),
        };
        let this = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || this.kept.write(said)).await;
        kept.map_err(|e| {
            Error::internal("failover.isolations", "keeping isolations died").with_source(e)
        })?
    }

    /// Tenants of whom something waits for the cloud.
    ///
    /// # Errors
    /// What the journal answers.
    pub(crate) async fn waiting_tenants(&self) -> Result<Vec<TenantId>> {
        self.journal.tenants().await
    }

    /// Entries of a tenant's journal, the oldest first, beyond `after`.
    ///
    /// # Errors
    /// What the journal answers.
    pub(crate) async fn entries(
        &self,
        tenant: &TenantId,
        state: EntryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EntryInfo>> {
        self.journal.list(tenant, state, after, limit).await
    }

    /// One entry; none when it is gone. Whoever wants its content is noted.
    ///
    /// # Errors
    /// What the journal answers.
    pub(crate) async fn entry(
        &self,
        by: &Operator,
        tenant: &TenantId,
        seq: u64,
        content: bool,
    ) -> Result<Option<Entry>> {
        let found = self.journal.find(tenant, seq).await?;
        if content && found.is_some() {
            tracing::warn!(target: "audit", event = "journal-shown", %by, key = by.key, %tenant, seq, "the content of a journal's entry was shown");
        }
        Ok(found)
    }

    /// Puts a parked entry back; whether it was parked.
    ///
    /// # Errors
    /// What the journal answers.
    pub(crate) async fn retry(&self, by: &Operator, tenant: &TenantId, seq: u64) -> Result<bool> {
        let done = self.journal.retry(tenant, seq).await?;
        if done {
            tracing::warn!(target: "audit", event = "journal-retried", %by, key = by.key, %tenant, seq, "a parked entry waits again");
            for lane in &self.lanes {
                lane.route.wake();
            }
        }
        Ok(done)
    }

    /// Removes a parked or superseded entry for good; whether it was there.
    ///
    /// # Errors
    /// What the journal answers.
    pub(crate) async fn discard(&self, by: &Operator, tenant: &TenantId, seq: u64) -> Result<bool> {
        let done = self.journal.discard(tenant, seq).await?;
        if done {
            tracing::warn!(target: "audit", event = "journal-discarded", %by, key = by.key, %tenant, seq, "an entry of a journal was discarded");
        }
        Ok(done)
    }

    fn routed(&self, operation: &'static str, capability: CapabilityName) -> Result<&Arc<Route>> {
        self.route(capability).ok_or_else(|| {
            let there: Vec<&str> = self.capabilities().map(CapabilityName::as_str).collect();
            let there = match there.is_empty() {
                true => "none does: `aws:` of stuga.yaml names none".to_owned(),
                false => there.join(", "),
            };
            let message = format!(
                "{capability} does not lie on AWS, so nothing stands before it; what does: {there}"
            );
            Error::not_found(operation, message)
        })
    }
}

/// A reason as it is kept, with who gives it.
fn reason(operation: &'static str, by: &Operator, why: &str) -> Result<String> {
    let why = why.trim();
    if why.len() > REASON_MAX_BYTES || why.chars().any(char::is_control) {
        let message = format!("the reason is longer than {REASON_MAX_BYTES} bytes or not one line");
        return Err(Error::invalid(operation, message).with_context("limit", REASON_MAX_BYTES));
    }
    Ok(match why {
        "" => format!("{by} gave no reason"),
        why => format!("{by}: {why}"),
    })
}
