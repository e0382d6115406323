//! The life of a host: from its start to its crash, which can come at any point where it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use stuga_core::testkit::Dice;
use stuga_core::{Clock, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// One life of a host.
pub(crate) struct Life {
    /// None where every step takes no time.
    dice: Option<Dice>,
    steps: AtomicU64,
    /// At which step it dies.
    dies_at: AtomicU64,
    dead: watch::Sender<bool>,
}

impl Life {
    pub(crate) fn new(dice: Option<Dice>) -> Arc<Self> {
        Arc::new(Self {
            dice,
            steps: AtomicU64::new(0),
            dies_at: AtomicU64::new(u64::MAX),
            dead: watch::Sender::new(false),
        })
    }

    /// A point between two things that a host does. Some take a moment; at one the host may die, and then nothing follows.
    pub(crate) async fn step(&self) {
        if let Some(dice) = self.dice.as_ref().filter(|dice| dice.percent(8)) {
            tokio::time::sleep(dice.millis(1, 3)).await;
        }
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if step >= self.dies_at.load(Ordering::Relaxed) {
            self.die();
        }
        if *self.dead.borrow() {
            std::future::pending::<()>().await;
        }
    }

    /// Dies at its step number `steps` from here.
    pub(crate) fn dies_in(&self, steps: u64) {
        let now = self.steps.load(Ordering::Relaxed);
        self.dies_at
            .store(now.saturating_add(steps), Ordering::Relaxed);
    }

    /// Dies no longer.
    pub(crate) fn spare(&self) {
        self.dies_at.store(u64::MAX, Ordering::Relaxed);
    }

    fn die(&self) {
        self.dead.send_replace(true);
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }
}

/// The time of day on one host. It follows tokio's clock, and jumps.
pub(crate) struct HostClock {
    start: Instant,
    /// By how many milliseconds it is wrong.
    wrong: AtomicI64,
}

impl HostClock {
    pub(crate) fn new(wrong: i64) -> Self {
        Self {
            start: Instant::now(),
            wrong: AtomicI64::new(wrong),
        }
    }

    pub(crate) fn jump(&self, millis: i64) {
        self.wrong.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        const BEGAN: Duration = Duration::from_secs(1_767_225_600);
        let right = i64::try_from((BEGAN + self.start.elapsed()).as_millis()).unwrap();
        let shown = right + self.wrong.load(Ordering::Relaxed);
        Timestamp::from_millis(u64::try_from(shown).unwrap())
    }
}
