//! A client that works on keys of its own and on shared ones, and keeps what it saw.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::memory::{Expected, Item, MemoryAck, MemoryWrite};
use stuga_core::testkit::Dice;
use stuga_core::{CallCtx, ErrorKind, InvocationId, RequestId, Result, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::history::{Operation, What, value, writer};
use crate::host::Running;
use crate::store::{Place, belongs, is_thread};
use crate::world::World;

/// How long a caller has who is not hurried.
const PATIENT: Duration = Duration::from_secs(30);
/// How much later than its deadline an answer may come: local calls take their milliseconds.
const SLACK: Duration = Duration::from_millis(80);
/// How often a client repeats what a crash interrupted.
const REPEATS: u32 = 6;

pub(crate) struct Session {
    pub(crate) world: Arc<World>,
    pub(crate) host: usize,
    pub(crate) tenant: u64,
    pub(crate) number: u64,
    pub(crate) dice: Dice,
    /// The version that it saw last at a key, none when absent; and whether nobody else can have changed it since.
    pub(crate) seen: HashMap<String, (Option<u64>, bool)>,
}

/// What a client asks for.
#[derive(Clone)]
enum Ask {
    Get,
    Write(MemoryWrite),
}

/// One try.
struct Attempt {
    got: Got,
    degraded: bool,
}

/// What it gets.
enum Got {
    Item(Result<Option<Item>>),
    Ack(Result<MemoryAck>),
    Interrupted,
}

impl Session {
    pub(crate) async fn run(mut self) {
        for _ in 0..self.world.plan.operations {
            sleep(self.dice.millis(0, self.world.plan.pause)).await;
            let own = self.dice.percent(60);
            let key = match own {
                true => format!("own-{}-{}", self.number, self.dice.below(2)),
                false if self.world.plan.threads => format!("thread-{}", self.dice.below(2)),
                false => format!("shared-{}", self.dice.below(2)),
            };
            self.operate(key, own).await;
        }
    }

    async fn operate(&mut self, key: String, own: bool) {
        let place = self.world.place(self.tenant, &key);
        let number = self.world.tick();
        let seen = self.seen.get(&key).copied();
        let ask = self.choose(&place, number, seen.map(|(version, _)| version));
        let hurried = self.world.plan.hurried && self.dice.percent(20);
        let patience = if hurried {
            self.dice.millis(5, 900)
        } else {
            PATIENT
        };
        let leaves = self.world.plan.cancels && self.dice.percent(12);
        let leaves = leaves.then(|| self.dice.millis(0, 400));
        let mut operation = Operation {
            number,
            host: self.host,
            place: place.clone(),
            what: match &ask {
                Ask::Get => What::Get(None),
                Ask::Write(MemoryWrite::Put { expected, .. }) => What::Put {
                    expected: match expected {
                        Expected::Version(version) => Some(*version),
                        _ => None,
                    },
                    version: None,
                },
                Ask::Write(MemoryWrite::Delete { .. }) => What::Delete,
            },
            began: self.world.tick(),
            ended: None,
            interrupted: false,
            degraded: false,
        };
        let mut repeats = self.dice.percent(70).then_some(REPEATS);
        loop {
            let attempt = self.attempt(&place, number, &ask, patience, leaves).await;
            operation.degraded = attempt.degraded;
            match attempt.got {
                Got::Interrupted => {
                    operation.interrupted = true;
                    repeats = repeats.and_then(|left| left.checked_sub(1));
                    if repeats.is_none() {
                        break;
                    }
                }
                Got::Item(Ok(item)) => {
                    operation.ended = Some(self.world.tick());
                    self.found(&mut operation, item, own);
                    break;
                }
                Got::Ack(Ok(ack)) => {
                    operation.ended = Some(self.world.tick());
                    self.acknowledged(&mut operation, &ask, ack, own, seen);
                    break;
                }
                Got::Item(Err(error)) => {
                    let late = error.kind() == ErrorKind::Timeout && hurried;
                    if !late {
                        self.complain(&operation, &format!("a read failed: {error:?}"));
                    }
                    break;
                }
                Got::Ack(Err(error)) => {
                    self.world.tell(|| format!("{error:?}: {operation:?}"));
                    let definite = self.refused(&operation, &ask, error, own, hurried, seen);
                    if definite && !operation.interrupted {
                        return;
                    }
                    operation.interrupted = true;
                    break;
                }
            }
        }
        if operation.ended.is_none() && matches!(ask, Ask::Write(_)) {
            let (version, _) = self.seen.get(&key).copied().unwrap_or_default();
            self.seen.insert(key, (version, false));
        }
        self.world.history(operation);
    }

    fn choose(&self, place: &Place, number: u64, seen: Option<Option<u64>>) -> Ask {
        let key = place.2.clone();
        if is_thread(&key) {
            return self.choose_of_thread(place, number, seen);
        }
        let expected = match (self.dice.below(10), seen) {
            (0..4, _) => return Ask::Get,
            (4, _) => return Ask::Write(MemoryWrite::Delete { key }),
            (5 | 6, Some(Some(version))) => Expected::Version(version),
            (5 | 6, Some(None)) => Expected::Absent,
            (7, _) if self.dice.percent(20) => Expected::Version(7),
            _ => Expected::Any,
        };
        Ask::Write(MemoryWrite::Put {
            key,
            value: value(place, number),
            ttl: None,
            expected,
        })
    }

    /// Begins what is not there, and goes on with what is.
    fn choose_of_thread(&self, place: &Place, number: u64, seen: Option<Option<u64>>) -> Ask {
        let expected = match (self.dice.below(10), seen.flatten()) {
            (0..4, _) => return Ask::Get,
            (4..8, None) => Expected::Absent,
            _ => Expected::Any,
        };
        Ask::Write(MemoryWrite::Put {
            key: place.2.clone(),
            value: value(place, number),
            ttl: None,
            expected,
        })
    }

    async fn attempt(
        &self,
        place: &Place,
        number: u64,
        ask: &Ask,
        patience: Duration,
        leaves: Option<Duration>,
    ) -> Attempt {
        let running = self.world.hosts[self.host].up().await;
        let began = Instant::now();
        let deadline = began + patience;
        let ctx = ctx(place, number, deadline);
        let leaves = began + leaves.unwrap_or(2 * PATIENT);
        let got = tokio::select! {
            biased;
            () = running.life.ended() => Got::Interrupted,
            got = call(&running, &ctx, place, ask) => got,
            () = sleep_until(leaves) => Got::Interrupted,
        };
        if Instant::now() > deadline + SLACK {
            let late = Instant::now() - deadline;
            self.world
                .broken(format!("{number} ended {late:?} after its deadline"));
        }
        let used = ctx.receipt.snapshot();
        Attempt {
            got,
            degraded: used.iter().any(|used| used.degraded.is_some()),
        }
    }

    fn found(&mut self, operation: &mut Operation, item: Option<Item>, own: bool) {
        let found = item.map(|item| {
            let writer = writer(&operation.place, &item.value);
            if writer.is_none() {
                self.complain(operation, "a read found what belongs to somebody else");
            }
            (writer.unwrap_or_default(), item.version)
        });
        let version = found.map(|(_, version)| version);
        // What an interrupted write of its own may still change, it does not know.
        let sure = own && self.seen.get(&operation.place.2).is_none_or(|seen| seen.1);
        self.seen.insert(operation.place.2.clone(), (version, sure));
        operation.what = What::Get(found);
    }

    fn acknowledged(
        &mut self,
        operation: &mut Operation,
        ask: &Ask,
        ack: MemoryAck,
        own: bool,
        seen: Option<(Option<u64>, bool)>,
    ) {
        if let Ask::Write(MemoryWrite::Put {
            expected: Expected::Version(7),
            ..
        }) = ask
        {
            self.complain(operation, "a condition that never held was met");
        }
        let now = match &mut operation.what {
            What::Put { version, .. } => {
                *version = Some(ack.version);
                Some(ack.version)
            }
            _ => None,
        };
        if let Some((Some(before), true)) = seen
            && now.is_some_and(|now| now <= before)
        {
            self.complain(operation, "a version went back");
        }
        self.seen.insert(operation.place.2.clone(), (now, own));
    }

    /// Judges an error of a write, and says whether it certainly changed nothing.
    fn refused(
        &self,
        operation: &Operation,
        ask: &Ask,
        error: stuga_core::Error,
        own: bool,
        hurried: bool,
        seen: Option<(Option<u64>, bool)>,
    ) -> bool {
        let plan = &self.world.plan;
        let Ask::Write(write) = ask else { return true };
        let conditional = matches!(
            write,
            MemoryWrite::Put { expected, .. } if *expected != Expected::Any
        );
        let wrong = matches!(
            write,
            MemoryWrite::Put {
                expected: Expected::Version(7),
                ..
            }
        );
        match error.kind() {
            ErrorKind::Conflict if conditional => {
                let sure = own && seen.is_some_and(|seen| seen.1) && !operation.interrupted;
                if sure && !wrong && !self.world.is_cursed(&operation.place.2) {
                    self.complain(operation, "a condition that holds was refused");
                }
                true
            }
            // Nobody began it, or another host did and the cloud is away.
            ErrorKind::NotFound if belongs(write) => true,
            ErrorKind::QuotaExceeded if plan.cap.is_some() => true,
            // A refusal by this host after the cloud kept silent.
            ErrorKind::Timeout
                if hurried || conditional || belongs(write) || plan.cap.is_some() =>
            {
                false
            }
            _ => {
                self.complain(operation, &format!("a write failed: {error:?}"));
                false
            }
        }
    }

    fn complain(&self, operation: &Operation, what: &str) {
        self.world.broken(format!("{what}: {operation:?}"));
    }
}

pub(crate) fn ctx(place: &Place, number: u64, deadline: Instant) -> CallCtx {
    let id = Uuid::from_u128(u128::from(number));
    CallCtx::new(
        place.0.clone(),
        place.1.clone(),
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        Timestamp::from_millis(1),
        deadline,
    )
}

async fn call(running: &Running, ctx: &CallCtx, place: &Place, ask: &Ask) -> Got {
    let key = place.2.as_str();
    match ask {
        Ask::Get => Got::Item(
            running
                .facade
                .read(ctx, "memory.get", key, |memory| async move {
                    memory.get(ctx, key).await
                })
                .await,
        ),
        Ask::Write(write) => Got::Ack(running.facade.write(ctx, write).await),
    }
}
