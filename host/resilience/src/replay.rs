//! The way back: what waits in the journals goes to the cloud.
//!
//! Entries of one key go in order, several keys at a time, each under the id that its write had. An entry leaves the
//! journal only after the cloud has it, so a crash in the middle repeats an entry and loses none. One replay serves one
//! capability on this host; capabilities do not wait for each other.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use stuga_core::journal::{Entry, EntryInfo, Settled};
use stuga_core::standby::{Adopted, Made};
use stuga_core::{
    AgentName, BreakerState, CallCtx, Capability, CapabilityName, Error, ErrorKind, RequestId,
    Result, TenantId, Write,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::Failover;
use crate::modes::Mode;
use crate::route::{Route, Tried, Way};
use crate::sides::Exchange;

/// Entries that are read from a journal at a time.
const BATCH: u32 = 256;
/// How long other writers of a key wait at most for its replay.
const TURN_LONGEST: Duration = Duration::from_millis(200);

/// How a replay goes.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplaySettings {
    /// How long the breaker must have been closed before anything is replayed: a cloud that flaps is not rushed.
    pub hold_down: Duration,
    /// Keys that are replayed at a time.
    pub keys: usize,
    /// Most entries that are begun in a second, of one capability on this host.
    pub per_second: u32,
    /// Longest time for one entry.
    pub entry: Duration,
    /// An entry that was refused this often is parked.
    pub refusals_max: u32,
    /// Wait after the first refusal; doubles with each pass that is refused again.
    pub backoff: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
    /// How often a replay looks for entries that nobody told it of.
    pub look_every: Duration,
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self {
            hold_down: Duration::from_secs(1),
            keys: 16,
            per_second: 2_000,
            entry: Duration::from_secs(30),
            refusals_max: 8,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            look_every: Duration::from_secs(30),
        }
    }
}

/// How a pass over a journal ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// Nothing waits any longer.
    Drained,
    /// Something was refused and waits for another try.
    Refused,
    /// The cloud is away, or the operator keeps the tenant from it.
    Stopped,
}

/// What takes entries of one capability to the cloud.
#[async_trait]
trait Takes: Send + Sync {
    async fn take(&self, ctx: &CallCtx, entry: &Entry) -> Result<Adopted>;
}

/// The replay of one capability on this host.
pub struct Replay {
    route: Arc<Route>,
    takes: Arc<dyn Takes>,
    settings: ReplaySettings,
}

impl Replay {
    /// The replay of what `facade` notes; none where nothing is noted.
    pub fn of<C: Capability + ?Sized>(
        facade: &Failover<C>,
        settings: ReplaySettings,
    ) -> Option<Self> {
        let sides = facade.two()?;
        let exchange = Arc::clone(sides.exchange()?);
        Some(Self {
            route: Arc::clone(sides.route()),
            takes: exchange,
            settings,
        })
    }

    /// Which capability.
    pub fn capability(&self) -> CapabilityName {
        self.route.capability()
    }

    /// Replays whatever is noted, as long as it is polled. Dropped at any moment it leaves every entry where it was.
    pub async fn run(&self) {
        let mut state = self.route.breaker().watch();
        let mut backoff = self.settings.backoff;
        loop {
            // An open breaker without traffic is asked by the health monitor, or by the next call.
            let closed = |state: &BreakerState| *state == BreakerState::Closed;
            if state.wait_for(closed).await.is_err() {
                return;
            }
            if timeout(self.settings.hold_down, state.changed())
                .await
                .is_ok()
            {
                continue;
            }
            let wait = match self.pass().await {
                Ok(Pass::Drained) => {
                    backoff = self.settings.backoff;
                    self.settings.look_every
                }
                Ok(Pass::Refused) => {
                    let wait = backoff;
                    backoff = backoff.saturating_mul(2).min(self.settings.backoff_max);
                    sleep(wait).await;
                    continue;
                }
                Ok(Pass::Stopped) => self.settings.backoff,
                Err(error) => {
                    let capability = self.capability();
                    tracing::error!(%capability, %error, "the journal cannot be replayed");
                    self.settings.backoff_max
                }
            };
            // Whoever notes a write rings; the wait bounds what is missed, such as what another process noted.
            let _rung = timeout(wait, self.route.noted.notified()).await;
        }
    }

    /// Replays all tenants once.
    ///
    /// # Errors
    /// What the journal answers.
    pub async fn pass(&self) -> Result<Pass> {
        let mut worst = Pass::Drained;
        for tenant in self.route.journal().tenants().await? {
            match self.drain(&tenant).await? {
                Pass::Drained => {}
                Pass::Refused => worst = Pass::Refused,
                Pass::Stopped if self.away() => return Ok(Pass::Stopped),
                Pass::Stopped => {}
            }
        }
        Ok(worst)
    }

    fn away(&self) -> bool {
        self.route.breaker().state() != BreakerState::Closed
    }

    /// Replays one tenant once.
    ///
    /// # Errors
    /// What the journal answers.
    pub async fn drain(&self, tenant: &TenantId) -> Result<Pass> {
        let (mut after, mut pass) = (0, Pass::Drained);
        let capability = self.capability();
        // Keys with an entry that did not go: what comes after it waits as well.
        let mut held: HashSet<Key> = HashSet::new();
        loop {
            if self.route.mode(tenant) != Mode::Cloud {
                return Ok(Pass::Stopped);
            }
            let journal = self.route.journal();
            let batch = journal.next(tenant, capability, after, BATCH).await?;
            let Some(last) = batch.last() else {
                return Ok(pass);
            };
            after = last.info.seq;
            let began = Instant::now();
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            let lanes = by_key(batch).into_iter();
            let lanes = lanes
                .filter(|(key, _)| !held.contains(key))
                .collect::<Vec<_>>();
            let mut lanes = stream::iter(lanes)
                .map(|(key, lane)| async move { (key, self.lane(tenant, &lane).await) })
                .buffer_unordered(self.settings.keys.max(1));
            let mut refused = Vec::new();
            while let Some((key, lane)) = lanes.next().await {
                match lane? {
                    Pass::Drained => {}
                    Pass::Refused => refused.push(key),
                    Pass::Stopped => return Ok(Pass::Stopped),
                }
            }
            drop(lanes);
            if !refused.is_empty() {
                pass = Pass::Refused;
                held.extend(refused);
            }
            let least = Duration::from_secs(1) * count / self.settings.per_second.max(1);
            sleep_until(began + least).await;
        }
    }

    /// Replays entries of one key in order, up to the first that does not go.
    ///
    /// Other writers of the key wait while it has the key's turn, for [`TURN_LONGEST`] at most: a key that is written all the
    /// time still becomes empty, and a cloud that does not answer holds nobody up. Without the turn nothing is out of order:
    /// as long as an entry of the key waits, whatever is written to the key waits behind it.
    async fn lane(&self, tenant: &TenantId, lane: &[Entry]) -> Result<Pass> {
        const OPERATION: &str = "journal.replay";
        let Some(EntryInfo { agent, key, .. }) = lane.first().map(|entry| &entry.info) else {
            return Ok(Pass::Drained);
        };
        let until = Instant::now() + TURN_LONGEST;
        let turn = self
            .route
            .turn(OPERATION, (tenant, agent, key), until)
            .await;
        let until = Instant::now() + TURN_LONGEST;
        let mut turn = turn.ok();
        for entry in lane {
            let mut going = pin!(self.entry(tenant, entry));
            let pass = tokio::select! {
                biased;
                pass = &mut going => pass?,
                () = sleep_until(until), if turn.is_some() => {
                    turn = None;
                    going.await?
                }
            };
            if pass != Pass::Drained {
                return Ok(pass);
            }
        }
        Ok(Pass::Drained)
    }

    /// Takes one entry to the cloud.
    async fn entry(&self, tenant: &TenantId, entry: &Entry) -> Result<Pass> {
        const OPERATION: &str = "journal.replay";
        let deadline = Instant::now() + self.settings.entry;
        let Way::Cloud(attempt) = self.route.ask(deadline) else {
            return Ok(Pass::Stopped);
        };
        let ctx = context(tenant, entry, deadline);
        let attempt = attempt.unhurried(deadline);
        let taken = match attempt.make(OPERATION, self.takes.take(&ctx, entry)).await {
            Tried::Answered(taken) => taken,
            Tried::Away(_) => return Ok(Pass::Stopped),
        };
        let counts = &self.route.counts;
        let (settled, pass) = match taken {
            Ok(Adopted::Stands) => {
                counts.replayed.add();
                (Settled::Adopted, Pass::Drained)
            }
            Ok(Adopted::Superseded) => {
                counts.superseded.add();
                let (seq, operation) = (entry.info.seq, &entry.info.operation);
                tracing::info!(%tenant, seq, operation, "a later write stands in the cloud");
                (Settled::Superseded, Pass::Drained)
            }
            // The cloud has too much to do: that says nothing of the entry.
            Err(error) if error.kind() == ErrorKind::RateLimited => {
                sleep(error.retry_after().unwrap_or(self.settings.backoff)).await;
                return Ok(Pass::Refused);
            }
            Err(error) => {
                let (seq, operation) = (entry.info.seq, &entry.info.operation);
                let reason = error.to_string();
                let last = entry.info.refusals.saturating_add(1) >= self.settings.refusals_max;
                if last || is_final(error.kind()) {
                    counts.parked.add();
                    tracing::error!(%tenant, seq, operation, %error, "the cloud refuses a write for good; it is parked");
                    // Parked it holds nothing up: later writes of its key go on.
                    (Settled::Parked(reason), Pass::Drained)
                } else {
                    counts.refused.add();
                    tracing::warn!(%tenant, seq, operation, %error, "the cloud refuses a write");
                    (Settled::Refused(reason), Pass::Refused)
                }
            }
        };
        self.route
            .journal()
            .settle(tenant, entry.info.seq, settled)
            .await?;
        Ok(pass)
    }
}

/// Whether a refusal of that kind stays one however often it is tried.
fn is_final(kind: ErrorKind) -> bool {
    use ErrorKind::{Conflict, Invalid, NotFound};
    matches!(kind, Conflict | Invalid | NotFound)
}

/// An agent of the tenant, and what its entries change.
type Key = (AgentName, String);

/// Entries by key, each key's in order, the keys in the order of their first entries.
fn by_key(batch: Vec<Entry>) -> Vec<(Key, Vec<Entry>)> {
    let mut lanes: Vec<(Key, Vec<Entry>)> = Vec::new();
    let mut places: HashMap<Key, usize> = HashMap::new();
    for entry in batch {
        let key = (entry.info.agent.clone(), entry.info.key.clone());
        let place = *places.entry(key.clone()).or_insert(lanes.len());
        match lanes.get_mut(place) {
            Some((_, lane)) => lane.push(entry),
            None => lanes.push((key, vec![entry])),
        }
    }
    lanes
}

/// The context in which an entry's write is made again: the one in which it was made.
fn context(tenant: &TenantId, entry: &Entry, deadline: Instant) -> CallCtx {
    let info = &entry.info;
    CallCtx::new(
        tenant.clone(),
        info.agent.clone(),
        info.id.invocation,
        RequestId::from_uuid(*info.id.invocation.as_uuid()),
        info.at,
        deadline,
    )
}

#[async_trait]
impl<W: Write> Takes for Exchange<W> {
    async fn take(&self, ctx: &CallCtx, entry: &Entry) -> Result<Adopted> {
        const OPERATION: &str = "journal.replay";
        let unreadable = |e: serde_json::Error| {
            Error::invalid(OPERATION, "the entry cannot be read by this version").with_source(e)
        };
        let write: W = serde_json::from_slice(&entry.write).map_err(unreadable)?;
        let ack: W::Ack = serde_json::from_slice(&entry.ack).map_err(unreadable)?;
        let made = Made {
            ack,
            stamp: entry.stamp,
            at: entry.info.at,
        };
        let adopted = self.cloud.adopt(ctx, entry.info.id, &write, &made).await;
        match (adopted, &self.carrier) {
            (Err(error), Some(carrier)) if error.kind() == ErrorKind::NotFound => {
                carrier.carry(ctx, &write, Some(&made.ack)).await?;
                self.cloud.adopt(ctx, entry.info.id, &write, &made).await
            }
            (adopted, _) => adopted,
        }
    }
}
