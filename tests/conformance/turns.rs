//! Listings that change sides between pages while hosts write: seeds of one or two hosts with one cloud, which goes away from a
//! host and comes back at any moment, with or without what it was told last, and of readers who go on through it.
//!
//! As in [`crate::hosts`] the cloud is a set of local backends of its own. What must hold for every listing: nothing is in it
//! twice; all is in the order of the places that were answered; and what was acknowledged through the host before the listing
//! began, and is not removed, is in it. `STUGA_TURNS_SEEDS` says how many seeds are run, `STUGA_TURNS_SEED` runs one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::sessions::{Order, Role, SessionAck, SessionWrite, Sessions};
use stuga_core::testkit::{Dice, ManualClock, ctx};
use stuga_core::{BreakerState, CallCtx, Capability, CapabilityName, ErrorKind, Result};
use stuga_local::Local;
use stuga_resilience::{Breaker, BreakerSettings, Failover, Pass, Replay, ReplaySettings};
use tempfile::TempDir;

use crate::hosts::{route, sessions_behind};
use crate::open_local_by;

/// How many seeds are run when nobody says.
const SEEDS: u64 = 25;
/// What happens in a run.
const STEPS: u64 = 120;
const ACTOR: &str = "astrid";

struct Host {
    sessions: Failover<dyn Sessions>,
    replay: Replay,
    breaker: Arc<Breaker>,
    _local: Local,
    _directory: TempDir,
}

impl Host {
    fn new(cloud: &Local, clock: &Arc<ManualClock>) -> Self {
        let (local, directory) = open_local_by(clock);
        let settings = BreakerSettings {
            probes: 1,
            ..BreakerSettings::default()
        };
        let (route, breaker) = route(&local, CapabilityName::Sessions, settings, clock);
        let sessions = sessions_behind(cloud, &local, route);
        Self {
            replay: Replay::of(&sessions, ReplaySettings::default()).unwrap(),
            sessions,
            breaker,
            _local: local,
            _directory: directory,
        }
    }

    /// The cloud goes away from this host, or comes back.
    fn turns(&self) {
        if !self.is_away() {
            return self.breaker.isolate();
        }
        self.breaker.release();
        self.breaker.try_acquire().ok().unwrap().succeeded();
        assert_eq!(self.breaker.state(), BreakerState::Closed);
    }

    /// What waits goes to the cloud, if it is there.
    async fn drains(&self) {
        if !self.is_away() {
            let tenant = ctx("acme", "scribe").tenant.clone();
            assert_eq!(self.replay.drain(&tenant).await.unwrap(), Pass::Drained);
        }
    }

    fn is_away(&self) -> bool {
        self.breaker.state() != BreakerState::Closed
    }

    /// Writes; with a cloud, what it has already: its answer was lost.
    async fn write(&self, write: SessionWrite, landed: Option<&Local>) -> Result<SessionAck> {
        let mut ctx = ctx("acme", "scribe");
        if let Some(cloud) = landed {
            let id = ctx.next_write_id().unwrap();
            // What the session begins with may not be there yet.
            let _ = cloud.sessions().apply(&ctx, id, &write).await;
            ctx = CallCtx::new(
                ctx.tenant.clone(),
                ctx.agent.clone(),
                ctx.invocation,
                ctx.request.clone(),
                ctx.accepted_at,
                ctx.deadline,
            );
        }
        let written = self.sessions.write(&ctx, &write).await;
        let used = ctx.receipt.snapshot();
        let degraded = used.first().and_then(|used| used.degraded.clone());
        assert_eq!(degraded, None, "the copy misses {write:?}");
        written
    }
}

/// What was acknowledged.
#[derive(Debug)]
struct Known {
    place: u64,
    /// Who acknowledged it.
    by: usize,
    /// Whether it stood elsewhere in the cloud before: no other host is promised where it finds it.
    unheard: bool,
    /// Through which hosts, and when first.
    through: BTreeMap<usize, u64>,
    removed: bool,
}

impl Known {
    fn is_promised(&self, host: usize) -> bool {
        !self.unheard || self.by == host
    }
}

/// What is listed.
#[derive(Clone, Debug)]
enum Of {
    Sessions,
    Events(String, Order),
}

/// A listing under way.
#[derive(Debug)]
struct Walk {
    host: usize,
    of: Of,
    limit: u32,
    began: u64,
    cursor: Option<String>,
    seen: Vec<String>,
}

struct World {
    dice: Dice,
    clock: Arc<ManualClock>,
    hosts: Vec<Host>,
    sessions: BTreeMap<String, Known>,
    /// By session and id.
    events: BTreeMap<(String, String), Known>,
    step: u64,
    cloud: Local,
    _directory: TempDir,
}

impl World {
    fn new(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let clock = crate::clock();
        let (cloud, directory) = open_local_by(&clock);
        let hosts = (0..1 + dice.below(2)).map(|_| Host::new(&cloud, &clock));
        Self {
            hosts: hosts.collect(),
            dice,
            clock,
            sessions: BTreeMap::new(),
            events: BTreeMap::new(),
            step: 0,
            cloud,
            _directory: directory,
        }
    }

    async fn live(&mut self) {
        let mut walks: Vec<Walk> = Vec::new();
        while self.step < STEPS {
            self.step += 1;
            let host = self.dice.place(self.hosts.len());
            match self.dice.below(20) {
                0..3 => self.begin(host).await,
                3..8 => self.say(host).await,
                8 if self.dice.below(4) == 0 => self.remove(host).await,
                9 => self.hosts[host].turns(),
                10..12 => self.hosts[host].drains().await,
                12 => walks.extend(self.walk(host)),
                13..16 => self.clock.advance(Duration::from_millis(1)),
                _ if !walks.is_empty() => {
                    let at = self.dice.place(walks.len());
                    if self.goes_on(&mut walks[at]).await {
                        let walk = walks.swap_remove(at);
                        self.check(&walk);
                    }
                }
                _ => {}
            }
        }
        for host in 0..self.hosts.len() {
            // Those that are under way go on through another turn, and then one of each kind that turns at every page.
            self.hosts[host].turns();
            self.hosts[host].drains().await;
        }
        for mut walk in walks {
            while !self.goes_on(&mut walk).await {}
            self.check(&walk);
        }
        for host in 0..self.hosts.len() {
            for of in self.all_of() {
                let mut walk = self.walk_of(host, of, 1);
                while !self.goes_on(&mut walk).await {
                    self.hosts[host].turns();
                    self.hosts[host].drains().await;
                }
                self.check(&walk);
            }
        }
    }

    async fn begin(&mut self, host: usize) {
        // So that the order of the ids is not that of the beginnings.
        let name = format!("{:03x}-{}", self.dice.below(4_096), self.step);
        let create = SessionWrite::Create {
            actor: ACTOR.to_owned(),
            id: Some(name.clone()),
            ttl: None,
            metadata: Vec::new(),
        };
        let unheard = self.loses_answer(host);
        let written = self.hosts[host].write(create, unheard.then_some(&self.cloud));
        let SessionAck::Created { place, .. } = written.await.unwrap() else {
            panic!("a create was answered with something else");
        };
        self.sessions.insert(
            name,
            Known {
                place,
                by: host,
                unheard,
                through: BTreeMap::from([(host, self.step)]),
                removed: false,
            },
        );
    }

    /// Whether the cloud went away from the host with an answer.
    fn loses_answer(&mut self, host: usize) -> bool {
        self.hosts[host].is_away() && self.dice.below(4) == 0
    }

    fn any_session(&mut self) -> Option<String> {
        let there = self.sessions.iter().filter(|(_, known)| !known.removed);
        let there: Vec<_> = there.map(|(name, _)| name.clone()).collect();
        let at = self.dice.place(there.len());
        there.get(at).cloned()
    }

    async fn say(&mut self, host: usize) {
        let Some(session) = self.any_session() else {
            return;
        };
        let say = SessionWrite::Append {
            actor: ACTOR.to_owned(),
            session: session.clone(),
            role: Role::User,
            content: "hej".to_owned(),
            metadata: Vec::new(),
        };
        let is_known = self.sessions[&session].through.contains_key(&host);
        let unheard = is_known && self.loses_answer(host);
        let written = self.hosts[host].write(say, unheard.then_some(&self.cloud));
        match written.await {
            Ok(SessionAck::Appended { id, place, .. }) => {
                let through = BTreeMap::from([(host, self.step)]);
                let known = self.sessions.get_mut(&session).unwrap();
                known.through.entry(host).or_insert(self.step);
                let removed = false;
                self.events.insert(
                    (session, id),
                    Known {
                        place,
                        by: host,
                        unheard,
                        through,
                        removed,
                    },
                );
            }
            Ok(other) => panic!("an append was answered with {other:?}"),
            // Another host's, and nobody can be asked; or not in the cloud yet.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                assert!(!self.sessions[&session].through.contains_key(&host));
            }
        }
    }

    async fn remove(&mut self, host: usize) {
        let Some(session) = self.any_session() else {
            return;
        };
        let delete = SessionWrite::Delete {
            actor: ACTOR.to_owned(),
            session: session.clone(),
        };
        self.hosts[host].write(delete, None).await.unwrap();
        self.sessions.get_mut(&session).unwrap().removed = true;
    }

    /// The listing of sessions, and of each session both ways.
    fn all_of(&self) -> Vec<Of> {
        let there = self.sessions.iter().filter(|(_, known)| !known.removed);
        let orders = [Order::OldestFirst, Order::NewestFirst];
        let events =
            there.flat_map(|(name, _)| orders.map(|order| Of::Events(name.clone(), order)));
        [Of::Sessions].into_iter().chain(events).collect()
    }

    fn walk(&mut self, host: usize) -> Option<Walk> {
        let of = match self.dice.below(3) {
            0 => Of::Sessions,
            1 => Of::Events(self.any_session()?, Order::OldestFirst),
            _ => Of::Events(self.any_session()?, Order::NewestFirst),
        };
        let limit = 1 + self.dice.below(3) as u32;
        Some(self.walk_of(host, of, limit))
    }

    fn walk_of(&mut self, host: usize, of: Of, limit: u32) -> Walk {
        self.step += 1;
        Walk {
            host,
            of,
            limit,
            began: self.step,
            cursor: None,
            seen: Vec::new(),
        }
    }

    /// Reads a page; whether it was the last.
    async fn goes_on(&self, walk: &mut Walk) -> bool {
        let (ctx, cursor, limit) = (&ctx("acme", "scribe"), walk.cursor.as_deref(), walk.limit);
        let facade = &self.hosts[walk.host].sessions;
        let page = match &walk.of {
            Of::Sessions => {
                let list = |sessions: Arc<dyn Sessions>| async move {
                    sessions.list(ctx, ACTOR, cursor, limit).await
                };
                let page = facade.read(ctx, "sessions.list", &(), list).await.unwrap();
                let ids = page.entries.into_iter().map(|session| session.id);
                Ok((ids.collect::<Vec<_>>(), page.next_cursor))
            }
            Of::Events(session, order) => {
                let list = |sessions: Arc<dyn Sessions>| async move {
                    let page = sessions.events(ctx, ACTOR, session, *order, cursor, limit);
                    page.await
                };
                let page = facade.read(ctx, "sessions.events", &(), list).await;
                page.map(|page| {
                    let ids = page.entries.into_iter().map(|event| event.id);
                    (ids.collect(), page.next_cursor)
                })
            }
        };
        match page {
            Ok((ids, cursor)) => {
                walk.seen.extend(ids);
                walk.cursor = cursor;
            }
            // The session was removed, or this host does not know another's.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error} {walk:?}");
                let Of::Events(session, _) = &walk.of else {
                    panic!("{error} {walk:?}");
                };
                let known = &self.sessions[session];
                let through = known.through.get(&walk.host);
                assert!(
                    known.removed || through.is_none_or(|since| *since > walk.began),
                    "{error} {walk:?}"
                );
                walk.cursor = None;
                // What was not read then is not missed.
                walk.began = 0;
            }
        }
        walk.cursor.is_none()
    }

    fn check(&self, walk: &Walk) {
        let known: BTreeMap<&str, &Known> = match &walk.of {
            Of::Sessions => {
                let all = self.sessions.iter();
                all.map(|(name, known)| (name.as_str(), known)).collect()
            }
            Of::Events(session, _) => {
                let all = self.events.iter().filter(|((of, _), _)| of == session);
                all.map(|((_, id), known)| (id.as_str(), known)).collect()
            }
        };
        let seen = walk.seen.iter().map(|id| (known[id.as_str()], id));
        let seen = seen.filter(|(known, _)| known.is_promised(walk.host));
        let mut places: Vec<_> = seen.map(|(known, id)| (known.place, id)).collect();
        if !matches!(walk.of, Of::Events(_, Order::OldestFirst)) {
            places.reverse();
        }
        assert!(
            places.is_sorted_by(|one, next| one < next),
            "twice, or out of order: {places:?} {walk:?}"
        );
        if let Of::Events(session, _) = &walk.of
            && self.sessions[session].removed
        {
            return;
        }
        for (id, known) in known {
            let since = known.through.get(&walk.host);
            let is_promised = !known.removed && known.is_promised(walk.host);
            let must_be_there = is_promised && since.is_some_and(|since| *since < walk.began);
            assert!(
                !must_be_there || walk.seen.iter().any(|seen| seen == id),
                "{id} is missing: {known:?} {walk:?}"
            );
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_that_change_sides_while_hosts_write_have_everything_once_and_in_order() {
    let (first, seeds) = match number("STUGA_TURNS_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("STUGA_TURNS_SEEDS").unwrap_or(SEEDS)),
    };
    for seed in first..first + seeds {
        let mut world = World::new(seed);
        let run = tokio::spawn(async move { world.live().await });
        assert!(run.await.is_ok(), "STUGA_TURNS_SEED={seed} breaks a rule");
    }
}
