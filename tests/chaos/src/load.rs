//! What clients do all the time: a mix of operations that follows from the seed and from what they get.
//!
//! Each client has things of its own, which it alone changes, and shares others with the clients of its tenant. Names
//! are used for a while and then replaced by new ones, so that histories of one thing stay short enough to judge and
//! files keep all their versions.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::sleep;

use crate::client::Client;
use crate::seeded::Seeded;
use crate::words::{Action, Mark, Outcome, Store, Thing};

/// Names that a client has at a time in one store.
const OWN_NAMES: u64 = 3;
/// Names that the clients of a tenant share at a time in one store.
const SHARED_NAMES: u64 = 3;
/// Writes to shared names of one store after which all clients of the tenant go on to new names.
const SHARED_WRITES: u64 = 60;
/// Operations on a client's own names after which it goes on to new ones.
const OWN_OPERATIONS: u64 = 60;
/// Bytes that fill up most values, and a few; a record takes 16 KiB.
const FILLED: (u64, u64) = (200, 15_000);
/// Appends to one session.
const APPENDS: u64 = 60;

/// Share of the operations that only read, in percent, unless it is said otherwise.
pub const READS: u64 = 45;
/// Of sessions so many percent more of the operations write: an event says more about order than a value that is replaced.
const MORE_APPENDS: u64 = 10;

/// How a client works.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Its pause between two operations.
    pub pace: Duration,
    /// Share of its operations that only read, in percent.
    pub reads: u64,
    /// Sessions that it has, and as many that all clients of the tenant share; at least one.
    pub sessions: u64,
}

/// What all clients of a tenant know together.
#[derive(Default)]
pub struct Shared {
    writes: [AtomicU64; 4],
}

/// When clients are to stop.
#[derive(Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// From now on no client begins anything.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One client at work.
pub struct Worker {
    client: Client,
    seeded: Seeded,
    shared: Arc<Shared>,
    habits: Habits,
    done: [u64; 4],
    appended: HashMap<String, u64>,
    /// The versions that it saw last.
    versions: HashMap<Thing, u64>,
}

impl Worker {
    /// A client with its own stream of chance, and what it shares with the others of its tenant.
    pub fn new(client: Client, seeded: Seeded, shared: Arc<Shared>, habits: Habits) -> Self {
        Self {
            client,
            seeded,
            shared,
            habits: Habits {
                sessions: habits.sessions.max(1),
                ..habits
            },
            done: [0; 4],
            appended: HashMap::new(),
            versions: HashMap::new(),
        }
    }

    /// Makes the sessions: the client's own, and the first client of a tenant those that all share.
    ///
    /// A session is made with its first event, which is an append like all others.
    ///
    /// # Errors
    /// When one cannot be made.
    pub async fn prepare(&mut self) -> Result<()> {
        let own = (0..self.habits.sessions)
            .map(|n| self.diary(n))
            .collect::<Vec<_>>();
        let rooms = if self.client.id() == 0 {
            self.habits.sessions
        } else {
            0
        };
        for key in own.into_iter().chain((0..rooms).map(room)) {
            let thing = self.thing(Store::Sessions, key);
            let (number, value) = self.value();
            let made = self
                .client
                .perform(number, &thing, Action::Append { value })
                .await;
            if !matches!(made, Outcome::Written(_)) {
                bail!("{thing} cannot be made: {made:?}");
            }
        }
        Ok(())
    }

    /// Works until it is told to stop.
    pub async fn work(mut self, stop: Arc<Stop>) {
        while !stop.is_set() {
            let (thing, action) = self.next();
            let number = match &action {
                Action::Write { value, .. } | Action::Append { value } => {
                    Mark::of(value).map_or_else(|| self.client.recorder().number(), |m| m.number)
                }
                Action::Delete | Action::Read => self.client.recorder().number(),
            };
            let outcome = self.client.perform(number, &thing, action.clone()).await;
            self.learn(thing, &action, &outcome);
            if !self.habits.pace.is_zero() {
                sleep(self.habits.pace).await;
            }
        }
    }

    fn learn(&mut self, thing: Thing, action: &Action, outcome: &Outcome) {
        match (action, outcome) {
            (Action::Append { .. }, _) => {}
            (_, Outcome::Written(version)) => {
                self.versions.insert(thing, *version);
            }
            (_, Outcome::Found { version, .. }) => {
                self.versions.insert(thing, version.unwrap_or(0));
            }
            (Action::Delete, _) => {
                self.versions.insert(thing, 0);
            }
            _ => {}
        }
    }

    /// What to do next.
    fn next(&mut self) -> (Thing, Action) {
        let stores = [
            (40, Store::Memory),
            (25, Store::Files),
            (20, Store::Sessions),
            (15, Store::Records),
        ];
        let store = self.seeded.pick(&stores).copied();
        match store.unwrap_or(Store::Memory) {
            Store::Sessions => self.next_of_log(),
            store => self.next_of_register(store),
        }
    }

    fn next_of_register(&mut self, store: Store) -> (Thing, Action) {
        let writes = self.seeded.chance(self.writes());
        let own = self.seeded.chance(60);
        let key = if own {
            let done = bumped(&mut self.done, store);
            let n = self.seeded.below(OWN_NAMES);
            format!("c{}/{}-{n}", self.client.id(), done / OWN_OPERATIONS)
        } else {
            let round = self.shared_round(store, writes);
            let n = self.seeded.below(SHARED_NAMES);
            format!("all/{round}-{n}")
        };
        let thing = self.thing(store, key);
        if !writes {
            return (thing, Action::Read);
        }
        let known = self.versions.get(&thing).copied();
        // Records have neither conditions nor, for this agent, removals. What is shared is not removed: the order of
        // removals and overlapping writes shows nowhere.
        let action = match (store, self.seeded.below(10)) {
            (Store::Memory | Store::Files, 0) if own => Action::Delete,
            (Store::Memory | Store::Files, 1..=3) if known.is_some() => Action::Write {
                value: self.value().1,
                expected: known,
            },
            _ => Action::Write {
                value: self.value().1,
                expected: None,
            },
        };
        (thing, action)
    }

    fn next_of_log(&mut self) -> (Thing, Action) {
        let appends = self.seeded.chance(self.writes() + MORE_APPENDS);
        let key = if self.seeded.chance(60) {
            let done = bumped(&mut self.done, Store::Sessions);
            self.diary((done / APPENDS) % self.habits.sessions)
        } else {
            room((self.shared_round(Store::Sessions, appends)) % self.habits.sessions)
        };
        let count = self.appended.entry(key.clone()).or_default();
        // When all sessions are full they are only read.
        let appends = appends && *count < APPENDS;
        *count += u64::from(appends);
        let thing = self.thing(Store::Sessions, key);
        if !appends {
            return (thing, Action::Read);
        }
        let value = self.value().1;
        (thing, Action::Append { value })
    }

    /// Share of the operations that write, in percent.
    fn writes(&self) -> u64 {
        100_u64.saturating_sub(self.habits.reads)
    }

    fn shared_round(&self, store: Store, writes: bool) -> u64 {
        let Some(count) = self.shared.writes.get(place(store)) else {
            return 0;
        };
        count.fetch_add(u64::from(writes), Ordering::Relaxed) / SHARED_WRITES
    }

    fn diary(&self, n: u64) -> String {
        format!("c{}/diary-{n}", self.client.id())
    }

    fn thing(&self, store: Store, key: String) -> Thing {
        Thing {
            tenant: self.client.tenant().to_owned(),
            store,
            key,
        }
    }

    /// A new value, and the number of the operation that it is for.
    fn value(&mut self) -> (u64, String) {
        let number = self.client.recorder().number();
        let mark = Mark {
            tenant: self.client.tenant().to_owned(),
            client: self.client.id(),
            number,
        };
        let most = if self.seeded.chance(3) {
            FILLED.1
        } else {
            FILLED.0
        };
        let filled = usize::try_from(self.seeded.below(most)).unwrap_or_default();
        (number, mark.value(filled))
    }
}

fn room(n: u64) -> String {
    format!("all/room-{n}")
}

fn place(store: Store) -> usize {
    Store::ALL
        .iter()
        .position(|other| *other == store)
        .unwrap_or_default()
}

/// The number of earlier operations on a store, which is counted up.
fn bumped(done: &mut [u64; 4], store: Store) -> u64 {
    let Some(count) = done.get_mut(place(store)) else {
        return 0;
    };
    *count += 1;
    *count - 1
}
