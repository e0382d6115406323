//! One run: hosts, clients and misfortunes for a while, then fair weather, and then the check.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{join_all, select_all};
use stuga_core::memory::Memory;
use stuga_core::testkit::Dice;
use stuga_core::{AgentName, BreakerState, CapabilityName, Clock, TenantId};
use tokio::time::{Instant, sleep, timeout};

use crate::check;
use crate::cloud::{Cloud, WEATHERS, Weather};
use crate::history::{Operation, What, writer};
use crate::host::Host;
use crate::life::HostClock;
use crate::plan::Plan;
use crate::session::{Session, ctx};
use crate::store::Place;

/// How long after the last misfortune everything must be in the cloud: several waits of a replay, which grow to a minute.
const HEALED_WITHIN: Duration = Duration::from_secs(900);
/// When a run that does not end is given up.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) hosts: Vec<Arc<Host>>,
    history: Mutex<Vec<Operation>>,
    broken: Mutex<Vec<String>>,
    ticks: AtomicU64,
    began: Instant,
    /// Whether somebody looks on.
    told: bool,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) plan: Plan,
    pub(crate) operations: usize,
    /// The rules that did not hold.
    pub(crate) broken: Vec<String>,
}

/// Runs a seed on paused time.
pub(crate) fn run(seed: u64, told: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let dice = Dice::new(seed);
        let plan = Plan::of(seed, &dice);
        let wrong = i64::try_from(dice.below(10_000)).unwrap() - 5_000;
        let wrong = if plan.set_back { wrong } else { 0 };
        let cloud = Cloud::new(dice.fork(), plan.curse.clone(), wrong);
        let hosts = (0..plan.hosts).map(|_| {
            let wrong = i64::try_from(dice.below(400)).unwrap() - 200;
            Host::new(Arc::clone(&cloud), HostClock::new(wrong), dice.fork())
        });
        let world = Arc::new(World {
            hosts: hosts.collect(),
            cloud,
            history: Mutex::default(),
            broken: Mutex::default(),
            ticks: AtomicU64::new(1),
            began: Instant::now(),
            told,
            plan,
        });
        for host in &world.hosts {
            host.store.lock().cap = world.plan.cap;
        }
        world.cloud.store.lock().forgets = world.plan.forgets;
        if timeout(LONGEST, world.live(&dice)).await.is_err() {
            world.broken("the run came to no end".to_owned());
        }
        world.end()
    })
}

impl World {
    async fn live(self: &Arc<Self>, dice: &Dice) {
        let sessions = (0..self.plan.tenants * self.plan.sessions).map(|number| {
            let session = Session {
                world: Arc::clone(self),
                host: usize::try_from(number % self.plan.hosts).unwrap(),
                tenant: number / self.plan.sessions,
                number,
                dice: dice.fork(),
                seen: HashMap::new(),
            };
            session.run()
        });
        let sessions = join_all(sessions.collect::<Vec<_>>());
        let nemesis = self.nemesis(dice.fork());
        let story = async {
            futures::future::join(sessions, nemesis).await;
            self.heal().await;
            self.read_all().await;
        };
        let hosts = select_all(self.hosts.iter().map(|host| Box::pin(host.live())));
        tokio::select! {
            biased;
            () = story => {}
            _ = hosts => {}
        }
    }

    async fn nemesis(&self, dice: Dice) {
        for _ in 0..self.plan.events {
            sleep(dice.millis(10, 200 + 4 * self.plan.pause)).await;
            let number = usize::try_from(dice.below(self.plan.hosts)).unwrap();
            let host = &self.hosts[number];
            let jump = dice.below(7_200_000).cast_signed();
            match dice.below(10) {
                0 | 1 if self.plan.crashes => {
                    let running = host.up().await;
                    running.life.dies_in(dice.below(60));
                    self.tell(|| format!("host {number} dies soon"));
                }
                2 if self.plan.jumps => {
                    host.clock.jump(jump);
                    self.tell(|| format!("the clock of host {number} jumps by {jump} ms"));
                }
                3 if self.plan.set_back => {
                    host.clock.jump(-jump);
                    self.tell(|| format!("the clock of host {number} is set back by {jump} ms"));
                }
                4 if self.plan.drills => self.drill(&dice, number).await,
                _ => {
                    let weather = *dice.pick(&WEATHERS);
                    self.cloud.become_(weather);
                    self.tell(|| format!("the cloud is {weather:?}"));
                }
            }
        }
        self.tell(|| "fair weather".to_owned());
        self.cloud.become_(Weather::Fair);
        for host in &self.hosts {
            host.up().await.life.spare();
        }
        if self.plan.curse.as_ref().is_some_and(|curse| curse.ends) {
            self.cloud.curses(None);
        }
    }

    async fn drill(&self, dice: &Dice, number: usize) {
        let host = &self.hosts[number];
        let running = host.up().await;
        let route = running.facade.route().unwrap();
        let tenant = tenant(dice.below(self.plan.tenants));
        let (now, lasts) = (host.clock.now(), dice.millis(100, 8_000));
        let modes = route.modes();
        let begun = modes.isolate(&tenant, CapabilityName::Memory, now, Some(lasts), "drill");
        begun.unwrap();
        self.tell(|| format!("a drill of {tenant} on host {number} for {lasts:?}"));
    }

    /// Waits until nothing waits.
    async fn heal(&self) {
        let began = Instant::now();
        let waiting = || {
            let hosts = self.hosts.iter().enumerate();
            hosts
                .flat_map(|(number, host)| {
                    let store = host.store.lock();
                    let tenants = (0..self.plan.tenants).map(tenant);
                    tenants
                        .flat_map(|tenant| {
                            let waiting = store.waiting(&tenant);
                            waiting
                                .map(|e| (number, e.info.clone()))
                                .collect::<Vec<_>>()
                        })
                        .collect::<Vec<_>>()
                })
                .collect::<Vec<_>>()
        };
        while !waiting().is_empty() {
            if began.elapsed() > HEALED_WITHIN {
                let waiting = waiting();
                self.broken(format!("entries wait in fair weather: {waiting:?}"));
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        self.tell(|| "nothing waits".to_owned());
        for host in &self.hosts {
            let running = host.up().await;
            let route = running.facade.route().unwrap();
            while !route.modes().isolations().is_empty() {
                sleep(Duration::from_secs(1)).await;
            }
            let mut state = route.breaker().watch();
            let closed = state.wait_for(|state| *state == BreakerState::Closed);
            if timeout(HEALED_WITHIN, closed).await.is_err() {
                self.broken("a breaker stays open in fair weather".to_owned());
            }
        }
    }

    /// Reads every place through every host: what is found must be what the cloud keeps.
    async fn read_all(&self) {
        let places: Vec<Place> = self.cloud.store.lock().rows.keys().cloned().collect();
        for (number, host) in self.hosts.iter().enumerate() {
            let running = host.up().await;
            for place in &places {
                let began = self.tick();
                let ctx = ctx(place, began, Instant::now() + Duration::from_secs(60));
                let key = place.2.as_str();
                let get = |memory: Arc<dyn Memory>| {
                    let ctx = &ctx;
                    async move { memory.get(ctx, key).await }
                };
                let found = running.facade.read(&ctx, "memory.get", key, get).await;
                let stands = self.cloud.store.lock().item(place);
                match found {
                    Ok(found) if found == stands => {}
                    found => self.broken(format!(
                        "host {number} reads {found:?} where the cloud has {stands:?}"
                    )),
                }
                let found = stands.map(|item| {
                    let writer = writer(place, &item.value);
                    if writer.is_none() {
                        self.broken(format!("{place:?} keeps what belongs to somebody else"));
                    }
                    (writer.unwrap_or_default(), item.version)
                });
                self.history(Operation {
                    number: began,
                    host: number,
                    place: place.clone(),
                    what: What::Get(found),
                    began,
                    ended: Some(self.tick()),
                    interrupted: false,
                    degraded: false,
                });
            }
        }
    }

    fn end(&self) -> Outcome {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        check::check(self, &history);
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome {
            plan: self.plan.clone(),
            operations: history.len(),
            broken: std::mem::take(&mut broken),
        }
    }

    /// A number that was never given before: the order of what happens.
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn history(&self, operation: Operation) {
        self.tell(|| format!("{operation:?}"));
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push(operation);
    }

    /// Tells whoever looks on.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if self.told {
            println!("{:>12?}  {}", self.began.elapsed(), what());
        }
    }

    pub(crate) fn broken(&self, rule: String) {
        self.tell(|| format!("BROKEN {rule}"));
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.push(rule);
    }

    pub(crate) fn place(&self, tenant: u64, key: &str) -> Place {
        let agent = AgentName::new("notes").unwrap();
        (self::tenant(tenant), agent, key.to_owned())
    }

    pub(crate) fn is_cursed(&self, key: &str) -> bool {
        let curse = self.plan.curse.as_ref();
        curse.is_some_and(|curse| curse.key == key)
    }
}

pub(crate) fn tenant(number: u64) -> TenantId {
    TenantId::new(&format!("tenant-{number}")).unwrap()
}
