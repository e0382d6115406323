//! The cloud's side: a store behind a network and a service that fail.
//!
//! A request that was sent goes on without whoever sent it: the caller may give up, or its host may crash, and the write
//! lands all the same. As on AWS the sender gives the version, and a write lands on what its sender saw or not at all;
//! only a sender that still waits tries again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::memory::{Item, Memory, MemoryAck, MemoryWrite, Page};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::testkit::Dice;
use stuga_core::{
    CallCtx, Capability, CapabilityName, Clock, Error, ErrorKind, Result, Timestamp, Write, WriteId,
};
use stuga_resilience::{Carrier, Probe, Taught, Teacher};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::history::writer;
use crate::life::{HostClock, Life};
use crate::store::{Place, State, Store, belongs, id, place};

/// How the cloud is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weather {
    /// Answers within milliseconds.
    Fair,
    /// Answers after 20 ms, always.
    Steady,
    /// Refuses every connection.
    Refusing,
    /// Answers nothing, and nothing lands.
    BlackHole,
    /// Everything lands, no answer comes back.
    Deaf,
    /// Takes seconds, and sometimes longer than anybody waits.
    Slow,
    /// Up and down several times a second.
    Flapping,
    /// Has too much to do.
    Throttling,
    /// Each call meets something else.
    Storm,
}

pub(crate) const WEATHERS: [Weather; 8] = [
    Weather::Fair,
    Weather::Refusing,
    Weather::BlackHole,
    Weather::Deaf,
    Weather::Slow,
    Weather::Flapping,
    Weather::Throttling,
    Weather::Storm,
];

/// What a request takes to the cloud, and its answer back, in steady weather.
const HALF_WAY: Duration = Duration::from_millis(10);

/// What becomes of one request.
enum Fate {
    Refused,
    Lost,
    /// Lands after the first time, and the answer comes after the second.
    Answered(Duration, Duration),
    /// Lands, and no answer comes.
    Unheard(Duration),
    /// Lands, and the connection breaks before the answer.
    Cut(Duration),
    Throttled,
}

/// A key that the cloud does not take over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Curse {
    pub(crate) key: String,
    pub(crate) kind: ErrorKind,
    /// For how long it asks to be left alone.
    pub(crate) after: Option<Duration>,
    /// Whether the cloud comes round in the end.
    pub(crate) ends: bool,
}

/// The cloud that all hosts share.
pub(crate) struct Cloud {
    pub(crate) store: Store,
    weather: Mutex<Weather>,
    curse: Mutex<Option<Curse>>,
    pub(crate) calls: AtomicU64,
    /// The key of which it lacks what puts name.
    lacks: Mutex<Option<String>>,
    /// By how many milliseconds the cloud's clock differs from a host's.
    wrong: i64,
    dice: Dice,
    began: Instant,
}

impl Cloud {
    pub(crate) fn new(dice: Dice, curse: Option<Curse>, wrong: i64) -> Arc<Self> {
        Arc::new(Self {
            store: Store::default(),
            weather: Mutex::new(Weather::Fair),
            curse: Mutex::new(curse),
            calls: AtomicU64::new(0),
            lacks: Mutex::new(None),
            wrong,
            dice,
            began: Instant::now(),
        })
    }

    pub(crate) fn become_(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    fn fate(&self) -> Fate {
        let (dice, quick) = (&self.dice, || self.dice.millis(1, 12));
        let weather = *self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        match weather {
            Weather::Fair => Fate::Answered(quick(), quick()),
            Weather::Steady => Fate::Answered(HALF_WAY, HALF_WAY),
            Weather::Refusing => Fate::Refused,
            Weather::BlackHole => Fate::Lost,
            Weather::Deaf => Fate::Unheard(quick()),
            Weather::Slow => Fate::Answered(dice.millis(100, 5_000), dice.millis(100, 3_000)),
            Weather::Flapping if (self.began.elapsed().as_millis() / 170).is_multiple_of(2) => {
                Fate::Refused
            }
            Weather::Flapping => Fate::Answered(quick(), quick()),
            Weather::Throttling => Fate::Throttled,
            Weather::Storm => match dice.below(8) {
                0 => Fate::Refused,
                1 => Fate::Lost,
                2 => Fate::Unheard(dice.millis(1, 20_000)),
                3 => Fate::Answered(dice.millis(1, 8_000), dice.millis(1, 8_000)),
                4 => Fate::Cut(quick()),
                5 => Fate::Throttled,
                _ => Fate::Answered(quick(), quick()),
            },
        }
    }

    fn cursed(&self, key: &str) -> Result<()> {
        let curse = self.curse.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(curse) = curse.as_ref().filter(|curse| curse.key == key) else {
            return Ok(());
        };
        let error = Error::new(curse.kind, "memory.adopt", "cursed");
        Err(match curse.after {
            Some(after) => error.with_retry_after(after),
            None => error,
        })
    }

    /// Lacks what puts of a key name, until it is told otherwise.
    pub(crate) fn loses(&self, key: Option<&str>) {
        let mut lacks = self.lacks.lock().unwrap_or_else(PoisonError::into_inner);
        *lacks = key.map(str::to_owned);
    }

    pub(crate) fn lacks(&self, key: &str) -> bool {
        let lacks = self.lacks.lock().unwrap_or_else(PoisonError::into_inner);
        lacks.as_deref() == Some(key)
    }

    /// Refuses to take over what is written to a key, until it is told otherwise.
    pub(crate) fn curses(&self, curse: Option<Curse>) {
        *self.curse.lock().unwrap_or_else(PoisonError::into_inner) = curse;
    }
}

/// The cloud as one life of a host reaches it.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) life: Arc<Life>,
    pub(crate) clock: Arc<HostClock>,
}

impl Reach {
    /// Sends a request. `land` is told whether its sender still waits; what it answers then comes back.
    async fn send<T: Send + 'static>(
        &self,
        operation: &'static str,
        throttled: ErrorKind,
        land: impl FnOnce(&mut State, bool) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.life.step().await;
        let cloud = Arc::clone(&self.cloud);
        cloud.calls.fetch_add(1, Ordering::Relaxed);
        let (there, back, fails) = match cloud.fate() {
            Fate::Refused => return Err(Error::unavailable(operation, "refused")),
            Fate::Throttled => {
                sleep(Duration::from_millis(2)).await;
                let error = Error::new(throttled, operation, "too much to do");
                return Err(error.with_retry_after(Duration::from_millis(700)));
            }
            Fate::Lost => return std::future::pending().await,
            Fate::Answered(there, back) => (there, Some(back), false),
            Fate::Unheard(there) => (there, None, false),
            Fate::Cut(there) => (there, Some(Duration::ZERO), true),
        };
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            sleep(there).await;
            let landed = land(&mut cloud.store.lock(), !tell.is_closed());
            match back {
                Some(back) => sleep(back).await,
                None => std::future::pending().await,
            }
            let landed = match fails {
                true => Err(Error::timeout(operation, "the answer was cut off")),
                false => landed,
            };
            let _ = tell.send(landed);
        });
        let answer = told.await.unwrap();
        self.life.step().await;
        answer
    }
}

#[async_trait]
impl Capability for Reach {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        let (operation, clock) = (write.operation(), Arc::clone(&self.clock));
        let (place, write) = (place(ctx, write.key()), write.clone());
        let wrong = self.cloud.wrong;
        let clock = move || {
            let millis = clock.now().as_millis().saturating_add_signed(wrong);
            Timestamp::from_millis(millis)
        };
        let sent = clock();
        let cloud = Arc::clone(&self.cloud);
        let head = |state: &State, place: &Place| state.rows.get(place).map(|row| row.stamp);
        let seen = head(&self.cloud.store.lock(), &place);
        self.send(operation, ErrorKind::Unavailable, move |state, waits| {
            if cloud.lacks(&place.2) {
                return Err(Error::not_found(operation, "what it names is not here"));
            }
            let met = head(state, &place) == seen;
            if !met && !waits {
                return Err(Error::timeout(operation, "nobody is there to try again"));
            }
            let now = if met { sent } else { clock() };
            state.apply(&place, id, &write, now)
        })
        .await
    }
}

#[async_trait]
impl Memory for Reach {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        let place = place(ctx, key);
        self.send("memory.get", ErrorKind::Unavailable, move |state, _| {
            Ok(state.item(&place))
        })
        .await
    }

    async fn list(&self, _: &CallCtx, _: &str, _: Option<&str>, _: u32) -> Result<Page> {
        Err(Error::internal("memory.list", "nobody lists here"))
    }
}

#[async_trait]
impl Replica<MemoryWrite> for Reach {
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &MemoryWrite,
        made: &Made<MemoryAck>,
    ) -> Result<Adopted> {
        let (place, write, made) = (place(ctx, write.key()), write.clone(), made.clone());
        let cloud = Arc::clone(&self.cloud);
        self.send("memory.adopt", ErrorKind::RateLimited, move |state, _| {
            cloud.cursed(&place.2)?;
            if cloud.lacks(&place.2) {
                return Err(Error::not_found(
                    "memory.adopt",
                    "what it names is not here",
                ));
            }
            Ok(state.adopt(&place, id, &write, &made))
        })
        .await
    }
}

/// The key whose puts name what is brought sooner than it is missed.
pub(crate) const LIGHT: &str = "light";

/// Another one, and this host does not have what they name either.
pub(crate) const LIGHT_AND_LOST: &str = "light and lost";

/// Brings what the cloud lacks, slowly.
pub(crate) struct Cart {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) takes: Duration,
}

#[async_trait]
impl Carrier<MemoryWrite> for Cart {
    async fn carry(&self, _: &CallCtx, write: &MemoryWrite, _: Option<&MemoryAck>) -> Result<()> {
        sleep(self.takes).await;
        if write.key() == LIGHT_AND_LOST {
            return Err(Error::not_found("cart.carry", "it is not kept here either"));
        }
        self.cloud.loses(None);
        Ok(())
    }

    fn is_light(&self, write: &MemoryWrite) -> bool {
        matches!(write.key(), LIGHT | LIGHT_AND_LOST)
    }
}

/// Has the copy learn what other hosts began.
pub(crate) struct Tutor {
    pub(crate) cloud: Reach,
    pub(crate) copy: Arc<Store>,
}

#[async_trait]
impl Teacher<MemoryWrite> for Tutor {
    async fn teach(&self, ctx: &CallCtx, write: &MemoryWrite) -> Result<Taught> {
        if !belongs(write) {
            return Ok(Taught::Superseded);
        }
        let Some(item) = self.cloud.get(ctx, write.key()).await? else {
            return Ok(Taught::Superseded);
        };
        let place = place(ctx, write.key());
        let by = id(writer(&place, &item.value).unwrap_or_default());
        self.cloud.life.step().await;
        self.copy.lock().learn(&place, item, by);
        self.cloud.life.step().await;
        Ok(Taught::Whole)
    }
}

#[async_trait]
impl Probe for Reach {
    async fn probe(&self, _: CapabilityName, _: Instant) -> Result<()> {
        self.send("health.probe", ErrorKind::Unavailable, |_, _| Ok(()))
            .await
    }
}
