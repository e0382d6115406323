//! Empties the mailboxes: takes messages that are due and invokes their agents with them.
//!
//! One task for each place with mailboxes looks, at most [`DELIVERIES_MAX`] deliver. While the cloud is away the mailboxes
//! there rest, and those of this host have what is posted meanwhile; a message that came into both is the same invocation
//! twice, so what it writes happens once.
//!
//! A tenant is looked at when something was posted or settled in it, when a message of its becomes due, when its agents
//! change, and when another process has added something.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use stuga_core::a2a::delivery::{
    CLAIM_MAX, MailQueue, Outcome, Settled, Taken, invocation_of_delivery,
};
use stuga_core::a2a::{Address, Incoming};
use stuga_core::lease::{Failure as Why, Held, Lease, LeaseToken};
use stuga_core::retry::Next;
use stuga_core::{
    AgentName, BreakerState, CapabilityName, ErrorKind, InvocationId, RequestId, Result, TenantId,
    Timestamp,
};
use stuga_resilience::Route;
use stuga_runtime::InvokeError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{Call, Failure, Host};

/// Most messages that are being delivered at once, of all tenants together.
const DELIVERIES_MAX: usize = 32;
/// Most messages that one look takes for one tenant, so that others get their turn.
const TAKEN_MAX: usize = 8;
/// How long a delivery is a holder's without a word from it.
const LEASE_TIME: Duration = Duration::from_secs(30);
/// How often a holder speaks up.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the tenants are looked through for what other processes added, and for agents that came or went.
const ROUND: Duration = Duration::from_secs(2);
/// Wait after a look that failed, or that found no free place.
const PAUSE: Duration = Duration::from_millis(500);

/// When a tenant is looked at next, and what was known of it at the last look.
#[derive(Default)]
struct Watched {
    next: Option<Timestamp>,
    stamp: u64,
    agents: Vec<AgentName>,
}

/// A place with mailboxes.
#[derive(Clone)]
struct Station {
    queue: Arc<dyn MailQueue>,
    /// Whether it is the only one, so that no message can come a second time from elsewhere.
    alone: bool,
    /// The way there, when it lies in the cloud.
    route: Option<Arc<Route>>,
}

impl Station {
    fn is_away(&self) -> bool {
        let refuses = |route: &Arc<Route>| {
            let breaker = route.breaker();
            let open = breaker.state() == BreakerState::Open && !breaker.settings().metrics_only;
            open || breaker.state() == BreakerState::Isolated
        };
        self.route.as_ref().is_some_and(refuses)
    }
}

/// Starts the tasks; they end when the host stops.
pub(super) fn start(host: &Arc<Host>) {
    let places = Arc::new(Semaphore::new(DELIVERIES_MAX));
    let queues = host.backends.mail_queues();
    let alone = queues.len() == 1;
    let mut route = host.backends.fallback().route(CapabilityName::A2a).cloned();
    for queue in queues {
        // The cloud's come first.
        let station = Station {
            queue,
            alone,
            route: route.take(),
        };
        let (weak, stop) = (Arc::downgrade(host), host.stop.clone());
        let places = Arc::clone(&places);
        host.tasks.spawn(async move {
            stop.run_until_cancelled(run(weak, station, places)).await;
        });
    }
}

async fn run(host: Weak<Host>, station: Station, places: Arc<Semaphore>) {
    let queue = &station.queue;
    let mut tenants: BTreeMap<TenantId, Watched> = BTreeMap::new();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let soonest = tenants.values().filter_map(|tenant| tenant.next).min();
        let Some(now) = host.upgrade().map(|host| host.clock.now()) else {
            return;
        };
        tokio::select! {
            tenant = queue.changed() => tenants.entry(tenant).or_default().next = Some(now),
            _ = round.tick() => match host.upgrade() {
                Some(_) if station.is_away() => {}
                Some(host) => look_through(&host, &**queue, &mut tenants).await,
                None => return,
            },
            () = sleep_until(now, soonest) => {}
        }
        let Some(host) = host.upgrade() else { return };
        let now = host.clock.now();
        let due: Vec<TenantId> = tenants
            .iter()
            .filter(|(_, tenant)| tenant.next.is_some_and(|next| next <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let looked = match station.is_away() {
                true => Ok(Some(now.saturating_add(ROUND))),
                false => look(&host, &station, &id, &places).await,
            };
            let next = looked.unwrap_or_else(|error| {
                tracing::warn!(tenant = %id, %error, causes = error.causes(), "mailboxes cannot be read; trying again");
                Some(now.saturating_add(PAUSE))
            });
            if let Some(tenant) = tenants.get_mut(&id) {
                tenant.next = next;
            }
        }
    }
}

async fn sleep_until(now: Timestamp, moment: Option<Timestamp>) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.since(now)).await,
        None => std::future::pending().await,
    }
}

/// Finds tenants whose messages or agents changed without a word to this process, and forgets those without messages.
async fn look_through(
    host: &Host,
    queue: &dyn MailQueue,
    tenants: &mut BTreeMap<TenantId, Watched>,
) {
    let pending = match queue.pending().await {
        Ok(pending) => pending,
        Err(error) => {
            tracing::warn!(%error, causes = error.causes(), "the mailboxes cannot be listed");
            return;
        }
    };
    let now = host.clock.now();
    tenants.retain(|id, tenant| {
        tenant.next.is_some() || pending.iter().any(|pending| pending.tenant == *id)
    });
    for pending in pending {
        let agents = agents_of(host, &pending.tenant);
        let tenant = tenants.entry(pending.tenant).or_default();
        if tenant.stamp != pending.stamp || tenant.agents != agents {
            tenant.next = Some(now);
        }
        (tenant.stamp, tenant.agents) = (pending.stamp, agents);
    }
}

fn agents_of(host: &Host, tenant: &TenantId) -> Vec<AgentName> {
    let snapshot = host.current();
    let agents = snapshot.tenants.get(tenant).map(|tenant| &tenant.agents);
    agents.map_or_else(Vec::new, |agents| agents.keys().cloned().collect())
}

/// Takes what is due in a tenant and has it delivered; says when to look again.
async fn look(
    host: &Arc<Host>,
    station: &Station,
    tenant: &TenantId,
    places: &Arc<Semaphore>,
) -> Result<Option<Timestamp>> {
    let mut free: Vec<OwnedSemaphorePermit> = Vec::new();
    while free.len() < TAKEN_MAX.min(CLAIM_MAX)
        && let Ok(place) = Arc::clone(places).try_acquire_owned()
    {
        free.push(place);
    }
    let now = host.clock.now();
    if free.is_empty() {
        return Ok(Some(now.saturating_add(PAUSE)));
    }
    let agents = agents_of(host, tenant);
    let leases: Vec<Lease> = free.iter().map(|_| new_lease()).collect();
    let found = station.queue.take(tenant, &agents, &leases, roll()).await?;
    let is_full = found.messages.len() == leases.len();
    for (taken, place) in found.messages.into_iter().zip(free) {
        let (host, station, tenant) = (Arc::downgrade(host), station.clone(), tenant.clone());
        let Some(tasks) = host.upgrade().map(|host| host.tasks.clone()) else {
            break;
        };
        tasks.spawn(async move {
            let _place = place;
            deliver(&host, &station, &tenant, taken).await;
        });
    }
    // A lease that runs out is no reason to look often: its holder settles, which is told.
    Ok(if is_full { Some(now) } else { found.next_at })
}

fn new_lease() -> Lease {
    Lease {
        token: LeaseToken::from_uuid(Uuid::new_v4()),
        time: LEASE_TIME,
    }
}

fn roll() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

/// Invokes the agent with a message that was taken, and says how it ended.
async fn deliver(host: &Weak<Host>, station: &Station, tenant: &TenantId, taken: Taken) {
    let queue = &station.queue;
    let (token, id, agent) = (taken.token, taken.id.clone(), taken.agent.clone());
    let comes_once = station.alone && !taken.again;
    let Some(running) = host.upgrade() else {
        return;
    };
    let to = Address {
        tenant: tenant.clone(),
        agent: agent.clone(),
    };
    let invocation = invocation_of_delivery(&to, &taken.sender, &id, taken.attempt);
    let invoking = invoke(&running, tenant, invocation, taken);
    tokio::pin!(invoking);
    let outcome = loop {
        tokio::select! {
            outcome = &mut invoking => break outcome,
            () = tokio::time::sleep(HEARTBEAT) => {
                let lease = Lease { token, time: LEASE_TIME };
                if matches!(queue.prolong(tenant, &lease).await, Ok(Held::No)) {
                    // Somebody else has it: what this one still does is the same invocation, and its word does not count.
                    return;
                }
            }
        }
    };
    let settled = queue.settle(tenant, &token, outcome).await;
    if let (Ok(Settled::Delivered | Settled::Failed(_)), true) = (&settled, comes_once) {
        // Nobody else ran this attempt and it never comes again, so nobody repeats its writes.
        running.backends.invocations().forget(tenant, invocation);
    }
    match settled {
        Ok(Settled::Failed(Next::GiveUp)) => {
            tracing::warn!(%tenant, %agent, id, "a message is dead; see `stuga messages list`");
        }
        Ok(_) => {}
        // The lease runs out and the same attempt comes again.
        Err(error) => {
            tracing::warn!(%tenant, %agent, id, %error, causes = error.causes(), "the end of a delivery cannot be noted");
        }
    }
}

async fn invoke(host: &Host, tenant: &TenantId, invocation: InvocationId, taken: Taken) -> Outcome {
    let snapshot = host.snapshot();
    let running = snapshot.tenants.get(tenant);
    let agent = running.and_then(|tenant| tenant.agents.get(&taken.agent));
    let (Some(running), Some(agent)) = (running, agent) else {
        // It went away since the look. The message waits for it.
        return Outcome::Released;
    };
    let Taken {
        message,
        sender,
        id,
        ..
    } = taken;
    if let Err(failure) = agent.check(&message.skill, &message.input) {
        return failed(&failure);
    }
    let permit = match host.admit(running) {
        Ok(permit) => permit,
        Err(failure) => return failed(&failure),
    };
    let call = Call {
        tenant: Arc::clone(running),
        agent: Arc::clone(agent),
        skill: message.skill,
        input: message.input,
        session: message.session,
        request: RequestId::from_uuid(*invocation.as_uuid()),
        invocation,
        accepted_at: taken.began_at,
        // The same attempt runs again after a crash.
        repeatable: true,
        message: Some(Incoming {
            sender: sender.seen_from(tenant),
            id,
            expects_reply: false,
            depth: taken.depth,
        }),
        deadline: None,
        parts: None,
    };
    let result = host.invoke(call).await;
    drop(permit);
    match result {
        Ok(_) => Outcome::Delivered,
        Err(failure) => failed(&failure),
    }
}

/// What a failure means for the message: whether the same may go well later.
fn failed(failure: &Failure) -> Outcome {
    let kind = match failure {
        Failure::UnknownSkill { .. } => ErrorKind::NotFound,
        Failure::Unreadable(_) | Failure::Misfits { .. } => ErrorKind::Invalid,
        Failure::TooMany { .. } | Failure::TooFast { .. } => ErrorKind::RateLimited,
        Failure::Invoke(InvokeError::Agent(error)) => error.kind(),
        Failure::Invoke(InvokeError::Busy { .. }) => ErrorKind::RateLimited,
        Failure::Invoke(InvokeError::Deadline) => ErrorKind::Timeout,
        _ => ErrorKind::Internal,
    };
    let why = Why::new(kind, failure.to_string());
    // A skill may come with the next version and a state may change; what is wrong in itself stays so.
    let failure = match kind {
        ErrorKind::Invalid | ErrorKind::Denied => why.finally(),
        _ => why,
    };
    Outcome::Failed {
        failure,
        roll: roll(),
    }
}
