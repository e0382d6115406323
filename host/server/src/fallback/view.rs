//! What an operator sees, as the API answers it and the commands read it.

use serde::{Deserialize, Serialize};
use stuga_core::journal::EntryInfo;
use stuga_core::{BreakerState, CapabilityName, TenantId, Timestamp};
use stuga_local::Cut;
use stuga_resilience::{Counted, Isolation, Snapshot, TenantStatus};
use utoipa::ToSchema;

use super::Fallback;
use super::explain::{Known, cut_off, sentence, since, unreadable};
use super::kept::Word;

/// The capabilities of a host that lie in the cloud.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HostStatus {
    /// Each of them; none when nothing lies in the cloud.
    pub capabilities: Vec<CapabilityStatus>,
    /// Tenants that operators and drills keep from the cloud.
    #[schema(value_type = Vec<Object>)]
    pub isolations: Vec<Isolation>,
}

/// One capability, of all tenants.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CapabilityStatus {
    /// Which.
    #[schema(value_type = String)]
    pub capability: CapabilityName,
    /// The breaker before its cloud.
    pub breaker: BreakerView,
    /// Who keeps all tenants from the cloud and what for; none when nobody does.
    #[schema(value_type = Option<Object>)]
    pub isolated: Option<Word>,
    /// How long ago the cloud answered last, in milliseconds; since the start, when it never did.
    pub heard_ms: u64,
    /// What was counted since the start.
    #[schema(value_type = Object)]
    pub counts: Counted,
    /// What waits for the cloud; none where this host keeps what it takes.
    pub waiting: Option<Waiting>,
    /// Entries that the cloud took over in a second of late.
    pub drained_per_second: f64,
}

/// A breaker.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BreakerView {
    /// `closed`, `open`, `half-open` or `isolated`.
    #[schema(value_type = String)]
    pub state: BreakerState,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// When the cloud is asked again, in milliseconds; none in other states than open.
    pub open_for_ms: Option<u64>,
    /// Calls in the window.
    pub calls: u32,
    /// Failures in the window.
    pub failures: u32,
    /// Slow calls in the window.
    pub slow: u32,
    /// Failures of the calls in the window, 0 to 1.
    pub failure_rate: f64,
    /// Times that it tripped since the start.
    pub trips: u64,
}

/// What waits for the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Tenants of whom something waits.
    pub tenants: u64,
    /// Entries that wait.
    pub waiting: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was made, in milliseconds since 1970.
    #[schema(value_type = Option<u64>)]
    pub oldest: Option<Timestamp>,
    /// Entries that the cloud refuses for good.
    pub parked: u64,
    /// Tenants of whom nobody knows, as their stores cannot be read: the log says why.
    #[serde(default)]
    pub unreadable: u64,
    /// Whether more tenants have entries than were counted.
    pub more: bool,
}

/// Who answers a tenant, and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Which tenant.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Its capabilities that lie in the cloud.
    pub capabilities: Vec<TenantCapability>,
    /// Whether its store on this host cannot be read: nobody knows then who answers, and no capability is named.
    #[serde(default)]
    pub unreadable: bool,
    /// What is to be known of that store, for people; none when there is nothing.
    #[serde(default)]
    pub store: Option<String>,
}

/// One capability of a tenant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TenantCapability {
    /// As it stands.
    #[schema(value_type = Object)]
    #[serde(flatten)]
    pub status: TenantStatus,
    /// Since when this host answers; none when the cloud does, or nobody knows.
    #[schema(value_type = Option<u64>)]
    pub since: Option<Timestamp>,
    /// The same for people.
    pub says: String,
}

/// A page of a tenant's journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct JournalPage {
    /// The oldest first.
    #[schema(value_type = Vec<Object>)]
    pub entries: Vec<EntryInfo>,
    /// Give this as `after` to read on; none when there is no more.
    pub next: Option<u64>,
}

impl From<&Snapshot> for BreakerView {
    fn from(snapshot: &Snapshot) -> Self {
        let rate = match snapshot.calls {
            0 => 0.0,
            calls => f64::from(snapshot.failures) / f64::from(calls),
        };
        Self {
            state: snapshot.state,
            for_ms: millis(snapshot.for_),
            open_for_ms: snapshot.open_for.map(millis),
            calls: snapshot.calls,
            failures: snapshot.failures,
            slow: snapshot.slow,
            failure_rate: rate,
            trips: snapshot.totals.trips,
        }
    }
}

impl Fallback {
    /// What there is to see of this host; `tenants` are counted beside those whose entries wait.
    ///
    /// # Errors
    /// What the journal answers.
    pub(crate) async fn status(&self, tenants: &[TenantId]) -> stuga_core::Result<HostStatus> {
        let now = self.clock.now();
        let mut capabilities = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            let status = lane.route.status();
            let capability = status.capability;
            let waiting = match lane.replay {
                Some(_) => Some(self.waiting(capability, tenants).await?),
                None => None,
            };
            capabilities.push(CapabilityStatus {
                breaker: BreakerView::from(&status.breaker),
                isolated: self.word(capability),
                heard_ms: millis(now.since(status.heard_at)),
                counts: status.counts,
                waiting,
                drained_per_second: self.pace(capability),
                capability,
            });
        }
        capabilities.sort_by_key(|status| status.capability);
        Ok(HostStatus {
            capabilities,
            isolations: self.modes.isolations(),
        })
    }

    /// Who answers a tenant, and why; `cut` is what was cut off its store.
    pub(crate) async fn explain(
        &self,
        tenant: &TenantId,
        cut: impl FnOnce() -> Option<Cut>,
    ) -> Explanation {
        let explained = self.explain_capabilities(tenant).await;
        let (capabilities, unreadable, store) = match explained {
            // The store was read for that, if it was not before.
            Ok(capabilities) => (capabilities, false, cut().map(cut_off)),
            Err(error) => (Vec::new(), true, Some(unreadable(&error))),
        };
        Explanation {
            tenant: tenant.clone(),
            capabilities,
            unreadable,
            store,
        }
    }

    async fn explain_capabilities(
        &self,
        tenant: &TenantId,
    ) -> stuga_core::Result<Vec<TenantCapability>> {
        let isolations = self.modes.isolations();
        let mut capabilities = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            let capability = lane.route.capability();
            let is_it = |one: &&Isolation| one.tenant == *tenant && one.capability == capability;
            let known = Known {
                tenant,
                status: lane.route.tenant_status(tenant).await?,
                breaker: lane.route.breaker().snapshot(),
                isolation: isolations.iter().find(is_it),
                word: self.word(capability),
                now: self.clock.now(),
            };
            capabilities.push(TenantCapability {
                since: since(&known),
                says: sentence(&known),
                status: known.status,
            });
        }
        capabilities.sort_by_key(|one| one.status.capability);
        Ok(capabilities)
    }
}

pub(super) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
