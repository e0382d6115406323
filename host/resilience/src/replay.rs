//! The way back: what waits in the journals goes to the cloud.
//!
//! Entries of one key go in order, several keys at a time, each under the id that its write had. An entry leaves the
//! journal only after the cloud has it, so a crash in the middle repeats an entry and loses none. One replay serves one
//! capability on this host; capabilities do not wait for each other, and tenants neither: what is wrong with one tenant's
//! journal, or with an entry of it, delays that tenant alone.

mod drain;
mod lane;
mod pace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, FuturesUnordered};
use stuga_core::journal::Entry;
use stuga_core::standby::Adopted;
use stuga_core::{BreakerState, CallCtx, Capability, CapabilityName, Result, TenantId};
use tokio::time::{Instant, sleep_until, timeout};

use crate::Failover;
use crate::route::Route;
use drain::{Drained, Place};
use pace::Pace;

/// Tenants whose journals are read at a time.
const TENANTS: usize = 8;
/// Shortest time between two looks at the journals, however often somebody notes a write.
const LOOK_LEAST: Duration = Duration::from_millis(20);

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
    /// How long a tenant is left alone after the cloud refused an entry of it; doubles with each pass that is refused again.
    pub backoff: Duration,
    /// Longest such wait, also when the cloud asks for more.
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
    /// Something was refused, or did not get an answer, and waits for another try.
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
    tuning: ArcSwap<Tuning>,
}

/// What it goes by.
struct Tuning {
    settings: ReplaySettings,
    pace: Pace,
}

impl Tuning {
    fn new(settings: ReplaySettings) -> Self {
        Self {
            pace: Pace::new(settings.keys, settings.per_second),
            settings,
        }
    }
}

/// What is remembered of a tenant that has entries.
struct Standing {
    /// Whether a share of its journal is being replayed.
    busy: bool,
    /// How far its journal is replayed; none when its next share begins anew.
    place: Option<Place>,
    /// Until when it is left alone.
    rests: Instant,
    /// How long its next rest takes.
    next_rest: Duration,
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
            tuning: ArcSwap::from_pointee(Tuning::new(settings)),
        })
    }

    /// Goes by other settings from now on. Shares of journals that are under way come to their ends by the earlier ones, beside
    /// those that begin.
    pub fn set(&self, settings: ReplaySettings) {
        self.tuning.store(Arc::new(Tuning::new(settings)));
        // Whoever waits for the next look may have to look sooner.
        self.route.noted.notify_one();
    }

    /// Which capability.
    pub fn capability(&self) -> CapabilityName {
        self.route.capability()
    }

    /// Replays whatever is noted, as long as it is polled. Dropped at any moment it leaves every entry where it was.
    pub async fn run(&self) {
        let mut state = self.route.breaker().watch();
        loop {
            // An open breaker without traffic is asked by the health monitor, or by the next call.
            let closed = |state: &BreakerState| *state == BreakerState::Closed;
            if state.wait_for(closed).await.is_err() {
                return;
            }
            let young = self.tuning.load().settings.hold_down;
            let young = young.saturating_sub(self.route.breaker().snapshot().for_);
            if !young.is_zero() && timeout(young, state.changed()).await.is_ok() {
                continue;
            }
            // What did not go to a cloud that was about to go away has not been refused: nobody rests for it afterwards.
            tokio::select! {
                biased;
                _ = state.changed() => {}
                () = self.work() => {}
            }
        }
    }

    /// Replays all tenants once: whatever their journals held when it came to their ends.
    ///
    /// # Errors
    /// What the journal answers for any of them; the others are replayed all the same.
    pub async fn pass(&self) -> Result<Pass> {
        let tenants = self.route.journal().tenants().await?;
        let mut passes = stream::iter(tenants)
            .map(|tenant| async move { self.drain(&tenant).await })
            .buffer_unordered(TENANTS);
        let mut worst: Result<Pass> = Ok(Pass::Drained);
        while let Some(pass) = passes.next().await {
            worst = worst.and_then(|worst| Ok(worse(worst, pass?)));
        }
        worst
    }

    /// Replays shares of the tenants' journals as long as it is polled. Nobody waits for another's share to end.
    async fn work(&self) {
        let (mut standings, mut latest) = (HashMap::new(), None);
        let mut shares = FuturesUnordered::new();
        loop {
            let looked = Instant::now();
            let tuning = self.tuning.load_full();
            let settings = &tuning.settings;
            let ready = self.ready(&mut standings, latest.as_ref()).await;
            let failed = ready.is_err();
            for tenant in ready.unwrap_or_default() {
                if shares.len() >= TENANTS {
                    break;
                }
                let standing = standings.entry(tenant.clone()).or_insert(Standing {
                    busy: false,
                    place: None,
                    rests: looked,
                    next_rest: settings.backoff,
                });
                standing.busy = true;
                let place = standing.place.take().unwrap_or_default();
                latest = Some(tenant.clone());
                shares.push(self.begin(tenant, place));
            }
            let soon = looked + LOOK_LEAST;
            let resting = standings.values().filter(|standing| !standing.busy);
            let mut look = resting.map(|standing| standing.rests).min();
            if failed {
                look = Some(looked + settings.backoff);
            }
            // Whoever notes a write rings; the wait bounds what is missed, such as what another process noted.
            let late = looked + settings.look_every.max(LOOK_LEAST);
            let mut look = look.map_or(late, |look| look.clamp(soon, late));
            loop {
                tokio::select! {
                    biased;
                    Some((tenant, place, drained)) = shares.next(), if !shares.is_empty() => {
                        self.settle(&mut standings, tenant, place, &drained);
                        look = soon;
                    }
                    () = self.route.noted.notified(), if look > soon => look = soon,
                    () = sleep_until(look) => break,
                }
            }
        }
    }

    /// The tenants that have entries and neither rest nor are being replayed, first those that come after `latest`.
    async fn ready(
        &self,
        standings: &mut HashMap<TenantId, Standing>,
        latest: Option<&TenantId>,
    ) -> Result<Vec<TenantId>> {
        let tenants = self.route.journal().tenants().await;
        let mut tenants = tenants.inspect_err(|error| {
            let capability = self.capability();
            tracing::error!(%capability, %error, "the journals cannot be read");
        })?;
        tenants.sort_unstable();
        standings.retain(|tenant, standing| standing.busy || tenants.binary_search(tenant).is_ok());
        let had = tenants.partition_point(|tenant| latest.is_some_and(|latest| tenant <= latest));
        tenants.rotate_left(had);
        let now = Instant::now();
        tenants.retain(|tenant| {
            let standing = standings.get(tenant);
            standing.is_none_or(|standing| !standing.busy && standing.rests <= now)
        });
        Ok(tenants)
    }

    /// Replays a share of one tenant's journal beyond `place`, and says how that went.
    async fn begin(&self, tenant: TenantId, mut place: Place) -> (TenantId, Place, Drained) {
        let drained = self.turn(&tenant, &mut place).await;
        let drained = drained.unwrap_or_else(|error| {
            tracing::error!(%tenant, %error, "the journal of a tenant cannot be replayed");
            Drained::refused()
        });
        (tenant, place, drained)
    }

    /// Replays a share of one tenant's journal, and looks whether something was noted meanwhile.
    async fn turn(&self, tenant: &TenantId, place: &mut Place) -> Result<Drained> {
        let mut drained = self.share(tenant, place).await?;
        if drained.pass == Pass::Drained && !drained.more {
            let journal = self.route.journal();
            let backlog = journal.backlog(tenant, self.capability()).await?;
            *place = Place::default();
            match backlog.waiting {
                0 => {}
                _ if drained.progress => drained.more = true,
                // What is counted and not handed out is not to be asked for all the time.
                _ => drained.pass = Pass::Refused,
            }
        }
        Ok(drained)
    }

    /// Says how long a tenant is left alone after its share.
    fn settle(
        &self,
        standings: &mut HashMap<TenantId, Standing>,
        tenant: TenantId,
        place: Place,
        drained: &Drained,
    ) {
        let tuning = self.tuning.load();
        let settings = &tuning.settings;
        let (now, shortest) = (Instant::now(), settings.backoff);
        if drained.pass == Pass::Drained && !drained.more {
            standings.remove(&tenant);
            return;
        }
        let Some(standing) = standings.get_mut(&tenant) else {
            return;
        };
        standing.busy = false;
        if drained.progress {
            standing.next_rest = shortest;
        }
        if drained.more {
            standing.place = Some(place);
            return;
        }
        // An operator's word ends without anybody ringing, and what the cloud refused is not to be asked all the time.
        standing.rests = now + shortest;
        if drained.pass == Pass::Refused {
            let longest = settings.backoff_max.max(shortest);
            standing.rests = now + standing.next_rest.max(drained.asked.min(longest));
            standing.next_rest = standing.next_rest.saturating_mul(2).min(longest);
        }
    }
}

/// The worse of two ends: what stopped is not drained, whatever else was refused.
fn worse(a: Pass, b: Pass) -> Pass {
    match (a, b) {
        (Pass::Stopped, _) | (_, Pass::Stopped) => Pass::Stopped,
        (Pass::Refused, _) | (_, Pass::Refused) => Pass::Refused,
        (Pass::Drained, Pass::Drained) => Pass::Drained,
    }
}
