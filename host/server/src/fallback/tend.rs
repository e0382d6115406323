//! What runs for as long as the host does: replays, the watch over the cloud, the end of drills, and a look at the journals
//! now and then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::journal::Backlog;
use stuga_core::{CapabilityName, Result, TenantId};
use stuga_resilience::{Monitor, Neighbours, RouteStatus};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Fallback;
use super::herald::STATES;
use super::view::Waiting;

/// How often ended drills are looked for.
const END_EVERY: Duration = Duration::from_secs(1);
/// How often the journals are looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// Tenants whose journals one look counts.
const TENANTS_LOOKED_MAX: usize = 256;

/// What the latest look at the journals found.
#[derive(Default)]
pub(super) struct Measured {
    of: BTreeMap<CapabilityName, Pace>,
}

/// The same of one capability.
#[derive(Clone, Copy, Default)]
struct Pace {
    waiting: Waiting,
    /// Entries that the cloud had taken over at the time.
    replayed: u64,
    at: Option<Instant>,
    /// Entries that it took over in a second, between the two latest looks.
    per_second: f64,
    /// Entries that it had taken over when entries began to wait; none when none waits.
    since_empty: Option<u64>,
}

/// What is shown as metrics of one capability.
pub struct Figures {
    /// The way to its cloud.
    pub status: RouteStatus,
    /// How often its breaker came into each state: closed, open, half open, isolated.
    pub transitions: [u64; STATES.len()],
    /// What waits for the cloud.
    pub waiting: Waiting,
    /// How long ago the cloud answered last.
    pub silence: Duration,
    /// How old the oldest entry is that waits.
    pub oldest_age: Duration,
}

impl Fallback {
    /// Begins everything that runs beside the calls; it ends with `stop`.
    pub(crate) fn start(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) {
        if self.lanes.is_empty() {
            return;
        }
        for replay in self.lanes.iter().filter_map(|lane| lane.replay.clone()) {
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(replay.run()).await });
        }
        if let Some(probe) = &self.probe {
            let routes = self.lanes.iter().map(|lane| Arc::clone(&lane.route));
            let monitor =
                Monitor::new(routes.collect(), Arc::clone(probe), self.health.subscribe());
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(monitor.run()).await });
        }
        if let Some(gossip) = &self.gossip {
            let routes = self.lanes.iter().map(|lane| Arc::clone(&lane.route));
            let neighbours = Neighbours::new(routes.collect(), Arc::clone(gossip));
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(neighbours.run()).await });
        }
        let (this, stop) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move { stop.run_until_cancelled(this.keep_watch()).await });
    }

    async fn keep_watch(self: Arc<Self>) {
        let mut looked = Instant::now();
        loop {
            sleep(END_EVERY).await;
            self.end_drills().await;
            if looked.elapsed() >= MEASURE_EVERY {
                looked = Instant::now();
                self.measure().await;
            }
        }
    }

    /// Looks at the journals.
    async fn measure(&self) {
        for lane in &self.lanes {
            if lane.replay.is_none() {
                continue;
            }
            let capability = lane.route.capability();
            match self.waiting(capability, &[]).await {
                Ok(waiting) => self.note(capability, waiting),
                Err(error) => tracing::warn!(%capability, %error, "the journals cannot be read"),
            }
        }
    }

    fn note(&self, capability: CapabilityName, waiting: Waiting) {
        let replayed = self
            .route(capability)
            .map(|route| route.status().counts.replayed);
        let (replayed, now) = (replayed.unwrap_or_default(), Instant::now());
        let drained = {
            let mut measured = self.measured();
            let pace = measured.of.entry(capability).or_default();
            if let Some(before) = pace.at {
                let seconds = (now - before).as_secs_f64().max(0.001);
                pace.per_second = replayed.saturating_sub(pace.replayed) as f64 / seconds;
            }
            (pace.waiting, pace.replayed, pace.at) = (waiting, replayed, Some(now));
            match (waiting.waiting, pace.since_empty) {
                (0, Some(before)) => {
                    pace.since_empty = None;
                    Some(replayed.saturating_sub(before))
                }
                (1.., None) => {
                    pace.since_empty = Some(replayed);
                    None
                }
                _ => None,
            }
        };
        if let Some(entries) = drained {
            self.herald.drained(capability, entries, self.clock.now());
        }
    }

    /// What waits of a capability, counted over the tenants whose entries wait and over `others`.
    pub(super) async fn waiting(
        &self,
        capability: CapabilityName,
        others: &[TenantId],
    ) -> Result<Waiting> {
        let mut tenants = self.journal.tenants().await?;
        let others = others
            .iter()
            .filter(|other| !tenants.contains(other))
            .cloned();
        let others: Vec<TenantId> = others.collect();
        tenants.extend(others);
        let mut sum = Waiting {
            more: tenants.len() > TENANTS_LOOKED_MAX,
            ..Waiting::default()
        };
        for tenant in tenants.iter().take(TENANTS_LOOKED_MAX) {
            sum.add(&self.journal.backlog(tenant, capability).await?);
        }
        Ok(sum)
    }

    /// Entries of a capability that the cloud takes over in a second, as the latest looks saw it.
    pub(super) fn pace(&self, capability: CapabilityName) -> f64 {
        let pace = self.measured().of.get(&capability).copied();
        pace.unwrap_or_default().per_second
    }

    /// What is shown as metrics.
    pub fn figures(&self) -> Vec<Figures> {
        let now = self.clock.now();
        let figures = self.lanes.iter().map(|lane| {
            let status = lane.route.status();
            let pace = self.measured().of.get(&status.capability).copied();
            let waiting = pace.unwrap_or_default().waiting;
            Figures {
                transitions: lane.transitions.read(),
                silence: now.since(status.heard_at),
                oldest_age: waiting.oldest.map_or(Duration::ZERO, |at| now.since(at)),
                waiting,
                status,
            }
        });
        figures.collect()
    }
}

impl Waiting {
    fn add(&mut self, backlog: &Backlog) {
        self.tenants += u64::from(backlog.waiting > 0);
        self.waiting = self.waiting.saturating_add(backlog.waiting);
        self.bytes = self.bytes.saturating_add(backlog.bytes);
        self.parked = self.parked.saturating_add(backlog.parked);
        self.oldest = match (self.oldest, backlog.oldest) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

#[cfg(test)]
mod tests {
    use stuga_core::Timestamp;

    use super::*;

    #[test]
    fn journals_add_up_and_the_oldest_entry_counts() {
        let backlog = |waiting, oldest: Option<u64>| Backlog {
            waiting,
            bytes: waiting * 10,
            oldest: oldest.map(Timestamp::from_millis),
            parked: 1,
        };
        let mut sum = Waiting::default();
        for one in [backlog(2, Some(9)), backlog(0, None), backlog(3, Some(4))] {
            sum.add(&one);
        }
        assert_eq!(
            (sum.tenants, sum.waiting, sum.bytes, sum.parked),
            (2, 5, 50, 3)
        );
        assert_eq!(sum.oldest, Some(Timestamp::from_millis(4)));
    }
}
