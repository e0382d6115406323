//! The job runner: takes due jobs of all tenants in turns and runs them, so many at a time.
//!
//! One task decides; claims and attempts are tasks of their own, which tell it how they ended. A tenant has its turn by
//! weighted round robin ([`rotation`]) and never more jobs at once than its limit; the host never more than its own. Jobs
//! that this process adds are heard of at once, those of the command line by the marks of their tenants, once a second.
//! When the host is told to stop, nothing more is claimed; at its end every attempt is stopped and its lease given back.

mod attempt;
pub(super) mod elsewhere;
pub(super) mod ending;
pub(super) mod operate;
mod rotation;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use stuga_core::jobs::queue::{CLAIM_MAX, Claimed, Claims, JobQueue, Outcome};
use stuga_core::lease::{Lease, LeaseToken};
use stuga_core::{AgentName, Result, TenantId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::{Host, RunningTenant, Snapshot};
use attempt::Attempt;
use rotation::Rotation;

/// How often the marks of tenants are looked at, for jobs that other processes added.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// When a tenant whose jobs could not be claimed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Events that wait for the runner; whoever has one more waits itself.
const EVENTS_MAX: usize = 256;

/// How jobs are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Attempts of all tenants at the same time.
    pub(super) places: u32,
    /// How long a job is held without a sign of life.
    pub(super) lease: Duration,
}

/// What the runner's tasks tell it.
enum Event {
    Claimed {
        tenant: TenantId,
        credit: u32,
        claims: Result<Claims>,
        places: OwnedSemaphorePermit,
    },
    Ended(TenantId),
}

/// What is known of a tenant with jobs.
struct Desk {
    /// When there is something to do next, as the latest claim said.
    next_at: Option<Timestamp>,
    running: u32,
    /// Jobs that wait, as the latest claim counted them.
    waiting: u32,
    claiming: bool,
    /// Whether something changed while a claim was under way.
    again: bool,
    /// Tells the tenant's attempts to look whether they still hold their jobs.
    changed: watch::Sender<()>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            next_at: None,
            running: 0,
            waiting: 0,
            claiming: false,
            again: false,
            changed: watch::Sender::new(()),
        }
    }
}

struct Runner {
    host: Arc<Host>,
    queue: Arc<dyn JobQueue>,
    /// When set, jobs of this agent alone are run.
    only: Option<AgentName>,
    settings: Settings,
    places: Arc<Semaphore>,
    rotation: Rotation,
    desks: HashMap<TenantId, Desk>,
    /// The tenants that have something to do later, by when.
    agenda: BTreeSet<(Timestamp, TenantId)>,
    stamps: HashMap<TenantId, u64>,
    /// Jobs that wait, of all tenants.
    waiting: u64,
    seen: Arc<Snapshot>,
    events: mpsc::Sender<Event>,
}

/// Starts the runner. It ends with the host; `only` one agent's jobs are run if that is given.
pub(super) fn start(host: &Arc<Host>, settings: Settings, only: Option<AgentName>) {
    let (events, told) = mpsc::channel(EVENTS_MAX);
    let runner = Runner {
        queue: host.backends.job_queue(),
        only,
        settings,
        places: Arc::new(Semaphore::new(settings.places as usize)),
        rotation: Rotation::default(),
        desks: HashMap::new(),
        agenda: BTreeSet::new(),
        stamps: HashMap::new(),
        waiting: 0,
        seen: host.snapshot(),
        events,
        host: Arc::clone(host),
    };
    host.tasks.spawn(runner.run(told));
}

impl Runner {
    async fn run(mut self, mut told: mpsc::Receiver<Event>) {
        let (stop, draining) = (self.host.stop.clone(), self.host.draining.clone());
        let queue = Arc::clone(&self.queue);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.claim();
            let pause = self.pause();
            tokio::select! {
                () = stop.cancelled() => break,
                () = draining.cancelled() => break,
                Some(event) = told.recv() => self.on(event),
                tenant = queue.changed() => self.on_change(&tenant),
                _ = look.tick() => self.look().await,
                () = sleep(pause) => {}
            }
        }
        // Claims that are under way end with nobody to run what they took.
        told.close();
        while let Some(event) = told.recv().await {
            if let Event::Claimed { tenant, claims, .. } = event {
                give_back(&*self.queue, &tenant, claims).await;
            }
        }
    }

    /// Time until the next tenant has something to do.
    fn pause(&self) -> Duration {
        let now = self.host.clock.now();
        let next = self.agenda.first().map(|(at, _)| at.since(now));
        next.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }

    /// Looks which tenants got work from elsewhere, and at all of them when the tenants were read again.
    async fn look(&mut self) {
        let pending = match self.queue.pending().await {
            Ok(pending) => pending,
            Err(error) => {
                tracing::warn!(%error, causes = error.causes(), "tenants with jobs cannot be listed");
                return;
            }
        };
        let current = self.host.snapshot();
        let reloaded = !Arc::ptr_eq(&current, &self.seen);
        self.seen = current;
        let mut stamps = HashMap::with_capacity(pending.len());
        for pending in pending {
            let before = self.stamps.get(&pending.tenant);
            if reloaded || before != Some(&pending.stamp) {
                self.on_change(&pending.tenant);
            }
            stamps.insert(pending.tenant, pending.stamp);
        }
        self.stamps = stamps;
    }

    /// Something changed in a tenant: more work, or less.
    fn on_change(&mut self, tenant: &TenantId) {
        if self.seen.tenants.contains_key(tenant) {
            let desk = self.desks.entry(tenant.clone()).or_default();
            desk.changed.send_replace(());
            desk.again = desk.claiming;
            if !desk.claiming {
                self.rotation.join(tenant);
            }
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Ended(tenant) => {
                if let Some(desk) = self.desks.get_mut(&tenant) {
                    desk.running = desk.running.saturating_sub(1);
                    let due = desk.next_at.is_some_and(|at| at <= self.host.clock.now());
                    if due && !desk.claiming {
                        self.rotation.join(&tenant);
                    }
                    self.tidy(&tenant);
                }
            }
            Event::Claimed {
                tenant,
                credit,
                claims,
                places,
            } => self.on_claimed(tenant, credit, claims, places),
        }
    }

    fn on_claimed(
        &mut self,
        tenant: TenantId,
        credit: u32,
        claims: Result<Claims>,
        mut places: OwnedSemaphorePermit,
    ) {
        let now = self.host.clock.now();
        let claims = claims.unwrap_or_else(|error| {
            tracing::warn!(%tenant, %error, causes = error.causes(), "jobs cannot be claimed");
            Claims {
                jobs: Vec::new(),
                next_at: Some(now.saturating_add(RETRY_AFTER)),
                waiting: self.desks.get(&tenant).map_or(0, |desk| desk.waiting),
            }
        });
        let took = u32::try_from(claims.jobs.len()).unwrap_or(u32::MAX);
        let more = took > 0 && claims.next_at.is_some_and(|at| at <= now);
        // Nothing was taken although something is due: not at once again.
        let next_at = claims.next_at.map(|at| {
            if took == 0 {
                at.max(now.saturating_add(Duration::from_millis(50)))
            } else {
                at
            }
        });
        for job in claims.jobs {
            if let Some(place) = places.split(1) {
                self.begin(&tenant, job, place);
            }
        }
        self.set_next(&tenant, next_at);
        let Some(desk) = self.desks.get_mut(&tenant) else {
            return;
        };
        desk.claiming = false;
        self.waiting = (self.waiting + u64::from(claims.waiting)).saturating_sub(u64::from(
            std::mem::replace(&mut desk.waiting, claims.waiting),
        ));
        self.host.metrics.jobs_waiting(self.waiting);
        if more {
            self.rotation.go_on(&tenant, credit.saturating_sub(took));
        }
        if std::mem::take(&mut desk.again) {
            self.rotation.join(&tenant);
        }
        self.tidy(&tenant);
    }

    /// Claims for the tenants whose turn it is, as long as there are places.
    fn claim(&mut self) {
        let now = self.host.clock.now();
        while let Some((at, tenant)) = self.agenda.first().cloned()
            && at <= now
        {
            self.agenda.pop_first();
            let claiming = self.desks.get(&tenant).is_some_and(|desk| desk.claiming);
            if !claiming {
                self.rotation.join(&tenant);
            }
        }
        while let Some(tenant) = self.rotation.next() {
            let Some(running) = self.seen.tenants.get(&tenant).cloned() else {
                self.rotation.leave();
                self.set_next(&tenant, None);
                continue;
            };
            let limits = &running.tenant.limits.jobs;
            let desk = self.desks.entry(tenant.clone()).or_default();
            let credit = self.rotation.credit(limits.weight);
            let free = limits.concurrent.saturating_sub(desk.running);
            let agents = self.ready_agents(&running);
            if free == 0 || agents.is_empty() {
                // It joins again when one of its jobs ends, or when the tenants are read again.
                self.rotation.leave();
                continue;
            }
            let there = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
            let most = u32::try_from(CLAIM_MAX).unwrap_or(u32::MAX);
            let wanted = credit.min(free).min(there).min(most);
            let places = Arc::clone(&self.places).try_acquire_many_owned(wanted);
            let (1.., Ok(places)) = (wanted, places) else {
                return;
            };
            self.rotation.leave();
            self.start_claim(tenant, credit, wanted, agents, places);
        }
    }

    fn ready_agents(&self, running: &RunningTenant) -> Vec<AgentName> {
        let wanted = |name: &&AgentName| self.only.as_ref().is_none_or(|only| only == *name);
        running.agents.keys().filter(wanted).cloned().collect()
    }

    fn start_claim(
        &mut self,
        tenant: TenantId,
        credit: u32,
        count: u32,
        agents: Vec<AgentName>,
        places: OwnedSemaphorePermit,
    ) {
        if let Some(desk) = self.desks.get_mut(&tenant) {
            desk.claiming = true;
        }
        let (queue, events) = (Arc::clone(&self.queue), self.events.clone());
        let time = self.settings.lease;
        self.host.tasks.spawn(async move {
            let lease = |_| Lease {
                token: LeaseToken::from_uuid(Uuid::new_v4()),
                time,
            };
            let leases: Vec<_> = (0..count).map(lease).collect();
            let claims = queue.claim(&tenant, &agents, &leases, roll()).await;
            let event = Event::Claimed {
                tenant,
                credit,
                claims,
                places,
            };
            if let Err(mpsc::error::SendError(Event::Claimed { tenant, claims, .. })) =
                events.send(event).await
            {
                give_back(&*queue, &tenant, claims).await;
            }
        });
    }

    /// Runs an attempt of a job that was taken.
    fn begin(&mut self, tenant: &TenantId, job: Claimed, place: OwnedSemaphorePermit) {
        let Some(running) = self.seen.tenants.get(tenant).cloned() else {
            return;
        };
        let desk = self.desks.entry(tenant.clone()).or_default();
        desk.running += 1;
        let attempt = Attempt {
            host: Arc::clone(&self.host),
            queue: Arc::clone(&self.queue),
            tenant: running,
            job,
            lease: self.settings.lease,
            changed: desk.changed.subscribe(),
        };
        let events = self.events.clone();
        let tenant = tenant.clone();
        self.host.tasks.spawn(async move {
            attempt.run().await;
            drop(place);
            // A runner that has ended needs no word of it.
            let _ = events.send(Event::Ended(tenant)).await;
        });
    }

    fn set_next(&mut self, tenant: &TenantId, next_at: Option<Timestamp>) {
        let desk = self.desks.entry(tenant.clone()).or_default();
        if let Some(before) = desk.next_at {
            self.agenda.remove(&(before, tenant.clone()));
        }
        desk.next_at = next_at;
        // What is due already is a matter of turns and places, not of time.
        if let Some(at) = next_at.filter(|at| *at > self.host.clock.now()) {
            self.agenda.insert((at, tenant.clone()));
        }
        self.tidy(tenant);
    }

    /// Forgets a tenant that has nothing to do.
    fn tidy(&mut self, tenant: &TenantId) {
        let rests = |desk: &Desk| desk.running == 0 && !desk.claiming && desk.next_at.is_none();
        if self.desks.get(tenant).is_some_and(rests)
            && !self.rotation.holds(tenant)
            && let Some(desk) = self.desks.remove(tenant)
        {
            self.waiting = self.waiting.saturating_sub(u64::from(desk.waiting));
            self.host.metrics.jobs_waiting(self.waiting);
        }
    }
}

/// A random number, all values equally likely.
fn roll() -> u64 {
    Uuid::new_v4().as_u64_pair().0 ^ Uuid::new_v4().as_u64_pair().1.rotate_left(32)
}

/// Puts back what was taken and cannot be run.
async fn give_back(queue: &dyn JobQueue, tenant: &TenantId, claims: Result<Claims>) {
    for job in claims.into_iter().flat_map(|claims| claims.jobs) {
        // When it fails the lease runs out, which comes to the same later.
        let _ = queue.settle(tenant, &job.token, Outcome::Released).await;
    }
}

impl Host {
    /// Runs jobs from now on until the host is closed: those of all agents, or of one.
    pub fn run_jobs(self: &Arc<Self>, only: Option<AgentName>) {
        start(self, self.jobs, only);
    }
}
